"""Every test has a home of its own: no test sees a project of the person who runs it.

Here, too, is what tests of several rooms start from.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tidal_core.config import PRESETS, QUICK

if TYPE_CHECKING:
    from tests.helpers.disks import SmallDisk
    from tests.helpers.served import Served
    from tidal_core.projects import Project
    from tidal_core.server.studio import Studio

# Timings never fail a test: a busy machine takes ten times as long. And what passed here passes elsewhere: the examples
# of a property are the same in every run, and others by ``make explore``.
settings.register_profile("studio", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.register_profile("explore", settings.get_profile("studio"), derandomize=False, print_blob=True)
settings.load_profile("studio")


@pytest.fixture(autouse=True)
def tidal_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tidal-home"
    monkeypatch.setenv("TIDAL_HOME", str(folder))
    return folder


@pytest.fixture
def short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds of forty steps, for tests that ask whether a round works and not how well it learns."""
    monkeypatch.setitem(PRESETS, "quick", replace(QUICK, epochs=10, min_steps=40))


# What follows is imported by the tests that ask for it only: the method's tests need neither a server nor a project.


@pytest.fixture
def served() -> Iterator[Served]:
    """The routes on a project of 60 small images, without a worker."""
    from tests.helpers.served import Served

    made = Served()
    yield made
    made.close()


@pytest.fixture
def studio() -> Iterator[Studio]:
    """A studio with its worker."""
    from tests.helpers.gates import WAIT_SECONDS
    from tidal_core.server.studio import Studio

    made = Studio()
    yield made
    made.worker.stop(WAIT_SECONDS)  # closing the studio waits for seconds only
    made.close()


@pytest.fixture
def mistaken() -> Iterator[tuple[Project, list[int]]]:
    """A labelled project, and the ids of the images whose labels are planted mistakes."""
    from tests.helpers.mistaken import mistaken_project

    project, planted = mistaken_project()
    yield project, planted
    project.close()


@pytest.fixture
def disk(tidal_home: Path) -> Iterator[SmallDisk]:
    """A disk of 16 MB with the home on it."""
    from tests.helpers.disks import small_disk_or_skip

    with ExitStack() as stack:
        yield small_disk_or_skip(tidal_home, 16, stack)
