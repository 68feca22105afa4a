"""Classes of a project. Ids never change: renaming, merging and retiring keep every old round readable.

An answer keeps the id of the class that was pressed and follows ``merged_into``: so a merge rewrites nothing, and
``bring_back`` undoes it.

An import and the Project page may add, rename and merge at the same time, so each change reads, checks and writes in
one transaction under the write lock. What may be a name or a key is checked in one place, here, whoever asks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import duckdb

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
RESERVED_KEYS = frozenset("usfwg")  # what the labelling page uses itself: undo, skip, flag, why, grid

LARGEST_POSITION = 1_000_000
_JOINERS = "\u200c\u200d"  # invisible letters that words of some languages, and some emoji, are written with

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_KEY = re.compile(r"[0-9a-z]")


def standing_class(class_id: str) -> str:
    """SQL for the class that ``class_id``, an SQL expression, counts as since merges."""
    return f"(SELECT coalesce(merged_into, id) FROM classes WHERE id = {class_id})"


def plain_name(name: str) -> str:
    """A name as it is kept and compared: with single spaces, and letters with accents as one letter each."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def checked_name(name: object) -> str:
    """A class's name as ``plain_name`` writes it. Raises InputError for what is none."""
    clean = plain_name(name) if isinstance(name, str) else ""
    if not clean:
        raise InputError(f"A class name cannot be empty: type 1 to {LONGEST_NAME} characters.")
    if len(clean) > LONGEST_NAME:
        raise InputError(
            f"The class name {clean[:40]!r} ... of {len(clean):,} characters cannot be used: type 1 to {LONGEST_NAME} "
            "characters."
        )
    kinds = {letter: unicodedata.category(letter) for letter in clean if letter not in _JOINERS}
    if {"Cc", "Cf", "Cs"} & set(kinds.values()) or not any(kind[0] in "LNPS" for kind in kinds.values()):
        raise InputError(f"The class name {clean[:40]!a} contains invisible or broken characters; type it again.")
    return clean


def checked_key(key: object) -> str:
    """The key that answers a class, "" for none. Raises InputError for one that no class may have."""
    if key in ("", None):
        return ""
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise InputError(
            f"The key {str(key)[:20]!r} cannot be used: choose one lower-case letter (a to z) or one digit."
        )
    if key in RESERVED_KEYS:
        raise InputError(
            f"The key {key!r} is taken: the labelling page uses {', '.join(sorted(RESERVED_KEYS))} for its own "
            "commands; choose another letter or digit."
        )
    return key


def classes_in(cursor: duckdb.DuckDBPyConnection, *, include_retired: bool = False) -> list[ClassRecord]:
    """Classes by position as a transaction sees them; merged and retired ones only when asked."""
    rows = cursor.execute(
        f"SELECT {_COLUMNS} FROM classes WHERE ? OR (merged_into IS NULL AND retired_at IS NULL) ORDER BY position, id",
        [include_retired],
    ).fetchall()
    return [ClassRecord(*row) for row in rows]


def choose_key(name: str, taken: set[str]) -> str:
    """The key that answers a class: its own digit, else the first free letter or digit of its name, else none."""
    for letter in name.strip().lower():
        if letter.isascii() and letter.isalnum() and letter not in taken:
            return letter
    return ""


def _key_at(name: str, position: int, taken: set[str]) -> str:
    """The key of a class that is made at a place (from 0): its digit where it has one, else ``choose_key``."""
    digit = name if len(name) == 1 and name.isdigit() else str(position + 1)
    return digit if len(digit) == 1 and digit not in taken else choose_key(name, taken)


def _class_in(known: Sequence[ClassRecord], class_id: int) -> ClassRecord:
    record = next((record for record in known if record.id == class_id), None)
    if record is None:
        raise NotFound(f"There is no class {class_id} in this project; reload the page.")
    return record


def _is_in_use(record: ClassRecord) -> bool:
    return record.merged_into is None and record.retired_at is None


def _in_use_in(known: Sequence[ClassRecord], class_id: int) -> ClassRecord:
    record = _class_in(known, class_id)
    if record.merged_into is not None:
        target = _class_in(known, record.merged_into).name
        raise InputError(f"The class {record.name!r} was merged into {target!r}; reload the page and change that one.")
    if record.retired_at is not None:
        raise InputError(f"The class {record.name!r} is no longer in use; reload the page and choose another one.")
    return record


def _ways(merged_first: dict[int, int | None], class_id: int) -> list[int]:
    """The classes that a class was merged into, one after the other."""
    way: list[int] = []
    into = merged_first[class_id]
    while into is not None and into not in way:
        way.append(into)
        into = merged_first[into]
    return way


def _refuse_taken_name(name: str, others: Sequence[ClassRecord], own_id: int | None = None) -> None:
    """Names of classes that are out of use stay theirs: old rounds, and labels that come in again, are read by them."""
    same = [record for record in others if record.name == name]
    if any(record.retired_at is not None for record in same):
        raise InputError(f"The class {name!r} belongs to this project but is no longer in use; choose another name.")
    target = next((record.merged_into for record in same if record.merged_into not in (None, own_id)), None)
    if target is not None:
        raise InputError(f"The class {name!r} was merged into {_class_in(others, target).name!r}; choose another name.")


def _refuse_changed(now: ClassRecord, shown: ClassRecord, columns: Iterable[str]) -> None:
    """An edit is of what was on screen: refused where another tab has changed that meanwhile."""
    for column in columns:
        before, after = getattr(shown, column), getattr(now, column)
        if before != after:
            raise InputError(
                f"The {column} of the class {shown.name!r} was changed from {before!r} to {after!r} meanwhile, perhaps "
                "in another tab. Nothing was changed now: look at the classes as they are, and do it again."
            )


class Classes:
    """The table ``classes``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def standing(self, class_ids: Sequence[int]) -> list[int]:
        """What each of these classes counts as since merges."""
        target_of = {record.id: record.merged_into or record.id for record in self.all(include_retired=True)}
        return [target_of.get(class_id, class_id) for class_id in class_ids]

    def all(self, *, include_retired: bool = False) -> list[ClassRecord]:
        """Classes by position; merged and retired ones only when asked."""
        with self._db.reading() as cursor:
            return classes_in(cursor, include_retired=include_retired)

    def get(self, class_id: int) -> ClassRecord:
        """One class. Raises NotFound."""
        return _class_in(self.all(include_retired=True), class_id)

    def add(self, names: Sequence[str]) -> list[ClassRecord]:
        """Add classes by name, in order; a name that is in use already is returned, not added again.

        Up to nine or ten classes get the digit keys ("0" to "9" when the names are those digits, else "1" on), further
        ones a free letter of their name. Raises InputError, with nothing added, for a name that ``checked_name``
        refuses or that is of a class out of use.
        """
        cleaned = [checked_name(name) for name in names]
        with self._db.write() as cursor:
            known = classes_in(cursor, include_retired=True)
            by_name = {record.name: record for record in known if record.merged_into is None}
            taken = {record.key for record in known} | RESERVED_KEYS
            next_id = max((record.id for record in known), default=0) + 1
            n_added = 0
            for name in dict.fromkeys(cleaned):
                if name in by_name and by_name[name].retired_at is None:
                    continue
                _refuse_taken_name(name, known)
                position = len(known) + n_added
                key = _key_at(name, position, taken)
                taken.add(key)
                record = ClassRecord(next_id + n_added, name, key, PALETTE[position % len(PALETTE)], position)
                n_added += 1
                by_name[name] = record
                cursor.execute(
                    f"INSERT INTO classes ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, NULL, NULL)",
                    [record.id, record.name, record.key, record.colour, record.position],
                )
        return [by_name[name] for name in cleaned]

    def change(self, class_id: int, *, shown: ClassRecord | None = None, **values: Any) -> ClassRecord:
        """Change name, key, colour or position of a class.

        With ``shown``, the class as it was when somebody decided that, InputError too if what is to be changed has
        been changed since.

        Raises NotFound for an unknown class, InputError for a value that cannot be used and for a name or key that is
        taken.
        """
        unknown = set(values) - {"name", "key", "colour", "position"}
        if unknown:
            raise InputError(f"A class has no {', '.join(sorted(unknown))}; change its name, key, colour or position.")
        if "name" in values:
            values["name"] = checked_name(values["name"])
        if "key" in values:
            values["key"] = checked_key(values["key"])
        if "colour" in values and not _COLOUR.fullmatch(str(values["colour"])):
            raise InputError(
                f"The colour {str(values['colour'])[:20]!r} cannot be used: type it as #rrggbb, such as {PALETTE[0]}, "
                "or choose it with the colour picker."
            )
        if "position" in values:
            position = values["position"]
            if type(position) is not int or not 0 <= position <= LARGEST_POSITION:
                raise InputError(
                    f"The position {str(position)[:20]!r} cannot be used: give a whole number from 0 to "
                    f"{LARGEST_POSITION:,}."
                )
        with self._db.write() as cursor:
            known = classes_in(cursor, include_retired=True)
            now = _in_use_in(known, class_id)
            if shown is not None:
                _refuse_changed(now, shown, values)
            others = [record for record in known if record.id != class_id]
            in_use = [record for record in others if _is_in_use(record)]
            if "name" in values:
                if values["name"] in {record.name for record in in_use}:
                    raise InputError(f"There is already a class {values['name']!r}; merge the two classes instead.")
                _refuse_taken_name(values["name"], others, class_id)
            key = values.get("key")
            if key and key in {record.key for record in in_use}:
                raise InputError(f"The key {key!r} is taken; choose another letter or digit.")
            for column, value in values.items():
                cursor.execute(f"UPDATE classes SET {column} = ? WHERE id = ?", [value, class_id])
            return _class_in(classes_in(cursor, include_retired=True), class_id)

    def arrange(self, class_ids: Sequence[int], *, keep_looks: bool = False) -> None:
        """Put these classes in this order on the places that they have, keys and colours as ``add`` gives them.

        With ``keep_looks`` each keeps the key and the colour that it has: people know them by then.

        One that is out of use by now stays where it was. Raises NotFound for an unknown class, InputError for one that
        is named twice.
        """
        with self._db.write() as cursor:
            known = classes_in(cursor, include_retired=True)
            asked = [_class_in(known, class_id) for class_id in class_ids]
            if len({record.id for record in asked}) < len(asked):
                twice = next(record for record in asked if asked.count(record) > 1)
                raise InputError(f"The class {twice.name!r} is named twice in the new order; name each class once.")
            records = [record for record in asked if _is_in_use(record)]
            positions = sorted(record.position for record in records)
            if [record.position for record in records] == positions:
                return
            moving = {record.id for record in records}
            taken = {record.key for record in known if record.id not in moving} | RESERVED_KEYS
            for record, position in zip(records, positions, strict=True):
                if keep_looks:
                    cursor.execute("UPDATE classes SET position = ? WHERE id = ?", [position, record.id])
                    continue
                key = _key_at(record.name, position, taken)
                taken.add(key)
                cursor.execute(
                    "UPDATE classes SET position = ?, key = ?, colour = ? WHERE id = ?",
                    [position, key, PALETTE[position % len(PALETTE)], record.id],
                )

    def merge(self, class_id: int, into: int, *, shown: Sequence[ClassRecord] = ()) -> None:
        """From now on every answer of a class counts as one of another; nothing is rewritten.

        With ``shown``, both as they were when somebody decided that, InputError too if one has another name since.

        Raises NotFound for an unknown class, InputError for a class that is merged already or a target out of use: of
        two merges that come at once, one into the other and back, the second is refused.
        """
        with self._db.write() as cursor:
            known = classes_in(cursor, include_retired=True)
            source, target = _class_in(known, class_id), _class_in(known, into)
            if source.id == target.id:
                raise InputError(f"The class {source.name!r} cannot be merged into itself; choose another one.")
            for record in shown:
                _refuse_changed(_class_in(known, record.id), record, ("name",))
            if source.merged_into is not None:
                raise InputError(f"The class {source.name!r} is already merged into another one; reload the page.")
            if not _is_in_use(target):
                raise InputError(
                    f"The class {target.name!r} is merged or no longer in use itself; choose a class in use."
                )
            cursor.execute("UPDATE classes SET merged_first = ? WHERE id = ?", [into, class_id])
            cursor.execute(
                "UPDATE classes SET merged_into = ? WHERE id = ? OR merged_into = ?", [into, class_id, class_id]
            )

    def bring_back(self, class_id: int) -> ClassRecord:
        """Use a merged or retired class again: every label that was given as it counts as its own again.

        Classes that had been merged into it before it was merged itself come with it. Labels that were given as the
        class it was merged into stay there. Its key is kept where it is free still.

        Raises NotFound for an unknown class, InputError for one that is in use and where another has its name by now.
        """
        with self._db.write() as cursor:
            known = classes_in(cursor, include_retired=True)
            record = _class_in(known, class_id)
            if _is_in_use(record):
                raise InputError(f"The class {record.name!r} is in use already; reload the page.")
            in_use = [other for other in known if _is_in_use(other)]
            if record.name in {other.name for other in in_use}:
                raise InputError(
                    f"Another class is called {record.name!r} by now; give that one another name, then bring this one "
                    "back."
                )
            taken = {other.key for other in in_use} | RESERVED_KEYS
            key = choose_key(record.name, taken) if record.key in taken else record.key
            cursor.execute(
                "UPDATE classes SET merged_into = NULL, merged_first = NULL, retired_at = NULL, key = ? WHERE id = ?",
                [key, class_id],
            )
            first = dict(cursor.execute("SELECT id, merged_first FROM classes").fetchall())
            for other_id in first:
                if other_id != class_id and class_id in _ways(first, other_id):
                    cursor.execute("UPDATE classes SET merged_into = ? WHERE id = ?", [class_id, other_id])
            return _class_in(classes_in(cursor, include_retired=True), class_id)

    def retire(self, class_id: int) -> None:
        """Offer a class no longer; its labels stay on record and are trained on no more.

        Raises NotFound for an unknown class, InputError for one that is out of use already and for the last in use.
        """
        with self._db.write() as cursor:
            known = classes_in(cursor, include_retired=True)
            record = _in_use_in(known, class_id)
            if not any(_is_in_use(other) for other in known if other.id != class_id):
                raise InputError(
                    f"The class {record.name!r} is the last one in use and stays; add another class before, or give "
                    "this one another name."
                )
            cursor.execute("UPDATE classes SET retired_at = ? WHERE id = ?", [utc_now(), class_id])
