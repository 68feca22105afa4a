"""Every importer: the same source twice adds nothing, and what is added to it later is just added."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import fsspec
import pyarrow.parquet as pq
import pytest

from tests.images.importers.test_archive import packed, photo
from tests.images.importers.test_parquet import hugging_face
from tests.images.importers.test_torchvision_sets import idx
from tests.images.photos import save
from tidal_core.images.importers import IMPORTERS, find_importer
from tidal_core.images.ingest import LabelUse, ingest
from tidal_core.projects import Project

CLASSES = ("cat", "dog")


def folder(root: Path, n: int) -> str:
    for number in range(n):
        if not (root / "f" / CLASSES[number % len(CLASSES)] / f"{number}.jpg").exists():
            save(root / "f" / CLASSES[number % len(CLASSES)] / f"{number}.jpg", seed=number)
    return str(root / "f")


def rows(root: Path, n: int) -> list[dict[str, str]]:
    folder(root, n)
    return [{"path": f"f/{CLASSES[i % len(CLASSES)]}/{i}.jpg", "label": CLASSES[i % len(CLASSES)]} for i in range(n)]


def table(root: Path, n: int) -> str:
    with (root / "t.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["path", "label"])
        writer.writeheader()
        writer.writerows(rows(root, n))
    return str(root / "t.csv")


def folder_with_table(root: Path, n: int) -> str:
    """Kaggle's way: images in one folder by id, and beside it a table of ids and labels."""
    for number in range(n):
        if not (root / "k" / "train" / f"{number:04x}.jpg").exists():
            save(root / "k" / "train" / f"{number:04x}.jpg", seed=number)
    lines = [f"{number:04x},{CLASSES[number % len(CLASSES)]}" for number in range(n)]
    (root / "k" / "labels.csv").write_text("\n".join(["id,breed", *lines]) + "\n")
    return str(root / "k")


def json_file(root: Path, n: int) -> str:
    (root / "t.json").write_text(json.dumps(rows(root, n)))
    return str(root / "t.json")


def manifest(root: Path, n: int) -> str:
    lines = (
        {"source-ref": row["path"], "kind": 0, "kind-metadata": {"class-name": row["label"]}} for row in rows(root, n)
    )
    (root / "output.manifest").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(root / "output.manifest")


def described(root: Path, n: int) -> str:
    described_rows = rows(root, n)
    with (root / "f" / "metadata.csv").open("w") as file:
        file.write("file_name,label\n")
        file.writelines(f"{row['path'].removeprefix('f/')},{row['label']}\n" for row in described_rows)
    return str(root / "f")


def parquet(root: Path, n: int) -> str:
    for number in range(n):
        if not (root / "ds" / f"part-{number}.parquet").exists():
            hugging_face(root / "ds" / f"part-{number}.parquet", n=1, seed=number)
    return str(root / "ds")


def archive(root: Path, n: int) -> str:
    return str(packed(root / "a.zip", {f"{CLASSES[i % len(CLASSES)]}/{i}.jpg": photo(i) for i in range(n)}))


def remote(root: Path, n: int) -> str:
    memory, tree = fsspec.filesystem("memory"), f"/{root.name}"
    for number in range(n):
        memory.pipe(f"{tree}/{CLASSES[number % len(CLASSES)]}/{number}.jpg", photo(number))
    return f"memory:/{tree}"


def digits(root: Path, n: int) -> str:
    return "digits"


def torchvision(root: Path, n: int) -> str:
    raw = root / "MNIST" / "raw"
    if not raw.exists():
        idx(raw, {"train": 4, "t10k": 2})
    return f"torchvision:MNIST@{root}"


SOURCES: dict[str, Callable[[Path, int], str]] = {
    "digits": digits,
    "torchvision": torchvision,
    "parquet": parquet,
    "described folder": described,
    "table": table,
    "manifest": manifest,
    "json": json_file,
    "archive": archive,
    "folder with a table": folder_with_table,
    "folder": folder,
    "remote tree": remote,
}
GROWING = [name for name in SOURCES if name not in {"digits", "torchvision"}]  # these two are what they are


def state(project: Project) -> tuple[object, ...]:
    store = project.store
    return store.images.all(), store.answers.all(), store.classes.all(), project.pixels.read_bytes()


def test_every_importer_is_looked_at() -> None:
    assert set(SOURCES) == {importer.name for importer in IMPORTERS}


@pytest.mark.parametrize("labels", ["none", "known", "answers"])
@pytest.mark.parametrize("name", SOURCES)
def test_the_same_source_twice_adds_nothing(name: str, labels: LabelUse, project: Project, tmp_path: Path) -> None:
    source = SOURCES[name](tmp_path, 4)
    assert find_importer(source).name == name
    first = ingest(project, source, labels=labels)
    before = state(project)
    assert first.read >= 4

    again = ingest(project, source, labels=labels)

    assert (again.read, again.labels, again.known) == (0, 0, first.read)
    assert state(project) == before


@pytest.mark.parametrize("name", GROWING)
def test_what_is_added_later_is_just_added(name: str, project: Project, tmp_path: Path) -> None:
    ingest(project, SOURCES[name](tmp_path, 3), labels="answers")
    images_before = project.store.images.all()
    assert len(images_before) == 3

    report = ingest(project, SOURCES[name](tmp_path, 5), labels="answers")

    images_after = project.store.images.all()
    assert (report.read, report.known, report.labels) == (2, 3, 2)
    assert [image.id for image in images_after] == [1, 2, 3, 4, 5]
    assert [(image.id, image.sha256, image.pixel_row) for image in images_after[:3]] == [
        (image.id, image.sha256, image.pixel_row) for image in images_before
    ]


@pytest.mark.parametrize("name", GROWING)
def test_classes_that_are_numbers_come_in_their_order(
    name: str, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = ("10", "9", "2")
    monkeypatch.setattr("tests.images.importers.test_again.CLASSES", numbers)
    if name == "parquet":
        for position, number in enumerate(numbers):
            hugging_face(tmp_path / "ds" / f"p{position}.parquet", n=1, seed=position, names=()).touch()
            _relabel(tmp_path / "ds" / f"p{position}.parquet", number)
        source = str(tmp_path / "ds")
    else:
        source = SOURCES[name](tmp_path, 3)

    ingest(project, source, labels="answers")

    classes = project.store.classes.all()
    assert [record.name for record in classes] == ["2", "9", "10"]
    assert [record.key for record in classes] == ["2", "9", "3"]
    answered = [stored.answer.class_id for stored in project.store.answers.all()]
    assert sorted(answered) == sorted(record.id for record in classes)  # type: ignore[type-var]


def _relabel(path: Path, label: str) -> None:
    table = pq.read_table(path)
    pq.write_table(table.set_column(1, "label", [[label]]), path)
