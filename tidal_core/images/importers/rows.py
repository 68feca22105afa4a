"""The rows of a CSV, TSV or JSON-lines file, one after another, with what is wrong with them.

Read as they come: a million rows take no more memory than fifty. Encodings: UTF-8 with or without a byte order mark,
UTF-16 with one, else Windows-1252 (which Latin-1 files are, near enough), and the report says so.
"""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

from tidal_core.errors import InputError, reason_of
from tidal_core.images.importers.guess import looks_like_a_path
from tidal_core.records import ImportProblem
from tidal_core.text import from_spreadsheet

Row = dict[str, Any]
SAMPLES = 50
_DELIMITERS = ",;\t|"
_LONGEST_LINE = 1 << 20  # characters
_MOST_COLUMNS = 10_000


@dataclass(frozen=True)
class Rows:
    """A table being read. ``rows`` can be gone through once; each comes with the name people find it by."""

    names: tuple[str, ...]
    samples: tuple[Row, ...]  # the first of the rows
    rows: Iterator[tuple[str, Row] | ImportProblem]


def read_rows(path: Path) -> Rows:
    """The rows of a text table by its suffix. Raises InputError when nothing of it can be read."""
    try:
        with path.open("rb") as file:
            encoding = _encoding(path)
            empty = not file.read(1)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check its permissions.") from error
    if empty:
        raise InputError(f"{path} is empty; export the table again.")
    if path.suffix.lower() in {".jsonl", ".ndjson"}:
        return _gathered(_json_lines(path, encoding))
    return _csv(path, encoding)


def clean(value: Any) -> Any:
    """Text without the half characters that JSON can hold and nothing can store."""
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else value


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(4)
        if start.startswith(codecs.BOM_UTF8):
            return "utf-8-sig"
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        file.seek(0)
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while chunk := file.read(1 << 20):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8"


def _open(path: Path, encoding: str) -> TextIO:
    return path.open(encoding=encoding, errors="replace", newline="")


def _about_encoding(path: Path, encoding: str) -> Iterator[ImportProblem]:
    if encoding == "cp1252":
        yield ImportProblem(
            path.name, "it is not UTF-8: it was read as Windows-1252 (Latin-1)", "check names that have accents"
        )


def _csv(path: Path, encoding: str) -> Rows:
    with _open(path, encoding) as file:
        first = file.readline(_LONGEST_LINE)
    delimiter = _delimiter(first, path.suffix.lower())
    cells = next(csv.reader([first], delimiter=delimiter), [])
    if len(cells) > _MOST_COLUMNS:
        raise InputError(f"{path} has {len(cells):,} columns in its first line; {_MOST_COLUMNS:,} are the limit.")
    has_header = not any(looks_like_a_path(cell) for cell in cells)
    names = _column_names(cells) if has_header else tuple(f"column {position}" for position in range(1, len(cells) + 1))

    def rows() -> Iterator[tuple[str, Row] | ImportProblem]:
        yield from _about_encoding(path, encoding)
        with _open(path, encoding) as file:
            too_long: list[int] = []
            reader = csv.reader(_lines(file, too_long), delimiter=delimiter)
            title, width = path.name, len(names)
            if has_header:
                next(reader, None)
            while True:
                try:
                    row = next(reader, None)
                except csv.Error as error:
                    yield ImportProblem(
                        f"{title} line {reader.line_num}", f"it is not valid CSV ({reason_of(error)})", "correct it"
                    )
                    continue
                while too_long:
                    yield _too_long(title, too_long.pop(0))
                if row is None:
                    return
                where = f"{title} line {reader.line_num}"
                if len(row) > width:
                    yield ImportProblem(
                        where,
                        f"it has {len(row)} cells, but the header has {width}",
                        "put quotes around cells that hold the separator",
                    )
                elif any(cell.strip() for cell in row):
                    yield where, dict(zip(names, map(from_spreadsheet, row), strict=False))

    return _gathered(rows(), names)


def _lines(file: TextIO, too_long: list[int]) -> Iterator[str]:
    """A file's lines; those that nobody can have meant are left empty, and their numbers noted."""
    number = 0
    while line := file.readline(_LONGEST_LINE):
        number += 1
        if len(line) == _LONGEST_LINE and not line.endswith(("\n", "\r")):
            while (rest := file.readline(_LONGEST_LINE)) and not rest.endswith(("\n", "\r")):
                pass
            too_long.append(number)
            line = "\n"
        yield line


def _too_long(title: str, number: int) -> ImportProblem:
    return ImportProblem(f"{title} line {number}", f"it has more than {_LONGEST_LINE:,} letters", "correct it")


def _delimiter(line: str, suffix: str) -> str:
    """The most frequent separator of the first line outside quotes; a tab in .tsv files, a comma when there is none."""
    unquoted = "".join(line.split('"')[::2])
    best = max(_DELIMITERS, key=unquoted.count)
    if not unquoted.count(best):
        return "\t" if suffix in {".tsv", ".tab"} else ","
    return best


def _column_names(cells: list[str]) -> tuple[str, ...]:
    """Header cells as distinct names."""
    names: dict[str, None] = {}
    for position, cell in enumerate(cells, start=1):
        name = from_spreadsheet(cell).strip() or f"column {position}"
        names[f"{name} ({position})" if name in names else name] = None
    return tuple(names)


def _json_lines(path: Path, encoding: str) -> Iterator[tuple[str, Row] | ImportProblem]:
    yield from _about_encoding(path, encoding)
    with _open(path, encoding) as file:
        too_long: list[int] = []
        for number, line in enumerate(_lines(file, too_long), start=1):
            if too_long:
                yield _too_long(path.name, too_long.pop())
            if not line.strip():
                continue
            where = f"{path.name} line {number}"
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield ImportProblem(where, f"it is not valid JSON ({reason_of(error)})", "correct it")
                continue
            if isinstance(value, dict):
                yield where, {clean(key): clean(cell) for key, cell in value.items()}
            else:
                yield ImportProblem(where, "it is not a JSON object", 'write {"path": ..., "label": ...}')


def _gathered(rows: Iterator[tuple[str, Row] | ImportProblem], names: tuple[str, ...] | None = None) -> Rows:
    """With the first rows looked at: without a header, their keys are the columns."""
    first_rows = list(islice(rows, SAMPLES))
    samples = tuple(row[1] for row in first_rows if not isinstance(row, ImportProblem))
    if names is None:
        names = tuple(dict.fromkeys(chain.from_iterable(samples)))
    return Rows(names, samples, chain(first_rows, rows))
