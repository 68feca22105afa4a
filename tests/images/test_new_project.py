"""A project that is made for the images of a source."""

from pathlib import Path

import pytest
from PIL import Image

from tidal_core.config import ProjectSettings
from tidal_core.errors import InputError, ProjectExists
from tidal_core.images.new_project import new_project, suit
from tidal_core.projects import open_project, project_slugs


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three colour photos above 64 pixels."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for colour in ("red", "green", "blue"):
        Image.new("RGB", (120, 90), colour).save(folder / f"{colour}.png")
    return folder


def test_its_settings_suit_the_images_and_nothing_is_imported_yet(photos: Path) -> None:
    made = new_project("  My   flowers ", str(photos), classes=("rose", "daisy"))

    assert (made.slug, made.title) == ("my-flowers", "My flowers")
    assert (made.settings.training_size, made.settings.augmentation) == (64, "flip-crop")
    assert [record.name for record in made.store.classes.all()] == ["rose", "daisy"]
    assert made.store.images.count() == 0
    made.close()


def test_it_will_find_the_fastest_way_to_compute_and_a_project_of_before_will_not(photos: Path) -> None:
    made = new_project("flowers", None)
    assert made.settings.find_fastest
    suit(made, str(photos))
    assert made.settings.find_fastest
    made.close()
    assert not ProjectSettings.from_json("{}").find_fastest


def test_a_size_that_was_chosen_stands(photos: Path) -> None:
    made = new_project("flowers", str(photos), size=48)
    assert made.settings.training_size == 48
    made.close()


def test_a_slip_in_the_path_leaves_no_project_behind(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        new_project("flowers", str(tmp_path / "no-such-folder"))
    assert project_slugs() == []


def test_images_may_come_later(photos: Path) -> None:
    made = new_project("flowers", None)
    assert made.settings.training_size == 32
    suit(made, str(photos))
    assert (made.settings.training_size, made.title) == (64, "flowers")
    made.close()


def test_a_project_of_this_name_is_not_replaced(photos: Path) -> None:
    new_project("flowers", None, size=24).close()
    with pytest.raises(ProjectExists):
        new_project("flowers", str(photos))
    again = open_project("flowers")
    assert again.settings.training_size == 24
    again.close()
