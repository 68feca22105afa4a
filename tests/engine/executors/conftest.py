"""One Ray cluster of two nodes for all tests of this folder, and what a process needs to connect to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from tests.helpers.ray_nodes import Nodes, two_nodes


@pytest.fixture(scope="package")
def nodes() -> Iterator[Nodes]:
    if find_spec("ray") is None:
        pytest.skip("Ray is not installed; run: python -m pip install -r requirements-ray.txt")
    with two_nodes() as (running, variables), pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [os.getcwd(), os.environ.get("PYTHONPATH")])))
        yield running
