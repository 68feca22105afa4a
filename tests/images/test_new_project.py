"""A project that is made for the images of a source."""

from pathlib import Path

import pytest
from PIL import Image

from tidal_core.config import ProjectSettings
from tidal_core.errors import InputError, ProjectExists
from tidal_core.images.new_project import could_gain, new_project, reason_of, suit
from tidal_core.images.suggest import propose
from tidal_core.projects import open_project, project_slugs


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three colour photos of 90 pixels and more."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for colour in ("red", "green", "blue"):
        Image.new("RGB", (120, 90), colour).save(folder / f"{colour}.png")
    return folder


def test_its_settings_suit_the_images_and_nothing_is_imported_yet(photos: Path) -> None:
    made = new_project("  My   flowers ", str(photos), classes=("rose", "daisy"))

    assert (made.slug, made.title) == ("my-flowers", "My flowers")
    settings = made.settings
    assert (settings.preset, settings.strategy, settings.labels_per_round) == ("frozen", "exact-herding", 10)
    assert (settings.training_size, settings.fit, settings.augmentation) == (96, "stretch", "flip-crop")
    assert reason_of(made).startswith("The pretrained model learns these images (about 90 pixels), because")
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
    assert (made.settings.training_size, made.title, made.settings.preset) == (96, "flowers", "frozen")
    made.close()


@pytest.mark.parametrize(
    ("side", "preset", "size"), [(47, "quick", 32), (48, "frozen", 96), (100, "frozen", 128), (500, "frozen", 224)]
)
def test_the_size_of_the_images_decides(tmp_path: Path, side: int, preset: str, size: int) -> None:
    Image.new("RGB", (side + 20, side), "red").save(tmp_path / "a.png")

    settings = propose(str(tmp_path), "flowers").settings

    assert (settings.preset, settings.training_size) == (preset, size)


def test_grey_photos_are_learnt_by_the_pretrained_model_too_and_not_mirrored(tmp_path: Path) -> None:
    Image.new("L", (300, 300), 90).save(tmp_path / "a.png")

    settings = propose(str(tmp_path), "scans").settings

    assert (settings.preset, settings.grayscale, settings.augmentation) == ("frozen", True, "crop")


def test_a_training_that_was_chosen_stands_with_what_goes_with_it(photos: Path) -> None:
    made = new_project("flowers", str(photos), preset="quick")
    settings = made.settings
    assert (settings.preset, settings.strategy, settings.training_size) == ("quick", "tidal-entropy", 32)
    assert reason_of(made) == "You chose this training."
    assert not could_gain(made)
    made.close()


def test_a_size_below_what_the_pretrained_model_needs_takes_the_small_network(photos: Path) -> None:
    made = new_project("flowers", str(photos), size=40)
    assert (made.settings.preset, made.settings.training_size) == ("quick", 40)
    made.close()


def test_a_project_of_this_name_is_not_replaced(photos: Path) -> None:
    new_project("flowers", None, size=24).close()
    with pytest.raises(ProjectExists):
        new_project("flowers", str(photos))
    again = open_project("flowers")
    assert again.settings.training_size == 24
    again.close()
