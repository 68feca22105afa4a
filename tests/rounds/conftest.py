"""A small project with a queue, for whoever tests a round of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.tiny import tiny_project
from tidal_core.projects import Project
from tidal_core.rounds.queue_plan import fill_queue


@pytest.fixture
def project() -> Iterator[Project]:
    project = tiny_project()
    fill_queue(project)
    yield project
    project.close()
