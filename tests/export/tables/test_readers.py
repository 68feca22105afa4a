"""Every export is opened by the program that it is for: the same columns, types and class numbers in every split."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pycocotools.coco import COCO
from torchvision.datasets import ImageFolder

from tests.export.tables.test_round_trips import TARGETS, labels
from tests.images.photos import encoded, picture
from tidal_core.config import ProjectSettings
from tidal_core.export.tables import export
from tidal_core.export.tables.base import ExportOptions, ExportReport
from tidal_core.images.ingest import ingest
from tidal_core.projects import Project, create_project
from tidal_core.records import Answer, AnswerKind

# Names that tables, file systems and readers stumble over; all but the last have images.
NAMES = ["red, orange", 'say "x"', "-ve", "=1+1", "null", "1", "2020-01-01", "é", "CON", "dot.", "花", "train", "none"]
N_TRAIN = 2 * (len(NAMES) - 1)
TEST_CLASSES = (1, 2, 7)  # by position: the others have no test image
N = N_TRAIN + len(TEST_CLASSES)


@pytest.fixture
def hard(tmp_path: Path) -> Iterator[Project]:
    """Hard names, two annotators, two images a class, known test images of some classes, three images unlabelled."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(1, N + 4):
        (folder / f"{number:02d}.jpg").write_bytes(encoded(Image.fromarray(picture(40, 30, seed=number)), "JPEG"))
    made = create_project("hard", ProjectSettings(training_size=16))
    ingest(made, str(folder))
    records = made.store.classes.add(NAMES)
    made.store.answers.record(
        [
            Answer(f"a{i}", AnswerKind.LABEL, i + 1, records[i // 2].id, annotator="Ann" if i % 2 else "Zoë")
            for i in range(N_TRAIN)
        ]
    )
    made.store.images.set_known_classes(
        {N_TRAIN + 1 + i: records[position].id for i, position in enumerate(TEST_CLASSES)}
    )
    with made.store.database.write() as cursor:
        cursor.execute("UPDATE images SET split = 'test' WHERE id > ? AND id <= ?", [N_TRAIN, N])
    yield made
    made.close()


def truth(project: Project) -> dict[int, str]:
    """Image id to the class that every format should give it."""
    table = project.store.exports.labels_and_known()
    return dict(zip(table["image_id"].to_pylist(), table["label"].to_pylist(), strict=True))


def written(project: Project, folder: Path, format: str, **options: Any) -> tuple[Path, ExportReport]:
    target = folder / TARGETS[format]
    report = export(project, target, format, ExportOptions(**options))
    assert report.problems == ()
    return target, report


def image_id(path: str) -> int:
    return int(Path(path).name[:6])


@pytest.mark.parametrize("format", TARGETS)
def test_every_format_holds_every_label(format: str, hard: Project, tmp_path: Path) -> None:
    assert len(truth(hard)) == N
    assert written(hard, tmp_path, format)[1].rows == N


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The library of Hugging Face, which looks at its settings when it is imported, with a cache of its own."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    return lambda *args, **kwargs: datasets.load_dataset(*args, **kwargs, cache_dir=str(tmp_path / "cache"))


def test_hugging_face_gives_numbers_that_are_the_same_in_every_split(
    hard: Project, tmp_path: Path, offline: Any
) -> None:
    target, _ = written(hard, tmp_path, "huggingface")

    loaded = offline(str(target))

    assert set(loaded) == {"train", "test"}
    assert loaded["train"].features == loaded["test"].features
    assert loaded["test"].features["label"].names == NAMES
    names = [NAMES[number] for split in ("train", "test") for number in loaded[split]["label"]]
    assert Counter(names) == Counter(truth(hard).values())
    assert loaded["test"][0]["image"].size == (40, 30)


def test_hugging_face_reads_the_folder_by_its_layout_alone(hard: Project, tmp_path: Path, offline: Any) -> None:
    target, _ = written(hard, tmp_path, "huggingface")

    loaded = offline("imagefolder", data_dir=str(target))

    assert loaded["train"].features == loaded["test"].features
    assert Counter([*loaded["train"]["label"], *loaded["test"]["label"]]) == Counter(truth(hard).values())


def test_classes_that_look_like_dates_have_one_type_in_every_split(hard: Project, tmp_path: Path, offline: Any) -> None:
    with hard.store.database.write() as cursor:  # all test images of the one class 2020-01-01
        cursor.execute("UPDATE images SET known_class = 7 WHERE split = 'test'")
    target, _ = written(hard, tmp_path, "huggingface")

    loaded = offline(str(target))

    assert loaded["test"].features["label"].names == NAMES
    assert set(loaded["test"]["label"]) == {NAMES.index("2020-01-01")}


def keras_classes(folder: Path) -> list[str]:
    """As ``keras.utils.image_dataset_from_directory`` finds them: every folder, sorted."""
    return sorted(name for name in os.listdir(folder) if (folder / name).is_dir())


def test_torchvision_and_keras_number_the_classes_alike_in_every_split(hard: Project, tmp_path: Path) -> None:
    target, report = written(hard, tmp_path, "imagefolder")

    train, test = (ImageFolder(str(target / split), allow_empty=True) for split in ("train", "test"))

    assert train.class_to_idx == test.class_to_idx
    assert keras_classes(target / "train") == keras_classes(target / "test") == train.classes
    named = json.loads((target / ".tidal-classes.json").read_text(encoding="utf-8"))
    read = {image_id(path): named[train.classes[number]] for path, number in train.samples + test.samples}
    assert read == truth(hard)
    assert "none" not in train.classes  # no image of it anywhere
    assert "allow_empty=True" in report.note


def test_without_test_images_torchvision_opens_the_folder_as_it_is(project: Project, tmp_path: Path) -> None:
    target, report = written(project, tmp_path, "imagefolder")

    assert len(ImageFolder(str(target / "train"))) == 3
    assert report.note == ""


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # its masks and numpy 2
def test_pycocotools_reads_boxes_areas_and_categories(hard: Project, tmp_path: Path) -> None:
    target, _ = written(hard, tmp_path, "coco")

    coco = COCO(str(target))

    read = {}
    for annotation in coco.loadAnns(coco.getAnnIds()):
        (image,) = coco.loadImgs(annotation["image_id"])
        assert size_of(Path(image["file_name"])) == (image["width"], image["height"])
        assert annotation["bbox"] == [0, 0, image["width"], image["height"]]
        assert coco.annToMask(annotation).sum() == annotation["area"] == image["width"] * image["height"]
        read[annotation["image_id"]] = coco.loadCats(annotation["category_id"])[0]["name"]
    assert read == truth(hard)
    assert len(coco.getAnnIds(iscrowd=False)) == N
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == NAMES


def test_label_studio_gets_tasks_in_its_documented_form(hard: Project, tmp_path: Path) -> None:
    target, _ = written(hard, tmp_path, "labelstudio")

    tasks = json.loads(target.read_text(encoding="utf-8"))

    read = {}
    for task in tasks:
        assert {type(value) for value in task["data"].values()} == {str}
        for annotation in task["annotations"]:
            (result,) = annotation["result"]
            assert (result["type"], result["from_name"], result["to_name"]) == ("choices", "choice", "image")
            assert annotation.get("ground_truth", False) == (task["data"]["split"] == "test")
            (read[task["id"]],) = result["value"]["choices"]
    assert read == truth(hard)
    assert len(tasks) == N + 3


def test_fiftyone_has_an_image_for_each_label_and_one_list_of_classes(hard: Project, tmp_path: Path) -> None:
    target, _ = written(hard, tmp_path, "fiftyone")

    read = {}
    for split in ("train", "test"):
        described = json.loads((target / split / "labels.json").read_text(encoding="utf-8"))
        assert described["classes"] == NAMES
        assert {path.stem for path in (target / split / "data").iterdir()} == set(described["labels"])
        read |= {image_id(stem): NAMES[number] for stem, number in described["labels"].items()}
    assert read == truth(hard)


def test_pandas_reads_the_tables(hard: Project, tmp_path: Path) -> None:
    csv_file, report = written(hard, tmp_path, "csv", plain=True)
    parquet_file, _ = written(hard, tmp_path, "parquet")

    of_csv = pd.read_csv(csv_file, dtype={"label": str}, keep_default_na=False)
    of_parquet = pd.read_parquet(parquet_file)

    for frame in (of_csv, of_parquet):
        assert dict(zip(frame["image_id"], frame["label"], strict=True)) == truth(hard)
        assert all(Path(path).is_file() for path in frame["path"])
    assert "keep_default_na=False" in report.note
    assert "'null'" in report.note


def test_cells_that_got_an_apostrophe_are_named_and_plain_leaves_it_out(hard: Project, tmp_path: Path) -> None:
    quoted = export(hard, tmp_path / "quoted.csv")
    plain = export(hard, tmp_path / "plain.csv", options=ExportOptions(plain=True))

    assert quoted.note.startswith("6 cells begin like a formula")
    assert "--plain leaves it out" in quoted.note
    assert "apostrophe" not in plain.note
    assert pd.read_csv(tmp_path / "plain.csv")["label"].isin(["=1+1", "-ve"]).sum() == 5
    assert pd.read_csv(tmp_path / "quoted.csv")["label"].isin(["'=1+1", "'-ve"]).sum() == 5


@pytest.mark.parametrize("format", TARGETS)
def test_hard_names_and_test_images_come_back(format: str, hard: Project, tmp_path: Path) -> None:
    target, _ = written(hard, tmp_path, format)
    again = create_project("again", ProjectSettings(training_size=16))

    ingest(again, str(target), labels="answers")

    assert labels(again) == labels(hard)
    before, after = (
        dict(zip(table["sha256"].to_pylist(), table["label"].to_pylist(), strict=True))
        for table in (project.store.exports.labels_and_known() for project in (hard, again))
    )
    assert after == before
    again.close()


KINDS = {"photo.jfif": "JPEG", "web": "WEBP", "clip.gif": "GIF", "scan.jp2": "JPEG2000", "new.avif": "AVIF"}


@pytest.fixture
def zoo(tmp_path: Path) -> Iterator[Project]:
    """One labelled image of each kind, in a class of its own."""
    folder = tmp_path / "zoo"
    folder.mkdir()
    for seed, (name, kind) in enumerate(KINDS.items()):
        (folder / name).write_bytes(encoded(Image.fromarray(picture(40, 30, seed=seed)), kind))
    made = create_project("zoo", ProjectSettings(training_size=16))
    ingest(made, str(folder))
    for image in made.store.images.all():
        (record,) = made.store.classes.add([image.name.replace(".", " ")])
        made.store.answers.record([Answer(image.name, AnswerKind.LABEL, image.id, record.id)])
    yield made
    made.close()


def test_files_end_as_what_they_are_and_torchvision_reads_all_of_them(zoo: Project, tmp_path: Path) -> None:
    target, report = written(zoo, tmp_path, "imagefolder")

    train = ImageFolder(str(target / "train"))

    endings = {Path(path).name.split("_")[1].split(".")[0]: Path(path).suffix for path, _ in train.samples}
    assert endings == {"photo": ".jpg", "web": ".webp", "clip": ".png", "scan": ".png", "new": ".png"}
    assert [image.size for image, _ in train] == [(40, 30)] * 5
    assert "3 of the images are of kinds that torchvision passes over (AVIF, GIF, JPEG2000)" in report.note
    assert "Keras passes over files that end with .webp: 1 images" in report.note


def test_hugging_face_reads_files_of_all_kinds(zoo: Project, tmp_path: Path, offline: Any) -> None:
    target, report = written(zoo, tmp_path, "huggingface")

    sizes = []
    for row in offline(str(target))["train"]:
        with row["image"] as image:
            image.load()
            sizes.append(image.size)
    assert sizes == [(40, 30)] * 5
    assert "kinds that load_dataset passes over (AVIF)" in report.note


WITHOUT_IMAGES = ["csv", "parquet", "coco", "labelstudio"]


@pytest.fixture
def within(tmp_path: Path) -> Iterator[Project]:
    """Two labelled images within a Parquet file, one of which has no label."""
    data = [encoded(Image.fromarray(picture(40, 30, seed=seed)), "WEBP") for seed in range(3)]
    table = pa.table({"image": [{"bytes": image, "path": None} for image in data], "label": ["a", "b", None]})
    pq.write_table(table, tmp_path / "set.parquet")
    made = create_project("within", ProjectSettings(training_size=16))
    ingest(made, str(tmp_path / "set.parquet"), labels="answers")
    (tmp_path / "out").mkdir()
    yield made
    made.close()


def named_in(format: str, target: Path) -> list[str]:
    """Where a file says that its labelled images are."""
    if format == "csv":
        return [str(path) for path in pd.read_csv(target)["path"]]
    if format == "parquet":
        return [str(path) for path in pd.read_parquet(target)["path"]]
    value = json.loads(target.read_text())
    if format == "coco":
        return [image["file_name"] for image in value["images"]]
    return [task["data"]["image"].removeprefix("/data/local-files/?d=") for task in value if task["annotations"]]


@pytest.mark.parametrize("format", WITHOUT_IMAGES)
def test_images_within_a_parquet_file_are_written_beside_the_file_that_names_them(
    format: str, within: Project, tmp_path: Path
) -> None:
    target, report = written(within, tmp_path / "out", format)

    paths = named_in(format, target)
    start = Path("/") if format == "labelstudio" else target.parent
    assert [size_of(start / path) for path in paths] == [(40, 30)] * 2
    assert {Path(path).suffix for path in paths} == {".webp"}
    assert "written into out_images/ beside the file" in report.note
    again = create_project("again", ProjectSettings(training_size=16))
    ingest(again, str(target), labels="answers")
    assert labels(again) == labels(within)
    again.close()


def test_where_only_the_file_can_go_a_line_says_what_does_not_open(within: Project, tmp_path: Path) -> None:
    target, report = written(within, tmp_path / "out", "csv", beside=False)

    assert named_in("csv", target)[0].startswith("parquet:")
    assert report.note.startswith("2 of the images lie within a Parquet file or a data set, and no other program opens")
    assert [path.name for path in target.parent.iterdir()] == ["out.csv"]


def test_images_beside_a_file_replace_others_only_when_allowed(within: Project, tmp_path: Path) -> None:
    (tmp_path / "out" / "out_images").mkdir()
    (tmp_path / "out" / "out_images" / "mine.txt").write_text("precious")

    with pytest.raises(ValueError, match=r"out_images already exists.*--overwrite"):
        written(within, tmp_path / "out", "csv")
    assert not (tmp_path / "out" / "out.csv").exists()
    written(within, tmp_path / "out", "csv", overwrite=True)

    assert (tmp_path / "out" / "out_images" / "mine.txt").read_text() == "precious"
    assert all((tmp_path / "out" / path).is_file() for path in named_in("csv", tmp_path / "out" / "out.csv"))
