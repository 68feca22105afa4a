"""Tables that name image files: CSV, TSV and JSON lines, with label, split and annotator where they have them.

Which file a name means is found by ``names``, what a label cell says by ``cells``, which column is which by ``guess``;
a person can say otherwise. A table is looked at before it is read, and the look is bounded: its first rows say how the
rest is read. What is wrong with a row is reported with its line number, what was done with all of them in one line.
"""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from tidal_core.images.importers.base import Columns, FoundImage, ImportOptions, Scan, TableFacts
from tidal_core.images.importers.cells import Labels, clean, text_of, whole_number
from tidal_core.images.importers.class_names import named_file, names_files
from tidal_core.images.importers.guess import (
    LABELLED_BY,
    facts_of,
    guess_columns,
    is_of_model,
    offered_columns,
    one_hot_labels,
    split_of,
)
from tidal_core.images.importers.names import NOT_THERE, FileResolver, Match
from tidal_core.images.importers.rows import Row, Rows, read_rows
from tidal_core.images.sources.file import file_uri
from tidal_core.records import ImportProblem

_LONGEST_PATH = 10_000  # letters
_CELLS_LOOKED_AT = 200_000  # of a table before it is read
_ROWS_LOOKED_AT = 20_000
_RIVALS_NAMED = 3
_EXAMPLE_LETTERS = 40
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
        table = open_table(path, options)
        return Scan(str(path), self.name, table.items(), title=path.stem, columns=table.columns, table=table.facts)


@dataclass
class Table:
    """A table that was looked at: its columns are known, and how its names and labels are read."""

    title: str
    rows: Rows
    columns: Columns
    resolver: FileResolver
    labels: Labels
    facts: TableFacts
    contested: frozenset[str] = frozenset()  # files that a row names as they are called, and others loosely

    def items(self) -> Iterator[FoundImage | ImportProblem]:
        """Each row as an image, or as a problem that says what it lacks; then one line on all of them."""
        yield from images_of_rows(self.rows.each(), self.columns, self.resolver, self.labels, self.contested)
        if words := self.resolver.tally.in_words():
            yield ImportProblem(self.title, f"names of images: {words}", self._remedy())
        yield from self.labels.remarks(self.title)

    def _remedy(self) -> str:
        tally = self.resolver.tally
        if tally.missing or tally.ambiguous:
            return "if the images lie elsewhere, name their folder in the preview, or with --images"
        return "nothing to do"


def open_table(path: Path, options: ImportOptions) -> Table:
    """A text table, looked at. Raises InputError when nothing of it can be read, or no column names images."""
    resolver = FileResolver(path.parent, options.images)

    def names_a_file(cell: str) -> bool:
        return len(cell) <= _LONGEST_PATH and resolver.find(cell)[0] is not None

    return looked_at(read_rows(path, options.encoding, names_a_file), path, resolver, options)


def looked_at(rows: Rows, path: Path, resolver: FileResolver, options: ImportOptions) -> Table:
    """Find out how the rows of a table are to be read. Raises InputError when no column names images."""
    limit = max(1_000, min(_ROWS_LOOKED_AT, _CELLS_LOOKED_AT // max(1, len(rows.names))))

    def some_rows() -> Iterator[Row]:
        return islice((entry[1] for entry in rows.each() if not isinstance(entry, ImportProblem)), limit)

    columns = guess_columns(
        rows.names,
        rows.samples,
        options.columns,
        rows=some_rows,
        names_a_file=lambda cell: len(cell) <= _LONGEST_PATH and resolver.find(cell)[0] is not None,
    )
    labels = Labels(options.cells, literally=LABELLED_BY in rows.names)
    named_by = ""
    files: list[Path] = []
    if columns.label:
        labels.look(row.get(columns.label) for row in some_rows())
        if labels.is_whole:
            numbers = {text_of(row.get(columns.label)) for row in some_rows()}
            named_by, files = _name_numbers(
                labels, {whole_number(text) or "" for text in numbers} - {""}, path, options
            )
    used = {columns.image, columns.label, columns.split, columns.annotator, columns.sha256, *columns.one_hot}
    unused = [name for name in rows.names if name not in used]
    column_facts = facts_of(unused, rows.samples)
    facts = TableFacts(
        names=rows.names,
        unused=tuple((name, column_facts[name].example[:_EXAMPLE_LETTERS]) for name in unused),
        offered=offered_columns(unused, column_facts),
        named_by=named_by,
        name_files=tuple(files),
    )
    return Table(path.name, rows, columns, resolver, labels, facts, _contested(some_rows, columns, resolver))


def _name_numbers(labels: Labels, numbers: set[str], path: Path, options: ImportOptions) -> tuple[str, list[Path]]:
    """Let a file beside the table name the classes; returns which, in words, and all that could."""
    files = names_files(path.parent, numbers)
    if options.class_names == "":
        return "", [file.path for file in files]
    if options.class_names is not None:
        chosen = named_file(Path(options.class_names).expanduser(), numbers)
    elif files and all(file.names == files[0].names for file in files):
        chosen = files[0]
    else:
        return "", [file.path for file in files]
    labels.names, labels.names_are_for_text = chosen.names, True
    return chosen.in_words(), [file.path for file in files]


def _contested(some_rows: Callable[[], Iterator[Row]], columns: Columns, resolver: FileResolver) -> frozenset[str]:
    """Files that a name means only loosely although another row names them as they are called."""
    exactly, loosely = 0, set()
    for row in some_rows():
        cell = row.get(columns.image or "")
        text = cell.strip() if isinstance(cell, str) else text_of(cell)
        if not text or len(text) > _LONGEST_PATH or _is_address(text):
            continue
        uri, match = resolver.find(text)
        if uri is not None and match.how:
            loosely.add(uri)
        exactly += uri is not None and not match.how
    if not exactly or not loosely:
        return frozenset()
    cells = (text_of(row.get(columns.image or "")) for row in some_rows())
    found = (resolver.find(cell) for cell in cells if cell and len(cell) <= _LONGEST_PATH)
    return frozenset(uri for uri, match in found if uri is not None and not match.how and uri in loosely)


def images_of_rows(
    rows: Iterable[tuple[str, Row] | ImportProblem],
    columns: Columns,
    resolver: FileResolver,
    labels: Labels,
    contested: frozenset[str] = frozenset(),
) -> Iterator[FoundImage | ImportProblem]:
    """Each row as an image, or as a problem that says what it lacks."""
    assert columns.image is not None  # guess_columns raises otherwise
    claimed: dict[str, str] = {}  # files that a name means loosely: no other name may mean them
    for entry in rows:
        if isinstance(entry, ImportProblem):
            yield entry
            continue
        where, row = entry
        cell = row.get(columns.image)
        text = clean(cell.strip()) if isinstance(cell, str) else _whole_id(cell)
        if len(text) > _LONGEST_PATH:
            yield ImportProblem(where, f"the column {columns.image!r} names no file that can be", "correct it")
            continue
        uri, match = (None, NOT_THERE)
        if text:
            uri, match = (_address(text), Match(text)) if _is_address(text) else resolver.resolve(text)
        if not text or (uri is None and not isinstance(cell, str) and not match.is_ambiguous):
            yield ImportProblem(where, f"the column {columns.image!r} names no image", "fill it in")
            continue
        if match.is_ambiguous:
            yield several_meant(text, match)
            continue
        if uri is not None and match.how and (uri in contested or claimed.setdefault(uri, text) != text):
            yield ImportProblem(
                text,
                f"it is not there; {match.path} has nearly this name, but another row means it",
                "put the file where the table says, or leave the row out",
            )
            continue
        problem, label = None, None
        if not is_of_model(row):
            if columns.one_hot:
                problem, label = labels.of_several(one_hot_labels(row, columns.one_hot))
            elif columns.label:
                problem, label = labels.read(row.get(columns.label))
        if problem:
            yield no_label(where, problem)
        yield FoundImage(
            name=text,
            uri=uri or locate(text, str(resolver.images or resolver.folder)),
            label=label,
            split=split_of(_text(row, columns.split)) if columns.split else None,
            annotator=_text(row, columns.annotator) if columns.annotator else None,
            sha256=_text(row, columns.sha256) if columns.sha256 else None,
        )


def several_meant(name: str, match: Match) -> ImportProblem:
    """A name that means several files: none of them is read."""
    named = ", ".join(match.rivals[:_RIVALS_NAMED])
    more = f" and {len(match.rivals) - _RIVALS_NAMED} more" if len(match.rivals) > _RIVALS_NAMED else ""
    return ImportProblem(
        name,
        f"{len(match.rivals)} files could be meant ({named}{more}): none was read",
        "write the path from the table's folder, or name the folder of the images in the preview, or with --images",
    )


def no_label(where: str, problem: str) -> ImportProblem:
    """An image that is read although its label cannot be: ``problem`` is that of ``Labels.read``."""
    return ImportProblem(where, f"{problem}; it was read without a label", "correct the label and import again")


def locate(text: str, root: str) -> str:
    """The URI of what a cell names: absolute, relative to ``root``, or a URI already."""
    if _is_address(text):
        return _address(text)
    if text.startswith("/") and "/." not in text and "//" not in text and os.sep == "/":
        return text  # absolute and plain as it is: most rows
    if text.isascii() and not {"/", "\\", "\0"} & set(text) and text not in (".", ".."):
        return f"{root}{os.sep}{text}"  # a plain name, as most rows have it; ``root`` is absolute
    path = os.path.join(root, text)
    if "\\" in text and os.sep == "/" and not os.path.lexists(path):
        path = os.path.join(root, text.replace("\\", "/"))  # written on another system
    return file_uri(path)


def _is_address(text: str) -> bool:
    """Whether a cell is a URI of its own; a file of another machine is looked for by the end of its path."""
    if ":" not in text:
        return False
    if text.startswith("file://"):
        return os.path.exists(_address(text))
    return text.startswith(("digits:", "parquet:", "file:")) or "://" in text


def _address(text: str) -> str:
    if not text.startswith("file://"):
        return text
    below = text.removeprefix("file://")
    return file_uri(urllib.parse.unquote(below[max(below.find("/"), 0) :].partition("?")[0].partition("#")[0]))


def _whole_id(cell: Any) -> str:
    """The text of a number that is a file's name, as JSON holds ids; "" for everything else."""
    return text_of(cell) if isinstance(cell, (int, float)) and not isinstance(cell, bool) else ""


def _text(row: Row, column: str | None) -> str | None:
    value = row.get(column) if column else None
    try:
        return str(clean(value)).strip() or None if value is not None else None
    except (ValueError, RecursionError):  # a number of more digits than Python writes, a list without end
        return None
