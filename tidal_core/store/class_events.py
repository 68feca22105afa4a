"""The history of the classes: every change as an event, so that it has an author, can be undone, and older rounds are
shown with the names that they were made with.

An event holds what it changed, field by field, before and after. The list at some time is the list of now with every
later change taken back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from tidal_core.records import ClassEvent, ClassEventKind, ClassRecord
from tidal_core.store.columns import first_row, insert, utc_now

FIELDS = tuple(field.name for field in fields(ClassRecord))
_TRACKED = FIELDS[1:]  # all but the id
_COLUMNS = ", ".join(FIELDS)
_EVENT_COLUMNS = "seq, kind, author, happened_at, changes, undoes, details"
Changes = Mapping[int, Mapping[str, tuple[Any, Any]]]


def classes_in(cursor: duckdb.DuckDBPyConnection, *, include_retired: bool = False) -> list[ClassRecord]:
    """Classes by position as a transaction sees them; merged and retired ones only when asked."""
    rows = cursor.execute(
        f"SELECT {_COLUMNS} FROM classes WHERE ? OR (merged_into IS NULL AND retired_at IS NULL) ORDER BY position, id",
        [include_retired],
    ).fetchall()
    return [_record(row) for row in rows]


def _record(row: tuple[Any, ...]) -> ClassRecord:
    values = dict(zip(FIELDS, row, strict=True))
    examples = tuple(int(number) for number in (values["examples"] or "").split(",") if number)
    return ClassRecord(**values | {"description": values["description"] or "", "examples": examples})


def differences(before: Sequence[ClassRecord], after: Sequence[ClassRecord]) -> Changes:
    """What differs between two states of the classes; a class that is new differs from nothing in every field."""
    known = {record.id: record for record in before}
    changes: dict[int, dict[str, tuple[Any, Any]]] = {}
    for record in after:
        old = known.get(record.id)
        if record == old:
            continue
        pairs = {name: (None if old is None else getattr(old, name), getattr(record, name)) for name in _TRACKED}
        changes[record.id] = {name: pair for name, pair in pairs.items() if old is None or pair[0] != pair[1]}
    return changes


def is_new(changed: Mapping[str, tuple[Any, Any]]) -> bool:
    """Whether these are the changes of a class that was made by them."""
    return "name" in changed and changed["name"][0] is None


def record_change(
    cursor: duckdb.DuckDBPyConnection,
    kind: ClassEventKind,
    before: Sequence[ClassRecord],
    after: Sequence[ClassRecord],
    author: str,
    *,
    undoes: int | None = None,
    details: Mapping[str, Any] | None = None,
) -> int | None:
    """Write what differs, and the event of it, in the caller's transaction; the event's number, None for no change.

    One statement each for new and for changed classes, because lists of ten thousand are put in another order.
    """
    changes = differences(before, after)
    if not changes and undoes is None and kind is not ClassEventKind.SPLIT:
        return None
    rows = [record for record in after if record.id in changes]
    new = [record for record in rows if is_new(changes[record.id])]
    old = [record for record in rows if not is_new(changes[record.id])]
    if new:
        insert(cursor, "classes", _table(new))
    if old:
        cursor.register("changed_classes", pa.table(_table(old)))
        sets = ", ".join(f"{name} = c.{name}" for name in _TRACKED)
        cursor.execute(f"UPDATE classes SET {sets} FROM changed_classes c WHERE classes.id = c.id")
        cursor.unregister("changed_classes")
    row = first_row(cursor, "SELECT coalesce(max(seq), 0) + 1 FROM class_events")
    seq = int(row[0]) if row else 1
    cursor.execute(
        f"INSERT INTO class_events ({_EVENT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [seq, kind.value, author, utc_now(), _to_json(changes), undoes, json.dumps(dict(details or {}))],
    )
    return seq


def _table(records: Sequence[ClassRecord]) -> dict[str, Any]:
    kinds = {"id": pa.int32(), "position": pa.int32(), "merged_into": pa.int32(), "merged_first": pa.int32()}
    columns = {name: pa.array([getattr(r, name) for r in records], kinds.get(name, pa.string()))
               for name in FIELDS if name not in ("retired_at", "examples")}  # fmt: skip
    return columns | {
        "retired_at": pa.array([record.retired_at for record in records], pa.timestamp("us")),
        "examples": pa.array([",".join(map(str, record.examples)) for record in records], pa.string()),
    }


def _to_json(changes: Changes) -> str:
    return json.dumps(
        {
            class_id: {name: [_plain(value) for value in pair] for name, pair in changed.items()}
            for class_id, changed in changes.items()
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _from_json(text: str) -> Changes:
    return {
        int(class_id): {name: (_read(name, pair[0]), _read(name, pair[1])) for name, pair in changed.items()}
        for class_id, changed in json.loads(text).items()
    }


def _read(name: str, value: Any) -> Any:
    if name == "retired_at" and value is not None:
        return datetime.fromisoformat(value)
    return tuple(value) if name == "examples" and value is not None else value


def events_in(cursor: duckdb.DuckDBPyConnection, *, after: int = 0) -> list[ClassEvent]:
    """The changes after a number, oldest first; whether one stands is told of all of them only with ``after`` 0."""
    rows = cursor.execute(f"SELECT {_EVENT_COLUMNS} FROM class_events WHERE seq > ? ORDER BY seq", [after]).fetchall()
    events = [
        ClassEvent(row[0], ClassEventKind(row[1]), row[2], row[3], _from_json(row[4]), row[5], json.loads(row[6]))
        for row in rows
    ]
    undone: set[int] = set()
    for event in reversed(events):  # an undo that was undone itself takes nothing back
        if event.undoes is not None and event.seq not in undone:
            undone.add(event.undoes)
    return [replace(event, stands=event.seq not in undone) for event in events]


def as_they_were(now: Sequence[ClassRecord], later: Sequence[ClassEvent]) -> list[ClassRecord]:
    """The classes before the changes of ``later``, by position; those that were made by them are left out."""
    records = {record.id: record for record in now}
    for event in reversed(later):
        for class_id, changed in event.changes.items():
            if is_new(changed):
                records.pop(class_id, None)
            elif class_id in records:
                records[class_id] = replace(records[class_id], **{name: pair[0] for name, pair in changed.items()})
    return sorted(records.values(), key=lambda record: (record.position, record.id))
