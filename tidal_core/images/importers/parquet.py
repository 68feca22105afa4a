"""Parquet files with images embedded in the Hugging Face layout, or with paths; one file, or a folder of shards.

The image column is a struct of ``bytes`` and ``path``, plain bytes, or text. Whole-number labels get their names from
the schema's metadata where it has them, else from the README of the data set. Images are read from where they lie in
the file, also later: nothing is unpacked. In a folder the shards lie at any depth; their split is what the README's
``configs`` say, else a word in the name of the file or of a folder above it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from tidal_core.errors import InputError, reason_of
from tidal_core.images.importers.base import Columns, FoundClass, FoundImage, ImportOptions, Scan
from tidal_core.images.importers.cells import Labels
from tidal_core.images.importers.folder import is_left_out
from tidal_core.images.importers.guess import LABELLED_BY, guess_columns, is_known_name, is_of_model, split_of
from tidal_core.images.importers.names import FileResolver
from tidal_core.images.importers.rows import Row
from tidal_core.images.importers.table import images_of_rows, no_label
from tidal_core.images.importers.tree import Kind, natural_key, split_kind, splits_of_kinds
from tidal_core.images.reading import SUFFIXES
from tidal_core.images.sources.file import shown_name
from tidal_core.images.sources.parquet import BUFFER_BYTES, MAX_CELL_BYTES, TOO_LARGE, parquet_uri, plain
from tidal_core.records import ImportProblem, Split

_MAX_CARD_LETTERS = 1_000_000  # of a README
_LOOKED_THROUGH = 100_000  # files of a folder, to find out whether it is one of Parquet files
_MANY_IMAGES = 100  # image files beside Parquet files further down: then it is a folder of images
_HELD_BYTES = 8_000_000  # of a cell that is kept until its turn comes; a larger one is read again then


class ParquetImporter:
    """Parquet files with an image column."""

    name = "parquet"

    def sniff(self, source: str) -> bool:
        """Whether the source is such a file, or a folder of such files: more of them than of image files."""
        path = Path(source).expanduser()
        if path.suffix.lower() == ".parquet" and path.is_file():
            return True
        shards = _shards_in(path)
        return bool(shards) and (_names_images(next(iter(shards))) or not _has_image_files(path))

    def scan(self, source: str, options: ImportOptions) -> Scan:
        """Read the schemas, list the rows. Raises InputError when the first file has no column of images."""
        path = Path(os.path.abspath(os.path.expanduser(source)))
        card = _Card(path) if path.is_dir() else None
        shards = _shards_in(path) if card is not None else {path: None}
        first = next(iter(shards))
        total = 0
        for shard in shards:
            with _opened(shard) as file:
                total += file.metadata.num_rows
        with _opened(first) as file:
            samples = _samples(file)
            features = {**(card.features if card is not None else {}), **_features(file.schema_arrow)}
            columns, remark = _columns(_column_names(file.schema_arrow, samples), samples, features, options.columns)
            names = _names_in(_feature(features, columns.label))
            labels = Labels(
                options.cells,
                {str(number): name for number, name in enumerate(names)},
                declared=frozenset(names),
                literally=LABELLED_BY in file.schema_arrow.names,
            )
        resolver = FileResolver(path if path.is_dir() else path.parent, options.images)
        splits = _splits(shards)
        own_stems = len({shard.stem for shard in shards}) == len(shards)
        items = (
            item
            for shard in shards
            for item in _images(
                shard,
                shard.stem if own_stems else shown_name(shard.relative_to(path).with_suffix("")),
                columns,
                labels,
                resolver,
                splits.get(shards[shard]),
            )
        )
        classes = tuple(FoundClass(name) for name in names)
        remarks = (*remark, *(card.remarks if card is not None else ()))
        return Scan(
            str(path), self.name, items, classes, total, title=path.stem, columns=columns, label_remarks=remarks
        )


class _Card:
    """What the README of a folder says, as the Hugging Face hub writes it: which files are which split."""

    def __init__(self, root: Path) -> None:
        self.features: dict[str, Any] = {}
        self.shards: dict[Path, Kind | None] = {}
        self.remarks: tuple[ImportProblem, ...] = ()
        facts = _front_matter(root / "README.md")
        configs = [config for config in _list(facts.get("configs")) if isinstance(config, dict)]
        named = {str(config.get("config_name", "default")): config for config in configs}
        chosen = next((name for name, config in named.items() if config.get("default") is True), None)
        chosen = chosen or ("default" if "default" in named else next(iter(named), None))
        infos = facts.get("dataset_info")
        for info in infos if isinstance(infos, list) else [infos]:
            if isinstance(info, dict) and str(info.get("config_name", chosen)) == str(chosen):
                listed = (feature for feature in _list(info.get("features")) if isinstance(feature, dict))
                self.features = {str(feature.get("name")): feature for feature in listed}
        if chosen is None:
            return
        for split, pattern in _patterns(named[chosen].get("data_files")):
            for path in sorted(_matching(root, pattern), key=lambda path: natural_key(path.as_posix())):
                self.shards.setdefault(path, split_kind(split))
        if len(named) > 1 and self.shards:
            others = ", ".join(repr(name) for name in named if name != chosen)
            self.remarks = (
                ImportProblem(
                    "README.md",
                    f"it names {len(named)} configurations: {chosen!r} was read, {others} was not",
                    "import the folder of another one to read that",
                ),
            )


def _front_matter(path: Path) -> dict[str, Any]:
    """The YAML between the first two lines of dashes; empty where there is none that can be read."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            text = file.read(_MAX_CARD_LETTERS)
        value = yaml.safe_load(text.split("\n---", 1)[0].removeprefix("---")) if text.startswith("---") else None
    except (OSError, yaml.YAMLError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _patterns(data_files: Any) -> Iterator[tuple[str, str]]:
    """``(split, pattern)`` of what a README lists; a pattern without a split is of training."""
    if isinstance(data_files, dict) and "path" not in data_files:
        data_files = [{"split": split, "path": paths} for split, paths in data_files.items()]
    for entry in data_files if isinstance(data_files, list) else [data_files]:
        paths = entry.get("path") if isinstance(entry, dict) else entry
        split = str(entry.get("split", "train")) if isinstance(entry, dict) else "train"
        for pattern in paths if isinstance(paths, list) else [paths]:
            if isinstance(pattern, str):
                yield split, pattern


def _matching(root: Path, pattern: str) -> list[Path]:
    """The Parquet files below ``root`` that a pattern names; none for one that leads elsewhere."""
    try:
        return [path for path in root.glob(pattern) if _is_shard(path.name) and ".." not in path.parts]
    except (ValueError, NotImplementedError, OSError):
        return []


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_shard(name: str) -> bool:
    return name.lower().endswith(".parquet") and not name.startswith(".")


def _shards_in(root: Path) -> dict[Path, Kind | None]:
    """The Parquet files of a folder with the split that each says, in natural order; none in a folder of images."""
    if not root.is_dir():
        return {}
    if listed := _Card(root).shards:
        return listed
    found: list[str] = []
    images = seen = 0
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not is_left_out(name))
        for name in files:
            if _is_shard(name):
                found.append(Path(folder, name).relative_to(root).as_posix())
            images += os.path.splitext(name)[1].lower() in SUFFIXES
        seen += len(files)
        near = any(below.rpartition("/")[0] in ("", "data") for below in found)
        if images >= _MANY_IMAGES and not near and Path(folder) not in (root, root / "data"):
            return {}
        if seen > _LOOKED_THROUGH:
            break
    shards: dict[Path, Kind | None] = {}
    for below in sorted(found, key=natural_key):
        parts = below.split("/")
        kinds = (split_kind(part) for part in (parts[-1].rpartition(".")[0], *reversed(parts[:-1])))
        shards[root / below] = next((kind for kind in kinds if kind is not None), None)
    return shards


def _names_images(path: Path) -> bool:
    """Whether a Parquet file has a column of images: beside image files it may hold anything."""
    try:
        with _opened(path) as file:
            samples = _samples(file)
            guess_columns(_column_names(file.schema_arrow, samples), samples, Columns())
    except (InputError, OSError, ValueError, pa.ArrowException):
        return False
    return True


def _has_image_files(root: Path) -> bool:
    return any(
        os.path.splitext(name)[1].lower() in SUFFIXES and not is_left_out(name)
        for _, _, files in os.walk(root)
        for name in files
    )


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path, buffer_size=BUFFER_BYTES)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read as Parquet ({reason_of(error)}); copy it again.") from error


def _samples(file: pq.ParquetFile) -> list[Row]:
    """A few rows."""
    batches = file.iter_batches(1)
    return [_flat(row) for batch in islice(batches, 8) for row in batch.to_pylist()]


def _features(schema: pa.Schema) -> dict[str, Any]:
    """What the library ``datasets`` keeps in the schema's metadata of each column."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError):
        return {}
    return features if isinstance(features, dict) else {}


def _feature(features: Mapping[str, Any], column: str | None) -> Any:
    """What is said of a column, also of one within another: ``annotation.label``."""
    if column is None:
        return None
    if column in features:
        return features[column]
    outer, _, inner = column.partition(".")
    return _feature(features[outer], inner) if inner and isinstance(features.get(outer), dict) else None


def _names_in(feature: Any) -> list[str]:
    """The names of the classes of a column, also where it holds lists of them; as metadata or as a README says it."""
    if isinstance(feature, list):
        return _names_in(feature[0]) if len(feature) == 1 else []
    if not isinstance(feature, dict):
        return []
    names = feature.get("names")
    if isinstance(names, dict):
        names = [names[key] for key in sorted(names, key=lambda key: natural_key(str(key)))]
    if isinstance(names, list):
        return [str(name) for name in names]
    inner = (_names_in(feature.get(key)) for key in ("feature", "class_label", "dtype", "sequence", "list"))
    return next((found for found in inner if found), [])


def _columns(
    names: Sequence[str], samples: Sequence[Row], features: Mapping[str, Any], chosen: Columns
) -> tuple[Columns, tuple[ImportProblem, ...]]:
    """The columns; of labels that are called otherwise those of which the metadata say that they are classes."""
    columns = guess_columns(names, samples, chosen)
    if chosen.label is not None or chosen.one_hot:
        return columns, ()
    of_classes = {name: len(classes) for name in names if (classes := _names_in(_feature(features, name)))}
    if not of_classes or (columns.label in of_classes and len(of_classes) == 1):
        return columns, ()
    label = columns.label
    if label is None or label not in of_classes or not is_known_name(label):
        label = max(of_classes, key=lambda name: of_classes[name])
    others = [f"{name!r} ({count} classes)" for name, count in of_classes.items() if name != label]
    remark = ImportProblem(
        "columns", f"{label!r} was taken for the labels; there is also {', '.join(others)}", "or name the other one"
    )
    return replace(columns, label=label, one_hot=()), (remark,) if others else ()


def _column_names(schema: pa.Schema, samples: Sequence[Row]) -> list[str]:
    """Names of the columns, and of those within columns."""
    return [*schema.names, *dict.fromkeys(name for row in samples for name in row if name not in schema.names)]


def _flat(row: Row) -> Row:
    """A row with the cells within cells by names such as ``annotation.label``, but for images."""
    flat = dict(row)
    for name, cell in row.items():
        if isinstance(cell, dict) and "bytes" not in cell:
            flat.update({f"{name}.{inner}": value for inner, value in cell.items() if f"{name}.{inner}" not in row})
    return flat


def _splits(shards: Mapping[Path, Kind | None]) -> Mapping[Kind | None, Split | None]:
    """Which split each kind of shard is."""
    kinds = {kind for kind in shards.values() if kind is not None}
    return splits_of_kinds(kinds, only=None not in shards.values())


def _images(
    path: Path, title: str, columns: Columns, labels: Labels, resolver: FileResolver, split: Split | None
) -> Iterator[FoundImage | ImportProblem]:
    """The rows of one file."""
    assert columns.image is not None  # guess_columns raises otherwise
    wanted = [column for column in (columns.image, columns.label, columns.split, columns.annotator) if column]
    wanted += [columns.sha256] if columns.sha256 else []
    try:
        with pq.ParquetFile(path, buffer_size=BUFFER_BYTES) as file:
            wanted += [LABELLED_BY] if LABELLED_BY in file.schema_arrow.names else []
            wanted = [_outer(column, file.schema_arrow.names) for column in wanted]
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
                    yield from _row(path, title, row, _flat(batch.to_pylist()[0]), columns, labels, resolver, split)
    except (OSError, MemoryError, ValueError, pa.ArrowException) as error:
        yield ImportProblem(
            path.name, f"it is damaged ({reason_of(error)}); what comes before the damage was read", "copy it again"
        )


def _outer(column: str, names: Sequence[str]) -> str:
    """The column of a file that holds a column within it."""
    return column if column in names else column.partition(".")[0]


def _row(
    path: Path,
    title: str,
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
    name = f"{title}/{shown_name(inner)}" if inner else f"{title}/{row}"
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
