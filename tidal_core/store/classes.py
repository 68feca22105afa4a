"""Classes of a project. Ids never change: renaming, merging and retiring keep every old round readable.

An answer keeps the id of the class that was pressed and follows ``merged_into``: so a merge rewrites nothing, and can
be undone. Every change is an event with its author, see ``class_events``.

An import, the Project page and labelling pages may add, rename and merge at the same time, so each change reads, checks
and writes in one transaction under the write lock. What may be a name or a key is checked in ``class_rules``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tidal_core.errors import InputError, NotFound
from tidal_core.records import ClassEvent, ClassEventKind, ClassRecord, RoundRecord
from tidal_core.store import class_rules as rules
from tidal_core.store.class_events import as_they_were, classes_in, events_in, is_new, record_change
from tidal_core.store.class_rules import PALETTE, RESERVED_KEYS, choose_key, colour_at, key_at
from tidal_core.store.class_words import differs_in_words, event_in_words
from tidal_core.store.columns import utc_now
from tidal_core.store.database import Database

ME = "me"  # whoever works alone
CHECKS: dict[str, Callable[[object], Any]] = {
    "name": rules.checked_name,
    "key": rules.checked_key,
    "colour": rules.checked_colour,
    "position": rules.checked_position,
    "description": rules.checked_description,
    "examples": rules.checked_examples,
}
"""What of a class can be changed, and how it is checked."""


def standing_class(class_id: str) -> str:
    """SQL for the class that ``class_id``, an SQL expression, counts as since merges."""
    return f"(SELECT coalesce(merged_into, id) FROM classes WHERE id = {class_id})"


def _class_in(known: Sequence[ClassRecord], class_id: int) -> ClassRecord:
    record = next((record for record in known if record.id == class_id), None)
    if record is None:
        raise NotFound(f"There is no class {class_id} in this project; reload the page.")
    return record


def _in_use_in(known: Sequence[ClassRecord], class_id: int) -> ClassRecord:
    record = _class_in(known, class_id)
    if record.merged_into is not None:
        target = _class_in(known, record.merged_into).name
        raise InputError(f"The class {record.name!r} was merged into {target!r}; reload the page and change that one.")
    if record.retired_at is not None:
        raise InputError(f"The class {record.name!r} is no longer in use; reload the page and choose another one.")
    return record


def _with(known: Sequence[ClassRecord], changed: Iterable[ClassRecord]) -> list[ClassRecord]:
    """The classes with some of them as they are to be."""
    by_id = {record.id: record for record in changed}
    return [by_id.get(record.id, record) for record in known]


def _ways(merged_first: Mapping[int, int | None], class_id: int) -> list[int]:
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
        raise InputError(
            f"The class {name!r} belongs to this project but is no longer in use; choose another name, or bring that "
            "class back on the Project page."
        )
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


def _refuse_last(known: Sequence[ClassRecord], record: ClassRecord) -> None:
    if not any(other.is_in_use for other in known if other.id != record.id):
        raise InputError(
            f"The class {record.name!r} is the last one in use and stays; add another class before, or give "
            "this one another name."
        )


def added(known: Sequence[ClassRecord], names: Sequence[str]) -> list[ClassRecord]:
    """New classes of these names, which ``checked_name`` wrote, after those that are known; each once.

    Raises InputError for a name of a class out of use.
    """
    in_use = {record.name for record in known if record.is_in_use}
    out_of_use = {record.name for record in known if not record.is_in_use}
    taken = {record.key for record in known} | RESERVED_KEYS
    colours = {record.colour for record in known if record.is_in_use}
    next_id, new = max((record.id for record in known), default=0) + 1, list[ClassRecord]()
    for name in dict.fromkeys(names):
        if name in in_use:
            continue
        if name in out_of_use:
            _refuse_taken_name(name, known)
        position = len(known) + len(new)
        key = key_at(name, position, taken)
        taken.add(key)
        colour = colour_at(position, colours)
        colours.add(colour)
        new.append(ClassRecord(next_id + len(new), name, key, colour, position))
    return new


def refuse_clash(before: Sequence[ClassRecord], after: Sequence[ClassRecord]) -> None:
    """Raises InputError where two classes in use would have one name or key, or a name is of one out of use, or a class
    would be merged into one out of use, or none would be in use.

    For changes that come as a whole: an undo, a list out of a file.
    """
    in_use = [record for record in after if record.is_in_use]
    if after and not in_use:
        raise InputError("No class would be in use then; add another class before.")
    names, keys = [record.name for record in in_use], [record.key for record in in_use if record.key]
    for what, values in (("called", names), ("answered by the key", keys)):
        twice = next((value for value, n in Counter(values).items() if n > 1), None)
        if twice is not None:
            raise InputError(
                f"Two classes would be {what} {twice!r} then; give the one in use another "
                f"{'name' if what == 'called' else 'key'} before."
            )
    former = {record.id: record for record in before}
    out_of_use = {record.name for record in after if not record.is_in_use}
    ids = {record.id for record in in_use}
    for record in after:
        old = former.get(record.id)
        if record.is_in_use and record.name in out_of_use and (old is None or old.name != record.name):
            _refuse_taken_name(record.name, [other for other in after if other.id != record.id], record.id)
        if record.merged_into not in (None, old and old.merged_into) and record.merged_into not in ids:
            target = _class_in(after, record.merged_into or 0)
            raise InputError(
                f"{record.name!r} would be merged into {target.name!r} then, which is not in use; bring that one back "
                "before."
            )


def _with_free_key(record: ClassRecord, others: Sequence[ClassRecord]) -> ClassRecord:
    """A class that comes back with its key where that is free still, else with another one."""
    taken = {other.key for other in others if other.is_in_use and other.id != record.id} | RESERVED_KEYS
    return replace(record, key=choose_key(record.name, taken)) if record.key in taken else record


class Classes:
    """The tables ``classes`` and ``class_events``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    # --- what they are, and were

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

    def history(self) -> list[ClassEvent]:
        """Every change, oldest first."""
        with self._db.reading() as cursor:
            return events_in(cursor)

    def then_and_now(self, record: RoundRecord) -> tuple[dict[int, ClassRecord], dict[int, ClassRecord]]:
        """All classes as they were when a round claimed its labels, and as they are, of one moment; by id.

        Of a round that is older than the history of the classes (its ``class_seq`` is 0) as when that began.
        """
        with self._db.moment() as cursor:
            now = classes_in(cursor, include_retired=True)
            then = as_they_were(now, events_in(cursor, after=max(record.class_seq, 1)))
        return {each.id: each for each in then}, {each.id: each for each in now}

    def names_told(self, record: RoundRecord) -> str:
        """What somebody who reads a round with its own names must know of the classes of now; "" for nothing."""
        then, now = self.then_and_now(record)
        return differs_in_words(record.id, record.class_ids, then, now, is_known=record.class_seq > 0)

    # --- changes

    def add(self, names: Sequence[str], *, author: str = ME) -> list[ClassRecord]:
        """Add classes by name, in order; a name that is in use already is returned, not added again.

        Up to nine or ten classes get the digit keys ("0" to "9" when the names are those digits, else "1" on), further
        ones a free letter of their name. Raises InputError, with nothing added, for a name that ``checked_name``
        refuses or that is of a class out of use.
        """
        cleaned = [rules.checked_name(name) for name in names]
        with self._db.write() as cursor:
            known = classes_in(cursor, include_retired=True)
            new = added(known, cleaned)
            record_change(cursor, ClassEventKind.ADD, known, [*known, *new], author)
        by_name = {record.name: record for record in [*known, *new] if record.is_in_use}
        return [by_name[name] for name in cleaned]

    def change(
        self, class_id: int, *, shown: ClassRecord | None = None, author: str = ME, **values: Any
    ) -> ClassRecord:
        """Change name, key, colour, position, description or examples of a class.

        With ``shown``, the class as it was when somebody decided that, InputError too if what is to be changed has
        been changed since.

        Raises NotFound for an unknown class, InputError for a value that cannot be used and for a name or key that is
        taken.
        """
        unknown = set(values) - set(CHECKS)
        if unknown:
            raise InputError(f"A class has no {', '.join(sorted(unknown))}; change its {', '.join(CHECKS)}.")
        values = {name: CHECKS[name](value) for name, value in values.items()}
        with self._db.write() as cursor:
            known = classes_in(cursor, include_retired=True)
            now = _in_use_in(known, class_id)
            if shown is not None:
                _refuse_changed(now, shown, values)
            others = [record for record in known if record.id != class_id]
            in_use = [record for record in others if record.is_in_use]
            if "name" in values:
                if values["name"] in {record.name for record in in_use}:
                    raise InputError(f"There is already a class {values['name']!r}; merge the two classes instead.")
                _refuse_taken_name(values["name"], others, class_id)
            key = values.get("key")
            if key and key in {record.key for record in in_use}:
                raise InputError(f"The key {key!r} is taken; choose another letter or digit.")
            changed = replace(now, **values)
            record_change(cursor, ClassEventKind.CHANGE, known, _with(known, [changed]), author)
            return changed

    def arrange(self, class_ids: Sequence[int], *, keep_looks: bool = False, author: str = ME) -> None:
        """Put these classes in this order on the places that they have, keys and colours as ``add`` gives them.

        With ``keep_looks`` each keeps the key and the colour that it has: people know them by then.

        One that is out of use by now stays where it was. Raises NotFound for an unknown class, InputError for one that
        is named twice.
        """
        with self._db.write() as cursor:
            known = classes_in(cursor, include_retired=True)
            by_id = {record.id: record for record in known}
            asked = [by_id.get(class_id) or _class_in(known, class_id) for class_id in class_ids]
            if len({record.id for record in asked}) < len(asked):
                twice = next(record for record in asked if asked.count(record) > 1)
                raise InputError(f"The class {twice.name!r} is named twice in the new order; name each class once.")
            records = [record for record in asked if record.is_in_use]
            positions = sorted(record.position for record in records)
            if [record.position for record in records] == positions:
                return
            moving = {record.id for record in records}
            taken = {record.key for record in known if record.id not in moving} | RESERVED_KEYS
            moved = []
            for record, position in zip(records, positions, strict=True):
                if keep_looks:
                    moved.append(replace(record, position=position))
                    continue
                key = key_at(record.name, position, taken)
                taken.add(key)
                moved.append(replace(record, position=position, key=key, colour=PALETTE[position % len(PALETTE)]))
            record_change(cursor, ClassEventKind.ARRANGE, known, _with(known, moved), author)

    def merge(self, class_id: int, into: int, *, shown: Sequence[ClassRecord] = (), author: str = ME) -> None:
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
            if not target.is_in_use:
                raise InputError(
                    f"The class {target.name!r} is merged or no longer in use itself; choose a class in use."
                )
            merged = [replace(record, merged_into=into) for record in known if record.merged_into == class_id]
            merged.append(replace(source, merged_into=into, merged_first=into))
            record_change(cursor, ClassEventKind.MERGE, known, _with(known, merged), author)

    def bring_back(self, class_id: int, *, author: str = ME) -> ClassRecord:
        """Use a merged or retired class again: every label that was given as it counts as its own again.

        Classes that had been merged into it before it was merged itself come with it. Labels that were given as the
        class it was merged into stay there. Its key is kept where it is free still.

        Raises NotFound for an unknown class, InputError for one that is in use and where another has its name by now.
        """
        with self._db.write() as cursor:
            known = classes_in(cursor, include_retired=True)
            record = _class_in(known, class_id)
            if record.is_in_use:
                raise InputError(f"The class {record.name!r} is in use already; reload the page.")
            if record.name in {other.name for other in known if other.is_in_use}:
                raise InputError(
                    f"Another class is called {record.name!r} by now; give that one another name, then bring this one "
                    "back."
                )
            back = _with_free_key(replace(record, merged_into=None, merged_first=None, retired_at=None), known)
            first = {other.id: other.merged_first for other in _with(known, [back])}
            with_it = [
                replace(other, merged_into=class_id)
                for other in known
                if other.id != class_id and class_id in _ways(first, other.id)
            ]
            record_change(cursor, ClassEventKind.BRING_BACK, known, _with(known, [back, *with_it]), author)
            return back

    def retire(self, class_id: int, *, author: str = ME) -> None:
        """Offer a class no longer; its labels stay on record and are trained on no more.

        Raises NotFound for an unknown class, InputError for one that is out of use already and for the last in use.
        """
        with self._db.write() as cursor:
            known = classes_in(cursor, include_retired=True)
            record = _in_use_in(known, class_id)
            _refuse_last(known, record)
            retired = replace(record, retired_at=utc_now())
            record_change(cursor, ClassEventKind.RETIRE, known, _with(known, [retired]), author)

    def take_list(
        self, wanted: Callable[[Sequence[ClassRecord]], Sequence[ClassRecord]], *, author: str = ME, source: str = ""
    ) -> list[ClassRecord]:
        """Make the classes what ``wanted`` says of those that are known, as one change; the classes in use then.

        ``wanted`` gets all classes and returns all of them; it checks names and the like. Raises InputError where two
        in use would have one name or key.
        """
        with self._db.write() as cursor:
            known = classes_in(cursor, include_retired=True)
            after = list(wanted(known))
            refuse_clash(known, after)
            record_change(
                cursor, ClassEventKind.LIST, known, after, author, details={"source": source} if source else {}
            )
        return [record for record in after if record.is_in_use]

    def note_split(self, class_id: int, images: int, acts: Sequence[str], *, author: str = ME) -> int:
        """Note that images of a class are asked again by these acts; the event's number. No class is changed."""
        with self._db.write() as cursor:
            known = classes_in(cursor, include_retired=True)
            _in_use_in(known, class_id)
            details = {"class": class_id, "images": images, "acts": list(acts)}
            seq = record_change(cursor, ClassEventKind.SPLIT, known, known, author, details=details)
        return seq or 0

    # --- the way back

    def undo(self, seq: int, *, author: str = ME) -> ClassEvent:
        """Take one change back, the newest or an older one; the event that was undone. An undo can be undone, too.

        A class that was added goes out of use, because its answers and rounds stay. Of a split only the note is taken
        back here, see ``labelling.splitting``. Raises NotFound for an unknown change, and InputError, which names it,
        where a later change stands in the way.
        """
        with self._db.write() as cursor:
            known = classes_in(cursor, include_retired=True)
            events = events_in(cursor)
            event = next((event for event in events if event.seq == seq), None)
            if event is None:
                raise NotFound(f"There is no change {seq} of the classes in this project; reload the page.")
            if event.kind is ClassEventKind.START:
                raise InputError("That is where the history of the classes begins; there is nothing to undo.")
            if not event.stands:
                raise InputError("That change was undone already; reload the page.")
            after = _undone(known, event, events)
            refuse_clash(known, after)
            record_change(cursor, ClassEventKind.UNDO, known, after, author, undoes=seq)
        return event


def _undone(known: Sequence[ClassRecord], event: ClassEvent, events: Sequence[ClassEvent]) -> list[ClassRecord]:
    """The classes without one change. Raises InputError where a later one stands in the way."""
    names = {record.id: record.name for record in known}
    by_id = {record.id: record for record in known}

    def refuse(class_id: int, columns: Iterable[str]) -> None:
        wanted = set(columns)
        later = [
            other
            for other in events
            if other.seq > event.seq and other.stands and wanted & set(other.changes.get(class_id, {}))
        ]
        what = event_in_words(later[-1], names, events) if later else "A later change"
        raise InputError(f"“{what}” came later and stands in the way: undo that one first. Nothing was changed now.")

    changed = []
    for class_id, pairs in event.changes.items():
        record = by_id[class_id]
        if is_new(pairs):
            if not record.is_in_use:
                refuse(class_id, ("merged_into", "retired_at"))
            joined = [other.id for other in known if other.merged_into == class_id]
            if joined:
                refuse(joined[-1], ("merged_into",))
            changed.append(replace(record, retired_at=utc_now()))
            continue
        differs = [name for name, pair in pairs.items() if getattr(record, name) != pair[1]]
        if differs:
            refuse(class_id, differs)
        before = replace(record, **{name: pair[0] for name, pair in pairs.items()})
        changed.append(before)
    after = _with(known, changed)
    came_back = {record.id for record in changed if record.is_in_use and not by_id[record.id].is_in_use}
    for record in changed:
        if record.id in came_back:
            after = _with(after, [_with_free_key(record, after)])
    return after
