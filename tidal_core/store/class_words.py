"""Changes of the classes in words: for the history, for refusals, and beside rounds that are older than a change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tidal_core.records import ClassEvent, ClassEventKind, ClassRecord
from tidal_core.store.class_events import is_new

_FEW = 4  # classes or differences that a sentence names one by one


def listed(names: Sequence[str], one: str, many: str) -> str:
    """Some names in quotes; of more than a few how many others there are."""
    shown = ", ".join(repr(name) for name in names[:_FEW])
    more = f" and {len(names) - _FEW:,} more" if len(names) > _FEW else ""
    return f"{one if len(names) == 1 else many} {shown}{more}"


def event_in_words(event: ClassEvent, names: Mapping[int, str], events: Iterable[ClassEvent] = ()) -> str:
    """What an event did, as a sentence without its end; ``names`` are those of now, ``events`` name what was undone."""

    def was(class_id: int) -> str:
        """The name that a class had before the event."""
        before = event.changes.get(class_id, {}).get("name", (None, None))
        return before[0] or before[1] or names.get(class_id, str(class_id))

    match event.kind:
        case ClassEventKind.START:
            return "The history of the classes begins; what was changed earlier is not known"
        case ClassEventKind.ADD:
            return f"Added {listed([was(class_id) for class_id in event.changes], 'the class', 'the classes')}"
        case ClassEventKind.MERGE:
            merged = next((c for c, changed in event.changes.items() if "merged_first" in changed), 0)
            into = event.changes[merged]["merged_first"][1]
            return f"Merged {was(merged)!r} into {names.get(into, str(into))!r}"
        case ClassEventKind.RETIRE:
            return f"Retired {listed([was(class_id) for class_id in event.changes], 'the class', 'the classes')}"
        case ClassEventKind.BRING_BACK:
            back = [c for c, changed in event.changes.items() if {"merged_first", "retired_at"} & changed.keys()]
            return f"Brought back {listed([was(class_id) for class_id in back], 'the class', 'the classes')}"
        case ClassEventKind.ARRANGE:
            return f"Put {len(event.changes):,} classes in another place"
        case ClassEventKind.SPLIT:
            images = int(event.details.get("images", 0))
            name = names.get(int(event.details.get("class", 0)), "a class")
            return f"Sent {images:,} image{'' if images == 1 else 's'} of {name!r} to be asked again"
        case ClassEventKind.LIST:
            added = sum(is_new(changed) for changed in event.changes.values())
            return f"Took in a list of classes: {added:,} added, {len(event.changes) - added:,} changed"
        case ClassEventKind.UNDO:
            undone = next((other for other in events if other.seq == event.undoes), None)
            what = f"change {event.undoes}" if undone is None else f"“{event_in_words(undone, names, events)}”"
            return f"Undid {what}"
    return "; ".join(_change_in_words(was(class_id), changed) for class_id, changed in event.changes.items())


def _change_in_words(name: str, changed: Mapping[str, tuple[Any, Any]]) -> str:
    words = []
    for field, (before, after) in changed.items():
        match field:
            case "name":
                words.append(f"renamed it {after!r}")
            case "key":
                words.append(f"gave it the key {after!r}" if after else "took away its key")
            case "colour":
                words.append(f"changed its colour from {before} to {after}")
            case "description":
                words.append("described it" if after else "took away its description")
            case "examples":
                words.append(f"chose {len(after):,} example images" if after else "took away its example images")
            case "position":
                words.append("moved it")
            case _:
                words.append(f"changed its {field.replace('_', ' ')}")
    return f"{name!r}: {', '.join(words)}"


def differs_in_words(
    round_id: int, class_ids: Sequence[int], then: Mapping[int, ClassRecord], now: Mapping[int, ClassRecord],
    *, is_known: bool = True,
) -> str:  # fmt: skip
    """What a person who reads a round with the classes of then must know of now; "" where nothing differs.

    ``class_ids`` are the round's, in its order. Not ``is_known``: the round is older than the history of the classes,
    so that they are shown as when that began.
    """
    found: list[str] = []
    colours = 0
    for class_id in class_ids:
        old, new = then.get(class_id), now.get(class_id)
        if old is None or new is None:
            continue
        if new.merged_into is not None and old.merged_into is None:
            found.append(f"{old.name!r} counts as {now[new.merged_into].name!r} now")
        elif new.retired_at is not None and old.retired_at is None:
            found.append(f"{old.name!r} is no longer in use")
        elif new.name != old.name:
            found.append(f"{old.name!r} is {new.name!r} now")
        if new.colour != old.colour:
            colours += 1
    in_use = [record for record in now.values() if record.is_in_use]
    since = [record for record in in_use if record.id not in set(class_ids)]
    if since:
        names = listed([record.name for record in since], "", "").strip()
        found.append(f"{names} {'has' if len(since) == 1 else 'have'} come since")
    if colours:
        found.append(
            "one class has another colour now" if colours == 1 else f"{colours:,} classes have other colours now"
        )
    order = [record.id for record in sorted(in_use, key=lambda r: (r.position, r.id)) if record.id in set(class_ids)]
    if order != [class_id for class_id in class_ids if class_id in set(order)]:
        found.append("their order is another one now")
    if not found:
        return ""
    more = f"; and {len(found) - 2 * _FEW:,} more" if len(found) > 2 * _FEW else ""
    start = f"Classes are named as in round {round_id}"
    if not is_known:
        start += ", as far as is known (it is older than the history of the classes)"
    return f"{start}: {'; '.join(found[: 2 * _FEW])}{more}."
