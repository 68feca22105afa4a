"""Tables that name image files: CSV, TSV and JSON lines, with label, split and annotator where they have them.

Paths are absolute, or relative to the table's own folder, or to the folder ``images`` in it. Columns are guessed by
name and content; a person can say otherwise. What is wrong with a row is reported with its line number.
"""

from __future__ import annotations

import math
import os
import urllib.parse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tidal_core.images.importers.base import Columns, FoundImage, ImportOptions, Scan
from tidal_core.images.importers.guess import guess_columns, is_of_model, split_of
from tidal_core.images.importers.rows import Row, clean, read_rows
from tidal_core.images.sources.file import file_uri
from tidal_core.records import ImportProblem

_LABELS_KEPT = 10_000
_LONGEST_PATH = 10_000  # letters
SUFFIXES = {".csv", ".tsv", ".tab", ".jsonl", ".ndjson"}


class TableImporter:
    """A text table with a column of paths."""

    name = "table"

    def sniff(self, source: str) -> bool:
        """Whether the source is a file with the suffix of such a table."""
        path = Path(source).expanduser()
        return path.suffix.lower() in SUFFIXES and path.is_file()

    def scan(self, source: str, options: ImportOptions) -> Scan:
        """Guess the columns, list the rows."""
        path = Path(os.path.abspath(os.path.expanduser(source)))
        table = read_rows(path)
        columns = guess_columns(table.names, table.samples, options.columns)
        items = images_of_rows(table.rows, columns, path.parent)
        return Scan(str(path), self.name, items, title=path.stem, columns=columns)


def images_of_rows(
    rows: Iterable[tuple[str, Row] | ImportProblem],
    columns: Columns,
    root: Path,
    class_names: Sequence[str] = (),
) -> Iterator[FoundImage | ImportProblem]:
    """Each row as an image, or as a problem that says what it lacks."""
    assert columns.image is not None  # guess_columns raises otherwise
    folder, images_folder = str(root), root / "images"
    has_images = images_folder.is_dir()
    labels: dict[str, str] = {}  # cells seen to labels: a table has few labels and many rows
    for entry in rows:
        if isinstance(entry, ImportProblem):
            yield entry
            continue
        where, row = entry
        cell = row.get(columns.image)
        if isinstance(cell, str) and len(cell) > _LONGEST_PATH:
            yield ImportProblem(where, f"the column {columns.image!r} names no file that can be", "correct it")
            continue
        if not isinstance(cell, str) or not cell.strip():
            yield ImportProblem(where, f"the column {columns.image!r} names no image", "fill it in")
            continue
        label_cell = row.get(columns.label) if columns.label and not is_of_model(row) else None
        label = labels.get(label_cell) if isinstance(label_cell, str) else None
        if label_cell is not None and label is None:
            problem, label = label_of(label_cell, class_names)
            if problem:
                yield no_label(where, problem)
            elif isinstance(label_cell, str) and label is not None and len(labels) < _LABELS_KEPT:
                labels[label_cell] = label
        text = clean(cell.strip())
        yield FoundImage(
            name=text,
            uri=locate(text, _home_of(text, folder, str(images_folder)) if has_images else folder),
            label=label,
            split=split_of(_text(row, columns.split)) if columns.split else None,
            annotator=_text(row, columns.annotator) if columns.annotator else None,
            sha256=_text(row, columns.sha256) if columns.sha256 else None,
        )


def no_label(where: str, problem: str) -> ImportProblem:
    """An image that is read although its label cannot be: ``problem`` is that of ``label_of``."""
    return ImportProblem(where, f"{problem}; it was read without a label", "correct the label and import again")


def label_of(cell: Any, class_names: Sequence[str] = ()) -> tuple[str | None, str | None]:
    """``(problem, label)`` of a cell: whole numbers are positions in ``class_names`` where there are such names."""
    if isinstance(cell, str):
        return None, " ".join(clean(cell).split()) or None
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return None, None
    if isinstance(cell, (list, tuple)):
        if len(cell) == 1:
            return label_of(cell[0], class_names)
        return (f"it has {len(cell)} labels, an image can have one", None) if cell else (None, None)
    if isinstance(cell, (dict, bytes)):
        return "its label is not a name", None
    if class_names and isinstance(cell, int) and not isinstance(cell, bool):
        if cell == -1:  # what the Hugging Face layout writes for "no label"
            return None, None
        if not 0 <= cell < len(class_names):
            return f"its label {cell} is not the number of a class (0 to {len(class_names) - 1})", None
        return None, class_names[cell]
    try:
        return None, str(cell)
    except ValueError:  # a number of more digits than Python writes
        return "its label is not a name", None


def locate(text: str, root: str) -> str:
    """The URI of what a cell names: absolute, relative to ``root``, or a URI already."""
    if ":" in text:
        if text.startswith("file://"):
            below = text.removeprefix("file://")
            return file_uri(urllib.parse.unquote(below[max(below.find("/"), 0) :].partition("?")[0].partition("#")[0]))
        if text.startswith(("digits:", "parquet:", "file:")) or "://" in text:
            return text
    if text.startswith("/") and "/." not in text and "//" not in text and os.sep == "/":
        return text  # absolute and plain as it is: most rows
    path = os.path.join(root, text)
    if "\\" in text and os.sep == "/" and not os.path.lexists(path):
        path = os.path.join(root, text.replace("\\", "/"))  # written on another system
    return file_uri(path)


def _home_of(text: str, folder: str, images_folder: str) -> str:
    """The folder that has the file a cell names: the table's own, or ``images`` in it."""
    beside_table, in_images = (os.path.join(root, text.replace("\\", "/")) for root in (folder, images_folder))
    return images_folder if not os.path.lexists(beside_table) and os.path.lexists(in_images) else folder


def _text(row: Row, column: str | None) -> str | None:
    value = row.get(column) if column else None
    try:
        return str(clean(value)).strip() or None if value is not None else None
    except (ValueError, RecursionError):  # a number of more digits than Python writes, a list without end
        return None
