"""Export, then import into a fresh project: the same current labels, for every format that has both."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from tests.export.tables.rounds import finish_round
from tests.images.photos import save
from tidal_core.config import ProjectSettings
from tidal_core.errors import InputError
from tidal_core.export.tables import EXPORTERS, export
from tidal_core.export.tables.base import ExportOptions
from tidal_core.export.tables.trees import folder_names
from tidal_core.images.ingest import ingest
from tidal_core.projects import Project, create_project
from tidal_core.records import Answer, AnswerKind, Split
from tidal_core.store.class_rules import checked_name

TARGETS = {exporter.name: f"out{exporter.suffix}" for exporter in EXPORTERS}


def labels(project: Project) -> dict[str, str]:
    """Content of image to class name."""
    table = project.store.exports.labels()
    return dict(zip(table["sha256"].to_pylist(), table["label"].to_pylist(), strict=True))


def round_trip(project: Project, format: str, folder: Path, number: int = 0) -> dict[str, str]:
    target = folder / f"{number}-{TARGETS[format]}"
    assert export(project, target, format).problems == ()
    again = create_project(f"again {format} {number}", ProjectSettings(training_size=16))
    try:
        ingest(again, str(target), labels="answers")
        return labels(again)
    finally:
        again.close()


@pytest.mark.parametrize("format", TARGETS)
def test_the_labels_come_back(format: str, project: Project, tmp_path: Path) -> None:
    assert labels(project) == round_trip(project, format, tmp_path)
    assert len(labels(project)) == 3


@pytest.mark.parametrize("format", TARGETS)
def test_the_labels_come_back_into_the_same_project_as_known(format: str, project: Project, tmp_path: Path) -> None:
    before = labels(project)
    export(project, tmp_path / TARGETS[format], format)

    report = ingest(project, str(tmp_path / TARGETS[format]), labels="answers")

    assert report.read == 0
    assert labels(project) == before


NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)  # an example takes a second: two projects are made
NASTY = ["../a/b\\c", "=1+1", "'quoted\"", "<b>&amp;</b>", "train", "Thumbs.db", "花", "%2F", "a,b;c"]
names = st.text(min_size=1, max_size=30).map(lambda name: " ".join(name.encode("utf-8", "ignore").decode().split()))


def is_a_class_name(name: str) -> bool:
    """Whether the studio takes it, as it is."""
    try:
        return checked_name(name) == name
    except InputError:
        return False


@settings(max_examples=1, deadline=None, suppress_health_check=list(HealthCheck), phases=NO_SHRINKING)
@given(classes=st.lists(names.filter(is_a_class_name), min_size=1, max_size=9, unique_by=str.casefold))
@example(classes=NASTY)
@pytest.mark.parametrize("format", TARGETS)
def test_any_class_names_come_back(format: str, classes: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("names")
    number = abs(hash(folder))
    for seed in range(len(classes)):
        save(folder / "photos" / f"{seed}.png", seed=seed, kind="PNG")
    made = create_project(f"names {number}", ProjectSettings(training_size=16))
    try:
        ingest(made, str(folder / "photos"))
        records = made.store.classes.add(classes)
        made.store.answers.record(
            [Answer(f"a{i}", AnswerKind.LABEL, i, record.id) for i, record in enumerate(records, start=1)]
        )

        assert round_trip(made, format, folder, number) == labels(made)
    finally:
        made.close()


def with_test_image(project: Project) -> None:
    """Image 6 becomes a test image of a known class."""
    project.store.images.set_known_classes({6: 1})
    with project.store.database.write() as cursor:
        cursor.execute("UPDATE images SET split = 'test' WHERE id = 6")


@pytest.mark.parametrize("format", ["imagefolder", "zip", "huggingface", "fiftyone"])
def test_train_and_test_images_come_back_as_such(format: str, project: Project, tmp_path: Path) -> None:
    with_test_image(project)
    export(project, tmp_path / TARGETS[format], format)
    again = create_project("again", ProjectSettings(training_size=16))

    ingest(again, str(tmp_path / TARGETS[format]), labels="answers")

    test = again.store.images.all(Split.TEST)
    assert [image.sha256 for image in test] == [project.store.images.get(6).sha256]
    assert test[0].known_class is not None
    assert again.store.images.count(Split.POOL) == 3
    again.close()


def test_an_image_folder_has_train_and_test_with_a_folder_per_class(project: Project, tmp_path: Path) -> None:
    with_test_image(project)

    report = export(project, tmp_path / "tree", "imagefolder")

    files = sorted(path.relative_to(tmp_path / "tree").as_posix() for path in (tmp_path / "tree").rglob("*.jpg"))
    assert report.rows == 4
    assert files == [
        "test/daisy/000006_5.jpg",
        "train/=cmd('x')/000002_1.jpg",
        "train/daisy/000001_0.jpg",
        "train/daisy/000004_3.jpg",
    ]
    original = Path(project.store.images.get(1).uri)
    assert (tmp_path / "tree" / "train" / "daisy" / "000001_0.jpg").read_bytes() == original.read_bytes()


def test_links_point_to_the_originals(project: Project, tmp_path: Path) -> None:
    export(project, tmp_path / "tree", "imagefolder", ExportOptions(link=True))

    link = tmp_path / "tree" / "train" / "daisy" / "000001_0.jpg"
    assert link.is_symlink()
    assert link.resolve() == Path(project.store.images.get(1).uri).resolve()


def test_a_zip_is_the_same_tree(project: Project, tmp_path: Path) -> None:
    export(project, tmp_path / "tree", "imagefolder")
    export(project, tmp_path / "tree.zip")

    with zipfile.ZipFile(tmp_path / "tree.zip") as archive:
        inside = {name: archive.read(name) for name in archive.namelist()}
    root = tmp_path / "tree"
    assert inside == {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_an_original_that_is_gone_is_named_and_the_rest_is_written(project: Project, tmp_path: Path) -> None:
    Path(project.store.images.get(1).uri).unlink()

    report = export(project, tmp_path / "tree", "imagefolder")

    assert report.rows == 2
    assert [(problem.name, problem.reason) for problem in report.problems] == [("0.jpg", "the file is not there")]


def test_digits_are_written_as_files_with_a_suffix(tmp_path: Path) -> None:
    made = create_project("digits", ProjectSettings(training_size=8))
    ingest(made, "digits:", labels="known")

    report = export(made, tmp_path / "tree", "imagefolder")

    assert report.rows == 500  # the test split; nothing else is labelled
    assert len(list((tmp_path / "tree" / "test" / "7").glob("*_digit_*.png"))) > 40
    made.close()


def test_label_studio_gets_labels_as_annotations_and_the_models_as_predictions(
    project: Project, tmp_path: Path
) -> None:
    finish_round(project)
    export(project, tmp_path / "tasks.labelstudio.json")

    tasks: list[dict[str, Any]] = json.loads((tmp_path / "tasks.labelstudio.json").read_text())
    choice = tasks[0]["annotations"][0]["result"][0]
    assert len(tasks) == 6
    assert tasks[0]["data"]["image"].startswith("/data/local-files/?d=")
    assert (choice["type"], choice["value"]) == ("choices", {"choices": ["daisy"]})
    assert tasks[2]["annotations"] == []
    assert tasks[2]["predictions"] == [
        {
            "model_version": "round 1",
            "score": 0.75,
            "result": [{"from_name": "choice", "to_name": "image", "type": "choices", "value": {"choices": ["daisy"]}}],
        }
    ]


def test_coco_and_fiftyone_files_have_their_shape(project: Project, tmp_path: Path) -> None:
    export(project, tmp_path / "a.coco.json")
    export(project, tmp_path / "fo", "fiftyone")

    coco = json.loads((tmp_path / "a.coco.json").read_text())
    assert [category["name"] for category in coco["categories"]] == ["daisy", "=cmd('x')"]
    assert [(row["image_id"], row["category_id"]) for row in coco["annotations"]] == [(1, 1), (2, 2), (4, 1)]
    labels_file = json.loads((tmp_path / "fo" / "labels.json").read_text())
    assert labels_file["labels"] == {"000001_0": 0, "000002_1": 1, "000004_3": 0}
    assert {path.stem for path in (tmp_path / "fo" / "data").iterdir()} == set(labels_file["labels"])


def test_folder_names_hold_what_file_systems_allow_and_never_collide() -> None:
    chosen = folder_names(["a/b", "..", ".hidden", "Daisy", "daisy", "CON:1", "Thumbs.db", "x" * 400, "ends. "])

    assert len({name.casefold() for name in chosen.values()}) == len(chosen)
    assert all(len(name.encode()) <= 200 and not name.startswith(".") and "/" not in name for name in chosen.values())
    assert chosen["a/b"] == "a%2Fb"
