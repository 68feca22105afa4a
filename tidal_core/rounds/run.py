"""One round, from its claim to the new ranking: train, score, rank. Imports torch: only the worker calls it.

Everything is stored as it happens, so that a round that was killed resumes where it was: from the checkpoint within
the training, from the finished weights after it.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tidal_core import strategies
from tidal_core.config import RoundConfig
from tidal_core.engine.checkpoints import checkpoint_epoch, fingerprint
from tidal_core.engine.exact_dynamics import HeadHistory
from tidal_core.engine.executors import LOCAL, Executor
from tidal_core.engine.features.extract import extract, extractor_of
from tidal_core.engine.features.store import FeatureStore
from tidal_core.engine.model import Model, build_model, load_weights
from tidal_core.engine.scoring import features_of, score
from tidal_core.engine.train_inputs import TrainOptions
from tidal_core.engine.training import train
from tidal_core.errors import DISK_FULL, InputError, Stopped, TidalError
from tidal_core.files import atomic
from tidal_core.images.pixels import round_uses
from tidal_core.method import heads
from tidal_core.projects import Project
from tidal_core.records import (
    Float32,
    Int64,
    PoolView,
    RoundProgress,
    RoundRecord,
    RoundState,
    TrainImages,
    class_positions,
)
from tidal_core.rounds import audit, crowd, folds
from tidal_core.rounds.epoch_log import EpochLog
from tidal_core.rounds.exact import exact_dynamics
from tidal_core.rounds.features import wanted
from tidal_core.rounds.label_paths import LabelPaths
from tidal_core.rounds.queue_plan import plan_queue
from tidal_core.rounds.scored import Scored, metrics_of, score_rows, top_k
from tidal_core.rounds.to_score import images_to_score
from tidal_core.store.scores import ASIDE, RESERVE, ScoreRows
from tidal_core.text import seconds_in_words

logger = logging.getLogger(__name__)

FEATURES = frozenset({"features", "labelled_features", "head"})  # needs of strategies that read features
CHECKPOINT_SECONDS = 2.0  # between two checkpoints of a training, at least: what a kill can cost


class RoundRun:
    """The work of one round. ``run`` returns when it is done, or raises Stopped and leaves it to be resumed."""

    def __init__(
        self,
        project: Project,
        record: RoundRecord,
        *,
        report: Callable[[RoundProgress], None],
        should_stop: Callable[[], bool],
        executor: Executor = LOCAL,
        copy: str | None = None,
    ) -> None:
        """``executor``: where the pool is scored; ``copy``: the address of the project's squares for its machines."""
        self.project, self.record = project, record
        self.executor, self.copy = executor, copy
        self.store = project.store
        self.config = RoundConfig.from_json(record.config)
        self.report, self.should_stop = report, should_stop
        self.class_ids = np.array(record.class_ids, dtype=np.int64)  # (C,)
        self.image_ids, image_classes = self.store.rounds.images(record.id)
        self.labels = class_positions(image_classes, self.class_ids)  # (N,) positions in class_ids
        self.weights = project.checkpoints / f"round-{record.id:04d}.safetensors"
        project.checkpoints.mkdir(parents=True, exist_ok=True)
        self.resume_file = project.checkpoints / f"round-{record.id:04d}.resume"
        self.unlabelled_file = self.resume_file.with_suffix(".unlabelled.npy")
        self.features = self._feature_store()

    def _feature_store(self) -> FeatureStore | None:
        """The features that the round was claimed with. Raises InputError where they are gone."""
        name = self.config.features
        if name is None:
            return None
        store = FeatureStore.named(self.project.features, name) or wanted(self.project)
        if store is None or store.key.name != name:
            raise InputError(
                f"the features {name} that round {self.record.id} trains on are gone, and the images are kept in "
                "another size now; press “Train now” on the Training page to start another round."
            )
        return store

    def run(self) -> None:
        """Do the rest of the round. Raises Stopped when asked to stop; the round can be resumed then."""
        with round_uses(self.project.folder):
            self._run()

    def _run(self) -> None:
        began = time.monotonic()
        state = self.record.state
        if state is RoundState.WAITING:
            self._move(RoundState.WAITING, RoundState.TRAINING)
            state = RoundState.TRAINING
        if state is RoundState.TRAINING:
            model, heads = self._train()
            self._move(RoundState.TRAINING, RoundState.SCORING)
            state = RoundState.SCORING
        else:
            model, heads = self._trained()
        scored = self._score(model, heads)
        if state is RoundState.SCORING:
            self._move(RoundState.SCORING, RoundState.RANKING)
        held_out = self._rank(scored, model)
        self.store.metrics.add(metrics_of(self.record.id, scored, self.class_ids))
        self._predict_by_folds(scored, held_out)
        self._move(RoundState.RANKING, RoundState.DONE)
        try:
            self._note(f"Round {self.record.id} finished with {len(self.image_ids)} labels in {_since(began)}.")
            self._tidy()
        except (TidalError, OSError) as error:  # a full disk, say; the round is done, and the next one tidies up
            logger.warning("Round %d of %s left files behind: %s", self.record.id, self.project.slug, error)

    def _note(self, message: str, level: str = "info") -> None:
        self.store.log.add(message, level=level, round_id=self.record.id)

    def _trained(self) -> tuple[Model, HeadHistory | None]:
        """What the training has ended with, from its file; trained again where that is damaged or gone."""
        try:
            return Model.load(self.weights), HeadHistory.read(self.weights)
        except InputError as error:
            self._note(f"Round {self.record.id} trains again, because its weights were lost: {error}", "warning")
            return self._train()

    def _move(self, before: RoundState, after: RoundState) -> None:
        self.record = self.store.rounds.move(self.record.id, before, after)
        self.report(RoundProgress(after))

    def _train(self) -> tuple[Model, HeadHistory | None]:
        """Train, from the checkpoint if there is one; weights, epochs and curves are kept when it returns."""
        self._compute_features()
        config = self.config.train
        model = build_model(config, len(self.class_ids), self.config.seeds)
        images = self._training_images()
        if model.apart():
            images = dataclasses.replace(images, unlabelled=self._unlabelled_rows())
        paths = self._paths_until_checkpoint(images)
        if config.warm_start:
            self._warm_start(model)
        epochs = EpochLog(self.store, self.record.id, self.image_ids, self.class_ids)
        options = TrainOptions(
            checkpoint=self.resume_file,
            before_checkpoint=epochs.flush,
            checkpoint_seconds=CHECKPOINT_SECONDS,
            progress=lambda p: self.report(RoundProgress(RoundState.TRAINING, p)),
            should_stop=self.should_stop,
            threads=self.config.threads,
        )
        training = train(config, images, model, self.config.seeds, options)
        for record in training:
            epochs.add(record)
            if record.curves is not None:
                paths.add(record.curves.p, record.curves.class_index)
        epochs.flush()
        result = training.result
        if result is None:
            raise self._stopped()
        if images.unlabelled is not None:
            self._note(
                f"Round {self.record.id}: {' and '.join(model.apart())} trained on {len(images.unlabelled):,} "
                f"unlabelled images, too, for {seconds_in_words(result.apart_seconds)}."
            )
        model.save(self.weights, None if result.heads is None else result.heads.tensors())
        self.store.rounds.set_checkpoint(self.record.id, self.weights.name)
        self._store_paths(paths, result.td_bar)
        return model, result.heads

    def _compute_features(self) -> None:
        """Those of the labelled images and of the audit's: what the round cannot do without."""
        if self.features is None:
            return
        try:
            extract(
                extractor_of(self.features.key.backbone, self.features.key.precision),
                self.project.pixels,
                self.features,
                self.store.images.pixel_rows(np.union1d(self.image_ids, self.store.answers.answered_images())),
                progress=lambda p: self.report(RoundProgress(RoundState.TRAINING, features=p)),
                should_stop=self.should_stop,
            )
        except OSError as error:
            if error.errno in DISK_FULL:
                raise
            raise InputError(
                f"the features of the labelled images cannot be written to {self.project.features} "
                f"({error.strerror or error}); correct this, then press “Train now” on the Training page."
            ) from error
        if self.should_stop():
            raise self._stopped()

    def _stopped(self) -> Stopped:
        return Stopped(f"Round {self.record.id} was stopped; it resumes when the studio starts again.")

    def _paths_until_checkpoint(self, images: TrainImages) -> LabelPaths:
        """The paths of the epochs that are in the checkpoint, from the store; later epochs are forgotten there."""
        last_epoch = 0
        if self.resume_file.exists():
            try:
                mark = fingerprint(self.config.train, images, self.config.seeds)
                last_epoch = checkpoint_epoch(self.resume_file, mark)
                why = "its checkpoint is of another version of the studio, or of other pixels or features"
            except InputError as error:
                why = str(error)
            if last_epoch:
                self._note(f"Round {self.record.id} resumes after epoch {last_epoch}.")
            else:
                self._note(f"Round {self.record.id} starts again from its first epoch: {why}.", "warning")
                self.resume_file.unlink()
        self.store.epochs.forget_after(self.record.id, last_epoch)
        paths = LabelPaths(self.labels)
        for epoch in range(1, last_epoch + 1):
            paths.add(*self.store.curves.of_epoch(self.record.id, epoch), self.class_ids)
        return paths

    def _warm_start(self, model: Model) -> None:
        """Begin with the weights of the last finished round, where they are kept and fit."""
        last = self.store.rounds.latest(RoundState.DONE)
        if last is None or last.checkpoint is None:
            return
        path = self.project.checkpoints / last.checkpoint
        if not path.exists() or RoundConfig.from_json(last.config).train.backbone != self.config.train.backbone:
            return
        try:
            load_weights(model, path, last.class_ids, self.record.class_ids)
        except InputError as error:
            self._note(
                f"Round {self.record.id} starts from fresh weights, because those of round {last.id} are damaged: "
                f"{error}",
                "warning",
            )

    def _store_paths(self, paths: LabelPaths, td_bar: Float32 | None) -> None:
        if td_bar is None:
            return
        td_classes = None
        if len(self.class_ids) > self.config.train.full_curve_classes:
            td_bar, positions = top_k(td_bar, self.config.train.sparse_top_k)
            td_classes = self.class_ids[positions]
        self.store.rounds.finish_images(
            self.record.id, self.image_ids, self.class_ids[self.labels], td_bar, td_classes, paths.statistics()
        )

    def _score(self, model: Model, heads: HeadHistory | None) -> Scored:
        features = None if self.features is None else self.features.read()
        images = images_to_score(self.project, self.record.class_ids, self.image_ids, features)
        if images.without_features:
            n = len(images.pool)
            self._note(
                f"Round {self.record.id} chooses among {n:,} of {n + images.without_features:,} images: the features "
                "of the others are still being computed."
            )
        ids = images.ids
        rows = self.store.images.pixel_rows(ids)
        self.report(RoundProgress(RoundState.SCORING, to_score=len(ids)))
        scores = score(
            model,
            self.copy or self.project.pixels,
            rows,
            progress=lambda done, total: self.report(RoundProgress(RoundState.SCORING, scored=done, to_score=total)),
            should_stop=self.should_stop,
            say=lambda words: self._note(f"Round {self.record.id}: {words}", "warning"),
            threads=self.config.threads,
            features=None if self.features is None else self.features.path,
            # A head on stored features takes less than to send it anywhere.
            executor=LOCAL if model.frozen else self.executor,
            keep_features=self.features is None,
        )
        exact = None
        if features is not None and heads is not None:
            classes = scores.log_p.argmax(axis=1)
            known = np.concatenate([self.labels, class_positions(images.test.class_ids, self.class_ids)])
            # What test images are may be a class that came while the round trained: the predicted one stands for it.
            rows_of_known = classes[images.labelled_rows.start : images.test_rows.stop]
            rows_of_known[known >= 0] = known[known >= 0]
            exact = exact_dynamics(self.config.train, heads, model, features, rows, classes)
            scores = dataclasses.replace(scores, exact_log_p=exact.log_p)
            self.store.rounds.set_exact_epochs(self.record.id, exact.epochs)
        return Scored(images, scores, exact)

    def _view(self, scored: Scored, strategy: strategies.Strategy, model: Model, n: int) -> tuple[PoolView, Int64]:
        """What a strategy that is to choose n images gets to see (P images), and which rows of the pool (P,) these are.

        Where the body is frozen, features are read for it, of no more images than it looks at.
        """
        view = PoolView.from_scores(scored.images.pool, scored.scores, self.labels, len(self.class_ids))
        rows = np.arange(len(scored.images.pool))
        if strategy.chosen_among is not None and len(rows) > (most := max(strategy.chosen_among, n)):
            rng = np.random.default_rng((self.config.seeds.selection, most))
            rows = np.sort(rng.choice(len(rows), most, replace=False))
            view = view.part(rows)
        if self.features is None or len(scored.scores.features) or not strategy.needs & FEATURES:
            return view, rows
        path, pixel_rows = self.features.path, self.store.images.pixel_rows
        return (
            dataclasses.replace(
                view,
                features=features_of(model, path, pixel_rows(view.ids)),
                labelled_features=features_of(model, path, pixel_rows(scored.images.labelled)),
            ),
            rows,
        )

    def _rank(self, scored: Scored, model: Model) -> Float32 | None:
        """Let the strategy choose from the pool; keep all scores and put the new ranking in the queue.

        Returns what was predicted by folds, if the strategy reads it: it is trained for then, before the queue is made.
        """
        n = len(scored.images.pool)
        strategy = strategies.get(self.config.strategy)
        wants_crowdlab = self.project.settings.consensus == "crowdlab"
        n_wanted = self.config.queue_length if strategy.ranks_all else 10 * self.project.settings.labels_per_round
        n_wanted = min(n_wanted, n)
        view, looked_at = self._view(scored, strategy, model, n_wanted)
        if (strategy.reads_held_out or wants_crowdlab) and self._has_folds:
            view = dataclasses.replace(view, held_out_log_p=self._out_of_fold())
        if strategy.asks_again:
            view = dataclasses.replace(view, votes=crowd.votes_of(self.project, self.image_ids, self.class_ids))
        if wants_crowdlab:
            self._weigh_people(view.held_out_log_p)
        chosen = strategy.select(view, n_wanted, np.random.default_rng(self.config.seeds.selection))
        rows = looked_at[chosen]
        ranks = np.zeros(n, dtype=np.int64)
        ranks[rows] = np.arange(1, len(rows) + 1)
        self._keep_scores(scored, ranks)
        shown_scores = strategy.scores(view) if n else None
        ranked, ranked_scores = scored.images.pool[rows], None
        if shown_scores is not None:
            ranked_scores = shown_scores[chosen].astype(np.float32)
        asked_again = np.empty(0, dtype=np.int64)
        if strategy.asks_again and ranked_scores is not None:
            ranked, ranked_scores, asked_again = crowd.with_asked_again(
                self.image_ids, strategy.scores_again(view), ranked, ranked_scores
            )
        self.store.queue.replace(
            plan_queue(self.project, ranked, round_id=self.record.id, scores=ranked_scores, asked_again=asked_again)
        )
        return view.held_out_log_p

    def _weigh_people(self, held_out: Float32 | None) -> None:
        """CROWDLAB, for the next round's labels."""
        if held_out is None:
            self._note(
                f"CROWDLAB chose no label in round {self.record.id}: it needs the training Pretrained and a few labels "
                "of each class. What most people say counts."
            )
            return
        n = crowd.weigh(self.project, self.record.id, self.image_ids, self.class_ids, held_out)
        self._note(f"CROWDLAB chose the label of {n:,} images that several people answered.")

    def _keep_scores(self, scored: Scored, ranks: Int64) -> None:
        add, train = self.store.scores.add, self.config.train
        for part, rows, ranked in (
            ("pool", scored.images.pool_rows, ranks),
            ("labelled", scored.images.labelled_rows, None),
            (scored.images.test.part, scored.images.test_rows, None),
            (RESERVE, scored.images.reserve_rows, None),
            (ASIDE, scored.images.aside_rows, None),
        ):
            add(self.record.id, part, score_rows(scored, rows, self.class_ids, train, ranked))

    @property
    def _has_folds(self) -> bool:
        return self.features is not None and heads.LEAST <= len(self.image_ids) <= heads.MOST

    def _out_of_fold(self) -> Float32:
        """log p (L, C) of the labelled images by heads that did not train on them. Raises Stopped."""
        log_p = folds.out_of_fold(self.config, self._training_images(), self.project.pixels, self.should_stop)
        if log_p is None:
            raise self._stopped()
        return log_p

    def _predict_by_folds(self, scored: Scored, held_out: Float32 | None) -> None:
        """Where nothing measures accuracy yet: keep what heads predict of labelled images that they did not see.

        ``held_out``: the same, if the strategy needed it already.
        """
        enough = scored.images.test.part != audit.PART or len(scored.images.test.image_ids) >= audit.ENOUGH
        enough = enough or self.store.images.has_known_classes()
        if enough or not self._has_folds:
            return
        log_p = self._out_of_fold() if held_out is None else held_out
        p, kept = np.exp(log_p), None
        if len(self.class_ids) > self.config.train.full_curve_classes:
            p, positions = top_k(p, self.config.train.sparse_top_k)
            kept = self.class_ids[positions]
        predicted = self.class_ids[log_p.argmax(axis=1)]
        self.store.scores.add_folds(self.record.id, ScoreRows(self.image_ids, predicted, p, None, kept, {}))

    def _training_images(self) -> TrainImages:
        return TrainImages(
            pixels=self.project.pixels,
            rows=self.store.images.pixel_rows(self.image_ids),
            labels=self.labels,
            n_classes=len(self.class_ids),
            features=None if self.features is None else self.features.path,
        )

    def _unlabelled_rows(self) -> Int64:
        """The pool when the round began, as rows of the pixel file, for companions that see unlabelled images.

        Kept beside the checkpoint: a round that resumes after more was labelled or imported trains on the same ones.
        """
        if self.unlabelled_file.exists():
            kept: Int64 = np.load(self.unlabelled_file)
            return kept
        rows = self.store.images.pixel_rows(audit.rankable(self.project))
        if self.features is not None:
            rows = rows[self.features.read().has(rows)]
        rows = np.setdiff1d(rows, self.store.images.pixel_rows(self.image_ids))
        with atomic(self.unlabelled_file, durable=True) as beside, beside.open("wb") as file:
            np.save(file, rows)
        return rows

    def _tidy(self) -> None:
        self.resume_file.unlink(missing_ok=True)
        self.unlabelled_file.unlink(missing_ok=True)
        first_kept = self.record.id - self.project.settings.curve_rounds + 1
        self.store.curves.drop_before(first_kept)
        self.store.scores.drop_exact_curves_before(first_kept)
        _keep_last(self.project.checkpoints, "round-*.safetensors", self.project.settings.curve_rounds)
        self.store.checkpoint()


def _since(began: float) -> str:
    return f"{time.monotonic() - began:.1f} s"


def _keep_last(folder: Path, pattern: str, n: int) -> None:
    for old in sorted(folder.glob(pattern))[:-n]:
        old.unlink(missing_ok=True)
