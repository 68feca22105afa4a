"""Project folders are made, found and opened by name."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.tiny import tiny_project
from tidal_core import projects
from tidal_core.config import ProjectSettings
from tidal_core.errors import InputError, ProjectExists, ProjectNotFound


def test_a_project_is_found_again_with_its_settings(tidal_home: Path) -> None:
    made = projects.create_project("Été à Paris!", ProjectSettings(title="Été à Paris!"), classes=("cat",))
    made.close()
    assert projects.project_slugs() == ["ete-a-paris"]
    reopened = projects.open_project("ete-a-paris")
    assert reopened.title == "Été à Paris!"
    assert [record.name for record in reopened.store.classes.all()] == ["cat"]
    reopened.close()


def test_a_second_project_of_the_same_name_is_refused() -> None:
    projects.create_project("birds").close()
    with pytest.raises(ProjectExists, match="birds"):
        projects.create_project("Birds")


def test_a_project_that_is_not_there_is_named_with_those_that_are() -> None:
    projects.create_project("birds").close()
    with pytest.raises(ProjectNotFound, match="there are: birds"):
        projects.open_project("bees")


@pytest.mark.parametrize("slug", ["../birds", "a/b", "", "/etc"])
def test_a_slug_cannot_leave_the_folder_of_projects(slug: str) -> None:
    with pytest.raises((ProjectNotFound, InputError)):
        projects.open_project(slug)


def test_a_name_without_letters_is_refused() -> None:
    with pytest.raises(InputError, match="no letter or digit"):
        projects.slugify("!!!")


def modes(folder: Path) -> dict[str, int]:
    """The permissions of a folder and all in it."""
    return {str(path.relative_to(folder.parent)): path.lstat().st_mode & 0o777 for path in (folder, *folder.rglob("*"))}


@pytest.fixture
def open_to_all() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
def test_a_project_is_for_its_user_alone_whatever_the_umask_is(open_to_all: None) -> None:
    project = tiny_project(6, test=0)
    project.close()
    with_uploads = project.folder / "uploads" / "a"
    with_uploads.mkdir(parents=True)
    (with_uploads / "photo.png").write_bytes(b"x")

    found = modes(projects.home() / "projects")

    assert {name: oct(mode) for name, mode in found.items() if mode & 0o077} == {}
    assert found["projects/tiny/project.duckdb"] == 0o600
    assert found["projects/tiny"] == found["projects/tiny/uploads/a"] == 0o700


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
def test_a_project_that_others_could_read_is_closed_to_them_when_it_is_opened(tmp_path: Path) -> None:
    tiny_project(6, test=0).close()
    folder, elsewhere = projects.project_folder("tiny"), tmp_path / "original.png"
    elsewhere.write_bytes(b"x")
    elsewhere.chmod(0o644)
    (folder / "exports" / "link.png").symlink_to(elsewhere)
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o777 if path.is_dir() else 0o666)

    projects.open_project("tiny").close()

    shown = {name: mode for name, mode in modes(folder).items() if not name.endswith("link.png")}
    assert set(shown.values()) == {0o600, 0o700}
    assert elsewhere.stat().st_mode & 0o777 == 0o644  # a person's own file is left alone


def test_where_permissions_cannot_be_changed_a_project_opens_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_project(6, test=0).close()
    projects.project_folder("tiny").chmod(0o755)

    def refused(path: Path, mode: int) -> None:
        raise PermissionError(1, "not permitted")

    monkeypatch.setattr(Path, "chmod", refused)

    projects.open_project("tiny").close()
