"""Every export that has a class says whose it is, and none gives the model's back as a person's label."""

import csv
import io
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.export.tables.rounds import finish_round
from tests.export.tables.test_round_trips import TARGETS, labels
from tidal_core.config import ProjectSettings
from tidal_core.export.tables import export
from tidal_core.export.tables.base import ExportOptions
from tidal_core.export.tables.trees import labelled_images
from tidal_core.images.ingest import ingest
from tidal_core.projects import Project, create_project

BY = {1: "person", 2: "person", 3: "model", 4: "person"}  # by image
WITH_MODEL = ExportOptions(with_model=True)
TREES = {"imagefolder", "zip", "fiftyone"}  # a hidden table beside the images says it


@pytest.fixture
def finished(project: Project) -> Project:
    one = np.array([3], dtype=np.int64)
    project.store.model_answers.take(one, np.array([2]), np.array([0.99]), round_id=1, note="", annotator="Ann")
    return project


def said_by(format: str, target: Path) -> dict[int, str]:
    """Whose class each image has, as an export says it; images with none are left out."""
    if format in TREES:
        text = zipfile.ZipFile(target).read(".tidal-labelled-by.csv").decode() if format == "zip" else ""
        text = text or (target / ".tidal-labelled-by.csv").read_text()
        return {int(Path(row["file"]).name[:6]): row["labelled_by"] for row in csv.DictReader(io.StringIO(text))}
    if format == "huggingface":
        rows = [json.loads(line) for line in (target / "train" / "metadata.jsonl").read_text().splitlines()]
        return {int(row["file_name"][:6]): row["labelled_by"] for row in rows}
    value = json.loads(target.read_text())
    if format == "coco":
        return {note["image_id"]: note["labelled_by"] for note in value["annotations"]}
    assert {task["id"] for task in value if task["annotations"]} == {1, 2, 4}
    return {task["id"]: task["data"]["labelled_by"] for task in value if task["data"]["labelled_by"] != "none"}


@pytest.mark.parametrize("format", sorted(set(TARGETS) - {"csv", "parquet"}))
def test_an_export_says_whose_class_an_image_has(format: str, finished: Project, tmp_path: Path) -> None:
    target = tmp_path / TARGETS[format]
    report = export(finished, target, format, WITH_MODEL)

    assert "1 image has a class of the model" in report.note
    assert said_by(format, target) == BY


def test_the_tables_say_it_too(finished: Project, tmp_path: Path) -> None:
    finish_round(finished)
    for what in ("labels", "history", "predictions"):
        export(finished, tmp_path / f"{what}.csv", "csv", ExportOptions(what=what, with_model=True))
    read = {
        what: list(csv.DictReader(io.StringIO((tmp_path / f"{what}.csv").read_text(encoding="utf-8"))))
        for what in ("labels", "history", "predictions")
    }
    assert {int(row["image_id"]): row["labelled_by"] for row in read["labels"]} == BY
    assert {(row["kind"], row["labelled_by"]) for row in read["history"]} == {
        ("label", "person"),
        ("undo", "none"),
        ("skip", "none"),
        ("model", "model"),
    }
    assert {row["image_id"]: row["labelled_by"] for row in read["predictions"]} == {
        "3": "model",
        "5": "none",
        "6": "none",
    }


@pytest.mark.parametrize("format", sorted(TARGETS))
def test_the_models_class_does_not_come_back_as_a_label(format: str, finished: Project, tmp_path: Path) -> None:
    export(finished, tmp_path / TARGETS[format], format, WITH_MODEL)

    assert imported_again(tmp_path / TARGETS[format]) == of_people(finished)


@pytest.mark.parametrize("format", sorted(TARGETS))
def test_people_s_labels_are_all_that_is_written_unless_asked(format: str, finished: Project, tmp_path: Path) -> None:
    report = export(finished, tmp_path / TARGETS[format], format)

    assert report.rows == 3
    assert "1 image has a class of the model" in report.note
    assert "--with-model adds them" in report.note
    name = finished.store.images.get(3).name
    target = tmp_path / TARGETS[format]
    if format in TREES | {"huggingface"}:
        names = zipfile.ZipFile(target).namelist() if format == "zip" else [path.name for path in target.rglob("*")]
        assert not [each for each in names if each.endswith(Path(name).name)]
    assert imported_again(target) == of_people(finished)


@pytest.mark.parametrize("format", ["imagefolder", "fiftyone"])
def test_folders_above_a_tree_give_the_models_class_to_nobody(format: str, finished: Project, tmp_path: Path) -> None:
    export(finished, tmp_path / "out" / "data" / "tree", format, WITH_MODEL)

    assert imported_again(tmp_path / "out") == of_people(finished)


def test_the_known_class_of_a_test_image_stands_where_the_models_is_left_out(finished: Project) -> None:
    with finished.store.database.write() as cursor:
        cursor.execute("UPDATE images SET split = 'test', known_class = 1 WHERE id = 3")
    tables = finished.store.exports
    for table in (tables.labels_and_known(), tables.images()):
        assert {row["image_id"]: row["labelled_by"] for row in table.to_pylist()}[3] == "none"
    assert {image.id: image.labelled_by for image in labelled_images(finished, ExportOptions())}[3] == "none"


@pytest.mark.parametrize("format", ["imagefolder", "fiftyone", "zip"])
def test_a_part_of_a_tree_and_a_tree_that_was_packed_again_say_it_too(
    format: str, finished: Project, tmp_path: Path
) -> None:
    export(finished, tmp_path / "out" / "tree", "imagefolder" if format == "zip" else format, WITH_MODEL)
    source = tmp_path / "out" / "tree"
    if format == "zip":
        source = Path(shutil.make_archive(str(tmp_path / "packed"), "gztar", tmp_path / "out"))
    elif format == "imagefolder":
        source /= "train"
    else:
        source = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "out"))

    assert imported_again(source) == of_people(finished)


def imported_again(source: Path) -> dict[str, str]:
    again = create_project("again", ProjectSettings(training_size=16))
    try:
        ingest(again, str(source), labels="answers")
        return labels(again)
    finally:
        again.close()


def of_people(project: Project) -> dict[str, str]:
    """The labels without the image whose class is the model's."""
    model_sha = project.store.images.get(3).sha256
    return {sha: name for sha, name in labels(project).items() if sha != model_sha}
