"""A made-up project of any size, written by vectorised inserts: for the pages' tests and their benchmark.

The images are the demo's digits over and over, so that pages have real pictures to show. Curves, scores and answers
come from a simple law (the label's probability rises, faster for easy images, with a rival class on the way); nothing
was trained.
"""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pyarrow as pa

from tidal_core.config import ProjectSettings, RoundConfig, Seeds, TrainConfig
from tidal_core.images.sources.digits import digit_png
from tidal_core.method import dynamics
from tidal_core.method.estimators import all_estimators
from tidal_core.projects import Project, create_project
from tidal_core.records import Purpose, QueueItem, RoundState
from tidal_core.store.columns import float_lists, insert, utc_now
from tidal_core.store.metrics import Metric
from tidal_core.store.scores import ScoreRows

DIGITS = 1_797


@dataclass(frozen=True)
class Size:
    """How large a made-up project is."""

    labelled: int = 60
    pool: int = 200  # images without a label
    test: int = 80
    rounds: int = 3
    epochs: int = 12
    classes: int = 10
    first: int = 20  # labels of the first round

    def labels_of(self, round_id: int) -> int:
        """Labels that a round trains on; the last round leaves a few that came after it."""
        last = self.labelled - min(5, self.labelled // 10)
        if self.rounds == 1:
            return last
        return round(self.first + (last - self.first) * (round_id - 1) / (self.rounds - 1))


def make(name: str, size: Size, *, seed: int = 0, class_names: tuple[str, ...] = ()) -> Project:
    """A project with ``size.rounds`` finished rounds. Image ids: labelled ones first, in the order they were asked."""
    names = class_names or tuple(f"{number}" for number in range(size.classes))
    project = create_project(name, ProjectSettings(title=name.capitalize(), labels_per_round=20), names)
    rng = np.random.default_rng(seed)
    n = size.labelled + size.pool + size.test
    truth = rng.integers(0, size.classes, n)
    _add_images(project, size, truth)
    world = _World(project, size, truth, rng)
    world.answer()
    for round_id in range(1, size.rounds + 1):
        world.run_round(round_id)
    project.store.checkpoint()
    return project


def _add_images(project: Project, size: Size, truth: np.ndarray) -> None:
    n = len(truth)
    first_test = size.labelled + size.pool
    class_ids = np.array([class_record.id for class_record in project.store.classes.all()])
    hashes = [hashlib.sha256(digit_png(digit)).hexdigest() for digit in range(min(n, DIGITS))]
    columns = {
        "id": np.arange(1, n + 1, dtype=np.int32),
        "uri": [f"digits:{image % DIGITS}" for image in range(n)],
        "name": [f"scans/page {image // 40:04d}/digit {image:06d}.png" for image in range(n)],
        "sha256": [hashes[image % DIGITS] for image in range(n)],
        "width": np.full(n, 8, dtype=np.int32),
        "height": np.full(n, 8, dtype=np.int32),
        "bytes": np.full(n, 200, dtype=np.int64),
        "split": ["pool"] * first_test + ["test"] * size.test,
        "known_class": class_ids[truth].astype(np.int32),
        "status": ["ready"] * n,
        "pixel_row": np.arange(n, dtype=np.int32),
        "imported_at": pa.array([utc_now()] * n, pa.timestamp("us")),
    }
    with project.store.database.write() as cursor:
        insert(cursor, "images", columns)


class _World:
    """What the made-up model believes."""

    def __init__(self, project: Project, size: Size, truth: np.ndarray, rng: np.random.Generator) -> None:
        self.project, self.size, self.truth, self.rng = project, size, truth, rng
        self.class_ids = np.array([class_record.id for class_record in project.store.classes.all()], dtype=np.int64)
        self.hard = rng.beta(1.1, 2.6, len(truth)).astype(np.float32)  # 0 easy, 1 hard
        self.rival = (truth + rng.integers(1, max(size.classes, 2), len(truth))) % size.classes
        self.now = utc_now() - timedelta(hours=2)

    def answer(self) -> None:
        """Labels of the first images, each asked by the newest round that was done by then."""
        count = self.size.labelled
        before = np.array([self.size.labels_of(number) for number in range(1, self.size.rounds + 1)])
        asked_by = np.searchsorted(before, np.arange(count), side="right")
        columns = {
            "event_id": [f"made-up-{answer}" for answer in range(count)],
            "seq": np.arange(1, count + 1, dtype=np.int64),
            "kind": ["label"] * count,
            "image_id": np.arange(1, count + 1, dtype=np.int32),
            "class_id": self.class_ids[self.truth[:count]].astype(np.int32),
            "annotator": ["ada" if answer % 3 else "ben" for answer in range(count)],
            "mode": ["single"] * count,
            "suggestion_shown": ["never"] * count,
            "milliseconds": self.rng.integers(400, 3_000, count).astype(np.int32),
            "round_id": pa.array([int(round_id) or None for round_id in asked_by], pa.int32()),
            "purpose": ["query" if round_id else "seed" for round_id in asked_by],
            "answered_at": pa.array(
                [self.now + timedelta(seconds=2 * answer) for answer in range(count)], pa.timestamp("us")
            ),
        }
        with self.project.store.database.write() as cursor:
            insert(cursor, "answers", columns)

    def probabilities(self, rows: np.ndarray, progress: float) -> np.ndarray:
        """p (N, C) when ``progress`` of the way from 0 to 1 is done."""
        p = self.rng.normal(0, 0.5, (len(rows), self.size.classes)).astype(np.float32)
        index = np.arange(len(rows))
        hard = self.hard[rows]
        p[index, self.rival[rows]] += 7.0 * hard * np.sin(np.pi * min(progress, 1.0) * 0.75)
        p[index, self.truth[rows]] += 6.0 * (1 - np.exp(-2.5 * progress * (1.05 - hard)))
        np.exp(p, out=p)
        p /= p.sum(axis=1, keepdims=True)
        return p

    def run_round(self, round_id: int) -> None:
        """One round, recorded as the worker records it."""
        store, size = self.project.store, self.size
        labels = size.labels_of(round_id)
        rows = np.arange(labels)
        ids = rows + 1
        config = RoundConfig(
            train=dataclasses.replace(TrainConfig(), epochs=size.epochs),
            seeds=Seeds.of(0, round_id),
            strategy="tidal-entropy",
            training_size=16,
            versions=("torch 2.15.0",),
        )
        store.rounds.create(
            config=config.to_json(),
            strategy="tidal-entropy",
            class_ids=self.class_ids.tolist(),
            last_seq=labels,
            started_by="labels",
            image_ids=ids,
            image_class_ids=self.class_ids[self.truth[rows]],
        )
        store.rounds.move(round_id, RoundState.WAITING, RoundState.TRAINING)
        td_bar = self.train(round_id, rows)
        store.rounds.move(round_id, RoundState.TRAINING, RoundState.SCORING)
        self.score(round_id, labels, td_bar)
        store.rounds.move(round_id, RoundState.SCORING, RoundState.RANKING)
        store.rounds.move(round_id, RoundState.RANKING, RoundState.DONE)
        began = self.now + timedelta(seconds=120 * round_id)
        with store.database.write() as cursor:
            cursor.execute(
                "UPDATE rounds SET created_at = ?, started_at = ?, finished_at = ? WHERE id = ?",
                [began, began, began + timedelta(seconds=4 + 0.02 * labels), round_id],
            )
        store.log.add(f"Round {round_id} finished with {labels} labels.", round_id=round_id)

    def train(self, round_id: int, rows: np.ndarray, upto: int | None = None) -> np.ndarray:
        """Epochs, curves and their statistics; returns observed p-bar (N, C)."""
        size, store = self.size, self.project.store
        n, labels = len(rows), self.truth[rows]
        epochs_done = upto or size.epochs
        bar = np.zeros((n, size.classes), dtype=np.float32)
        views: list[dynamics.LabelView] = []
        epochs: dict[str, list[float]] = {"class_loss": [], "td_loss": [], "train_accuracy": [], "learning_rate": []}
        with store.database.write() as cursor:
            for epoch in range(1, epochs_done + 1):
                p = self.probabilities(rows, epoch / size.epochs * (0.5 + 0.5 * round_id / size.rounds))
                bar += p / epochs_done
                view = dynamics.label_view(p[None], labels)
                views.append(view)
                insert(
                    cursor,
                    "curves",
                    {
                        "round_id": np.full(n, round_id, dtype=np.int32),
                        "epoch": np.full(n, epoch, dtype=np.int32),
                        "image_id": (rows + 1).astype(np.int32),
                        "p": float_lists(p),
                    },
                )
                epochs["class_loss"].append(float(-np.log(view.p_label[0]).mean()))
                epochs["td_loss"].append(0.6 * float(np.exp(-2 * epoch / size.epochs)))
                epochs["train_accuracy"].append(float(view.correct.mean()))
                epochs["learning_rate"].append(2e-3 * float(np.cos(np.pi / 2 * epoch / size.epochs)))
            insert(cursor, "epochs", self._epoch_rows(round_id, epochs_done, n, epochs))
        if upto is None:
            statistics = dynamics.curve_statistics(dynamics.joined(views)).columns()
            store.rounds.finish_images(round_id, rows + 1, self.class_ids[labels], bar, None, statistics)
        return bar

    def _epoch_rows(self, round_id: int, epochs_done: int, n: int, epochs: dict[str, list[float]]) -> dict[str, object]:
        return {
            "round_id": np.full(epochs_done, round_id, dtype=np.int32),
            "epoch": np.arange(1, epochs_done + 1, dtype=np.int32),
            "epochs": np.full(epochs_done, self.size.epochs, dtype=np.int32),
            "loss": np.add(epochs["class_loss"], epochs["td_loss"]),
            **{name: np.array(values) for name, values in epochs.items()},
            "seconds": np.full(epochs_done, n / 300),
            "images_per_second": np.full(epochs_done, 300.0),
            "batch_size": np.full(epochs_done, 32, dtype=np.int32),
            "finished_at": pa.array([utc_now()] * epochs_done, pa.timestamp("us")),
        }

    def score(self, round_id: int, labels: int, td_bar: np.ndarray) -> None:
        """Scores of all images, the queue and the accuracies."""
        store, size = self.project.store, self.size
        first_test = size.labelled + size.pool
        reach = 0.45 + 0.5 * round_id / size.rounds
        parts = {
            "pool": np.arange(labels, first_test),
            "labelled": np.arange(labels),
            "test": np.arange(first_test, len(self.truth)),
        }
        for part, rows in parts.items():
            p = self.probabilities(rows, reach)
            td = 0.7 * self.probabilities(rows, 0.5 * reach) + 0.3 / size.classes
            if part == "labelled":
                td = 0.9 * td_bar + 0.1 * td
            log_p, log_td = np.log(p), np.log(td)
            estimators = all_estimators(log_p, log_td) if size.classes > 1 else {}
            ranks = None
            if part == "pool" and estimators:
                order = np.argsort(-estimators["td_entropy"], kind="stable")
                # What was asked next stands at the front, as if people had followed the ranking.
                order = np.concatenate(
                    [np.sort(order[order < size.labelled - labels]), order[order >= size.labelled - labels]]
                )
                ranks = np.zeros(len(rows), dtype=np.int64)
                ranks[order[:5_000]] = np.arange(1, min(len(order), 5_000) + 1)
                if round_id == size.rounds:
                    ranked = rows[order[:2_000]] + 1
                    store.queue.replace(
                        [
                            QueueItem(position, int(image_id), Purpose.QUERY, None, round_id)
                            for position, image_id in enumerate(ranked)
                        ]
                    )
            predicted = p.argmax(axis=1)
            store.scores.add(
                round_id, part, ScoreRows(rows + 1, self.class_ids[predicted], p, td, None, estimators, ranks)
            )
            if part == "test" and len(rows):
                self._measure(round_id, dynamics.confusion(self.truth[rows], predicted, size.classes), len(rows))

    def _measure(self, round_id: int, counts: np.ndarray, n: int) -> None:
        measured = [("accuracy", None, dynamics.accuracy(counts), n)]
        measured.append(("balanced_accuracy", None, dynamics.balanced_accuracy(counts), n))
        for position, recall in enumerate(dynamics.recalls(counts)):
            if counts[position].any():
                measured.append(("recall", int(self.class_ids[position]), recall, int(counts[position].sum())))
        self.project.store.metrics.add(
            [
                Metric(round_id, "test", class_id, name, interval.value, interval.low, interval.high, images)
                for name, class_id, interval, images in measured
            ]
        )
