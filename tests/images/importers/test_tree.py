"""Which folders of a tree are classes, which say the split, and which are neither."""

import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.images.photos import encoded, picture
from tidal_core.images.importers import scan
from tidal_core.images.importers.base import FoundImage, ImportOptions
from tidal_core.images.importers.tree import split_kind
from tidal_core.images.ingest import ingest
from tidal_core.images.preview import preview
from tidal_core.projects import Project
from tidal_core.records import ImportProblem, Split

POOL, TEST = Split.POOL, Split.TEST
Found = dict[str, tuple[str | None, Split | None]]


def content(name: str) -> bytes:
    """A photo of its own for each file name, whatever the folder: a file below two folders is the same file twice."""
    return encoded(picture(12, 10, seed=sum(map(ord, name))), "PNG") + name.encode()


def tree(root: Path, names: Iterable[str]) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(path.name) if path.suffix != ".txt" else b"0 0.5 0.5 1 1")
    return root


def read(source: Path, class_level: int | None = None) -> tuple[Found, list[str], dict[str, str]]:
    """(label and split of each image, classes, remarks by name)."""
    options = ImportOptions(workspace=source.parent / "workspace", class_level=class_level)
    found = scan(str(source), options)
    items = list(found.items)
    images = {item.name: (item.label, item.split) for item in items if isinstance(item, FoundImage)}
    remarks = [*found.label_remarks, *(item for item in items if isinstance(item, ImportProblem))]
    return images, [found_class.name for found_class in found.classes], {each.name: each.reason for each in remarks}


def named(folder: str, classes: Iterable[str], n: int = 2) -> list[str]:
    return [f"{folder}{name}/{name}-{folder.strip('/').replace('/', '-')}{i}.png" for name in classes for i in range(n)]


def test_a_folder_that_only_holds_the_data_set_is_no_class(tmp_path: Path) -> None:
    source = tree(tmp_path / "in", [*named("archive/flower_photos/", ("daisy", "roses")), "archive/LICENSE.txt"])

    images, classes, remarks = read(source)

    assert classes == ["daisy", "roses"]
    assert {label for label, _ in images.values()} == {"daisy", "roses"}
    assert set(remarks) == {"archive/LICENSE.txt"}


@pytest.mark.parametrize("packing", ["folder", "zip"])
@pytest.mark.parametrize("inner", ["cell_images", "copy"])
def test_a_folder_that_repeats_what_lies_beside_it_is_skipped_with_one_remark(
    project: Project, tmp_path: Path, inner: str, packing: str
) -> None:
    names = [f"{kind}/{kind}{i}.png" for kind in ("Parasitized", "Uninfected") for i in range(3)]
    source = tree(tmp_path / "cell_images", [*names, *(f"{inner}/{name}" for name in names)])
    if packing == "zip":
        source = Path(shutil.make_archive(str(tmp_path / "cells"), "zip", tmp_path, "cell_images"))

    report = ingest(project, str(source), labels="known")

    assert [record.name for record in project.store.classes.all()] == ["Parasitized", "Uninfected"]
    assert (report.read, report.labels, report.duplicates) == (6, 6, 0)
    (remark,) = report.problems
    assert remark.name.endswith(inner)
    assert "6 images are there twice, and this copy was skipped" in remark.reason


def test_a_copy_of_the_splits_leaves_the_splits(tmp_path: Path) -> None:
    names = [
        f"{split}/{kind}/{split}-{kind}{i}.png"
        for split in ("train", "test", "val")
        for kind in ("NORMAL", "PNEUMONIA")
        for i in range(2)
    ]
    source = tree(
        tmp_path / "chest_xray",
        [*names, *(f"chest_xray/{name}" for name in names), "__MACOSX/chest_xray/test/NORMAL/._x.png"],
    )

    images, classes, remarks = read(source)

    assert classes == ["NORMAL", "PNEUMONIA"]
    assert images == {name: (name.split("/")[1], TEST if name.startswith("test") else POOL) for name in names}
    assert list(remarks) == ["chest_xray"]


def test_a_data_set_that_is_there_twice_is_read_once(tmp_path: Path) -> None:
    names = ["{}/cat/1.png", "{}/cat/2.png", "{}/dog/3.png"]
    source = tree(tmp_path / "in", [name.format(top) for top in ("photos", "photos (1)") for name in names])

    images, classes, remarks = read(source)

    assert classes == ["cat", "dog"]
    assert set(images) == {name.format("photos") for name in names}
    assert list(remarks) == ["photos (1)"]


def test_pictures_of_one_size_with_the_same_names_are_no_copies(tmp_path: Path) -> None:
    source = tmp_path / "in"
    for seed, name in enumerate(["cat/1.bmp", "dog/1.bmp", "more/cat/1.bmp", "more/dog/1.bmp"]):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(encoded(picture(seed=seed), "BMP"))

    images, classes, _ = read(source)

    assert (len(images), classes) == (4, ["cat", "dog"])


def test_a_folder_with_the_same_folders_and_other_images_is_more_of_the_same(tmp_path: Path) -> None:
    source = tree(tmp_path / "in", [*named("", ("cat", "dog")), *named("more/", ("cat", "dog"))])

    images, classes, remarks = read(source)

    assert classes == ["cat", "dog"]
    assert len(images) == 8
    assert all(label == Path(name).parent.name for name, (label, _) in images.items())
    assert remarks == {}


@pytest.mark.parametrize(
    ("pool", "test"),
    [
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("train_set", "test_set"),
        ("train", "eval"),
        ("Training", "evaluation"),
        ("train", "dev"),
        ("my-train.1", "my-valid.1"),
        ("data/train", "data/test"),
        ("train/images", "test/images"),
        ("trainset", "testset"),
    ],
)
def test_folders_named_like_splits_say_the_split(pool: str, test: str, tmp_path: Path) -> None:
    names = [*named(f"{pool}/", ("daisy", "roses")), *named(f"{test}/", ("daisy", "roses"))]

    images, classes, remarks = read(tree(tmp_path / "in", names))

    assert classes == ["daisy", "roses"]
    assert images == {name: (Path(name).parent.name, TEST if name.startswith(test) else POOL) for name in names}
    assert remarks == {}


def test_images_beside_the_splits_are_of_no_class(tmp_path: Path) -> None:
    names = [*named("seg_train/seg_train/", ("daisy", "roses")), *named("seg_test/seg_test/", ("daisy", "roses"))]
    source = tree(tmp_path / "in", [*names, "seg_pred/seg_pred/0.png", "seg_pred/seg_pred/1.png"])

    images, classes, remarks = read(source)

    assert classes == ["daisy", "roses"]
    assert images["seg_pred/seg_pred/0.png"] == (None, None)
    assert remarks == {"seg_pred": "it lies beside folders that say a split: its 2 images were read without a label"}


@pytest.mark.parametrize(
    "classes", [("bus", "car", "train"), ("steam train", "freight train"), ("beaker", "flask", "test tube"), ("dev",)]
)
def test_classes_may_be_called_like_splits(classes: tuple[str, ...], tmp_path: Path) -> None:
    images, found, _ = read(tree(tmp_path / "in", named("", classes)))

    if classes == ("dev",):  # the only folder: it holds everything
        assert {label for label, _ in images.values()} == {None}
    else:
        assert found == sorted(classes)


@pytest.mark.parametrize("holder", ["images", "Images", "data", "labels", "images_001", "part 2", "HAM_images_part_1"])
def test_folders_that_hold_images_of_any_class_are_no_classes(holder: str, tmp_path: Path) -> None:
    flat, flat_classes, _ = read(tree(tmp_path / "flat", [f"{holder}/1.png", f"{holder}/2.png"]))
    sorted_images, classes, _ = read(tree(tmp_path / "sorted", named(f"{holder}/", ("cat", "dog"))))

    assert flat_classes == []
    assert {label for label, _ in flat.values()} == {None}
    assert classes == ["cat", "dog"]
    assert all(label == Path(name).parent.name for name, (label, _) in sorted_images.items())


def test_parts_of_one_collection_are_read_as_one(tmp_path: Path) -> None:
    names = [*named("images_001/images/", ("cat", "dog")), *named("images_002/images/", ("dog", "owl"))]

    assert read(tree(tmp_path / "in", names))[1] == ["cat", "dog", "owl"]
    assert read(tree(tmp_path / "own", named("", ("daisy part 1", "rose part 1"))))[1] == [
        "daisy part 1",
        "rose part 1",
    ]


def test_folders_without_an_image_are_no_classes(tmp_path: Path) -> None:
    source = tree(tmp_path / "in", [*named("", ("cat", "dog")), "notes/a.txt", "meta/x/b.txt"])
    (source / "empty").mkdir()

    assert read(source)[1] == ["cat", "dog"]


def test_a_single_folder_of_images_is_a_class(tmp_path: Path) -> None:
    images, classes, remarks = read(tree(tmp_path / "in", ["daisy/1.png", "daisy/more/2.png"]))

    assert classes == ["daisy"]
    assert {label for label, _ in images.values()} == {"daisy"}
    assert "at level 1" in remarks["daisy"]


def test_the_same_class_alone_in_one_split_stays_a_class(tmp_path: Path) -> None:
    source = tree(tmp_path / "in", ["train/cat/x/1.png", "train/cat/y/2.png", *named("test/", ("cat", "dog"))])

    assert read(source)[1] == ["cat", "dog"]


def test_splits_within_classes_are_read(tmp_path: Path) -> None:
    source = tree(tmp_path / "in", [*named("cat/", ("train", "test")), *named("dog/", ("train", "test"))])

    images, classes, remarks = read(source)

    assert classes == ["cat", "dog"]
    assert images["cat/test/test-cat0.png"] == ("cat", TEST)
    assert images["dog/train/train-dog0.png"] == ("dog", POOL)
    assert remarks == {}


def test_uneven_depth_is_said_and_the_level_can_be_chosen(tmp_path: Path) -> None:
    source = tree(tmp_path / "in", ["loose.png", "animals/cat/1.png", "animals/dog/2.png", "plants/3.png"])

    images, classes, remarks = read(source)

    assert classes == ["animals", "plants"]
    assert images["animals/cat/1.png"] == ("animals", None)
    assert remarks == {
        "the top folder": "1 image lies beside folders of classes: it was read without a label",
        "animals": "there are folders within folders of classes ('animals'): what is in them is of the class that the "
        "outer folder names, at level 1",
    }
    assert [problem.reason for problem in preview(str(source)).problems] == list(remarks.values())
    assert not preview(str(source), labels_asked=False).problems
    images, classes, remarks = read(source, class_level=2)
    assert classes == ["cat", "dog"]
    assert images == {
        "loose.png": (None, None),
        "animals/cat/1.png": ("cat", None),
        "animals/dog/2.png": ("dog", None),
        "plants/3.png": (None, None),
    }
    assert remarks == {}


def test_a_chosen_level_is_counted_from_the_top_and_leaves_the_splits(tmp_path: Path) -> None:
    names = ["in/train/a/x/1.png", "in/train/b/y/2.png", "in/test/a/x/3.png", "in/test/b/y/4.png"]
    source = tree(tmp_path, names) / "in"
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", source))

    for place in (source, packed):
        images, classes, _ = read(place, class_level=3)
        assert classes == ["x", "y"]
        assert images["train/a/x/1.png"] == ("x", POOL)
        assert images["test/b/y/4.png"] == ("y", TEST)
    assert read(source, class_level=1)[1] == ["test", "train"]
    assert {split for _, split in read(source, class_level=1)[0].values()} == {None}


def test_names_with_accents_in_two_forms_are_one_class(project: Project, tmp_path: Path) -> None:
    source = tree(tmp_path / "in", ["caf\u00e9/1.png", "cafe\u0301/2.png", "tea/3.png"])

    assert read(source)[1] == ["caf\u00e9", "tea"]
    report = ingest(project, str(source), labels="answers")
    assert (report.read, report.labels) == (3, 3)
    assert [record.name for record in project.store.classes.all()] == ["caf\u00e9", "tea"]
    assert ["they are one class" in problem.reason for problem in report.problems] == [True]


def test_yolo_roboflow_and_frigate_trees_come_in(tmp_path: Path) -> None:
    yolo = tree(tmp_path / "yolo", [n for s in ("train", "val", "test") for n in named(f"{s}/", ("ok", "bad"))])
    detection = tree(tmp_path / "detect", ["images/train/1.png", "images/val/2.png", "labels/train/1.txt"])
    roboflow_names = [n for s in ("train", "valid", "test") for n in named(f"{s}/", ("ok", "bad"))]
    roboflow = tree(tmp_path / "Flaws.v1i.folder", [*roboflow_names, "README.dataset.txt", "README.roboflow.txt"])
    frigate = tree(tmp_path / "gate", [*named("dataset/", ("none", "open", "shut")), "train/17-ab-open-0.9.png"])

    assert read(yolo)[1] == read(roboflow)[1] == ["bad", "ok"]
    assert {split for name, (_, split) in read(roboflow)[0].items() if name.startswith("valid")} == {POOL}
    assert {label for label, _ in read(detection)[0].values()} == {None}
    images, classes, _ = read(frigate)
    assert classes == ["none", "open", "shut"]
    assert images["train/17-ab-open-0.9.png"][0] is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("train", "train"), ("seg_train", "train"), ("TRAIN-2", "train"), ("train_set", "train"), ("dev", "val"),
        ("eval", "test"), ("test1", "test"), ("test 1", "test"), ("trained", None), ("contest", None),
        ("train_test", None), ("Validation", "val"), ("", None),
    ],
)  # fmt: skip
def test_words_of_splits_stand_for_themselves(name: str, kind: str | None) -> None:
    assert split_kind(name) == kind


CLASS_NAMES = st.lists(
    st.sampled_from(["cat", "Hund", "\u732b", "e\u0301t\u00e9", "big cat", "10", "9", "bus", "-ve", "red, orange"]),
    min_size=2,
    max_size=4,
    unique=True,
)


@settings(max_examples=40, deadline=None)
@given(
    classes=CLASS_NAMES,
    wrappers=st.lists(st.sampled_from(["archive", "my photos", "v1.2", "images", "data"]), max_size=2),
    splits=st.sampled_from([(), ("train", "test"), ("seg_train", "seg_test"), ("train_set", "eval"), ("Train", "dev")]),
    holder=st.sampled_from(["", "images/", "part 1/"]),
    twice=st.booleans(),
    extra=st.sampled_from(["", "notes/readme.txt", "__MACOSX/x/._1.png"]),
    packing=st.sampled_from(["folder", "zip"]),
)
def test_random_trees_come_back(
    classes: list[str],
    wrappers: list[str],
    splits: tuple[str, ...],
    holder: str,
    twice: bool,
    extra: str,
    packing: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A tree is written by the rules: each image is found once, with its class and split."""
    root = tmp_path_factory.mktemp("tree")
    wrapper = "".join(f"{name}/" for name in wrappers)
    expected: dict[str, tuple[str, Split | None]] = {}
    for position, split in enumerate(splits or ("",)):
        for name in classes:
            for number in range(2):
                file = f"{position}-{classes.index(name)}-{number}.png"
                inside = f"{split}/{holder}{name}/{file}" if split else f"{holder}{name}/{file}"
                expected[inside] = (name, (POOL, TEST)[position] if splits else None)
    names = [wrapper + name for name in expected]
    if twice:
        names += [f"{wrapper}again/{name}" for name in expected]
    source = tree(root / "in", names + ([wrapper + extra] if extra else []))
    if packing == "zip":
        source = Path(shutil.make_archive(str(root / "packed"), "zip", source))

    images, found_classes, remarks = read(source)

    by_file = {Path(name).name: facts for name, facts in images.items()}
    plain = {name: name.replace("e\u0301t", "\u00e9t") for name in classes}
    assert by_file == {Path(name).name: (plain[label], split) for name, (label, split) in expected.items()}
    assert len(images) == len(expected)
    assert set(found_classes) == set(plain.values())
    assert sum("skipped" in reason and "twice" in reason for reason in remarks.values()) == twice
