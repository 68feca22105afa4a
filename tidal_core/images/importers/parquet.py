"""Parquet files with images embedded in the Hugging Face layout, or with paths; one file, or a folder of shards.

The image column is a struct of ``bytes`` and ``path``, plain bytes, or text. Whole-number labels get their names from
the schema's metadata where it has them. Images are read from where they lie in the file, also later: nothing is
unpacked. In a folder, files whose names begin with train, val or test say the split.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tidal_core.errors import InputError, reason_of
from tidal_core.images.importers.base import Columns, FoundClass, FoundImage, ImportOptions, Scan
from tidal_core.images.importers.cells import Labels
from tidal_core.images.importers.guess import LABELLED_BY, guess_columns, is_of_model, split_of
from tidal_core.images.importers.names import FileResolver
from tidal_core.images.importers.rows import Row
from tidal_core.images.importers.table import images_of_rows, no_label
from tidal_core.images.importers.tree import natural_key, split_kind, splits_of_kinds
from tidal_core.images.sources.file import shown_name
from tidal_core.images.sources.parquet import BUFFER_BYTES, MAX_CELL_BYTES, TOO_LARGE, parquet_uri, plain
from tidal_core.records import ImportProblem, Split

_HELD_BYTES = 8_000_000  # of a cell that is kept until its turn comes; a larger one is read again then


class ParquetImporter:
    """Parquet files with an image column."""

    name = "parquet"

    def sniff(self, source: str) -> bool:
        """Whether the source is such a file, or a folder with such files in it or in its ``data`` folder."""
        path = Path(source).expanduser()
        return bool(_shards(path))

    def scan(self, source: str, options: ImportOptions) -> Scan:
        """Read the schemas, list the rows. Raises InputError when the first file has no column of images."""
        path = Path(os.path.abspath(os.path.expanduser(source)))
        shards = _shards(path)
        total = 0
        for shard in shards:
            with _opened(shard) as file:
                total += file.metadata.num_rows
        with _opened(shards[0]) as file:
            columns = guess_columns(file.schema_arrow.names, _samples(file), options.columns)
            names = _class_names(file.schema_arrow, columns.label)
            labels = Labels(
                options.cells,
                {str(number): name for number, name in enumerate(names)},
                declared=frozenset(names),
                literally=LABELLED_BY in file.schema_arrow.names,
            )
        resolver = FileResolver(path if path.is_dir() else path.parent, options.images)
        splits = _splits(shards) if path.is_dir() else {}
        items = (item for shard in shards for item in _images(shard, columns, labels, resolver, splits.get(shard.name)))
        classes = tuple(FoundClass(name) for name in names)
        return Scan(str(path), self.name, items, classes, total, title=path.stem, columns=columns)


def _shards(path: Path) -> list[Path]:
    """The Parquet files of a source, in natural order."""
    if path.suffix.lower() == ".parquet" and path.is_file():
        return [path]
    for folder in (path, path / "data"):
        if folder.is_dir():
            shards = [file for file in folder.glob("*.parquet") if file.is_file() and not file.name.startswith(".")]
            if shards:
                return sorted(shards, key=lambda file: natural_key(file.name))
    return []


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, buffer_size=BUFFER_BYTES)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read as Parquet ({reason_of(error)}); copy it again.") from error


def _samples(file: pq.ParquetFile) -> list[Row]:
    """A few rows."""
    batches = file.iter_batches(1)
    return [row for batch in islice(batches, 8) for row in batch.to_pylist()]


def _class_names(schema: pa.Schema, column: str | None) -> list[str]:
    """Names of whole-number labels, as ``datasets`` keeps them in the schema's metadata."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        names = features[column]["names"]
    except (KeyError, TypeError, ValueError):
        return []
    return [str(name) for name in names] if isinstance(names, list) else []


def _splits(shards: list[Path]) -> dict[str, Split]:
    """Split by file name: ``train-00000-of-00002.parquet`` is of the kind train."""
    kinds = {shard.name: split_kind(shard.stem) for shard in shards}
    splits = splits_of_kinds({kind for kind in kinds.values() if kind is not None}, only=None not in kinds.values())
    return {name: split for name, kind in kinds.items() if (split := splits.get(kind)) is not None}


def _images(
    path: Path, columns: Columns, labels: Labels, resolver: FileResolver, split: Split | None
) -> Iterator[FoundImage | ImportProblem]:
    """The rows of one file."""
    assert columns.image is not None  # guess_columns raises otherwise
    wanted = [column for column in (columns.image, columns.label, columns.split, columns.annotator) if column]
    wanted += [columns.sha256] if columns.sha256 else []
    try:
        with pq.ParquetFile(path, buffer_size=BUFFER_BYTES) as file:
            wanted += [LABELLED_BY] if LABELLED_BY in file.schema_arrow.names else []
            missing = sorted(set(wanted) - set(file.schema_arrow.names))
            if missing:
                yield ImportProblem(
                    path.name,
                    f"it has no column {missing[0]!r}; its rows were skipped",
                    "export it again with the column",
                )
                return
            # One row at a time, whatever its size: a cell can be as large as its file says, or the same one many times.
            for row, batch in enumerate(file.iter_batches(1, columns=list(dict.fromkeys(wanted)))):
                if sum(plain(column).nbytes for column in batch.columns) > MAX_CELL_BYTES:
                    yield ImportProblem(f"{path.name} row {row}", TOO_LARGE, "save the image as a file, or smaller")
                else:
                    yield from _row(path, row, batch.to_pylist()[0], columns, labels, resolver, split)
    except (OSError, MemoryError, ValueError, pa.ArrowException) as error:
        yield ImportProblem(
            path.name, f"it is damaged ({reason_of(error)}); what comes before the damage was read", "copy it again"
        )


def _row(
    path: Path,
    row: int,
    values: Row,
    columns: Columns,
    labels: Labels,
    resolver: FileResolver,
    split: Split | None,
) -> Iterator[FoundImage | ImportProblem]:
    column = columns.image or ""
    where = f"{path.name} row {row}"
    cell = values.get(column)
    data, inner = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (cell, None)
    if data is None and isinstance(inner, str):
        data = inner
    if isinstance(data, str):
        yield from images_of_rows([(where, {**values, column: data})], columns, resolver, labels)
        return
    if not isinstance(data, bytes):
        yield ImportProblem(where, f"the column {column!r} holds no image", "skipped; export it again with the image")
        return
    problem, label = labels.read(values.get(columns.label) if columns.label and not is_of_model(values) else None)
    name = f"{path.stem}/{shown_name(inner)}" if inner else f"{path.stem}/{row}"
    if problem:
        yield no_label(where, problem)
    split_cell = values.get(columns.split) if columns.split else None
    annotator = values.get(columns.annotator) if columns.annotator else None
    yield FoundImage(
        name=name,
        uri=parquet_uri(path, row, column),
        label=label,
        split=split_of(str(split_cell)) if split_cell is not None else split,
        annotator=str(annotator) if annotator else None,
        opener=(lambda: data) if len(data) <= _HELD_BYTES else None,
    )
