"""One round, from its claim to the new ranking: train, score, rank. Imports torch: only the worker calls it.

Everything is written down as it happens, so that a round that was killed goes on where it was: from the checkpoint
within the training, from the finished weights after it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tidal_core import strategies
from tidal_core.config import RoundConfig
from tidal_core.engine.scoring import score
from tidal_core.engine.training import Model, build_model, checkpoint_epoch, load_weights, train
from tidal_core.errors import Stopped
from tidal_core.images.pixels.cache_state import round_uses
from tidal_core.method import dynamics
from tidal_core.projects import Project
from tidal_core.records import (
    Float32,
    Int64,
    PoolScores,
    PoolView,
    RoundProgress,
    RoundRecord,
    RoundState,
    TrainImages,
    class_positions,
)
from tidal_core.rounds.queue_plan import audit_images, plan_queue
from tidal_core.store.metrics import Metric
from tidal_core.store.scores import ScoreRows


@dataclass(frozen=True)
class _Parts:
    """Images a round looks at once it is trained."""

    pool: Int64
    labelled: Int64
    check: Int64  # the test split, or the audit sample
    check_classes: Int64
    check_name: str


class RoundRun:
    """The work of one round. ``run`` returns its end state or raises Stopped, leaving it to be taken up again."""

    def __init__(
        self,
        project: Project,
        record: RoundRecord,
        *,
        report: Callable[[RoundProgress], None],
        should_stop: Callable[[], bool],
    ) -> None:
        self.project, self.record = project, record
        self.store = project.store
        self.config = RoundConfig.from_json(record.config)
        self.report, self.should_stop = report, should_stop
        self.class_ids = np.array(record.class_ids, dtype=np.int64)  # (C,)
        self.image_ids, image_classes = self.store.rounds.images(record.id)
        self.labels = class_positions(image_classes, self.class_ids)  # (N,) positions in class_ids
        self.weights = project.checkpoints / f"round-{record.id:04d}.safetensors"
        self.resume_file = project.checkpoints / f"round-{record.id:04d}.resume"

    def run(self) -> None:
        """Do what is left of the round. Raises Stopped when asked to stop, with the round left as it is."""
        with round_uses(self.project.folder):
            self._run()

    def _run(self) -> None:
        began = time.monotonic()
        state = self.record.state
        if state is RoundState.WAITING:
            self._move(RoundState.WAITING, RoundState.TRAINING)
            state = RoundState.TRAINING
        if state is RoundState.TRAINING:
            model = self._train()
            self._move(RoundState.TRAINING, RoundState.SCORING)
            state = RoundState.SCORING
        else:
            model = Model.load(self.weights)
        parts = self._parts()
        scores = self._score(model, parts)
        if state is RoundState.SCORING:
            self._move(RoundState.SCORING, RoundState.RANKING)
        self._rank(parts, scores)
        self._measure(parts, scores)
        self._move(RoundState.RANKING, RoundState.DONE)
        self._tidy()
        self.store.log.add(
            f"Round {self.record.id} is done: {len(self.image_ids)} labels, {time.monotonic() - began:.1f} s.",
            round_id=self.record.id,
        )

    def _move(self, before: RoundState, after: RoundState) -> None:
        self.record = self.store.rounds.move(self.record.id, before, after)
        self.report(RoundProgress(after))

    def _train(self) -> Model:
        done = checkpoint_epoch(self.resume_file) if self.resume_file.exists() else 0
        self.store.epochs.forget_after(self.record.id, done)
        if done:
            self.store.log.add(f"Round {self.record.id} goes on after epoch {done}.", round_id=self.record.id)
        config = self.config.train
        model = build_model(config, len(self.class_ids), self.config.seeds)
        if config.warm_start:
            self._warm_start(model)
        paths = _CurvePaths(self.labels)
        for epoch in range(1, done + 1):
            paths.add(*self.store.curves.of_epoch(self.record.id, epoch), self.class_ids)
        images = TrainImages(
            pixels=self.project.pixels,
            rows=self.store.images.pixel_rows(self.image_ids),
            labels=self.labels,
            n_classes=len(self.class_ids),
        )
        training = train(
            config,
            images,
            model,
            self.config.seeds,
            checkpoint=self.resume_file,
            progress=lambda p: self.report(RoundProgress(RoundState.TRAINING, p)),
            should_stop=self.should_stop,
            threads=self.config.threads,
        )
        for record in training:
            self.store.epochs.add(self.record.id, record, self.image_ids, self.class_ids)
            if record.curves is not None:
                paths.add(record.curves.p, record.curves.class_index)
        result = training.result
        if result is None:
            raise Stopped(f"Round {self.record.id} was stopped and goes on when the studio is started again.")
        model.save(self.weights)
        self.store.rounds.set_checkpoint(self.record.id, self.weights.name)
        self._store_paths(paths, result.td_bar)
        return model

    def _warm_start(self, model: Model) -> None:
        before = self.store.rounds.latest(RoundState.DONE)
        if before is None or before.checkpoint is None:
            return
        path = self.project.checkpoints / before.checkpoint
        if not path.exists() or RoundConfig.from_json(before.config).train.backbone != self.config.train.backbone:
            return
        load_weights(model, path, before.class_ids, self.record.class_ids)

    def _store_paths(self, paths: _CurvePaths, td_bar: Float32 | None) -> None:
        if td_bar is None:
            return
        td_classes = None
        if len(self.class_ids) > self.config.train.full_curve_classes:
            td_bar, positions = _largest(td_bar, self.config.train.sparse_top_k)
            td_classes = self.class_ids[positions]
        self.store.rounds.finish_images(
            self.record.id, self.image_ids, self.class_ids[self.labels], td_bar, td_classes, paths.statistics()
        )

    def _parts(self) -> _Parts:
        test_ids, test_classes = self.store.images.test_set()
        name = "test"
        if not len(test_ids):
            audit = self.store.answers.audit_labels()
            test_ids, test_classes, name = audit.image_ids, audit.class_ids, "audit"
        known = np.isin(test_classes, self.class_ids)
        return _Parts(
            pool=self.store.images.unlabelled_ids(self.project.audit_reserve()),
            labelled=self.image_ids,
            check=test_ids[known],
            check_classes=test_classes[known],
            check_name=name,
        )

    def _score(self, model: Model, parts: _Parts) -> PoolScores:
        ids = np.concatenate([parts.pool, parts.labelled, parts.check])
        self.report(RoundProgress(RoundState.SCORING, None, 0, len(ids)))
        return score(
            model,
            self.project.pixels,
            self.store.images.pixel_rows(ids),
            progress=lambda done, total: self.report(RoundProgress(RoundState.SCORING, None, done, total)),
            should_stop=self.should_stop,
            threads=self.config.threads,
        )

    def _rank(self, parts: _Parts, scores: PoolScores) -> None:
        n_pool, n_labelled = len(parts.pool), len(parts.labelled)
        pool, labelled = slice(0, n_pool), slice(n_pool, n_pool + n_labelled)
        view = PoolView(
            ids=parts.pool,
            log_p=scores.log_p[pool],
            td_log_p=None if scores.td_log_p is None else scores.td_log_p[pool],
            features=scores.features[pool],
            labelled_features=scores.features[labelled],
            labelled_log_p=scores.log_p[labelled],
            labelled_classes=self.labels,
            class_counts=np.bincount(self.labels, minlength=len(self.class_ids)),
            extra={name: values[pool] for name, values in scores.extra.items()},
        )
        strategy = strategies.get(self.config.strategy)
        wanted = self.config.queue_length if strategy.ranks_all else 10 * self.project.settings.labels_per_round
        rows = strategy.select(view, min(wanted, n_pool), np.random.default_rng(self.config.seeds.selection))
        ranks = np.zeros(n_pool, dtype=np.int64)
        ranks[rows] = np.arange(1, len(rows) + 1)
        parts_of = ((pool, "pool", parts.pool, ranks), (labelled, "labelled", parts.labelled, None))
        for rows_of, name, ids, ranks_of in (
            *parts_of,
            (slice(n_pool + n_labelled, None), parts.check_name, parts.check, None),
        ):
            self.store.scores.add(self.record.id, name, self._rows(scores, rows_of, ids, ranks_of))
        shown = strategy.scores(view) if n_pool else None
        ranked = parts.pool[rows]
        self.store.queue.replace(
            plan_queue(
                ranked,
                audit_images(self.project, len(ranked)),
                self.project.settings.audit_share,
                round_id=self.record.id,
                scores=None if shown is None else shown[rows].astype(np.float32),
                since_audit=self.store.answers.asked_since_audit(),
            )
        )

    def _rows(self, scores: PoolScores, rows: slice, ids: Int64, ranks: Int64 | None) -> ScoreRows:
        log_p = scores.log_p[rows]
        td_log_p = None if scores.td_log_p is None else scores.td_log_p[rows]
        p = np.exp(log_p)
        td = None if td_log_p is None else np.exp(td_log_p)
        class_ids = None
        if len(self.class_ids) > self.config.train.full_curve_classes and len(ids):
            p, positions = _largest(p, self.config.train.sparse_top_k)
            class_ids = self.class_ids[positions]
            td = None if td is None else np.take_along_axis(td, positions, axis=1)
        return ScoreRows(
            image_ids=ids,
            predicted=self.class_ids[log_p.argmax(axis=1)] if len(ids) else np.empty(0, np.int64),
            p=p,
            td=td,
            class_ids=class_ids,
            estimators=strategies.estimators(log_p, td_log_p),
            ranks=ranks,
        )

    def _measure(self, parts: _Parts, scores: PoolScores) -> None:
        """Accuracies on the test split or the audit sample, over all classes and for each."""
        n = len(parts.check)
        if not n:
            return
        said = scores.log_p[len(scores.log_p) - n :].argmax(axis=1)
        counts = dynamics.confusion(class_positions(parts.check_classes, self.class_ids), said, len(self.class_ids))
        found: list[tuple[str, int | None, dynamics.Interval, int]] = [
            ("accuracy", None, dynamics.accuracy(counts), n),
            ("balanced_accuracy", None, dynamics.balanced_accuracy(counts), n),
        ]
        for place, recall in enumerate(dynamics.recalls(counts)):
            found.append(("recall", int(self.class_ids[place]), recall, int(counts[place].sum())))
        self.store.metrics.add(
            [
                Metric(self.record.id, parts.check_name, class_id, name, value.value, value.low, value.high, images)
                for name, class_id, value, images in found
                if math.isfinite(value.value)
            ]
        )

    def _tidy(self) -> None:
        self.resume_file.unlink(missing_ok=True)
        self.store.curves.drop_before(self.record.id - self.project.settings.curve_rounds + 1)
        _keep_last(self.project.checkpoints, "round-*.safetensors", self.project.settings.curve_rounds)
        self.store.checkpoint()


class _CurvePaths:
    """What the statistics of curves need, gathered epoch by epoch: three numbers an image instead of all classes."""

    def __init__(self, labels: Int64) -> None:
        self._labels = labels
        self._views: list[dynamics.LabelView] = []

    def add(self, p: Float32, index: Int64 | None, class_ids: Int64 | None = None) -> None:
        """One epoch: p (N, C), or (N, K) with ``index`` (N, K) of positions, or of class ids if those are given."""
        if index is not None and class_ids is not None:
            index = class_positions(index, class_ids)
        self._views.append(dynamics.label_view(p[None], self._labels, None if index is None else index[None]))

    def statistics(self) -> dict[str, Float32 | Int64]:
        """Columns of ``round_images``, each (N,)."""
        if not self._views:
            return {}
        p_label = np.concatenate([view.p_label for view in self._views])  # (T, N)
        p_other = np.concatenate([view.p_other for view in self._views])
        correct = np.concatenate([view.correct for view in self._views])
        learnt = dynamics.forgetting(correct)
        return {
            "area": dynamics.area(p_label).astype(np.float32),
            "confidence": dynamics.confidence(p_label).astype(np.float32),
            "variability": dynamics.variability(p_label).astype(np.float32),
            "correctness": dynamics.correctness(correct).astype(np.float32),
            "first_learnt": np.asarray(learnt.first_learnt, dtype=np.int64),
            "forgetting": np.asarray(learnt.events, dtype=np.int64),
            "margin_area": dynamics.margin_area(p_label, p_other).astype(np.float32),
        }


def _largest(p: Float32, k: int) -> tuple[Float32, Int64]:
    """The k largest of each row (N, k), largest first, and their positions (N, k)."""
    k = min(k, p.shape[1])
    positions = np.argpartition(-p, k - 1, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(p, positions, axis=1), axis=1, kind="stable")
    positions = np.take_along_axis(positions, order, axis=1)
    return np.take_along_axis(p, positions, axis=1), positions


def _keep_last(folder: Path, pattern: str, n: int) -> None:
    for old in sorted(folder.glob(pattern))[:-n]:
        old.unlink(missing_ok=True)
