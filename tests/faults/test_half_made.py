"""A project whose making was interrupted burns no name, and the demo is whole however often its making is killed."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.helpers.disks import in_process
from tidal_core import projects
from tidal_core.config import ProjectSettings
from tidal_core.errors import ProjectExists, ProjectNotFound
from tidal_core.images.ingest import ingest
from tidal_core.server.studio import DEMO, DEMO_IMAGES, DEMO_SETTINGS, Studio
from tidal_core.store import Store

KILLED = """
import os, signal, sys
from tidal_core import files
from tidal_core.images.pixels.writer import PixelWriter
from tidal_core.server.studio import make_demo
owner, name = {"import": (PixelWriter, "write"), "rename": (files, "replace")}[sys.argv[1]]
setattr(owner, name, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
make_demo()
"""


@pytest.mark.parametrize("moment", ["import", "rename"])
def test_a_demo_killed_while_it_is_made_is_made_again_whole(moment: str, tidal_home: Path) -> None:
    assert in_process(KILLED, moment).returncode == -signal.SIGKILL
    assert projects.project_slugs() == []

    studio = Studio(with_worker=False)
    try:
        assert studio.demo().store.images.count() == DEMO_IMAGES
    finally:
        studio.close()
    assert [path.name for path in (tidal_home / "projects").iterdir()] == [DEMO]


@pytest.mark.parametrize("is_set", [True, False])
def test_a_demo_that_an_earlier_version_left_half_made_is_completed(is_set: bool) -> None:
    with projects.making(DEMO, DEMO_SETTINGS) as demo:
        if is_set:
            steps = iter(range(300))
            ingest(demo, "digits", labels="known", should_stop=lambda: next(steps) > 256)
            assert 0 < demo.store.images.count() < DEMO_IMAGES
        else:
            demo.store.settings.remove("project")

    studio = Studio(with_worker=False)
    try:
        demo = studio.demo()
        assert (demo.store.images.count(), demo.settings, demo.store.queue.count() > 0) == (
            DEMO_IMAGES,
            DEMO_SETTINGS,
            True,
        )
    finally:
        studio.close()


def test_an_own_project_with_the_name_of_the_demo_stays_what_it_is() -> None:
    projects.create_project(DEMO, ProjectSettings(title="Digits of mine")).close()
    studio = Studio(with_worker=False)
    try:
        assert studio.demo().store.images.count() == 0
    finally:
        studio.close()


def test_a_file_of_no_bytes_burns_no_name(tidal_home: Path) -> None:
    folder = tidal_home / "projects" / "birds"
    (folder / "previews").mkdir(parents=True)
    (folder / "project.duckdb").touch()

    assert projects.project_slugs() == []
    with pytest.raises(ProjectNotFound):
        projects.open_project("birds")
    projects.create_project("birds").close()
    assert projects.project_slugs() == ["birds"]


def test_a_folder_that_holds_anything_is_never_taken_for_a_leftover(tidal_home: Path) -> None:
    folder = tidal_home / "projects" / "birds"
    folder.mkdir(parents=True)
    (folder / "project.duckdb").touch()
    (folder / "photo.jpg").write_bytes(b"precious")

    with pytest.raises(ProjectExists, match="holds files, but no project; move it elsewhere"):
        projects.create_project("birds")
    assert (folder / "photo.jpg").read_bytes() == b"precious"


def test_a_making_that_fails_or_comes_second_leaves_nothing(tidal_home: Path) -> None:
    with pytest.raises(OSError, match="full"), projects.making("birds"):
        raise OSError("full")
    with pytest.raises(ProjectExists), projects.making("birds"):
        projects.create_project("birds", classes=("first",)).close()

    assert [path.name for path in (tidal_home / "projects").iterdir()] == ["birds"]
    with Store(tidal_home / "projects" / "birds" / "project.duckdb") as store:
        assert [record.name for record in store.classes.all()] == ["first"]
