"""The published protocols (TiDAL, ICCV 2023), one row for each data set and its imbalance ratios. Values only.

Each row trains as the preset ``paper`` does: ResNet-18, 200 epochs a round, from the last round's weights, and scores
10,000 images of the pool in each round. The budgets of SVHN are those of FashionMNIST: what is at hand of the paper
does not state them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath

from tidal_core.errors import InputError

WORTH_SAYING = 1_000  # classes: from here on memory and work are said before anything starts


@dataclass(frozen=True)
class Published:
    """One row of the paper's experiments."""

    dataset: str  # as commands call it
    imbalance: tuple[float, ...]  # ratios that the images are cut to; 1: as they are
    first: int
    per_round: int
    rounds: int
    classes: int
    pool: int  # images


TABLE: tuple[Published, ...] = (
    Published("cifar10", (1,), 1_000, 1_000, 10, 10, 50_000),
    Published("cifar10", (10, 100), 500, 500, 10, 10, 50_000),
    Published("cifar100", (1,), 2_000, 2_000, 10, 100, 50_000),
    Published("cifar100", (10, 100), 1_000, 1_000, 10, 100, 50_000),
    Published("fashion-mnist", (1, 10, 100), 1_000, 1_000, 10, 10, 60_000),
    Published("svhn", (1,), 1_000, 1_000, 10, 10, 73_257),  # 2.98 as it is
    Published("inaturalist2018", (1,), 20_000, 20_000, 5, 8_142, 437_513),  # 500 as it is
)


def name_of(dataset: str) -> str:
    """The data set behind a name: ``cifar10`` of ``cifar10@16:3000,1000``, the last folder of ``folder:PATH``."""
    if dataset.startswith("folder:"):
        return PurePath(dataset.removeprefix("folder:")).name
    return re.split("[:@]", dataset)[0]


def published(dataset: str, imbalance: tuple[float, ...]) -> Published | None:
    """The row of a data set at these ratios; None for a data set that the paper does not have.

    ``folder:.../inaturalist2018`` is iNaturalist; a part of a data set (``cifar10:3000,1000``) or a smaller copy of it
    (``cifar10@16``) has the budgets of the whole. Ratios that the paper does not have take the last row.
    Raises InputError where the ratios have different budgets: an experiment has one.
    """
    name = name_of(dataset)
    rows = [row for row in TABLE if row.dataset == name]
    if not rows:
        return None
    of_ratios = {next((row for row in rows if ratio in row.imbalance), rows[-1]) for ratio in imbalance}
    if len(of_ratios) > 1:
        budgets = " and ".join(f"{row.per_round:,} labels a round" for row in rows)
        raise InputError(
            f"The paper has other budgets for {name} with and without an imbalance ({budgets}); compare the ratio 1 in "
            "an experiment of its own, or give --first and --per-round for all."
        )
    return of_ratios.pop()


def in_words(row: Published, *, epochs: int = 200, side: int = 224) -> str:
    """What a run of this row takes, before it starts: memory, disk and work; "" where it is no more than usual."""
    if row.classes < WORTH_SAYING:
        return ""
    last = row.first + (row.rounds - 1) * row.per_round
    dynamics = last * (row.classes + 1) * 4
    passes = epochs * sum(row.first + k * row.per_round for k in range(row.rounds))
    scored = 10_000 * row.classes * 4
    return (
        f"A run of {row.dataset} as published has {row.classes:,} classes and {row.pool:,} images: "
        f"{row.pool * side * side * 3 / 1e9:.0f} GB of disk for squares of {side} pixels; in the last round "
        f"{dynamics / 1e9:.1f} GB of memory for the training dynamics of {last:,} labels, and {scored / 1e9:.1f} GB "
        f"for each set of probabilities that is scored. It passes {passes / 1e6:.0f} million images through "
        "ResNet-18, forward and back: far more than a CPU can do. Nobody has measured its hours with this studio."
    )
