"""Every example of docs/formats.md, taken from the page itself: imports give what it says, exports look as it shows."""

import csv
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.images.photos import save
from tidal_core.config import ProjectSettings
from tidal_core.export.tables import EXPORTERS, export
from tidal_core.images.ingest import ingest
from tidal_core.projects import Project, create_project
from tidal_core.records import Answer, AnswerKind, Split

PAGE = (Path(__file__).parents[1] / "docs" / "formats.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```(\S+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    kind: str
    name: str
    text: str


def sections(title: str) -> Iterator[tuple[str, str, list[Block]]]:
    """Title, text and blocks of each section below a chapter."""
    (chapter,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    for section in re.split(r"^### ", chapter, flags=re.MULTILINE)[1:]:
        heading, _, text = section.partition("\n")
        yield heading, text, [Block(*match.groups(default="")) for match in _BLOCK.finditer(text)]


IMPORTS = {heading: (text, blocks) for heading, text, blocks in sections("Import") if blocks}
EXPORTS = {heading: blocks for heading, _, blocks in sections("Export")}


def what_is_said(blocks: list[Block]) -> dict[str, tuple[str | None, bool]]:
    """The images of a ``tree`` with their class, None for none, and whether they are test images."""
    lines = [line for block in blocks if block.kind == "tree" for line in block.text.splitlines()]
    images = {}
    for line in lines:
        name, _, words = line.partition("  # ")
        label, _, split = words.partition(", ")
        images[name] = (None if label == "no label" else label, split == "test")
    return images


@pytest.mark.parametrize("heading", IMPORTS)
def test_an_example_comes_in_as_the_page_says(heading: str, tmp_path: Path) -> None:
    text, blocks = IMPORTS[heading]
    source = re.search(r"^Import `([^`]+)`", text, re.MULTILINE)
    assert source is not None
    images = what_is_said(blocks)
    for seed, name in enumerate(images):
        save(tmp_path / name, seed=seed)
    for block in blocks:
        if block.kind != "tree":
            (tmp_path / block.name).write_text(block.text, encoding="utf-8")
    project = create_project("example", ProjectSettings(training_size=16))

    ingest(project, str(tmp_path / source[1]), labels="answers")

    table = project.store.exports.images().to_pylist()
    came = {
        Path(row["path"]).relative_to(tmp_path).as_posix(): (row["label"] or row["known_label"], row["split"] == "test")
        for row in table
    }
    assert came == images
    project.close()


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """The three images of the examples of exports."""
    for number in (1, 2, 3):
        save(tmp_path / "photos" / f"{number}.jpg", seed=number)
    made = create_project("shown", ProjectSettings(training_size=16))
    ingest(made, str(tmp_path / "photos"))
    made.store.classes.add(["daisy", "rose"])
    made.store.answers.record(
        [Answer(f"a{i}", AnswerKind.LABEL, image_id=i, class_id=i, annotator="me") for i in (1, 2)]
    )
    made.store.images.set_known_classes({3: 1})
    with made.store.database.write() as cursor:
        cursor.execute("UPDATE images SET split = ? WHERE id = 3", [Split.TEST])
    yield made
    made.close()


def rows_shown(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def assert_holds(value: Any, shown: Any, root: str) -> None:
    """Whether a value has all that is shown of it; paths begin at ``root``."""
    if isinstance(shown, dict):
        for key, inner in shown.items():
            assert_holds(value[key], inner, root)
    elif isinstance(shown, list):
        for there, inner in zip(value, shown, strict=False):
            assert_holds(there, inner, root)
        assert len(value) >= len(shown)
    else:
        there = value.replace(root, "") if isinstance(value, str) else value
        assert (there.replace(root.lstrip("/") + "/", "") if isinstance(there, str) else there) == shown


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_looks_as_the_page_shows(name: str, project: Project, tmp_path: Path) -> None:
    (block,) = EXPORTS[name]
    (exporter,) = (exporter for exporter in EXPORTERS if exporter.name == block.name == name)
    target = tmp_path / f"out{exporter.suffix}"

    export(project, target, name)

    if name in {"csv", "parquet"}:
        read = rows_shown(target.read_text()) if name == "csv" else pq.read_table(target).to_pylist()
        shown = rows_shown(block.text)
        assert [{key: row[key] or "" for key in shown[0]} for row in read] == [
            {**row, "path": f"{tmp_path}{row['path']}"} for row in shown
        ]
    elif exporter.suffix == ".zip":
        names = zipfile.ZipFile(target).namelist()
        assert sorted(name for name in names if not name.startswith(".")) == block.text.splitlines()
    elif exporter.suffix:
        assert_holds(json.loads(target.read_text()), json.loads(block.text), str(tmp_path))
    else:
        files = [path for path in target.rglob("*") if path.is_file() or not any(path.iterdir())]
        shown_files = [path.relative_to(target).as_posix() + "/" * path.is_dir() for path in files]
        assert sorted(name for name in shown_files if not name.startswith(".")) == block.text.splitlines()


def test_the_page_has_every_export_format() -> None:
    assert list(EXPORTS) == [exporter.name for exporter in EXPORTERS]
