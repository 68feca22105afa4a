"""Classes of a project. Ids never change: renaming, merging and retiring keep every old round readable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tidal_core.errors import InputError, NotFound
from tidal_core.records import ClassRecord
from tidal_core.store.columns import utc_now
from tidal_core.store.database import Database

_COLUMNS = "id, name, key, colour, position, merged_into, retired_at"

# Ten that stay apart for colour-blind people and on both backgrounds: how they were found stands in
# ``figures.palettes``, which must list the same ones (the store imports nothing that draws).
PALETTE = (
    "#105bc3", "#bfac06", "#ab2f2c", "#008b79", "#8368ff", "#ff8ca7", "#b56900", "#68b5ff", "#b474be", "#ff047e",
)  # fmt: skip

LONGEST_NAME = 200  # characters


def choose_key(name: str, taken: set[str]) -> str:
    """The key that answers a class: its own digit, else the first free letter or digit of its name, else none."""
    for letter in name.strip().lower():
        if letter.isascii() and letter.isalnum() and letter not in taken:
            return letter
    return ""


def _key_at(name: str, place: int, taken: set[str]) -> str:
    """The key of a class that is made at a place (from 0): its digit where it has one, else ``choose_key``."""
    digit = name if len(name) == 1 and name.isdigit() else str(place + 1)
    return digit if len(digit) == 1 and digit not in taken else choose_key(name, taken)


class Classes:
    """The table ``classes``."""

    # Keys that the labelling page uses itself: undo, skip, flag, why, grid.
    RESERVED_KEYS = frozenset("usfwg")

    def __init__(self, database: Database) -> None:
        self._db = database

    def all(self, *, include_retired: bool = False) -> list[ClassRecord]:
        """Classes by position; merged and retired ones only when asked."""
        rows = self._db.rows(
            f"SELECT {_COLUMNS} FROM classes WHERE ? OR (merged_into IS NULL AND retired_at IS NULL) "
            "ORDER BY position, id",
            [include_retired],
        )
        return [ClassRecord(*row) for row in rows]

    def get(self, class_id: int) -> ClassRecord:
        """One class. Raises NotFound."""
        row = self._db.row(f"SELECT {_COLUMNS} FROM classes WHERE id = ?", [class_id])
        if row is None:
            raise NotFound(f"There is no class {class_id} in this project.")
        return ClassRecord(*row)

    def add(self, names: Sequence[str]) -> list[ClassRecord]:
        """Add classes by name, in order; a name that is there already is returned, not added again.

        Up to nine or ten classes get the digit keys ("0" to "9" when the names are those digits, else "1" on), further
        ones a free letter of their name. Raises InputError for an empty name or one over 200 characters.
        """
        cleaned = [" ".join(name.split()) for name in names]
        for name in cleaned:
            if not name or len(name) > LONGEST_NAME:
                raise InputError(f"The class name {name!r} cannot be used: type 1 to {LONGEST_NAME} characters.")
        known = self.all(include_retired=True)
        by_name = {record.name: record for record in known}
        taken = {record.key for record in known} | self.RESERVED_KEYS
        next_id = max((record.id for record in known), default=0) + 1
        added: list[ClassRecord] = []
        for name in dict.fromkeys(cleaned):
            if name in by_name:
                continue
            place = len(known) + len(added)
            key = _key_at(name, place, taken)
            taken.add(key)
            record = ClassRecord(next_id, name, key, PALETTE[place % len(PALETTE)], place)
            next_id += 1
            added.append(record)
            by_name[name] = record
        with self._db.write() as cursor:
            for record in added:
                cursor.execute(
                    f"INSERT INTO classes ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, NULL, NULL)",
                    [record.id, record.name, record.key, record.colour, record.position],
                )
        return [by_name[name] for name in cleaned]

    def change(self, class_id: int, **values: Any) -> ClassRecord:
        """Change name, key, colour or position of a class. Raises InputError when a name or key is taken."""
        unknown = set(values) - {"name", "key", "colour", "position"}
        if unknown:
            raise InputError(f"A class has no {', '.join(sorted(unknown))}; it has name, key, colour and position.")
        others = [record for record in self.all() if record.id != class_id]
        if "name" in values and values["name"] in {record.name for record in others}:
            raise InputError(f"There is a class {values['name']!r} already; merge the two instead.")
        key = values.get("key", "")
        if key and (key in {record.key for record in others} or key in self.RESERVED_KEYS):
            raise InputError(f"The key {key!r} is taken; choose another letter or digit.")
        with self._db.write() as cursor:
            for column, value in values.items():
                cursor.execute(f"UPDATE classes SET {column} = ? WHERE id = ?", [value, class_id])
        return self.get(class_id)

    def arrange(self, class_ids: Sequence[int]) -> None:
        """Put these classes in this order on the places that they have, keys and colours as ``add`` gives them."""
        records = [self.get(class_id) for class_id in class_ids]
        places = sorted(record.position for record in records)
        if [record.position for record in records] == places:
            return
        moving = set(class_ids)
        taken = {one.key for one in self.all(include_retired=True) if one.id not in moving} | self.RESERVED_KEYS
        with self._db.write() as cursor:
            for record, place in zip(records, places, strict=True):
                key = _key_at(record.name, place, taken)
                taken.add(key)
                cursor.execute(
                    "UPDATE classes SET position = ?, key = ?, colour = ? WHERE id = ?",
                    [place, key, PALETTE[place % len(PALETTE)], record.id],
                )

    def merge(self, class_id: int, into: int) -> None:
        """From now on every answer of a class counts as one of another; nothing is rewritten."""
        if class_id == into:
            raise InputError("A class cannot be merged into itself; choose another one.")
        target = self.get(into)
        if target.merged_into is not None or target.retired_at is not None:
            raise InputError(f"The class {target.name!r} is itself merged or retired; choose one that is in use.")
        with self._db.write() as cursor:
            cursor.execute(
                "UPDATE classes SET merged_into = ? WHERE id = ? OR merged_into = ?", [into, class_id, class_id]
            )

    def retire(self, class_id: int) -> None:
        """Offer a class no longer; its labels stay on record and are trained on no more."""
        self.get(class_id)
        with self._db.write() as cursor:
            cursor.execute("UPDATE classes SET retired_at = ? WHERE id = ?", [utc_now(), class_id])
