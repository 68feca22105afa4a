"""Project folders are made, found and opened by name."""

from pathlib import Path

import pytest

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
