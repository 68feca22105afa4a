"""One run of one configuration: train, test, ask, round after round, each kept as a line of a file when it is done.

The file goes on where it ends: a run that was killed repeats the round it was in, from its training's checkpoint, and
comes out as if nothing had happened. On a CPU a run is the same bit for bit each time, whatever runs beside it. The
test images are looked at once per round and decide nothing; neither do the validation images, which are only kept.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tidal_core.config import TrainConfig
from tidal_core.engine.backbones.registered import registered_backbone
from tidal_core.engine.code_version import OF_TRAINING, code_version, foreign_code_version
from tidal_core.engine.companions import COMPANIONS
from tidal_core.engine.devices import pick_device
from tidal_core.engine.exact_dynamics import HeadHistory, exact_p_bar
from tidal_core.engine.model import Model, build_model, load_weights
from tidal_core.engine.published_weights import registered_points
from tidal_core.engine.scoring import score
from tidal_core.engine.train_inputs import TrainOptions
from tidal_core.engine.training import train
from tidal_core.errors import InputError, Stopped
from tidal_core.experiments.datasets import Dataset, stratified
from tidal_core.experiments.files import cut_off_tail, file_stem, pack_right, read
from tidal_core.experiments.frozen import compute_features, features_of
from tidal_core.experiments.machine import forget_peak, machine_of, peak_bytes
from tidal_core.experiments.oracle import Oracle, best_batch
from tidal_core.experiments.protocol import Configuration, Protocol, asker, seed_of, seeds_of, start_of
from tidal_core.experiments.starts import first_of
from tidal_core.method import heads
from tidal_core.method.estimators import log_of
from tidal_core.records import Float32, Int64, PoolScores, PoolView, TrainImages
from tidal_core.rounds.audit import audited_among

OF_A_RUN = (
    *OF_TRAINING,
    "strategies",
    "rounds/audit.py",
    *(f"experiments/{name}.py" for name in ("datasets", "frozen", "oracle", "protocol", "runs", "starts")),
)
"""Below the package: the code that decides how a run comes out."""

_DECIDES = {  # of a run's header: what decides how the rounds come out, as a person would call it
    "dataset": "images",
    "data": "images or labels",
    "code": "code (the studio's, or that of a package with a strategy or a model)",
    "protocol": "settings",
    "configuration": "strategy",
    "imbalance": "imbalance",
    "run": "number of the run",
    "features": "features",
}
TIMES = ("seconds", "peak_gb", "machine")  # the only entries of a line that differ when a run is repeated


@dataclass(frozen=True)
class Run:
    """Which run: everything that is needed to execute it, on this machine or another."""

    dataset: Dataset
    protocol: Protocol
    configuration: Configuration
    imbalance: float
    number: int
    folder: Path

    @property
    def seed(self) -> int:
        """What its seeds are made of; the same for all configurations of its number."""
        return self.protocol.first_seed + self.number

    @property
    def stem(self) -> str:
        """Its file's name without the ending."""
        return f"{file_stem(self.configuration.name)}--ir{self.imbalance:g}--run{self.number}"

    @property
    def file(self) -> Path:
        """A header line, then a line per round."""
        return self.folder / f"{self.stem}.jsonl"

    def header(self) -> dict[str, Any]:
        """What decides how the rounds come out; a file with another one is not gone on with."""
        features = features_of(self.dataset, self.protocol)
        return {
            "dataset": self.dataset.name,
            "data": self.dataset.fingerprint(),
            "code": code_of(self.configuration, self.protocol),
            "protocol": asdict(self.protocol),
            "configuration": self.configuration.name,
            "imbalance": self.imbalance,
            "run": self.number,
            "features": None if features is None else features.key.name,
        }


def execute(run: Run, *, should_stop: Callable[[], bool] | None = None) -> Iterator[dict[str, Any]]:
    """Execute what is left of a run; one line a round, after it is in the file.

    Ends early when ``should_stop`` says so. Raises InputError when the file was begun with other settings, and for
    a configuration that cannot be trained so.
    """
    missing = [name for name in run.configuration.companions if name not in COMPANIONS]
    if missing:
        raise InputError(
            f"{run.configuration.name} needs the extra model head {missing[0]!r}, which this version cannot train; "
            "compare another strategy."
        )
    run.configuration.check(run.protocol)
    try:
        compute_features(run.dataset, run.protocol, should_stop=should_stop)
    except Stopped:
        return
    run.folder.mkdir(parents=True, exist_ok=True)
    state = _State(run)
    for number in range(len(state.rounds) + 1, run.protocol.rounds + 1):
        line = state.round(number, should_stop)
        if line is None:
            return
        yield line
    state.tidy()


@dataclass(frozen=True)
class _Trained:
    """What a round's training leaves."""

    model: Model
    heads: HeadHistory | None  # the classifier at some of the epochs; None where the body trained, too
    unlabelled: int  # images that companions saw without a label
    apart_seconds: float  # of the training: for companions that train on them, too


class _State:
    """A run under way."""

    def __init__(self, run: Run) -> None:
        self.run, self.device = run, pick_device()
        data, protocol = run.dataset, run.protocol
        self.features = features_of(data, protocol)  # all computed; None where the body trains
        start = start_of(data.labels, data.pool_rows, data.test_rows, protocol, run.imbalance, run.seed)
        first = first_of(start, data.labels, data.n_classes, protocol, run.seed, self.features)
        self.start = replace(start, first=first)
        self.test = self.start.test
        if protocol.test_limit and protocol.test_limit < len(self.test):
            draws = np.random.default_rng(seed_of("test", data.name))
            self.test = self.test[stratified(data.labels[self.test], protocol.test_limit, draws)]
        self.trained, self.spent = self.start.first, self.start.first  # labels to train on; all that were asked
        # With ``stale``: the batch that the ranking before the last asks; before there is one, a random batch.
        self.waiting: Int64 | None = self._audited(*self._random_batch()) if protocol.stale else None
        self.rounds: list[dict[str, Any]] = []
        self.machine: dict[str, Any] | None = None  # where it goes on, when that is not where it was begun
        lines = read(run.file)
        if lines is None:
            about = {**run.header(), **machine_of(self.device)}
            run.file.write_text(json.dumps(about) + "\n", encoding="utf-8")
            return
        changed = [words for key, words in _DECIDES.items() if lines.header.get(key) != _plain(run.header()[key])]
        if changed:
            raise InputError(
                f"{run.file.name} was started with other {', '.join(changed)}; choose another name for this "
                "experiment, or delete the file: this run then starts again."
            )
        cut_off_tail(run.file)
        machine = _plain(machine_of(self.device))
        if any(lines.header.get(key) != value for key, value in machine.items()):
            self.machine = machine
        for line in lines.rounds:
            self._take(line)

    def round(self, number: int, should_stop: Callable[[], bool] | None) -> dict[str, Any] | None:
        """One round; None if it was stopped."""
        run, protocol = self.run, self.run.protocol
        seconds: dict[str, float] = {}
        forget_peak(self.device)
        began = time.perf_counter()
        asks = self._train(number, "asks", run.configuration.train_config(protocol), should_stop)
        judged = asks
        if asks is not None and run.configuration.plain:
            judged = self._train(number, "plain", run.configuration.train_config(protocol, asks=False), should_stop)
        if asks is None or judged is None:
            return None
        seconds["train"] = time.perf_counter() - began
        began = time.perf_counter()
        line: dict[str, Any] = {
            "round": number,
            "labels": len(self.spent),
            "trained_on": len(self.trained),
            "trained_classes": self._counts(self.trained),
            **self._tested(judged.model, self.test, ""),
            **self._tested(judged.model, self.start.validation, "validation_"),
        }
        seconds["test"] = time.perf_counter() - began
        if asks.unlabelled:
            line["unlabelled"], seconds["apart"] = asks.unlabelled, asks.apart_seconds
        line |= self._ask(asks, number, seconds) if number < protocol.rounds else {"asked": [], "audited": []}
        line["seconds"] = {key: round(value, 3) for key, value in seconds.items()}
        line["peak_gb"] = round(peak_bytes(self.device) / 1e9, 3)
        if self.machine is not None:
            line["machine"] = self.machine
        if should_stop is not None and should_stop():  # asked while it trained; testing and choosing take long, too
            return None
        with run.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._take(line)
        for kept in run.folder.glob(f"{run.stem}.*.round{number - 1}.safetensors"):
            kept.unlink()
        for kept in run.folder.glob(f"{run.stem}.*.checkpoint"):
            kept.unlink()
        return line

    def tidy(self) -> None:
        """Delete the weights that only served to go on."""
        for kept in self.run.folder.glob(f"{self.run.stem}.*"):
            if kept != self.run.file:
                kept.unlink()

    def _train(
        self, number: int, role: str, config: TrainConfig, should_stop: Callable[[], bool] | None
    ) -> _Trained | None:
        run = self.run
        weights = run.folder / f"{run.stem}.{role}.round{number}.safetensors"
        before = weights.with_name(f"{run.stem}.{role}.round{number - 1}.safetensors")
        options = TrainOptions(
            checkpoint=run.folder / f"{run.stem}.{role}{number}.checkpoint",
            checkpoint_seconds=60,
            curves=False,
            should_stop=should_stop,
            threads=run.protocol.threads,
        )
        trained = self._trained(
            number, config, self.trained, options, before if config.warm_start and number > 1 else None
        )
        if trained is not None and config.warm_start and number < run.protocol.rounds:
            trained.model.save(weights)
        return trained

    def _trained(
        self, number: int, config: TrainConfig, rows: Int64, options: TrainOptions, before: Path | None = None
    ) -> _Trained | None:
        """A model of the round ``number``, trained on the images at ``rows``, from the weights ``before``."""
        run, data = self.run, self.run.dataset
        seeds = seeds_of(run.configuration, run.seed, number)
        model = build_model(config, data.n_classes, seeds, self.device)
        if before is not None:
            load_weights(model, before)
        unlabelled = self._unlabelled(rows) if model.apart() else None
        images = TrainImages(data.pixels, rows, data.labels[rows], data.n_classes, self._feature_file, unlabelled)
        training = train(config, images, model, seeds, options)
        for _ in training:
            pass
        result = training.result
        if result is None:
            return None
        return _Trained(model, result.heads, 0 if unlabelled is None else len(unlabelled), result.apart_seconds)

    def _unlabelled(self, rows: Int64) -> Int64:
        """What companions may see without a label beside the images at ``rows``: the rest of the pool."""
        return np.setdiff1d(self.start.pool, np.concatenate([self.spent, rows]))

    @property
    def _feature_file(self) -> Path | None:
        return None if self.features is None else self.features.path

    def _tested(self, model: Model, rows: Int64, prefix: str) -> dict[str, Any]:
        """Accuracy, and the recall of each class (None where it has no image)."""
        if not len(rows):
            return {}
        labels, classes = self.run.dataset.labels[rows], self.run.dataset.n_classes
        right = self._score(model, rows).log_p.argmax(axis=1) == labels
        counts = np.bincount(labels, minlength=classes)
        hits = np.bincount(labels[right], minlength=classes)
        recalls = [float(hit / count) if count else None for hit, count in zip(hits, counts, strict=True)]
        known_recalls = [recall for recall in recalls if recall is not None]
        # To compare configurations on the test images one by one.
        of_each = {} if prefix else {"tested": len(rows), "right": pack_right(right)}
        return {
            **of_each,
            f"{prefix}accuracy": float(right.mean()),
            f"{prefix}balanced_accuracy": float(np.mean(known_recalls)),
            f"{prefix}recalls": recalls,
        }

    def _score(self, model: Model, rows: Int64) -> PoolScores:
        return score(
            model,
            self.run.dataset.pixels,
            rows,
            threads=self.run.protocol.threads,
            features=self._feature_file,
        )

    def _ask(self, trained: _Trained, number: int, seconds: dict[str, float]) -> dict[str, Any]:
        """Rank what is not yet asked; with ``stale`` the batch before this ranking's is the one that is answered."""
        run, protocol = self.run, self.run.protocol
        began = time.perf_counter()
        taken = self.spent
        if self.waiting is not None:  # its audit sample, too: -1 - row
            taken = np.concatenate([taken, np.where(self.waiting < 0, -1 - self.waiting, self.waiting)])
        free = np.setdiff1d(self.start.pool, taken)
        wanted = min(protocol.per_round, len(free))
        rows = self._subset(free, wanted, number)
        strategy = asker(run.configuration.strategy)
        pool = self._view(trained, rows) if strategy.needs else _blind_view(rows, run.dataset.n_classes)
        if strategy.reads_held_out and self.features is not None:
            pool = replace(pool, held_out_log_p=self._out_of_fold(number))
        seconds["score"] = time.perf_counter() - began
        began = time.perf_counter()
        draws = np.random.default_rng(seeds_of(run.configuration, run.seed, number).selection)
        audited = audited_among(protocol.audit_share, len(taken) - len(self.start.first), wanted)
        if isinstance(strategy, Oracle):
            ranked = rows[self._best_batch(pool, wanted - audited, number, draws)]
        else:
            ranked = rows[strategy.select(pool, wanted - audited, draws)]
        batch = self._audited(ranked, draws.permutation(np.setdiff1d(free, ranked))[:audited])
        seconds["choose"] = time.perf_counter() - began
        if protocol.stale and self.waiting is not None:
            batch, self.waiting = self.waiting, batch
        asked, audit = batch[batch >= 0], -1 - batch[batch < 0]
        line = {"asked": asked.tolist(), "asked_classes": self._counts(asked), "audited": audit.tolist()}
        if self.waiting is not None:
            line["waiting"] = self.waiting.tolist()
        return line

    def _out_of_fold(self, number: int) -> Float32 | None:
        """Log p (L, C) of the labelled images, each by a head that did not train on it, where the studio has that."""
        run, n = self.run, len(self.trained)
        if not heads.LEAST <= n <= heads.MOST:
            return None
        config = run.configuration.train_config(run.protocol)
        labels = run.dataset.labels[self.trained]
        folding = np.random.default_rng(seeds_of(run.configuration, run.seed, number).selection)
        fold = heads.stratified_folds(labels, heads.FOLDS, folding)
        log_p = np.empty((n, run.dataset.n_classes), dtype=np.float32)
        for of_fold in range(heads.FOLDS):
            rest, part = self.trained[fold != of_fold], self.trained[fold == of_fold]
            trained = self._trained(number, config, rest, TrainOptions(curves=False, threads=run.protocol.threads))
            if trained is None:
                return None
            log_p[fold == of_fold] = self._score(trained.model, part).log_p
        return log_p

    def _best_batch(self, pool: PoolView, n: int, number: int, draws: np.random.Generator) -> Int64:
        """Positions (n,) in the pool by the oracle, which trains as the next round will: with the same seeds."""
        run, data = self.run, self.run.dataset
        config = run.configuration.train_config(run.protocol)

        def accuracy_after(batch: Int64) -> float:
            trained = self._trained(
                number + 1, config, np.concatenate([self.trained, pool.ids[batch]]), TrainOptions(curves=False)
            )
            left = np.delete(pool.ids, batch)
            if trained is None or not len(left):
                return 0.0
            return float((self._score(trained.model, left).log_p.argmax(axis=1) == data.labels[left]).mean())

        return best_batch(pool, n, draws, run.protocol.candidates, accuracy_after)

    def _subset(self, free: Int64, wanted: int, number: int) -> Int64:
        """The free rows that are scored: the first in an order of all images that the configurations of a run share."""
        limit = max(self.run.protocol.subset, wanted)
        if not self.run.protocol.subset or limit >= len(free):
            return free
        draws = np.random.default_rng(seed_of("subset", self.run.seed, number))
        position = np.empty(len(self.run.dataset.labels))
        position[draws.permutation(len(position))] = np.arange(len(position))
        return np.sort(free[np.argsort(position[free])[:limit]])

    def _view(self, trained: _Trained, rows: Int64) -> PoolView:
        data = self.run.dataset
        scores = self._score(trained.model, np.concatenate([rows, self.trained]))
        view = PoolView.from_scores(rows, scores, data.labels[self.trained], data.n_classes)
        if "exact_log_p" not in asker(self.run.configuration.strategy).needs:
            return view
        return replace(view, exact_log_p=self._exact_log_p(trained, rows))

    def _exact_log_p(self, trained: _Trained, rows: Int64) -> Float32 | None:
        """(N, C) log of the exact p-bar of the images at ``rows``, over the window that the TD module learns."""
        if self.features is None or trained.heads is None:
            return None
        first_epoch = trained.heads.first_epoch(self.run.protocol.train.td_window)
        p_bar = exact_p_bar(trained.heads, trained.model, self.features.read(), rows, first_epoch)
        return log_of(p_bar).astype(np.float32)

    def _random_batch(self) -> tuple[Int64, Int64]:
        protocol = self.run.protocol
        draws = np.random.default_rng(seed_of("stale", self.run.seed))
        free = draws.permutation(np.setdiff1d(self.start.pool, self.spent))[: protocol.per_round]
        audited = audited_among(protocol.audit_share, 0, len(free))
        return free[audited:], free[:audited]

    def _audited(self, asked: Int64, audit: Int64) -> Int64:
        """One batch in one array: rows to train on, and rows for the audit sample as -1 - row."""
        return np.concatenate([asked, -1 - audit])

    def _take(self, line: dict[str, Any]) -> None:
        """What a finished round leaves for the next one."""
        asked, audited = np.asarray(line["asked"], np.int64), np.asarray(line["audited"], np.int64)
        self.trained = np.concatenate([self.trained, asked])
        self.spent = np.concatenate([self.spent, asked, audited])
        self.waiting = np.asarray(line["waiting"], np.int64) if "waiting" in line else self.waiting
        self.rounds.append(line)

    def _counts(self, rows: Int64) -> list[int]:
        counts: list[int] = np.bincount(self.run.dataset.labels[rows], minlength=self.run.dataset.n_classes).tolist()
        return counts


def repeat(run: Run, scratch: Path) -> list[str]:
    """Play a finished run again in ``scratch`` and name what came out differently: nothing, on the same machine."""
    before = read(run.file)
    if before is None:
        raise InputError(f"There is no file {run.file.name}; only a run that was started can be repeated.")
    again = Run(run.dataset, run.protocol, run.configuration, run.imbalance, run.number, scratch)
    differences = []
    for old, new in zip(before.rounds, execute(again), strict=False):
        names = sorted(key for key in old | new if key not in TIMES and old.get(key) != new.get(key))
        differences += [f"round {old['round']}: {name}" for name in names]
    return differences


def _blind_view(rows: Int64, classes: int) -> PoolView:
    """A pool for strategies that look at nothing."""
    nothing = np.empty((0, 0), np.float32)
    return PoolView(
        ids=rows,
        log_p=np.empty((len(rows), classes), np.float32),
        td_log_p=None,
        features=np.empty((len(rows), 0), np.float32),
        labelled_features=nothing,
        labelled_log_p=nothing,
        labelled_classes=np.empty(0, np.int64),
        class_counts=np.zeros(classes, np.int64),
    )


def code_of(configuration: Configuration, protocol: Protocol) -> str:
    """What tells the code of a run from that of another: ours, and the file of a strategy from another package."""
    foreign: list[type] = [type(asker(configuration.strategy))]
    if protocol.train.backbone in registered_points():
        foreign.append(registered_backbone(protocol.train.backbone))
    versions = [version for kind in foreign if (version := foreign_code_version(kind)) is not None]
    return "-".join([code_version(OF_A_RUN), *versions])


def _plain(value: Any) -> Any:
    """The value as it comes back from JSON."""
    return json.loads(json.dumps(value))
