"""What travels between the labelling component and the routes: parsed strictly, written plainly.

An answer that cannot be read is refused as a whole with 400 and a message that names the field; an answer that can be
read but not stored (an unknown image, an id used twice) is refused for itself, by the store.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from tidal_core.errors import InputError
from tidal_core.labelling.desk import Asked, Counts
from tidal_core.records import Answer, AnswerKind, AnswerMode, ClassRecord, Purpose, RoundProgress, RoundRecord, Shown

ANSWERS_AT_MOST = 1_000  # in one request
IMAGES_AT_MOST = 5_000  # ids in one request
LONGEST_NOTE = 500
LARGEST_ID = 2**31 - 1
LONGEST_ANSWER_MS = 24 * 3600 * 1000

_EVENT_ID = re.compile(r"[0-9a-zA-Z_-]{8,64}")
_TAB = re.compile(r"[0-9a-zA-Z_-]{1,64}")
_KINDS = {str(kind): kind for kind in AnswerKind if kind is not AnswerKind.MODEL}
_MODES = {str(mode): mode for mode in (AnswerMode.SINGLE, AnswerMode.SWEEP, AnswerMode.WIDGETS)}
T = TypeVar("T")


def _choice(body: dict[str, Any], name: str, known: dict[str, T], default: T | None = None) -> T:
    value = body.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str) or value not in known:
        raise InputError(f"{name} is {str(value)[:40]!r}; it must be one of {', '.join(known)}.")
    return known[value]


def _whole(value: Any, name: str, largest: int = LARGEST_ID) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= largest:
        raise InputError(f"{name} is {str(value)[:40]!r}; it must be a whole number from 0 to {largest}.")
    return value


def _optional(body: dict[str, Any], name: str, read: Callable[[Any, str], T]) -> T | None:
    value = body.get(name)
    return None if value is None else read(value, name)


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_NOTE:
        raise InputError(f"{name} must be a text of at most {LONGEST_NOTE} characters.")
    return value


def _id(value: Any, name: str) -> str:
    if not isinstance(value, str) or not _EVENT_ID.fullmatch(value):
        raise InputError(f"{name} is {str(value)[:70]!r}; it must be 8 to 64 letters, digits, - or _.")
    return value


def tab_of(body: dict[str, Any]) -> str:
    """Which tab asks. Raises InputError."""
    value = body.get("tab")
    if not isinstance(value, str) or not _TAB.fullmatch(value):
        raise InputError("tab is missing; it must be 1 to 64 letters, digits, - or _.")
    return value


def number_of(body: dict[str, Any], name: str, *, largest: int, default: int | None = None) -> int:
    """A count in a request. Raises InputError."""
    value = body.get(name, default)
    return min(_whole(value, name), largest)


def ids_of(body: dict[str, Any], name: str) -> list[int]:
    """Image ids in a request; none when the field is missing. Raises InputError."""
    values = body.get(name) or []
    if not isinstance(values, list) or len(values) > IMAGES_AT_MOST:
        raise InputError(f"{name} must be a list of at most {IMAGES_AT_MOST} image ids.")
    return [_whole(value, name) for value in values]


def optional_id(body: dict[str, Any], name: str) -> int | None:
    """An id that may be left out. Raises InputError."""
    return _optional(body, name, _whole)


def read_answers(body: dict[str, Any]) -> list[Answer]:
    """The answers of a request. Raises InputError naming the first field that cannot be read."""
    values = body.get("answers")
    if not isinstance(values, list) or len(values) > ANSWERS_AT_MOST:
        raise InputError(f"answers must be a list of at most {ANSWERS_AT_MOST}.")
    return [read_answer(value) for value in values]


def read_answer(body: Any) -> Answer:
    """One answer as the component sends it. Raises InputError."""
    if not isinstance(body, dict):
        raise InputError("An answer must be an object with id, kind and image.")
    kind = _choice(body, "kind", _KINDS)
    guess = body.get("suggestion")
    if guess is not None and (not isinstance(guess, list) or len(guess) != 2 or isinstance(guess[1], bool)):
        raise InputError("suggestion must be a class id and a probability.")
    if guess is not None and not (isinstance(guess[1], (int, float)) and 0 <= guess[1] <= 1 + 1e-6):
        raise InputError("the probability of a suggestion must lie from 0 to 1.")
    class_id = _optional(body, "class", _whole)
    undoes = _optional(body, "undoes", _id)
    if kind is AnswerKind.LABEL and class_id is None:
        raise InputError("A label needs a class.")
    if kind is AnswerKind.UNDO and undoes is None:
        raise InputError("An undo needs the id of the answer that it takes back, as undoes.")
    return Answer(
        event_id=_id(body.get("id"), "id"),
        kind=kind,
        image_id=_whole(body.get("image"), "image"),
        class_id=class_id if kind is AnswerKind.LABEL else None,
        undoes=undoes if kind is AnswerKind.UNDO else None,
        reason=_optional(body, "reason", _text),
        note=_optional(body, "note", _text),
        annotator=_text(body.get("annotator") or "me", "annotator")[:60],
        mode=_choice(body, "mode", _MODES, AnswerMode.SINGLE),
        suggestion_class=None if guess is None else _whole(guess[0], "suggestion"),
        suggestion_p=None if guess is None else min(float(guess[1]), 1.0),
        suggestion_shown=_choice(body, "shown", {str(s): s for s in Shown}, Shown.NEVER),
        milliseconds=_optional(body, "ms", lambda v, n: min(_whole(v, n, 2**53), LONGEST_ANSWER_MS)),
        round_id=_optional(body, "round", _whole),
        purpose=_choice(body, "purpose", {str(p): p for p in Purpose}, Purpose.QUERY),
    )


# --- what the component is sent


def version_of(sha256: str) -> str:
    """A part of the address of an image that changes with its content, so that it may be cached for ever."""
    return sha256[:16]


def write_item(asked: Asked) -> dict[str, Any]:
    """One image to label."""
    image = asked.image
    return {
        "image": image.id,
        "version": version_of(image.sha256),
        "name": image.name,
        "width": image.width,
        "height": image.height,
        "purpose": asked.purpose.value,
        "round": asked.round_id,
        "suggestion": None if asked.guess is None else [asked.guess[0], round(asked.guess[1], 4)],
        "prior": None,
    }


def write_classes(classes: list[ClassRecord]) -> list[dict[str, Any]]:
    """The classes in use."""
    return [{"id": c.id, "name": c.name, "key": c.key, "colour": c.colour} for c in classes]


def write_round(record: RoundRecord | None, progress: RoundProgress | None) -> dict[str, Any] | None:
    """The round under way, or None."""
    if record is None:
        return None
    training = progress.training if progress is not None else None
    return {
        "id": record.id,
        "state": record.state.value,
        "epoch": training.epoch if training else None,
        "epochs": training.epochs if training else None,
        "seconds_left": round(max(training.seconds_left, 0.0), 1) if training else None,
    }


def write_counts(counts: Counts) -> dict[str, Any]:
    """Where the labelling stands."""
    return {
        "seq": counts.seq,
        "images": counts.images,
        "labelled": counts.labelled,
        "new_labels": counts.new_labels,
        "next_round": counts.next_round,
        "without_label": list(counts.without_label),
        "blocked": counts.why_not,
        "classes_version": counts.classes_version,
    }
