"""The rows of a CSV, TSV or JSON-lines file, one after another, with what is wrong with them.

Read as they come: a million rows take no more memory than fifty. The encoding is that of ``encodings``; the separator,
the lines before the header (``sep=;``, titles, blank lines) and whether there is a header show in the first lines.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

from tidal_core.errors import InputError, reason_of
from tidal_core.images.importers.cells import clean
from tidal_core.images.importers.encodings import Encoding, encoding_of
from tidal_core.images.importers.guess import is_known_name, looks_like_a_path
from tidal_core.records import ImportProblem
from tidal_core.text import from_spreadsheet

Row = dict[str, Any]
SAMPLES = 50
_DELIMITERS = ",;\t|"
_LONGEST_LINE = 1 << 20  # characters
_MOST_COLUMNS = 10_000
_HEAD_LINES = 40  # looked at for the separator and the header
_SEPARATOR_LINE = re.compile(r"\ufeff?\"?sep=(.)\"?\s*", re.IGNORECASE)  # what Excel writes for itself

Listed = Iterator[tuple[str, Row] | ImportProblem]


@dataclass(frozen=True)
class Rows:
    """A table. ``each`` goes through its rows, as often as it is called; each comes with the name people find it by."""

    names: tuple[str, ...]
    samples: tuple[Row, ...]  # the first of the rows
    each: Callable[[], Listed]
    has_header: bool = True


def read_rows(path: Path, encoding: str | None = None, names_a_file: Callable[[str], bool] | None = None) -> Rows:
    """The rows of a text table by its suffix. Raises InputError when nothing of it can be read.

    ``encoding`` is what a person said. ``names_a_file`` says of a cell whether there is an image of this name: in a
    first line that names one there are no names of columns.
    """
    try:
        written_in = encoding_of(path, encoding)
        empty = not path.stat().st_size
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check its permissions.") from error
    if empty:
        raise InputError(f"{path} is empty; export the table again.")
    if path.suffix.lower() in {".jsonl", ".ndjson", ".manifest"}:
        return gathered(lambda: _json_lines(path, written_in))
    return _csv(path, written_in, names_a_file or (lambda _: False))


def _open(path: Path, encoding: Encoding) -> TextIO:
    return path.open(encoding=encoding.codec, errors="replace", newline="")


def _about_encoding(path: Path, encoding: Encoding) -> Iterator[ImportProblem]:
    if encoding.is_guessed:
        example = f", {encoding.example!r} for example" if encoding.example else ""
        yield ImportProblem(
            path.name,
            f"it is not UTF-8: it was read as {encoding.in_words}{example}",
            "check names that have accents; if they are wrong, name the encoding in the preview, or with --encoding",
        )


@dataclass(frozen=True)
class _Form:
    """How a text table is laid out."""

    delimiter: str
    header: int  # rows before the header, or before the first row where there is none
    has_header: bool
    width: int


def _csv(path: Path, encoding: Encoding, names_a_file: Callable[[str], bool]) -> Rows:
    with _open(path, encoding) as file:
        head = list(islice(_lines(file, []), _HEAD_LINES))
    first = _SEPARATOR_LINE.fullmatch(head[0]) if head else None
    form = _form(head, first[1] if first else None, path.suffix.lower(), names_a_file)
    rows_of_head = list(_parsed(head, form.delimiter))
    cells = rows_of_head[form.header] if form.header < len(rows_of_head) else []
    if len(cells) > _MOST_COLUMNS:
        raise InputError(f"{path} has {len(cells):,} columns in its first line; {_MOST_COLUMNS:,} are the limit.")
    names = _column_names(cells) if form.has_header else _column_names([""] * form.width)

    def rows() -> Listed:
        yield from _about_encoding(path, encoding)
        with _open(path, encoding) as file:
            too_long: list[int] = []
            reader = csv.reader(_lines(file, too_long), delimiter=form.delimiter)
            title, width = path.name, len(names)
            for _ in range(form.header + form.has_header):
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
                if len(row) > width and any(cell.strip() for cell in row[width:]):
                    yield ImportProblem(
                        where,
                        f"it has {len(row)} cells, but the header has {width}",
                        "put quotes around cells that hold the separator",
                    )
                elif any(map(str.strip, row)):
                    yield where, dict(zip(names, map(from_spreadsheet, row), strict=False))

    return gathered(rows, names, form.has_header)


def _parsed(lines: list[str], delimiter: str) -> Iterator[list[str]]:
    """Rows of the first lines; what is no CSV is left out here, and named when the rows are read."""
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        try:
            yield next(reader)
        except csv.Error:
            yield []
        except StopIteration:
            return


def _form(head: list[str], said: str | None, suffix: str, names_a_file: Callable[[str], bool]) -> _Form:
    """The separator, and where the header is: after the line ``sep=``, titles and blank lines."""
    delimiter = said or _delimiter(head, suffix)
    rows = list(_parsed(head, delimiter))
    skipped = 1 if said else 0
    counts = [sum(bool(cell.strip()) for cell in row) for row in rows]
    filled = [count for count in counts[skipped:] if count]
    usual = Counter(filled).most_common(1)[0][0] if filled else 0
    usual = max((count for count in filled if filled.count(count) == filled.count(usual)), default=0)
    width = Counter(len(row) for row in rows[skipped:] if row).most_common(1)[0][0] if filled else 0

    def is_of_table(n: int) -> bool:
        """Whether a row is no title: half of its cells are filled, or one of them says that it belongs to the rows."""
        return counts[n] > 0 and (
            2 * counts[n] > min(usual, width)
            or any(map(looks_like_a_path, rows[n]))
            or (len(rows[n]) == width and any(map(is_known_name, rows[n])))
        )

    header = next(filter(is_of_table, range(skipped, len(rows))), skipped)
    named = (n for n in range(skipped, min(len(rows), header + 20)) if sum(map(is_known_name, rows[n])) >= 2)
    header = next(named, header)
    cells = rows[header] if header < len(rows) else []
    has_header = sum(map(is_known_name, cells)) >= 1 and not any(map(looks_like_a_path, cells))
    if not has_header:
        has_header = not any(looks_like_a_path(cell) or names_a_file(cell) for cell in cells if cell.strip())
    return _Form(delimiter, header, has_header, max(width, len(cells)) if not has_header else len(cells))


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


def _delimiter(head: list[str], suffix: str) -> str:
    """The separator by which most of the first lines have as many cells; a tab in .tsv files, a comma when none is."""
    best, best_score = "\t" if suffix in {".tsv", ".tab"} else ",", 0
    for delimiter in _DELIMITERS:
        widths = Counter(len(row) for row in _parsed(head, delimiter) if len(row) > 1)
        if not widths:
            continue
        width, lines = widths.most_common(1)[0]
        # As many lines as possible; between separators that do equally well, the one that separates more.
        score = lines * 1_000 + min(width, 999)
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _column_names(cells: list[str]) -> tuple[str, ...]:
    """Header cells as distinct names."""
    names: dict[str, None] = {}
    for position, cell in enumerate(cells, start=1):
        name = from_spreadsheet(cell).strip() or f"column {position}"
        names[f"{name} ({position})" if name in names else name] = None
    return tuple(names)


def _json_lines(path: Path, encoding: Encoding) -> Listed:
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


def gathered(each: Callable[[], Listed], names: tuple[str, ...] | None = None, has_header: bool = True) -> Rows:
    """With the first rows looked at: without a header, their keys are the columns."""
    samples = tuple(row[1] for row in islice(each(), SAMPLES) if not isinstance(row, ImportProblem))
    if names is None:
        names = tuple(dict.fromkeys(chain.from_iterable(samples)))
    return Rows(names, samples, each, has_header)
