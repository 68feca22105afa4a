"""What travels between the labelling component and the routes: parsed strictly, written plainly.

An answer that cannot be read is refused as a whole with 400 and a message that names the field; an answer that can be
read but not stored (an unknown image, an id used twice) is refused for itself, by the store.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from tidal_core.access.people import Person
from tidal_core.errors import InputError
from tidal_core.labelling.desk import Asked, Counts
from tidal_core.labelling.naming import NameRule
from tidal_core.records import Answer, AnswerKind, AnswerMode, ClassRecord, Purpose, RoundProgress, RoundRecord, Shown
from tidal_core.store.acts import Act, ActKind
from tidal_core.store.where import LONGEST
from tidal_core.text import plain_colour

ANSWERS_AT_MOST = 1_000  # in one request
IMAGES_AT_MOST = 5_000  # ids in one request
ACT_AT_MOST = 200_000  # ids of one act
ROWS_AT_MOST = 5_000  # of a list, in one page
LONGEST_NOTE = 500
LARGEST_ID = 2**31 - 1
LONGEST_ANSWER_MS = 24 * 3600 * 1000

Id = Annotated[int, Meta(ge=0, le=LARGEST_ID)]
Ids = Annotated[list[Id], Meta(max_length=IMAGES_AT_MOST)]
Count = Id  # cut to what a handler gives at most
Text = Annotated[str, Meta(max_length=LONGEST_NOTE, description=f"a text of at most {LONGEST_NOTE} characters")]
Condition = Annotated[str, Meta(max_length=LONGEST, description=f"a condition of at most {LONGEST:,} characters")]
EventId = Annotated[
    str, Meta(pattern=r"\A[0-9a-zA-Z_-]{8,64}\Z", description="8 to 64 letters, digits, - or _")
]  # fmt: skip
Tab = Annotated[str, Meta(pattern=r"\A[0-9a-zA-Z_-]{1,64}\Z", description="1 to 64 letters, digits, - or _")]
Probability = Annotated[float, Meta(ge=0, le=1 + 1e-6, description="a probability from 0 to 1")]


ListName = Annotated[str, Meta(pattern=r"\A[0-9a-f]{24}\Z", description="the name of a list of images")]
ListNameIfAny = Annotated[str, Meta(pattern=r"\A([0-9a-f]{24})?\Z", description="the name of a list of images")]
Runs = Annotated[list[Id], Meta(max_length=2 * ACT_AT_MOST)]  # see ``store.listings.taken``
PlainNumber = Annotated[str, Meta(pattern=r"\A[0-9]{0,9}\Z", description="a number of at most 9 digits")]


class SentAnswer(Struct, frozen=True):
    """One answer as the component sends it."""

    id: EventId
    kind: Literal["label", "skip", "flag", "undo"]
    image: Id
    class_id: Id | None = field(default=None, name="class")
    undoes: EventId | None = None
    reason: Text | None = None
    note: Text | None = None
    annotator: Text | None = None
    mode: Literal["single", "sweep", "widgets"] | None = None
    suggestion: tuple[Id, Probability] | None = None
    shown: Shown | None = None
    ms: Annotated[int, Meta(ge=0, le=2**53)] | None = None  # from painted to answered
    round: Id | None = None
    purpose: Purpose | None = None


class AnswersBody(Struct, frozen=True):
    """``answers``: what was answered, by which tab, and which tab is being closed."""

    answers: Annotated[list[SentAnswer], Meta(max_length=ANSWERS_AT_MOST)]
    tab: Tab | None = None
    release: Tab | None = None


class QueueBody(Struct, frozen=True):
    """``open`` and ``queue``: images to label."""

    tab: Tab
    n: Count = 20
    held: Ids | None = None
    fresh: bool = False
    annotator: Text | None = None  # who answers: nobody is asked again what they have answered


class StatusBody(Struct, frozen=True):
    """``status``: a tab that is alive, the images it holds, and who answers."""

    tab: Tab | None = None
    held: Ids | None = None
    annotator: Text | None = None


class HistoryBody(Struct, frozen=True):
    """``history``: the last answers of a person."""

    before: Id | None = None
    annotator: Text | None = None
    limit: Count = 50


class NewClassBody(Struct, frozen=True):
    """``classes/add``: a class that is missing, by its name, and who misses it."""

    name: Text
    annotator: Text | None = None


class TabBody(Struct, frozen=True):
    """``release``: a tab that is being closed."""

    tab: Tab


class SweepBody(Struct, frozen=True):
    """``sweep``: a sheet of another class than ``after``, without some images."""

    tab: Tab
    n: Count = 24
    after: Id | None = None
    without: Ids | None = None


class BulkBody(Struct, frozen=True):
    """``bulk``: one act on many images, see ``server.bulk``."""

    act: ActKind
    ids: Annotated[list[Id], Meta(max_length=ACT_AT_MOST)] | None = None
    where: Condition | None = None
    listing: ListName | None = field(default=None, name="list")
    runs: Runs | None = None
    class_id: Id | None = field(default=None, name="class")
    reason: Text | None = None
    note: Text | None = None
    annotator: Text | None = None
    undo: Annotated[str, Meta(max_length=60)] | None = None
    seen: Annotated[int, Meta(ge=0, le=2**53)] | None = None
    key: Annotated[str, Meta(pattern=r"\A[0-9a-zA-Z]{8,24}\Z", description="8 to 24 letters or digits")] | None = None


class TableBody(Struct, frozen=True):
    """``collection/table``: the labels of these images, by their ids or by places in a list."""

    ids: Annotated[list[Id], Meta(max_length=ACT_AT_MOST)] | None = None
    listing: ListName | None = field(default=None, name="list")
    runs: Runs | None = None


class FollowBody(Struct, frozen=True):
    """``collection/follow``: places in a list that was shown, and the list that is shown now."""

    listing: ListName = field(name="list")
    runs: Runs
    to: ListName


class ThumbsBody(Struct, frozen=True):
    """``thumbs``: thumbnails of these images."""

    images: Ids | None = None


# --- what stands behind the "?" of an address: texts, as whatever they are to be read as


class NoQuery(Struct, frozen=True):
    """Nothing; other keys are ignored."""


class ImageQuery(Struct, frozen=True):
    """``image``: which content of it, so that it may be cached for ever, and how large."""

    v: str = ""
    size: Literal["256", "512", "1024", "2048", "4096"] = "1024"  # pixels of its longest side, at most


class CollectionQuery(Struct, frozen=True):
    """``collection`` and ``collection/counts``: which images, in which order; or the list that they were shown in.

    Of the list the rows ``from`` on, so many (at most ``ROWS_AT_MOST``) or all; and where in it an image is.
    """

    where: Condition = ""
    sort: str = "id"
    descending: Literal["", "0", "1"] = ""
    listing: ListNameIfAny = field(default="", name="list")
    start: PlainNumber = field(default="", name="from")
    rows: PlainNumber = ""
    image: PlainNumber = ""


class ExportQuery(Struct, frozen=True):
    """``owner/export``: an exporter's name, what it is to write, of which round (none: the newest), of which images.

    ``with_model`` and ``plain`` as the options of these names.
    """

    format: str
    what: Literal["labels", "history", "predictions", "curves"] = "labels"
    round: Annotated[str, Meta(pattern=r"\A[0-9]{0,9}\Z", description="the number of a round")] = ""
    where: Condition = ""
    with_model: Literal["", "yes"] = ""
    plain: Literal["", "yes"] = ""


class ClassQuery(Struct, frozen=True):
    """``about-class``: the class that is asked about."""

    id: Annotated[str, Meta(pattern=r"\A[0-9]{1,9}\Z", description="the number of a class")]


class StatusQuery(Struct, frozen=True):
    """``owner/status``: a condition whose images are counted, too."""

    where: Condition = ""


# --- what is read of it


def act_of(body: BulkBody, person: Person) -> Act:
    """The act that a person asks for. Raises InputError."""
    if body.act is ActKind.LABEL and body.class_id is None:
        raise InputError("A label needs a class.")
    if (body.act is ActKind.UNDO) != (body.undo is not None):
        raise InputError("An undo needs the id of the act that it takes back, as undo; no other act has one.")
    act = Act(
        body.act,
        class_id=body.class_id,
        reason=body.reason,
        note=body.note,
        annotator=person.answers_as(body.annotator),
        seen=body.seen,
        undoes=body.undo,
    )
    return act if body.key is None else replace(act, key=body.key)


def answers_of(body: AnswersBody, person: Person) -> list[Answer]:
    """The answers that a person sends. Raises InputError."""
    return [_answer(sent, person) for sent in body.answers]


def _answer(sent: SentAnswer, person: Person) -> Answer:
    kind = AnswerKind(sent.kind)
    if kind is AnswerKind.LABEL and sent.class_id is None:
        raise InputError("A label needs a class.")
    if kind is AnswerKind.UNDO and sent.undoes is None:
        raise InputError("An undo needs the id of the answer that it takes back, as undoes.")
    return Answer(
        event_id=sent.id,
        kind=kind,
        image_id=sent.image,
        class_id=sent.class_id if kind is AnswerKind.LABEL else None,
        undoes=sent.undoes if kind is AnswerKind.UNDO else None,
        reason=sent.reason,
        note=sent.note,
        annotator=person.answers_as(sent.annotator),
        mode=AnswerMode(sent.mode or AnswerMode.SINGLE),
        suggestion_class=None if sent.suggestion is None else sent.suggestion[0],
        suggestion_p=None if sent.suggestion is None else min(sent.suggestion[1], 1.0),
        suggestion_shown=sent.shown or Shown.NEVER,
        milliseconds=None if sent.ms is None else min(sent.ms, LONGEST_ANSWER_MS),
        round_id=sent.round,
        purpose=sent.purpose or Purpose.QUERY,
    )


# --- what the component is sent


def version_of(sha256: str) -> str:
    """A part of the address of an image that changes with its content, so that it may be cached for ever."""
    return sha256[:16]


def write_item(asked: Asked, names: NameRule) -> dict[str, Any]:
    """One image to label; "name" is what of its name is shown, perhaps nothing."""
    image = asked.image
    return {
        "image": image.id,
        "version": version_of(image.sha256),
        "name": names.of(image.name),
        "width": image.width,
        "height": image.height,
        "purpose": asked.purpose.value,
        "round": asked.round_id,
        "suggestion": None if asked.guess is None else [asked.guess[0], round(asked.guess[1], 4)],
        "prior": None,
    }


def write_classes(classes: list[ClassRecord]) -> list[dict[str, Any]]:
    """The classes in use."""
    return [{"id": c.id, "name": c.name, "key": c.key, "colour": plain_colour(c.colour)} for c in classes]


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
        "left": counts.left,
        "new_labels": counts.new_labels,
        "next_round": counts.next_round,
        "without_label": list(counts.without_label),
        "blocked": counts.why_not,
        "classes_version": counts.classes_version,
    }
