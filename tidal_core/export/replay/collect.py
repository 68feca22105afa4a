"""A replay's numbers out of a project: every round that ended, with as many images and epochs as can be shown.

What is bounded: ``MOST_IMAGES`` images (all that were ever labelled come first, then those that a round asked for, then
others at random, the same ones each time), ``MOST_EPOCHS`` epochs of a round (every second, third, ..., and the last),
and ``MOST_VALUES`` probabilities in all. What is left out is counted in ``ReplayInfo``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tidal_core import strategies
from tidal_core.errors import InputError
from tidal_core.figures.palettes import ClassStyle
from tidal_core.figures.replay import LABELLED, NEW, POOL, Asked, Kind, Measured, ReplayInfo, ReplayRound
from tidal_core.method.dynamics import wilson
from tidal_core.projects import Project
from tidal_core.records import Float32, Int64, RoundRecord, RoundState, UInt8, class_positions
from tidal_core.rounds.measured import tested
from tidal_core.store.replays import AskedRow
from tidal_core.text import plain_colour

MOST_IMAGES = 2_000
MOST_EPOCHS = 200  # of one round
MOST_VALUES = 12_000_000  # probabilities, a byte each
QUEUE_SHOWN = 24  # images of each round's queue
_SEED = 0  # of the images that are chosen where there are too many

MEASURED_ON = {
    "test": "test images, which no round trains on",
    "known": "images whose class the import named and that the round had not trained on",
    "audit": "audit images, picked at random and never trained on",
    "folds": "labelled images, each predicted by a model that trained on the others only: an estimate",
    "chosen": "images before they were labelled: they were chosen, and are often the hard ones: an estimate",
}


class _Images(NamedTuple):
    """The images of one round before some are chosen; arrays are (N,), by id."""

    ids: Int64
    class_ids: Int64
    states: UInt8
    summary: Float32  # (3, N); NaN where there is none
    has_exact: bool


def finished(project: Project) -> list[RoundRecord]:
    """The rounds that a replay shows, oldest first."""
    return [record for record in project.store.rounds.all() if record.state is RoundState.DONE]


def replay_info(project: Project, *, images: int = MOST_IMAGES) -> ReplayInfo:
    """The replay of a project with at most ``images`` images. Raises InputError where no round has ended."""
    records = finished(project)
    if not records:
        raise InputError(
            f"No round of {project.title!r} has ended yet, so there is nothing to replay. Label more images, or press "
            "Train now on the Training page."
        )
    classes = project.store.classes.all(include_retired=True)
    order = [record.id for record in classes]
    queues = _queues(project, records, order)
    of_round = _images_of(project, records)
    shown, total = _chosen(of_round, [asked.image for queue in queues for asked in queue], images)
    most_epochs = max(10, min(MOST_EPOCHS, MOST_VALUES // max(len(shown) * len(records), 1)))
    accuracies, measured_on = _accuracies(project, records)
    return ReplayInfo(
        project.title,
        tuple(ClassStyle(record.id, record.name, plain_colour(record.colour)) for record in classes),
        shown,
        total,
        tuple(
            _round(project, record, of, shown, order, most_epochs, queue, accuracies.get(record.id))
            for record, of, queue in zip(records, of_round, queues[1:], strict=True)
        ),
        tuple(queues[0]),
        measured_on,
    )


def _images_of(project: Project, records: Sequence[RoundRecord]) -> list[_Images]:
    replays, before = project.store.replays, np.array([], dtype=np.int64)
    found = []
    for record in records:
        labelled, class_ids, summaries = replays.labelled(record.id)
        summary = np.stack([summaries[name] for name in ("confidence", "variability", "correctness")])
        states = np.where(np.isin(labelled, before), LABELLED, NEW).astype(np.uint8)
        scored = replays.scored(record.id)
        # Of a large pool the exact curves are not kept: then those of the labelled images move, while they are there.
        if len(labelled) and (scored.has_curves or (len(scored.image_ids) and not len(replays.epochs(record.id)))):
            is_known, places = np.isin(scored.image_ids, labelled), _places(labelled, scored.image_ids)
            of = _Images(
                scored.image_ids,
                np.where(is_known, class_ids[places], scored.predicted),
                np.where(is_known, states[places], POOL).astype(np.uint8),
                scored.summary,
                has_exact=scored.has_curves,
            )
        else:
            of = _Images(labelled, class_ids, states, summary, has_exact=False)
        found.append(of)
        before = labelled
    return found


def _places(known: Int64, wanted: Int64) -> Int64:
    """Where each of ``wanted`` stands among ``known``, which ascend; some place for those that do not."""
    return np.minimum(np.searchsorted(known, wanted), max(len(known) - 1, 0))


def _chosen(of_round: Sequence[_Images], asked: Sequence[int], most: int) -> tuple[Int64, int]:
    """The images to show, by id, and how many they were chosen of."""
    every = np.unique(np.concatenate([of.ids for of in of_round]))
    if len(every) <= most:
        return every, len(every)
    labelled = np.unique(np.concatenate([of.ids[of.states != POOL] for of in of_round]))
    urgency = np.where(np.isin(every, labelled), 0, np.where(np.isin(every, asked), 1, 2))
    by_urgency = np.lexsort((np.random.default_rng(_SEED).random(len(every)), urgency))
    return np.sort(every[by_urgency[:most]]), len(every)


def _round(
    project: Project,
    record: RoundRecord,
    of: _Images,
    shown: Int64,
    order: Sequence[int],
    most_epochs: int,
    queue: Sequence[Asked],
    accuracy: Measured | None,
) -> ReplayRound:
    replays = project.store.replays
    keep = np.isin(of.ids, shown)
    ids, class_ids, states, summary = of.ids[keep], of.class_ids[keep], of.states[keep], of.summary[:, keep]
    places = class_positions(class_ids, record.class_ids)
    trained = [stored.record.epochs for stored in project.store.epochs.of(record.id)[-1:]]
    if of.has_exact:
        curves = replays.exact(record.id, ids, class_ids, places)
    else:
        curves = replays.curves(record.id, ids, class_ids, places, _some(replays.epochs(record.id), most_epochs))
    has_curve = ~np.isnan(curves.p).any(axis=0) & bool(len(curves.epochs))
    kind: Kind = "exact" if of.has_exact else "curves"
    if not has_curve.any():  # dropped to save space: what described them is left
        kind, has_curve = "summary", ~np.isnan(summary).any(axis=0)
    kept = np.isin(curves.epochs, _some(curves.epochs, most_epochs))
    last = trained[0] if trained else int(curves.epochs[-1]) if len(curves.epochs) else 1
    return ReplayRound(
        record.id,
        labels=record.labels,
        strategy=strategies.of_round(record.strategy).title,
        kind=kind,
        epochs=[last] if kind == "summary" else curves.epochs[kept],
        of_epochs=last,
        rows=np.searchsorted(shown, ids[has_curve]),
        groups=class_positions(class_ids[has_curve], order),
        states=states[has_curve],
        p=None if kind == "summary" else curves.p[kept][:, has_curve],
        right=None if kind == "summary" else curves.right[kept][:, has_curve],
        summary=summary[:, has_curve] if kind == "summary" else None,
        queue=queue,
        accuracy=accuracy,
        named=_named(project, record, order),
        names_told=project.store.classes.names_told(record),
    )


def _named(project: Project, record: RoundRecord, order: Sequence[int]) -> dict[int, ClassStyle]:
    """The classes that looked otherwise when a round began, by their places in ``order``."""
    then, now = project.store.classes.then_and_now(record)
    looks = {class_id: (each.name, each.colour) for class_id, each in now.items()}
    return {
        place: ClassStyle(class_id, then[class_id].name, plain_colour(then[class_id].colour))
        for place, class_id in enumerate(order)
        if class_id in then and (then[class_id].name, then[class_id].colour) != looks[class_id]
    }


def _some(epochs: Int64, most: int) -> Int64:
    """At most ``most`` epochs, as far apart as each other, the last one among them."""
    step = -(-len(epochs) // most) or 1
    return epochs[::-1][::step][::-1]


def _queues(project: Project, records: Sequence[RoundRecord], order: Sequence[int]) -> list[list[Asked]]:
    """What was labelled before the first round, and then what each round asked for."""
    replays, newest = project.store.replays, records[-1].id

    def of(rows: Sequence[AskedRow]) -> list[Asked]:
        groups = class_positions(np.array([row.class_id or 0 for row in rows], dtype=np.int64), order)
        return [Asked(row.image_id, int(group), bool(row.was_asked)) for row, group in zip(rows, groups, strict=True)]

    return [
        of(replays.first_labelled(records[0].id, QUEUE_SHOWN)),
        *(of(replays.asked(record.id, QUEUE_SHOWN, next_too=record.id == newest)) for record in records),
    ]


def _accuracies(project: Project, records: Sequence[RoundRecord]) -> tuple[dict[int, Measured], str]:
    """Accuracy by the round's number, and in words what it is measured on."""
    measured = tested(project, list(records))
    if measured is None:
        return {}, ""
    found = {}
    for record, right, n in zip(measured.rounds, measured.right, measured.tested, strict=True):
        interval = wilson(right, n)
        low, high = (interval.low, interval.high) if measured.is_comparable else (right / n, right / n)
        found[record.id] = Measured(right / n, low, high, n)
    return found, MEASURED_ON[measured.part]
