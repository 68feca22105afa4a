"""A fresh store per test, with ten images and three classes."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.store.samples import image
from tidal_core.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "project.duckdb") as opened:
        opened.images.add([image(i, known=1 + i % 3) for i in range(1, 11)])
        opened.images.set_audit_order(np.array([10, 9, 8, 7, 6, 5, 4, 3, 2, 1]))
        opened.classes.add(["cat", "dog", "owl"])
        yield opened
