"""A folder tree of images."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.images.photos import encoded, picture, save
from tidal_core.errors import InputError
from tidal_core.images.importers import scan
from tidal_core.images.importers.base import FoundImage
from tidal_core.records import ImportProblem, Split


def images(folder: Path) -> list[FoundImage]:
    return [item for item in scan(str(folder)).items if isinstance(item, FoundImage)]


def problems(folder: Path) -> dict[str, ImportProblem]:
    return {item.name: item for item in scan(str(folder)).items if isinstance(item, ImportProblem)}


def test_images_come_in_the_order_people_expect(tmp_path: Path) -> None:
    for name in ("img10.jpg", "img2.jpg", "IMG1.jpg", "b/1.jpg", "a/1.jpg"):
        save(tmp_path / name)

    assert [image.name for image in images(tmp_path)] == ["IMG1.jpg", "img2.jpg", "img10.jpg", "a/1.jpg", "b/1.jpg"]


def test_the_first_level_folder_is_the_label(tmp_path: Path) -> None:
    save(tmp_path / "daisy" / "1.jpg")
    save(tmp_path / "rose" / "garden" / "2.jpg")
    save(tmp_path / "loose.jpg")

    assert {image.name: image.label for image in images(tmp_path)} == {
        "loose.jpg": None,
        "daisy/1.jpg": "daisy",
        "rose/garden/2.jpg": "rose",
    }
    assert [label_class.name for label_class in scan(str(tmp_path)).classes] == ["daisy", "rose"]


def test_train_and_test_folders_are_the_split_and_the_next_level_is_the_label(tmp_path: Path) -> None:
    for name in ("train/daisy/1.jpg", "val/daisy/2.jpg", "Test/rose/3.jpg"):
        save(tmp_path / name)

    labels_and_splits = {image.name: (image.label, image.split) for image in images(tmp_path)}

    assert labels_and_splits == {
        "train/daisy/1.jpg": ("daisy", Split.POOL),
        "val/daisy/2.jpg": ("daisy", Split.POOL),
        "Test/rose/3.jpg": ("rose", Split.TEST),
    }
    assert [label_class.name for label_class in scan(str(tmp_path)).classes] == ["daisy", "rose"]


def test_validation_images_are_the_test_split_where_there_is_no_other(tmp_path: Path) -> None:
    save(tmp_path / "train" / "a" / "1.jpg")
    save(tmp_path / "valid" / "a" / "2.jpg")

    assert [image.split for image in images(tmp_path)] == [Split.POOL, Split.TEST]


def test_hidden_and_system_files_are_left_out(tmp_path: Path) -> None:
    for name in (".hidden.jpg", ".git/1.jpg", "__MACOSX/1.jpg", "Thumbs.db", "1.jpg"):
        save(tmp_path / name)

    assert [item.name for item in scan(str(tmp_path)).items] == ["1.jpg"]


def test_other_files_are_named_and_unnamed_images_are_found(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "no suffix").write_bytes(encoded(picture(), "JPEG"))

    assert [image.name for image in images(tmp_path)] == ["no suffix"]
    assert "a .txt file is not an image" in problems(tmp_path)["notes.txt"].reason


def test_links_that_lead_in_circles_are_followed_once(tmp_path: Path) -> None:
    save(tmp_path / "in" / "a.jpg")
    (tmp_path / "in" / "up").symlink_to(tmp_path)
    (tmp_path / "in" / "self").symlink_to(tmp_path / "in")
    (tmp_path / "again").symlink_to(tmp_path / "in")

    assert len(images(tmp_path)) == 1
    assert all("links to a folder" in problem.reason for problem in problems(tmp_path).values())


def test_a_folder_with_an_images_name_is_entered_and_named(tmp_path: Path) -> None:
    save(tmp_path / "x.jpg" / "inside.jpg")

    assert [image.name for image in images(tmp_path)] == ["x.jpg/inside.jpg"]
    assert "a folder named like an image" in problems(tmp_path)["x.jpg"].reason


def test_names_of_every_kind_are_found_and_read(tmp_path: Path) -> None:
    names = ["with space.jpg", "quote'\".jpg", "new\nline.jpg", "花.jpg", "ё.jpg", "<b>.jpg", "x" * 251 + ".jpg"]
    for seed, name in enumerate(names):
        save(tmp_path / name, seed)

    assert {image.name for image in images(tmp_path)} == set(names)
    assert all(image.read() for image in images(tmp_path))


def test_a_folder_that_may_not_be_read_is_named_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "closed" / "1.jpg")
    save(tmp_path / "open" / "2.jpg")
    scandir = os.scandir

    def guarded(folder: Path) -> Iterator[os.DirEntry[str]]:  # a privileged user would be let in: refuse in any case
        if Path(folder).name == "closed":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", guarded)

    assert [image.name for image in images(tmp_path)] == ["open/2.jpg"]
    assert "Permission denied" in problems(tmp_path)["closed"].reason


def test_a_source_that_is_nothing_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="check the name"):
        scan(str(tmp_path / "nowhere"))
    (tmp_path / "song.mp3").write_bytes(b"ID3")
    with pytest.raises(InputError, match=r"images cannot be read from .* give a folder of images, a zip or"):
        scan(str(tmp_path / "song.mp3"))


def test_paths_longer_than_the_system_opens_are_named_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "z.jpg")
    monkeypatch.chdir(tmp_path)
    for _ in range(20):  # 5,000 letters deep
        Path("d" * 250).mkdir()
        os.chdir("d" * 250)
    os.chdir(tmp_path)

    reported = problems(tmp_path)

    assert [image.name for image in images(tmp_path)] == ["z.jpg"]
    assert len(reported) == 1


@pytest.mark.parametrize("source", ["~nobody-of-this-name/photos", "a" * 300, "/a" * 3_000])
def test_a_source_that_can_be_no_path_is_refused_with_a_remedy(source: str) -> None:
    with pytest.raises(InputError, match="check the name"):
        scan(source)
