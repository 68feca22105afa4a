"""Thirteen ways in which people label, simulated on real projects: does the audit sample's interval hold the truth?

The store, the queue, the audit sample and its interval are the studio's own; the person and the classifiers are made
up. Each image has a hardness, and a classifier is right where its ability, which grows with the rounds, exceeds it, but
for noise. The strategy asks the hardest first: what is left gets easier, and a sample of it would say too much.

The truth is worked out here, from what the simulation did, never from what the studio wrote down: how often a
classifier agrees with this person over all images that had no label when their part of the order was reserved and that
the person would not skip.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from tidal_core.config import ProjectSettings
from tidal_core.images.ingest import draw_audit_order
from tidal_core.labelling.desk import desk_of
from tidal_core.method import dynamics
from tidal_core.projects import Project, create_project
from tidal_core.records import (
    Answer,
    AnswerKind,
    AnswerMode,
    Bools,
    Float64,
    ImageRecord,
    ImageStatus,
    Int64,
    Purpose,
    QueueItem,
    Split,
)
from tidal_core.rounds import audit, queue_plan
from tidal_core.store.answers import ImportedLabels
from tidal_core.store.columns import insert, utc_now

IMAGES = 200
CLASSES = 4
ROUNDS = 5
ASKED = 30  # images per round
CLASSIFIERS = 10  # per round, each with noise of its own


class Measurement(NamedTuple):
    """One estimate of one classifier's accuracy."""

    images: int  # that it rests on
    value: float
    truth: float
    is_covered: bool
    is_population_right: bool  # whether the page names as many images as the simulation counts


@dataclass
class Work:
    """One project, its person and what is true of its images; arrays are (N,), image i has id i + 1."""

    project: Project
    rng: np.random.Generator
    hardness: Float64
    truth: Int64  # class ids, as a classifier says them where it is right
    classes: Int64  # as this person says them, also of images not asked yet
    would_skip: Bools
    came_labelled: Bools
    asked_at_once: int  # images per round
    gone: dict[int, Bools] = field(
        default_factory=dict
    )  # by the last answer before a larger share: labelled or reserved then
    merged: dict[int, int] = field(default_factory=dict)

    # --- what the person does

    def add_images(self, n: int, hardness: Float64) -> None:
        """An import of n images."""
        first, total = len(self.hardness), len(self.hardness) + n
        self.hardness = np.concatenate([self.hardness, hardness])
        new = self.rng.integers(1, CLASSES + 1, n)
        self.truth, self.classes = np.concatenate([self.truth, new]), np.concatenate([self.classes, new])
        self.would_skip = np.append(self.would_skip, np.zeros(n, np.bool_))
        self.came_labelled = np.append(self.came_labelled, np.zeros(n, np.bool_))
        self.project.store.images.add(
            [
                ImageRecord(
                    id=position + 1,
                    uri=f"/photos/{position}.png",
                    name=f"{position}.png",
                    sha256=f"{self.rng.integers(2**62):064x}",
                    width=8,
                    height=8,
                    bytes=192,
                    split=Split.POOL,
                    known_class=None,
                    status=ImageStatus.READY,
                    pixel_row=position,
                    audit_order=None,
                )
                for position in range(first, total)
            ]
        )
        draw_audit_order(self.project)

    def set_share(self, share: float) -> None:
        """What the slider on the page Project does."""
        settings, answers = self.project.settings, self.project.store.answers
        if share > settings.audit_share and answers.last_seq():
            gone = np.zeros(len(self.hardness), np.bool_)
            asked = answers.images_answered_otherwise(Purpose.AUDIT)
            gone[np.union1d(asked, audit.reserved(self.project)) - 1] = True
            self.gone[answers.last_seq()] = gone
        self.project.store.settings.save(dataclasses.replace(settings, audit_share=share))

    def rank(self) -> None:
        """What the end of a round does to the queue: the hardest first."""
        pool = audit.rankable(self.project)
        order = np.argsort(-(self.hardness[pool - 1] + self.rng.normal(0, 0.1, len(pool))))
        self.project.store.queue.replace(queue_plan.plan_queue(self.project, pool[order]))

    def asked(self) -> list[QueueItem]:
        """What the person is asked until the next round."""
        return self.project.store.queue.items()[: self.asked_at_once]

    def send(self, answers: Iterable[Answer]) -> None:
        """As the labelling page does."""
        for outcome in desk_of(self.project).record(list(answers)):
            assert outcome.refused is None, outcome.refused

    def answer(self, item: QueueItem, kind: AnswerKind | None = None) -> Answer:
        """The person's answer: a label, or a skip where there is one to be made."""
        skips = kind is AnswerKind.SKIP or (kind is None and bool(self.would_skip[item.image_id - 1]))
        label = None if skips else int(self.classes[item.image_id - 1])
        kind = kind or (AnswerKind.SKIP if skips else AnswerKind.LABEL)
        label = label if kind is AnswerKind.LABEL else None
        return Answer(uuid.uuid4().hex, kind, item.image_id, label, purpose=item.purpose)

    def label(self, items: Iterable[QueueItem]) -> None:
        """Answer all of them in turn, in one insert: what ``record`` writes, at a tenth of its time."""
        answers = [self.answer(item) for item in items]
        if not answers:
            return
        store = self.project.store
        columns: dict[str, Any] = {
            "event_id": [answer.event_id for answer in answers],
            "seq": store.answers.last_seq() + 1 + np.arange(len(answers)),
            "kind": [answer.kind.value for answer in answers],
            "image_id": np.array([answer.image_id for answer in answers], np.int32),
            "class_id": pa.array([answer.class_id for answer in answers], pa.int32()),
            "purpose": [answer.purpose and answer.purpose.value for answer in answers],
            "annotator": [answer.annotator for answer in answers],
            "mode": [answer.mode.value for answer in answers],
            "suggestion_shown": [answer.suggestion_shown.value for answer in answers],
            "answered_at": pa.array([utc_now()] * len(answers), pa.timestamp("us")),
        }
        with store.database.write() as cursor:
            insert(cursor, "answers", columns)
            cursor.execute("DELETE FROM queue WHERE image_id IN (SELECT image_id FROM current_answers)")

    # --- what is measured

    def population(self, begin: int) -> Bools:
        """Images without a label when what is measured now was reserved; ``begin`` is the last answer before."""
        earlier = [gone for seq, gone in self.gone.items() if seq == begin]
        gone = earlier[-1] if earlier else np.zeros(0, np.bool_)
        return ~self.came_labelled & ~np.append(gone, np.zeros(len(self.hardness) - len(gone), np.bool_))

    def measure(self, number: int) -> list[Measurement]:
        """Several classifiers of round ``number``, as a round measures them."""
        sample, measured = audit.sample(self.project), audit.measured_on(self.project)
        population = self.population(sample.begin)
        is_population_right = sample.population == int(population.sum())
        counted = population & ~self.would_skip
        said, at, positions = self._merged(self.classes), measured.image_ids - 1, measured.class_ids - 1
        measurements = []
        for _ in range(CLASSIFIERS if len(at) else 0):
            ability = 0.45 + 0.06 * number + self.rng.normal(0, 0.15, len(self.hardness))
            predicted = self._merged(np.where(self.hardness < ability, self.truth, self.truth % CLASSES + 1))
            interval = dynamics.accuracy(dynamics.confusion(positions, predicted[at] - 1, CLASSES))
            truth = float((predicted == said)[counted].mean())
            measurements.append(
                Measurement(len(at), interval.value, truth, interval.low <= truth <= interval.high, is_population_right)
            )
        return measurements

    def _merged(self, class_ids: Int64) -> Int64:
        return np.array([self.merged.get(class_id, class_id) for class_id in class_ids.tolist()], dtype=np.int64)


Way = Callable[[Work], list[Measurement]]


def _rounds(
    work: Work, act: Callable[[int, list[QueueItem]], None], before: Callable[[int], None]
) -> list[Measurement]:
    """``before`` each round something happens, then the images are ranked, and the person does ``act``."""
    measurements = []
    for number in range(1, ROUNDS + 1):
        before(number)
        work.rank()
        act(number, work.asked())
        measurements += work.measure(number)
    return measurements


def _nothing(_number: int) -> None:
    pass


def label_everything(work: Work) -> list[Measurement]:
    """Every image that is asked gets a label."""
    return _rounds(work, lambda _, items: work.label(items), _nothing)


def skip_at_random(work: Work) -> list[Measurement]:
    """A fifth of the images is skipped."""
    work.would_skip = work.rng.random(len(work.hardness)) < 0.2
    return label_everything(work)


def skip_the_hard(work: Work) -> list[Measurement]:
    """The harder an image, the likelier it is skipped: a quarter of all."""
    work.would_skip = work.rng.random(len(work.hardness)) < work.hardness**3
    return label_everything(work)


def flags(work: Work) -> list[Measurement]:
    """Every fifth image is flagged before it is labelled."""

    def act(_number: int, items: list[QueueItem]) -> None:
        work.send(work.answer(item, AnswerKind.FLAG) for item in items[::5])
        work.label(items)

    return _rounds(work, act, _nothing)


def undo(work: Work) -> list[Measurement]:
    """A fifth of the answers is taken back, by a tab that does not say for what they were asked, and given again."""

    def act(_number: int, items: list[QueueItem]) -> None:
        answers = [work.answer(item) for item in items]
        work.send(answers)
        taken_back = [answer for answer in answers if work.rng.random() < 0.2]
        work.send(
            Answer(uuid.uuid4().hex, AnswerKind.UNDO, answer.image_id, None, answer.event_id) for answer in taken_back
        )
        work.label(work.project.store.queue.items()[: len(taken_back)])

    return _rounds(work, act, _nothing)


def relabel(work: Work) -> list[Measurement]:
    """A fifth of the first answers is wrong and corrected at the end of the round."""

    def act(_number: int, items: list[QueueItem]) -> None:
        right = work.classes.copy()
        wrong = work.rng.random(len(right)) < 0.2
        work.classes = np.where(wrong, right % CLASSES + 1, right)
        work.label(items)
        work.classes = right
        corrected = [item.image_id for item in items if wrong[item.image_id - 1]]
        work.send(
            Answer(uuid.uuid4().hex, AnswerKind.LABEL, image_id, int(right[image_id - 1]), mode=AnswerMode.REVIEW)
            for image_id in corrected
        )

    return _rounds(work, act, _nothing)


def wrong_labels(work: Work) -> list[Measurement]:
    """An eighth of the answers is wrong and stays so: accuracy is agreement with this person."""
    wrong = work.rng.random(len(work.classes)) < 0.125
    work.classes = np.where(wrong, work.classes % CLASSES + 1, work.classes)
    return label_everything(work)


def changed_shares(work: Work) -> list[Measurement]:
    """None at first and then a quarter, or a tenth, a half and a fifth."""
    shares = [0.0, 0.0, 0.25, 0.25, 0.25] if work.rng.random() < 0.5 else [0.1, 0.1, 0.5, 0.5, 0.2]
    work.set_share(shares[0])
    return _rounds(work, lambda _, items: work.label(items), lambda number: work.set_share(shares[number - 1]))


def labels_that_came_along(work: Work) -> list[Measurement]:
    """The easiest third is labelled by an import, at the start or after two rounds."""
    when = 1 if work.rng.random() < 0.5 else 3

    def before(number: int) -> None:
        if number == when:
            easiest = np.argsort(work.hardness)[: len(work.hardness) // 3]
            image_ids, class_ids = (easiest + 1).tolist(), work.classes[easiest].tolist()
            work.project.store.answers.import_labels(ImportedLabels(image_ids, class_ids, ["file"] * len(image_ids)))
            work.came_labelled[easiest] = True

    return _rounds(work, lambda _, items: work.label(items), before)


def _second_import(work: Work, low: float) -> list[Measurement]:
    def before(number: int) -> None:
        if number == 3:
            more = len(work.hardness) // 2
            work.add_images(more, work.rng.uniform(low, 1, more))

    return _rounds(work, lambda _, items: work.label(items), before)


def two_imports(work: Work) -> list[Measurement]:
    """After two rounds more images of the same kind come."""
    return _second_import(work, 0.0)


def two_imports_of_different_hardness(work: Work) -> list[Measurement]:
    """After two rounds more images come, all of them hard."""
    return _second_import(work, 0.6)


def classes_merged(work: Work) -> list[Measurement]:
    """After two rounds one class becomes part of another."""

    def before(number: int) -> None:
        if number == 3:
            work.project.store.classes.merge(CLASSES, CLASSES - 1)
            work.merged = {CLASSES: CLASSES - 1}

    return _rounds(work, lambda _, items: work.label(items), before)


def several_people(work: Work) -> list[Measurement]:
    """Three tabs at a time; one of them answers half of what it holds and leaves the rest on the screen."""
    desk = desk_of(work.project)

    def act(_number: int, items: list[QueueItem]) -> None:
        n = len(items) // 3
        for tab, share in (("slow", 0.5), ("one", 1.0), ("two", 1.0)):
            for start in range(0, n, 5):
                held = [asked.image.id for asked in desk.next(tab, 5)][: n - start]
                waiting = {item.image_id: item for item in work.project.store.queue.items()}
                work.label(waiting[image_id] for image_id in held if work.rng.random() < share)

    return _rounds(work, act, _nothing)


WAYS: dict[str, Way] = {
    way.__name__: way
    for way in (
        label_everything, skip_at_random, skip_the_hard, flags, undo, relabel, wrong_labels, changed_shares,
        labels_that_came_along, two_imports, two_imports_of_different_hardness, classes_merged, several_people,
    )
}  # fmt: skip


def simulate(way: str, seed: int, scale: int = 1) -> list[Measurement]:
    """One project, of ``scale`` times as many images and answers; $TIDAL_HOME says where it is made."""
    rng = np.random.default_rng((seed, sorted(WAYS).index(way)))
    asked = ASKED * scale
    settings = ProjectSettings(title=way, training_size=8, labels_per_round=asked, audit_share=0.2)
    project = create_project(f"{way}-{seed}", settings, classes=tuple("abcd"))
    none = np.zeros(0)
    try:
        work = Work(project, rng, none, none.astype(int), none.astype(int), none.astype(bool), none.astype(bool), asked)
        work.add_images(IMAGES * scale, rng.random(IMAGES * scale))
        return WAYS[way](work)
    finally:
        project.close()
