"""The frozen records and enums that travel between modules. numpy at most."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Float32: TypeAlias = NDArray[np.float32]
Float64: TypeAlias = NDArray[np.float64]
Floats: TypeAlias = NDArray[np.floating[Any]]  # of either precision
Int64: TypeAlias = NDArray[np.int64]
UInt8: TypeAlias = NDArray[np.uint8]
Bools: TypeAlias = NDArray[np.bool_]

Progress: TypeAlias = Callable[[int, int], None]  # called with what is done and all there is to do: bytes, images


class Split(StrEnum):
    """What an image is for."""

    POOL = "pool"
    TEST = "test"


class ImageStatus(StrEnum):
    """Whether an image can be shown and trained on."""

    READY = "ready"
    HIDDEN = "hidden"  # kept out of the queue: a near-duplicate; its label counts like any other
    EXCLUDED = "excluded"  # by a person: neither asked, trained on, measured nor exported


class AnswerKind(StrEnum):
    """What a person (or, later, a model) said about an image."""

    LABEL = "label"
    SKIP = "skip"
    FLAG = "flag"
    UNDO = "undo"
    MODEL = "model"
    QUEUE = "queue"  # of an act on many images: asked next; ``reason`` has its place before, as JSON
    EXCLUDE = "exclude"  # of an act on many images; ``reason`` has the image's status before
    INCLUDE = "include"  # of an act on many images: no longer excluded


class AnswerMode(StrEnum):
    """How an answer was given."""

    SINGLE = "single"
    SWEEP = "sweep"
    WIDGETS = "widgets"
    AUTOPILOT = "autopilot"
    IMPORT = "import"
    REVIEW = "review"
    BULK = "bulk"  # one act on many images: the event id begins with that of the act
    SETTLE = "settle"  # people disagree, and somebody who sees all answers says what it is
    FINISH = "finish"  # the model's class, accepted for many images at once


class Shown(StrEnum):
    """Whether the model's suggestion was seen before the answer."""

    BEFORE = "before"
    AFTER = "after"
    NEVER = "never"


class Purpose(StrEnum):
    """Why an image is asked."""

    QUERY = "query"
    AUDIT = "audit"
    SEED = "seed"
    CHOSEN = "chosen"  # a person sent it to the queue
    AGAIN = "again"  # of another person than those who answered it


class RoundState(StrEnum):
    """Where a round is. Moves are guarded by one compare-and-set, see ``store.rounds.move``."""

    WAITING = "waiting"
    TRAINING = "training"
    SCORING = "scoring"
    RANKING = "ranking"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_active(self) -> bool:
        """Whether the round still has work before it."""
        return self in ACTIVE_STATES


ACTIVE_STATES = frozenset({RoundState.WAITING, RoundState.TRAINING, RoundState.SCORING, RoundState.RANKING})

ROUND_MOVES: dict[RoundState, frozenset[RoundState]] = {
    RoundState.WAITING: frozenset({RoundState.TRAINING, RoundState.FAILED, RoundState.CANCELLED}),
    RoundState.TRAINING: frozenset({RoundState.SCORING, RoundState.FAILED, RoundState.CANCELLED}),
    RoundState.SCORING: frozenset({RoundState.RANKING, RoundState.FAILED, RoundState.CANCELLED}),
    RoundState.RANKING: frozenset({RoundState.DONE, RoundState.FAILED, RoundState.CANCELLED}),
    RoundState.DONE: frozenset(),
    RoundState.FAILED: frozenset(),
    RoundState.CANCELLED: frozenset(),
}


def class_positions(class_ids: Int64, order: Int64 | Sequence[int]) -> Int64:
    """Class ids (any shape) as positions in the class order of a round or table, -1 for those that it does not have."""
    known = np.asarray(order, dtype=np.int64)
    if not len(known):
        return np.full_like(class_ids, -1)
    by_id = np.argsort(known, kind="stable")
    places = by_id[np.minimum(np.searchsorted(known, class_ids, sorter=by_id), len(known) - 1)]
    return np.where(known[places] == class_ids, places, -1)


CONTENT_HASH = re.compile("[0-9a-f]{64}")
"""SHA-256 in hex. Files are called by it: in a project from elsewhere it need not be one."""


@dataclass(frozen=True)
class ImageRecord:
    """One image of a project."""

    id: int
    uri: str  # an absolute path, or a URI with a scheme ("digits:17")
    name: str  # what people call it: the path below the import's root
    sha256: str
    width: int
    height: int
    bytes: int
    split: Split
    known_class: int | None
    status: ImageStatus
    pixel_row: int  # its row in pixels.npy
    audit_order: int | None  # position in the random order of audit images; None for the test split
    phash: int | None = None  # 64-bit perceptual hash


@dataclass(frozen=True)
class ClassRecord:
    """One class. Ids never change; a merged or retired class keeps its row."""

    id: int
    name: str
    key: str  # the key that answers it, "" for none
    colour: str  # "#rrggbb"
    position: int
    merged_into: int | None = None  # where it ends up
    retired_at: datetime | None = None
    merged_first: int | None = None  # what a person merged it into; another one where that was merged, too
    description: str = ""  # what tells it from others
    examples: tuple[int, ...] = ()  # images that a person chose to show what it is

    @property
    def is_in_use(self) -> bool:
        """Whether it is offered: neither merged nor retired."""
        return self.merged_into is None and self.retired_at is None


class ClassEventKind(StrEnum):
    """What was done to the list of classes."""

    START = "start"  # the history begins: in projects that had classes before there was one
    ADD = "add"
    CHANGE = "change"  # name, key, colour, description, examples
    ARRANGE = "arrange"
    MERGE = "merge"
    RETIRE = "retire"
    BRING_BACK = "bring back"
    SPLIT = "split"  # its images are asked again
    LIST = "list"  # a file with a list of classes was taken in
    UNDO = "undo"


@dataclass(frozen=True)
class ClassEvent:
    """One change of the list of classes; the list itself is what all of them leave."""

    seq: int  # dense from 1
    kind: ClassEventKind
    author: str
    happened_at: datetime  # naive UTC
    changes: Mapping[int, Mapping[str, tuple[Any, Any]]]  # by class and field of ClassRecord: before, after
    undoes: int | None = None  # the event that an undo takes back
    details: Mapping[str, Any] = field(default_factory=dict)  # of a split: class, images, acts
    stands: bool = True  # False once it was undone


@dataclass(frozen=True)
class Answer:
    """One event, as it comes in."""

    event_id: str  # made where the answer was given, so that it can be sent twice
    kind: AnswerKind
    image_id: int
    class_id: int | None = None
    undoes: str | None = None  # the event that an undo takes back; of a restored label the undo that had taken it
    reason: str | None = None
    note: str | None = None
    annotator: str = "me"
    mode: AnswerMode = AnswerMode.SINGLE
    suggestion_class: int | None = None
    suggestion_p: float | None = None
    suggestion_shown: Shown = Shown.NEVER
    milliseconds: int | None = None  # from painted to answered
    round_id: int | None = None  # the round that had ranked the image
    purpose: Purpose | None = None

    def undone(self, event_id: str, *, annotator: str, mode: AnswerMode) -> Answer:
        """The event that takes this one back."""
        return Answer(
            event_id,
            AnswerKind.UNDO,
            self.image_id,
            undoes=self.event_id,
            annotator=annotator,
            mode=mode,
            round_id=self.round_id,
            purpose=self.purpose,
        )


@dataclass(frozen=True)
class StoredAnswer:
    """One event as it lies in the store."""

    answer: Answer
    seq: int  # the server's order, dense from 1
    answered_at: datetime  # naive UTC, the server's clock


@dataclass(frozen=True)
class QueueItem:
    """One image waiting to be asked."""

    position: int
    image_id: int
    purpose: Purpose
    score: float | None = None  # the strategy's; None for seeds and audit images
    round_id: int | None = None  # the round that ranked it
    holder: str | None = None
    lease_until: datetime | None = None


@dataclass(frozen=True)
class RoundRecord:
    """One round as it lies in the store. ``config`` is RoundConfig as JSON."""

    id: int
    state: RoundState
    config: str
    strategy: str
    class_ids: tuple[int, ...]  # what position c of every vector of this round means
    last_seq: int  # the last answer that the round knew
    labels: int  # images it trains on
    started_by: str  # "labels" or "person"
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: str | None = None
    checkpoint: str | None = None  # file name below checkpoints/
    class_seq: int = 0  # the last change of classes that it knew; 0: older than their history


@dataclass(frozen=True)
class Curves:
    """p^(t)(c | x) of N images at one epoch.

    Dense (``class_index`` is None): ``p`` is (N, C). Sparse: ``p`` and ``class_index`` are (N, K), position k of a row
    is the probability of class ``class_index[i, k]``; unused places hold -1 and 0.
    """

    p: Float32
    class_index: Int64 | None = None


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch of training was. ``epoch`` counts from 1."""

    epoch: int
    epochs: int  # of the whole round
    loss: float
    class_loss: float
    td_loss: float | None  # None without the TD module
    train_accuracy: float
    learning_rate: float
    seconds: float
    images_per_second: float
    batch_size: int
    curves: Curves | None = None  # rows in the order of the training images; None when not asked for
    note: str | None = None  # "out of memory with batches of 128 images: continued with 64"


@dataclass(frozen=True)
class TrainProgress:
    """Where the training stands within an epoch; reported at least once a second."""

    epoch: int
    epochs: int
    batch: int
    batches: int
    images_per_second: float
    seconds_left: float


@dataclass(frozen=True)
class FeatureProgress:
    """How far the features of images are, which a frozen body gives once."""

    done: int  # images that have them
    total: int
    images_per_second: float  # of this run, 0 before its first block
    seconds_left: float | None  # None before the first block
    download: tuple[int, int | None] | None = None  # bytes of the body's weights so far, in all, while they are fetched


@dataclass(frozen=True)
class RoundProgress:
    """Where a round is, for people who watch."""

    state: RoundState
    training: TrainProgress | None = None  # while TRAINING
    features: FeatureProgress | None = None  # while TRAINING waits for those of the labelled images
    scored: int = 0  # images, while SCORING
    to_score: int = 0


@dataclass(frozen=True)
class TrainImages:
    """The images of one round as paths and rows, never tensors, so that it can be sent to another machine."""

    pixels: Path  # pixels.npy, uint8 (rows, H, W, 3)
    rows: Int64  # (N,) rows of the file
    labels: Int64  # (N,) positions 0..C-1 in the round's class order
    n_classes: int
    features: Path | None = None  # rows.f16 of a FeatureStore, where the body is frozen; the same rows
    unlabelled: Int64 | None = None  # (U,) rows that companions may see without a label; None where nobody asks


@dataclass(frozen=True)
class LinearHead:
    """A classifier's last layer: the logits of what it reads of an image's features are W x + b."""

    weight: Float32  # (C, D)
    bias: Float32  # (C,)
    unit_length: bool = False  # whether it reads features at length 1, as where the body is frozen

    def read(self, features: Float32) -> Float32:
        """x (N, D) of features (N, D) of the pool: as they are, or at length 1; a row of zeros stays."""
        if not self.unit_length:
            return features
        x: Float32 = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
        return x

    def logits(self, x: Float32) -> Float32:
        """(N, C) of what it reads (N, D)."""
        return x @ self.weight.T + self.bias


@dataclass(frozen=True)
class PoolScores:
    """What the trained network says of N images; arrays are row-aligned."""

    log_p: Float32  # (N, C) log-softmax of the classifier, float32
    td_log_p: Float32 | None  # (N, C) log-softmax of the TD module: predicted p-bar; None without it
    features: Float32  # (N, D) pooled, before the classifier's last layer; standardised where the body is frozen
    extra: Mapping[str, Float32] = field(
        default_factory=dict
    )  # (N,) by name, what other companions say, as ``SAID_BY`` of strategies/base.py lists it
    exact_log_p: Float32 | None = None  # (N, C) log of the exact p-bar; None where the body trains
    head: LinearHead | None = None  # None where what the last layer reads is not ``features``


@dataclass(frozen=True)
class PoolView:
    """What a strategy chooses from. Rows of the arrays are the pool images in the order of ``ids``."""

    ids: Int64  # (N,)
    log_p: Float32  # (N, C)
    td_log_p: Float32 | None  # (N, C)
    features: Float32  # (N, D)
    labelled_features: Float32  # (L, D)
    labelled_log_p: Float32  # (L, C)
    labelled_classes: Int64  # (L,) positions in the class order
    class_counts: Int64  # (C,)
    extra: Mapping[str, Float32] = field(default_factory=dict)  # as in PoolScores
    exact_log_p: Float32 | None = None  # (N, C), as in PoolScores
    held_out_log_p: Float32 | None = None  # (L, C) of the labelled by heads that did not train on them; rarely there
    head: LinearHead | None = None  # as in PoolScores
    votes: Float64 | None = None  # (L, A) class positions that each of A people gave the labelled; NaN for none

    def part(self, rows: Int64) -> PoolView:
        """The pool as if it were only the images ``rows`` (n,); those that are labelled stay."""
        return replace(
            self,
            ids=self.ids[rows],
            log_p=self.log_p[rows],
            td_log_p=None if self.td_log_p is None else self.td_log_p[rows],
            features=self.features[rows] if len(self.features) else self.features,
            extra={name: values[rows] for name, values in self.extra.items()},
            exact_log_p=None if self.exact_log_p is None else self.exact_log_p[rows],
        )

    @classmethod
    def from_scores(cls, ids: Int64, scores: PoolScores, labels: Int64, n_classes: int) -> PoolView:
        """The view of scores whose first N rows are the pool images ``ids`` (N,) and the next L the labelled ones.

        ``labels`` (L,) are positions in the class order. Rows after these N + L (test images) are not looked at.
        """
        pool, labelled = slice(len(ids)), slice(len(ids), len(ids) + len(labels))
        return cls(
            ids=ids,
            log_p=scores.log_p[pool],
            td_log_p=None if scores.td_log_p is None else scores.td_log_p[pool],
            features=scores.features[pool],
            labelled_features=scores.features[labelled],
            labelled_log_p=scores.log_p[labelled],
            labelled_classes=labels,
            class_counts=np.bincount(labels, minlength=n_classes),
            extra={name: values[pool] for name, values in scores.extra.items()},
            exact_log_p=None if scores.exact_log_p is None else scores.exact_log_p[pool],
            head=scores.head,
        )


@dataclass(frozen=True)
class ImportProblem:
    """One file that was not read, or read with a remark."""

    name: str
    reason: str
    remedy: str = ""


@dataclass(frozen=True)
class ImportProgress:
    """Where an import stands."""

    done: int  # files gone through
    total: int | None  # None where only going through the source would tell
    read: int  # new images so far
    problems: int
    name: str  # the last file
    per_second: float  # files
    seconds_left: float | None


@dataclass(frozen=True)
class ImportReport:
    """How an import ended: every file is in one of the counts, every problem is named."""

    source: str
    read: int = 0  # new images
    known: int = 0  # already in the project (equal content)
    duplicates: int = 0  # equal content within this import
    labels: int = 0  # labels that came along
    problems: tuple[ImportProblem, ...] = field(default=())
    seconds: float = 0.0
    near_duplicates: int = 0  # new images that look like another one; one of the problems counts them
    cancelled: bool = False  # stopped before its end; what was read until then is kept
    how_read: str = ""  # by which columns, where it is a table
    notices: tuple[str, ...] = ()  # what is said before all else: labels that were asked for and did not come
    refilled: int = 0  # images whose squares were made anew: a filling of the pixel cache, no import
