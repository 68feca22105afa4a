"""How a comparison goes: presets, configurations, seeds, imbalance. Values only; no torch: pages show them.

Seeds are apart for each source of chance. The first labelled set, the weights and the scored subset depend on the run
alone, so that all configurations of a run start alike and are paired; the order of batches, augmentation and the
strategy's own draws depend on the configuration as well.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tidal_core import strategies
from tidal_core.config import FROZEN as FROZEN_TRAIN
from tidal_core.config import PAPER as PAPER_TRAIN
from tidal_core.config import PAPER_CPU as PAPER_CPU_TRAIN
from tidal_core.config import QUICK as QUICK_TRAIN
from tidal_core.config import JsonConfig, Seeds, TrainConfig
from tidal_core.errors import InputError
from tidal_core.experiments.oracle import Oracle
from tidal_core.records import Int64
from tidal_core.strategies.base import Strategy

Tail = Literal["exponential", "step"]
FirstChoice = Literal["random", "classes", "k-means", "herding"]

STARTS: dict[FirstChoice, str] = {
    "random": "random images",
    "classes": "one random image of each class, then random ones",
    "k-means": "the image nearest to each centre of k-means over the features",
    "herding": "those that stand for most others, by their features, as the studio begins",
}
"""How the labels of a run's first round are chosen; all configurations of a run begin with the same."""

BY_FEATURES: tuple[FirstChoice, ...] = ("k-means", "herding")  # the starts that need frozen features

LEAST_SIDE, MOST_SIDE = 16, 512  # pixels that images can be enlarged to


@dataclass(frozen=True)
class Protocol(JsonConfig):
    """Everything that decides how a run comes out, beside data, configuration, number and imbalance ratio."""

    train: TrainConfig
    first: int  # labels of the first round
    per_round: int
    rounds: int
    subset: int = 0  # pool images scored per round, drawn at random; 0 for all
    validation: int = 0  # images taken from the pool to watch, never to train on
    test_limit: int = 0  # of the test images, the same for all runs; 0 for all
    tail: Tail = "exponential"
    stale: bool = False  # the studio's delay: a batch is answered from the ranking before the last
    audit_share: float = 0.0  # of each batch, labels that go to the audit sample and are not trained on
    threads: int = 1
    enlarge_to: int = 0  # pixels of a side: smaller images are enlarged before their frozen features; 0 for as they are
    start: FirstChoice = "random"  # how the first labels are chosen, see ``STARTS``
    held_out: int = 0  # images that a run tests on, drawn from all for each run; 0 for the data set's own test part
    candidates: int = 30  # batches that the oracle takes the best of, each for a training
    first_seed: int = 0  # added to the number of a run in all its seeds: other runs than those of another first seed

    def __post_init__(self) -> None:
        if min(self.first, self.per_round, self.rounds, self.threads) < 1:
            raise InputError(
                f"{self.first} first labels, {self.per_round} labels per round, {self.rounds} rounds, {self.threads} "
                "threads: each must be at least 1."
            )
        if self.start not in STARTS:
            raise InputError(f"there is no start {self.start!r}; choose one of {', '.join(STARTS)}.")
        if self.start in BY_FEATURES and self.train.body != "frozen":
            raise InputError(
                f"the start {self.start} chooses by frozen features; choose frozen as the preset, or random or classes "
                "as the start."
            )
        if self.candidates < 1:
            raise InputError(f"the oracle needs at least 1 candidate batch, not {self.candidates}.")
        if min(self.held_out, self.first_seed) < 0:
            raise InputError(
                f"{self.held_out} images held out in each run, first seed {self.first_seed}: neither can be below 0."
            )
        if not 0 <= self.audit_share <= 0.5:
            raise InputError(
                f"the share of labels that only measure accuracy is {self.audit_share:g}; choose a share from 0 to 0.5."
            )
        if self.enlarge_to and self.train.body != "frozen":
            raise InputError(
                f"images are enlarged (to {self.enlarge_to} pixels) for frozen features only; choose frozen as the "
                "preset, or 0 pixels."
            )
        if self.enlarge_to and not LEAST_SIDE <= self.enlarge_to <= MOST_SIDE:
            raise InputError(
                f"images cannot be enlarged to {self.enlarge_to} pixels; choose from {LEAST_SIDE} to {MOST_SIDE}, or 0 "
                "for their own size."
            )

    @property
    def last_labels(self) -> int:
        """Labels of the last round."""
        return self.first + self.per_round * (self.rounds - 1)

    def fitted(self, pool: int) -> Protocol:
        """A copy that a pool of so many images is enough for: fewer validation images, then fewer rounds."""
        validation = min(self.validation, pool // 10)
        first = min(self.first, max(1, (pool - validation) // 2))
        rounds = max(1, min(self.rounds, 1 + (pool - validation - first) // self.per_round))
        return dataclasses.replace(self, validation=validation, first=first, rounds=rounds)

    def changed(self, **values: Any) -> Protocol:
        """A copy with the values that are not None."""
        return dataclasses.replace(self, **{key: value for key, value in values.items() if value is not None})


PRESETS: dict[str, Protocol] = {
    # The studio's own settings at the budgets of a person, but for the start: every round trains from fresh weights, so
    # that a round's accuracy depends on its labels alone. Minutes a run on two CPU cores.
    "human": Protocol(
        dataclasses.replace(QUICK_TRAIN, warm_start=False),
        first=20,
        per_round=20,
        rounds=10,
        subset=2_000,
        validation=100,
        test_limit=2_000,
    ),
    # What the studio trains photos with: a head on features of an ImageNet model, which are computed once for all runs.
    # The first budgets are the smallest at which accuracy means something. At 64 pixels CIFAR-10's images take minutes.
    "frozen": Protocol(
        FROZEN_TRAIN,
        first=10,
        per_round=10,
        rounds=10,
        subset=2_000,
        validation=100,
        test_limit=2_000,
        enlarge_to=64,
    ),
    # TiDAL (ICCV 2023): a round of 200 epochs with ResNet-18; needs a GPU.
    "paper": Protocol(PAPER_TRAIN, first=1_000, per_round=1_000, rounds=10, subset=10_000, validation=1_000),
    # The same at a size for a CPU, for images of 16 pixels (cifar10@16): a fifth of the budgets and of what is scored.
    "paper-cpu": Protocol(
        PAPER_CPU_TRAIN, first=200, per_round=200, rounds=10, subset=2_000, validation=200, test_limit=2_000
    ),
    # For tests and for trying a command: seconds.
    "quick": Protocol(
        dataclasses.replace(QUICK_TRAIN, epochs=2, min_steps=0, warm_start=False, augmentation="none"),
        first=20,
        per_round=10,
        rounds=3,
        subset=100,
        validation=20,
        test_limit=100,
    ),
}


PART_OF_PUBLISHED = {"paper": 1, "paper-cpu": 5}
"""The presets that follow the paper: by how much the published budgets of a data set are divided."""


@dataclass(frozen=True)
class Configuration:
    """What is compared: a strategy, with or without the TD module, judged by its own classifier or by a plain one.

    ``entropy``: a plain classifier. ``random+td``: asks at random, the TD module is trained along.
    ``tidal-entropy/plain``: asks as TiDAL does; the accuracy is that of a plain classifier trained on what was asked.
    """

    strategy: str
    td: bool = False
    plain: bool = False

    @classmethod
    def parse(cls, text: str) -> Configuration:
        """The configuration of this name. Raises InputError for a strategy that is not there or not trainable so."""
        match = re.fullmatch(r"([^+/\s]+)(\+td)?(/plain)?", text.strip())
        if match is None:
            raise InputError(f"{text!r} is not a configuration; write STRATEGY, STRATEGY+td or STRATEGY/plain.")
        strategy = asker(match[1])
        configuration = cls(strategy.name, bool(match[2]) or "td" in strategy.companions, bool(match[3]))
        if configuration.plain and not configuration.td:
            raise InputError(f"{text!r}: {strategy.name} trains a plain classifier already; leave out /plain.")
        return configuration

    @property
    def name(self) -> str:
        """What ``parse`` reads."""
        own = "td" in asker(self.strategy).companions
        return self.strategy + ("+td" if self.td and not own else "") + ("/plain" if self.plain else "")

    @property
    def title(self) -> str:
        """What people call it."""
        own = "td" in asker(self.strategy).companions
        title = asker(self.strategy).title + (", with a TD module" if self.td and not own else "")
        return title + (", measured with a plain classifier" if self.plain else "")

    @property
    def companions(self) -> tuple[str, ...]:
        """What is trained beside the classifier that asks."""
        return tuple(sorted(asker(self.strategy).companions | ({"td"} if self.td else set())))

    def check(self, protocol: Protocol) -> None:
        """Raises InputError where the protocol's training cannot give what the strategy needs."""
        if "exact_log_p" in asker(self.strategy).needs and protocol.train.body != "frozen":
            raise InputError(
                f"{self.name} needs the exact training dynamics of every image, which only a training on frozen "
                "features has; choose frozen as the preset, or leave this strategy out."
            )

    def train_config(self, protocol: Protocol, *, asks: bool = True) -> TrainConfig:
        """How its classifier that asks, or the plain one, is trained."""
        return dataclasses.replace(protocol.train, companions=self.companions if asks else ())


def asker(name: str) -> Strategy:
    """The strategy of this name, the oracle among them. Raises InputError for one that is not there."""
    return Oracle() if name == Oracle.name else strategies.get(name)


def seed_of(*parts: object) -> int:
    """A seed for a purpose: the same parts always give the same, others an unrelated one. 0 to 2^62."""
    return int.from_bytes(hashlib.sha256("|".join(map(str, parts)).encode()).digest()[:8]) >> 2


def seeds_of(configuration: Configuration, seed: int, round_number: int) -> Seeds:
    """Weights by the run's seed and round; order, augmentation and selection by configuration too."""
    return Seeds(
        weights=seed_of("weights", seed, round_number),
        order=seed_of("order", configuration.name, seed, round_number),
        augmentation=seed_of("augmentation", configuration.name, seed, round_number),
        selection=seed_of("selection", configuration.name, seed, round_number),
    )


@dataclass(frozen=True)
class Start:
    """Where a run begins: rows of the pixel file, the same for all its configurations."""

    pool: Int64  # what may be asked, the first set included
    validation: Int64
    test: Int64
    first: Int64  # at random; ``starts`` has the other ways to begin


def start_of(
    labels: Int64, pool_rows: Int64, test_rows: Int64, protocol: Protocol, imbalance: float, seed: int
) -> Start:
    """Draw the held-out images, the tail, the validation images and the first set of a run.

    Raises InputError when the pool is too small for the labels that the protocol asks.
    """
    if protocol.held_out:
        everything = np.random.default_rng(seed_of("held-out", seed)).permutation(np.union1d(pool_rows, test_rows))
        test_rows, pool_rows = np.sort(everything[: protocol.held_out]), np.sort(everything[protocol.held_out :])
    rng = np.random.default_rng(seed_of("start", seed))
    order = rng.permutation(pool_rows)
    validation, rest = order[: protocol.validation], order[protocol.validation :]
    pool = rest[keep_tail(labels[rest], imbalance, protocol.tail)]
    asked = protocol.last_labels
    if asked > len(pool):
        raise InputError(
            f"{protocol.rounds} rounds need {asked:,} labels, but the pool has only {len(pool):,} images"
            + (f" at imbalance {imbalance:g}" if imbalance > 1 else "")
            + "; choose fewer rounds or fewer labels per round."
        )
    return Start(np.sort(pool), np.sort(validation), test_rows, pool[: protocol.first])


def keep_tail(labels: Int64, ratio: float, tail: Tail) -> Int64:
    """Positions to keep of ``labels``, which are in random order: the first of each class, in their order.

    Exponential: class k keeps n * ratio^(-k / (C - 1)), n being the size of the largest class. Step: the second half
    of the classes keep n / ratio. Classes that are smaller already keep what they have.
    """
    if ratio < 1:
        raise InputError(
            f"the imbalance ratio is {ratio:g}; choose at least 1: 1 is balanced, 10 leaves the last class a tenth."
        )
    counts = np.bincount(labels[labels >= 0])
    classes = len(counts)
    if tail == "exponential":
        share = ratio ** -(np.arange(classes) / max(1, classes - 1))
    else:
        share = np.where(np.arange(classes) < (classes + 1) // 2, 1, 1 / ratio)
    most = np.maximum(1, np.rint(counts.max() * share)).astype(np.int64)
    kept = [np.flatnonzero(labels == c)[: most[c]] for c in range(classes)]
    return np.sort(np.concatenate(kept))
