"""The replay of a project's rounds as numbers: what is known at each moment, and one compact array for each round.

A *moment* is the end of one epoch of one round. Curves, the data map, the share that is right, and the accuracy and the
images asked up to a moment all come from here; the player in the browser (``export/replay/player``) and the film
(``export/replay/film.py``) draw the same numbers.

Probabilities are kept in 256 steps, so one that is shown differs from the recorded one by at most 0.002 and the map's
confidence and variability by no more than that: less than a pixel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tidal_core.figures.palettes import ClassStyle
from tidal_core.records import Bools, Float32, Int64, UInt8

STEPS = 255  # p is kept as round(255 p)
Kind = Literal["curves", "exact", "summary"]
"""Of a round: its labelled images have curves, all images have, or what described the curves is all that is left."""

POOL, LABELLED, NEW = 0, 1, 2
"""What an image is in a round: not labelled yet, labelled for an earlier round, labelled since the round before."""


class Measured(NamedTuple):
    """Accuracy of one round with its 95 % interval; ``low`` is ``high`` where chance is the least of its errors."""

    value: float
    low: float
    high: float
    images: int


class Asked(NamedTuple):
    """One image of a queue."""

    image: int  # its id
    group: int  # position of the label that it has now in ``ReplayInfo.classes``; -1 without one
    was_asked: bool  # False: it waits, or nobody came to it


class ReplayRound:
    """One round: N images over T epochs.

    ``epochs`` (T,) are those that are kept, of ``of_epochs``. ``rows`` (N,) are places in ``ReplayInfo.image_ids``,
    ``groups`` (N,) positions in ``ReplayInfo.classes``, ``states`` (N,) POOL, LABELLED or NEW. ``p`` (T, N) in STEPS is
    the probability of the image's class and ``right`` (T, N) whether that was the likeliest. Of a round whose curves
    are no longer kept T is 1, and ``summary`` (3, N) has confidence, variability and correctness in their stead.
    ``kind`` is "exact" where images without a label have curves, too. ``named`` are the classes that looked otherwise
    when the round began, by their positions, and ``names_told`` says so.
    """

    def __init__(
        self,
        id: int,
        *,
        labels: int,
        strategy: str,
        kind: Kind,
        epochs: ArrayLike,
        of_epochs: int,
        rows: ArrayLike,
        groups: ArrayLike,
        states: ArrayLike,
        p: ArrayLike | None = None,
        right: ArrayLike | None = None,
        summary: ArrayLike | None = None,
        queue: Sequence[Asked] = (),
        accuracy: Measured | None = None,
        named: Mapping[int, ClassStyle] | None = None,
        names_told: str = "",
    ) -> None:
        self.id, self.labels, self.strategy, self.of_epochs = id, labels, strategy, of_epochs
        self.kind: Kind = kind
        self.epochs: Int64 = np.asarray(epochs, dtype=np.int64)
        self.rows: Int64 = np.asarray(rows, dtype=np.int64)
        self.groups: Int64 = np.asarray(groups, dtype=np.int64)
        self.states: UInt8 = np.asarray(states, dtype=np.uint8)
        none = np.zeros((len(self.epochs), len(self.rows)))
        self.p: UInt8 = in_steps(none if p is None else p)
        self.right: Bools = np.asarray(none if right is None else right, dtype=np.bool_)
        self.summary: Float32 | None = None if summary is None else np.asarray(summary, dtype=np.float32)
        self.queue, self.accuracy = tuple(queue), accuracy
        self.named, self.names_told = dict(named or {}), names_told

    @cached_property
    def running(self) -> Float32:
        """Confidence, variability and correctness of every image up to each epoch: (3, T, N)."""
        if self.summary is not None:
            return self.summary[:, None, :]
        p = self.p.astype(np.float32) / STEPS
        t = np.arange(1, len(p) + 1, dtype=np.float32)[:, None]
        mean = np.cumsum(p, axis=0) / t
        variance = np.cumsum(p**2, axis=0) / t - mean**2
        return np.stack([mean, np.sqrt(np.maximum(variance, 0)), np.cumsum(self.right, axis=0) / t]).astype(np.float32)

    @property
    def is_summary(self) -> bool:
        """Whether its curves are no longer kept."""
        return self.summary is not None

    @property
    def labelled(self) -> Bools:
        """(N,) whether the round trained on an image."""
        trained: Bools = self.states != POOL
        return trained


class Moment(NamedTuple):
    """The end of one epoch."""

    round: int  # place in ``ReplayInfo.rounds``
    epoch: int  # place in that round's ``epochs``


class ReplayInfo(NamedTuple):
    """All rounds, oldest first."""

    title: str
    classes: tuple[ClassStyle, ...]
    image_ids: Int64  # (I,) of those that are shown
    images: int  # of which they were chosen
    rounds: tuple[ReplayRound, ...]
    begun_with: tuple[Asked, ...]  # labelled before the first round
    measured_on: str  # what accuracy is measured on, in words; "" without any

    @property
    def moments(self) -> list[Moment]:
        """Every epoch of every round."""
        return [Moment(place, epoch) for place, each in enumerate(self.rounds) for epoch in range(len(each.epochs))]

    @property
    def reach(self) -> float:
        """How far right the map reaches: the largest variability at any moment, and a little."""
        largest = max((float(np.nanmax(each.running[1], initial=0)) for each in self.rounds), default=0.0)
        return min(max(1.08 * largest, 0.1), 0.52)

    def ended(self, moment: Moment) -> int:
        """How many rounds have ended at a moment."""
        return moment.round + (moment.epoch == len(self.rounds[moment.round].epochs) - 1)

    def queue(self, moment: Moment) -> tuple[int, tuple[Asked, ...]]:
        """The queue of that time: the number of the round that asked for it, 0 before there was one, and its images."""
        ended = self.ended(moment)
        return (self.rounds[ended - 1].id, self.rounds[ended - 1].queue) if ended else (0, self.begun_with)

    def table(self) -> dict[str, Sequence[Any]]:
        """One row per moment; accuracy is that of the last round that had ended."""
        rows: list[tuple[Any, ...]] = []
        for moment in self.moments:
            of, ended = self.rounds[moment.round], self.ended(moment)
            accuracy = self.rounds[ended - 1].accuracy if ended else None
            known = of.running[:, moment.epoch][:, of.labelled]
            means = known.mean(axis=1).tolist() if known.size else [None] * 3
            rows.append(
                (
                    *(of.id, int(of.epochs[moment.epoch]), of.labels),
                    *means,
                    *((accuracy.value, accuracy.low, accuracy.high) if accuracy else (None, None, None)),
                )
            )
        names = (
            *("round", "epoch", "labels", "mean confidence", "mean variability", "mean correctness"),
            *("accuracy", "accuracy, low", "accuracy, high"),
        )
        return {name: [row[place] for row in rows] for place, name in enumerate(names)}


def in_steps(p: ArrayLike) -> UInt8:
    """Probabilities of any shape in 256 steps."""
    given = np.asarray(p)
    return given if given.dtype == np.uint8 else np.rint(np.clip(given, 0, 1) * STEPS).astype(np.uint8)


def packed(info: ReplayInfo) -> tuple[dict[str, Any], bytes]:
    """What the player in the browser is given: a head for JSON, and the rounds' arrays one after the other.

    A round at ``at`` has N uint16 rows, N uint16 groups, N uint8 states; then T x N uint8 p and T x N bits ``right``
    (eight to a byte, the first one lowest), or of a summary N uint8 confidence, 2 x variability and correctness; all of
    it filled up to a multiple of 4 bytes. Little-endian.
    """
    parts: list[bytes] = []
    rounds: list[dict[str, Any]] = []
    at = 0
    for of in info.rounds:
        body = of.rows.astype("<u2").tobytes() + of.groups.astype("<u2").tobytes() + of.states.tobytes()
        if of.summary is not None:
            body += in_steps(np.nan_to_num(of.summary) * np.array([[1], [2], [1]])).tobytes()
        else:
            body += of.p.tobytes() + np.packbits(of.right, bitorder="little").tobytes()
        body += b"\0" * (-len(body) % 4)
        rounds.append(
            {
                "id": of.id,
                "labels": of.labels,
                "strategy": of.strategy,
                "kind": of.kind,
                "epochs": of.epochs.tolist(),
                "ofEpochs": of.of_epochs,
                "n": len(of.rows),
                "at": at,
                "queue": [_asked(each) for each in of.queue],
                "accuracy": None if of.accuracy is None else [round(x, 4) for x in of.accuracy[:3]],
                "measured": 0 if of.accuracy is None else of.accuracy.images,
                "named": {str(group): {"name": each.name, "colour": each.colour} for group, each in of.named.items()},
                "namesTold": of.names_told,
            }
        )
        parts.append(body)
        at += len(body)
    head = {
        "title": info.title,
        "classes": [{"name": style.name, "colour": style.colour} for style in info.classes],
        "ids": info.image_ids.tolist(),
        "images": info.images,
        "rounds": rounds,
        "begunWith": [_asked(each) for each in info.begun_with],
        "measuredOn": info.measured_on,
        "reach": round(info.reach, 4),
    }
    return head, b"".join(parts)


def _asked(each: Asked) -> list[int]:
    return [each.image, each.group, int(each.was_asked)]
