"""The list of classes as a file, JSON or CSV: out of a project, and into one with a preview of what it would change.

A class is known by its name, so that a list of one project fits another. What a file does not say stays as it is:
classes that it does not name, columns that it does not have, cells that are empty.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

from tidal_core.errors import InputError
from tidal_core.records import ClassRecord
from tidal_core.store.class_events import differences, is_new
from tidal_core.store.class_rules import (
    RESERVED_KEYS,
    checked_colour,
    checked_description,
    checked_key,
    checked_name,
    choose_key,
)
from tidal_core.store.classes import added, refuse_clash
from tidal_core.text import SpreadsheetRows, from_spreadsheet

FORMATS = ("json", "csv")
COLUMNS = ("name", "key", "colour", "description")
BYTES_AT_MOST = 10_000_000
CLASSES_AT_MOST = 50_000
PROBLEMS_SHOWN = 5
_CHECKS = {"name": checked_name, "key": checked_key, "colour": checked_colour, "description": checked_description}
_ALIASES = {"class": "name", "label": "name", "color": "colour"}


@dataclass(frozen=True)
class ListedClasses:
    """What a file says, in its order: of each class its name, and what else it has."""

    classes: tuple[dict[str, str], ...]
    unused: tuple[str, ...]  # columns that mean nothing here


# --- out


def to_text(records: Sequence[ClassRecord], kind: str) -> str:
    """Classes in their order, as JSON or CSV. Raises InputError for another kind."""
    if kind not in FORMATS:
        raise InputError(f"Classes are written as .json or .csv, not as {kind[:20]!r}; choose one of these.")
    rows = [{column: getattr(record, column) for column in COLUMNS} for record in records]
    if kind == "json":
        return json.dumps({"classes": rows}, ensure_ascii=False, indent=1) + "\n"
    text = io.StringIO()
    table = SpreadsheetRows(text)
    table.writerow(COLUMNS)
    table.writerows(row.values() for row in rows)
    return text.getvalue()


def kind_of(name: str) -> str:
    """The kind of a file by its ending. Raises InputError."""
    ending = PurePath(name).suffix.lower().lstrip(".")
    if ending not in FORMATS:
        raise InputError(
            f"{PurePath(name).name[:60]!r} ends neither with .json nor with .csv; choose a name that does."
        )
    return ending


# --- in


def from_bytes(content: bytes, kind: str) -> ListedClasses:
    """Read a file. Raises InputError that names the places where it cannot be read, and what to do."""
    if len(content) > BYTES_AT_MOST:
        raise InputError(
            f"The file is no list of classes: it has more than {BYTES_AT_MOST:,} bytes; give one with names only."
        )
    text = _decoded(content)
    rows, unused = _json_rows(text) if kind == "json" else _csv_rows(text)
    if not rows:
        raise InputError("The file names no class: give each a name, one per line, below a first line “name”.")
    if len(rows) > CLASSES_AT_MOST:
        raise InputError(f"The file names {len(rows):,} classes; at most {CLASSES_AT_MOST:,} are read.")
    classes, problems = [], []
    places: dict[str, dict[str, str]] = {"name": {}, "key": {}}
    for place, row in rows:
        one: dict[str, str] = {}
        for column, value in row.items():
            try:
                checked = _CHECKS[column](value)
            except InputError as error:
                problems.append(f"{place}: {error}")
                continue
            if checked and checked in places.get(column, {}):
                problems.append(
                    f"{place}: the {column} {checked[:40]!r} is that of {places[column][checked]}, too; give each "
                    "class its own."
                )
            places.get(column, {}).setdefault(checked, place)
            if checked or column == "name":
                one[column] = checked
        if "name" not in row:
            problems.append(f"{place}: there is no name; give the class one.")
        classes.append(one)
    if problems:
        more = len(problems) - PROBLEMS_SHOWN
        raise InputError("\n".join([*problems[:PROBLEMS_SHOWN], *([f"{more:,} more of these."] if more > 0 else [])]))
    return ListedClasses(tuple(classes), unused)


def _decoded(content: bytes) -> str:
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(
            f"The file is no text in UTF-8 (byte {error.start + 1:,}); save it as UTF-8 (in Excel the kind CSV UTF-8)."
        ) from error


Rows = list[tuple[str, dict[str, Any]]]  # where it stands, for people; column and value


def _json_rows(text: str) -> tuple[Rows, tuple[str, ...]]:
    try:
        read = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"The file is no JSON ({error}); write one with --out to see how it looks.") from error
    items = read.get("classes") if isinstance(read, dict) else read
    if not isinstance(items, list):
        raise InputError('The file has no list of classes: {"classes": [{"name": "cat"}]}, or a list of names.')
    rows: Rows = []
    unused: dict[str, None] = {}
    for number, item in enumerate(items, start=1):
        place = f"Class {number:,}"
        if isinstance(item, str):
            rows.append((place, {"name": item}))
        elif isinstance(item, dict):
            known = {_column(key): value for key, value in item.items()}
            unused |= dict.fromkeys(str(key)[:40] for key in item if _column(key) not in COLUMNS)
            rows.append((place, {column: known[column] for column in COLUMNS if known.get(column) not in (None, "")}))
        else:
            raise InputError(f"{place} is neither a name nor has one: {str(item)[:40]!r}; write {{'name': 'cat'}}.")
    return rows, tuple(unused)


def _csv_rows(text: str) -> tuple[Rows, tuple[str, ...]]:
    head = text.lstrip("\r\n").split("\n", 1)[0]
    separator = max(",;\t", key=head.count) if any(mark in head for mark in ",;\t") else ","
    if "\0" in text:
        raise InputError("The file is no table: it has bytes of 0; save it as CSV UTF-8.")
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: Rows = []
    columns: list[str] = []
    unused: list[str] = []
    try:
        for cells in lines:
            if not any(cell.strip() for cell in cells):
                continue
            if not columns:
                columns = [_column(from_spreadsheet(cell)) for cell in cells]
                unused = [cell.strip()[:40] for cell, name in zip(cells, columns, strict=True) if name not in COLUMNS]
                _check_columns(columns)
                continue
            if len(cells) > len(columns):
                raise InputError(
                    f"Line {lines.line_num:,} has {len(cells):,} cells, the first line {len(columns):,}; put quotes "
                    f"around a cell that has {separator!r} in it."
                )
            known = {name: from_spreadsheet(cell) for name, cell in zip(columns, cells, strict=False)}
            row = {column: known[column] for column in COLUMNS if known.get(column, "").strip()}
            rows.append((f"Line {lines.line_num:,}", row))
    except csv.Error as error:
        raise InputError(
            f"Line {lines.line_num:,} cannot be read as CSV ({error}); correct it, then try again."
        ) from error
    return rows, tuple(name for name in unused if name)


def _column(name: object) -> str:
    plain = str(name).strip().lower()
    return _ALIASES.get(plain, plain)


def _check_columns(columns: Sequence[str]) -> None:
    if "name" not in columns:
        raise InputError(
            f"The first line names no column “name”, but {', '.join(repr(name[:20]) for name in columns[:5])}; begin "
            f"the file with a line such as {','.join(COLUMNS)}."
        )
    twice = next((name for name in columns if name in COLUMNS and columns.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"The first line names the column {twice!r} twice; keep one of them.")


# --- what it would change


def planned(known: Sequence[ClassRecord], listed: ListedClasses) -> list[ClassRecord]:
    """All classes as a list makes them: those that it names in its order, then the others as they stand.

    Raises InputError for a name of a class out of use, and for a key of a class that the list does not name.
    """
    names = [one["name"] for one in listed.classes]
    new = {record.name: record for record in added(known, names)}
    by_name = {record.name: record for record in known if record.is_in_use} | new
    in_list = {by_name[name].id for name in names}
    others = [record for record in known if record.is_in_use and record.id not in in_list]
    taken = {record.key for record in others} | {one.get("key", "") for one in listed.classes} | RESERVED_KEYS
    taken |= {by_name[name].key for name in names if name not in new}
    ordered = []
    for one in listed.classes:
        record = by_name[one["name"]]
        if record.name in new and not one.get("key") and record.key in taken:
            record = replace(record, key=choose_key(record.name, taken))
        taken.add(record.key)
        ordered.append(
            replace(
                record,
                key=one.get("key", record.key),
                colour=one.get("colour", record.colour),
                description=one.get("description", record.description),
            )
        )
    ordered += others
    places = sorted(record.position for record in ordered)
    moved = {record.id: replace(record, position=place) for record, place in zip(ordered, places, strict=True)}
    after = [moved.get(record.id, record) for record in [*known, *new.values()]]
    refuse_clash(known, after)
    return after


def plan_in_words(known: Sequence[ClassRecord], listed: ListedClasses, *, at_most: int = 20) -> list[str]:
    """What a list would change, a line each; the last lines say what is left and what was not read."""
    after = planned(known, listed)
    changes, names = differences(known, after), {record.id: record.name for record in after}
    new = [names[class_id] for class_id, changed in changes.items() if is_new(changed)]
    lines = [f"New: {name}" for name in new]
    n_moved = 0
    for class_id, changed in changes.items():
        if is_new(changed):
            continue
        n_moved += "position" in changed
        said = [
            "another description"
            if field == "description"
            else f"{field} {pair[0] or 'none'} becomes {pair[1] or 'none'}"
            for field, pair in changed.items()
            if field != "position"
        ]
        if said:
            lines.append(f"Changed: {names[class_id]}: {', '.join(said)}")
    if len(lines) > at_most:
        lines = [*lines[:at_most], f"and {len(lines) - at_most:,} more classes that are new or changed"]
    if n_moved:
        lines.append(f"{n_moved:,} {'class comes' if n_moved == 1 else 'classes come'} to another place in the order")
    if not changes:
        lines.append("Nothing: the classes are like that already")
    listed_names = {one["name"] for one in listed.classes}
    left = sum(record.is_in_use and record.name not in listed_names for record in known)
    if left:
        which = "class that the list does not name stays" if left == 1 else "classes that the list does not name stay"
        lines.append(f"{left:,} {which}")
    if listed.unused:
        lines.append(f"Not read, because they mean nothing here: {', '.join(listed.unused[:10])}")
    return lines
