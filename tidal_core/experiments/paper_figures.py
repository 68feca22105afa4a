"""What Figures 9 to 13 of TiDAL (ICCV 2023) compare, and which experiments of this studio belong into them. Facts only.

The paper's figures have a panel for each data set and imbalance ratio. ``figures.paper`` draws them.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from tidal_core.config import PAPER
from tidal_core.experiments.files import Experiment, Spec
from tidal_core.experiments.published import name_of, published

COMPARED = ("random", "entropy", "bald", "coreset", "cal", "learning-loss", "tidal-entropy", "tidal-margin")
"""The methods of the paper's main comparison, by the studio's names."""

CUT = ("cifar10", "cifar100", "fashion-mnist")  # the data sets that the paper cuts to a long tail


@dataclass(frozen=True)
class Panel:
    """One data set at one imbalance ratio."""

    dataset: str  # as commands call it
    imbalance: float  # that the images are cut to; 1: as they are
    own_imbalance: float = 1  # of the images as they are: what the published file has in its column


@dataclass(frozen=True)
class PaperFigure:
    """One figure of the paper."""

    number: int
    shows: str
    is_relative: bool  # accuracy in percent of random's, else accuracy
    configurations: tuple[str, ...]
    panels: tuple[Panel, ...]


def _panels(*ratios: float) -> tuple[Panel, ...]:
    return tuple(Panel(dataset, ratio) for dataset in CUT for ratio in ratios)


FIGURES: tuple[PaperFigure, ...] = (
    PaperFigure(9, "accuracy relative to random, long tail of 100", True, COMPARED, _panels(100)),
    PaperFigure(
        10,
        "accuracy on images as they are",
        False,
        COMPARED,
        (*_panels(1), Panel("svhn", 1, 2.98), Panel("inaturalist2018", 1, 500)),
    ),
    PaperFigure(11, "accuracy on long tails of 10 and 100", False, COMPARED, _panels(10, 100)),
    PaperFigure(
        12,
        "VAAL and TA-VAAL, accuracy relative to random",
        True,
        ("random", "vaal", "ta-vaal", "tidal-entropy", "tidal-margin"),
        _panels(1, 10, 100),
    ),
    PaperFigure(
        13,
        "the ways to read predicted dynamics, accuracy relative to random",
        True,
        ("random", "tidal-entropy", "tidal-margin", "tidal-margin-naive", "tidal-confidence", "tidal-confidence-naive"),
        _panels(1, 10, 100),
    ),
)


def belongs(experiment: Experiment, panel: Panel, *, any_size: bool = False) -> bool:
    """Whether an experiment is of this data set and ratio and follows the published protocol.

    With ``any_size`` one that plays it otherwise or on a part of the data belongs, too. Raises InputError for one whose
    specification is damaged.
    """
    spec = experiment.spec
    return (
        name_of(spec.dataset) == panel.dataset
        and panel.imbalance in spec.imbalances
        and (any_size or _as_published(spec, panel))
    )


def _as_published(spec: Spec, panel: Panel) -> bool:
    row, protocol = published(spec.dataset, (panel.imbalance,)), spec.protocol
    whole = spec.dataset.startswith("folder:") or spec.dataset == panel.dataset
    # How a machine computes it is its own affair.
    train = dataclasses.replace(
        protocol.train, precision=PAPER.precision, channels_last=PAPER.channels_last, compile=PAPER.compile
    )
    return row is not None and whole and train == PAPER and protocol.first == row.first == protocol.per_round


def command(figure: PaperFigure, panel: Panel) -> str:
    """What plays a panel as published."""
    dataset = panel.dataset if panel.dataset != "inaturalist2018" else "folder:PATH/inaturalist2018"
    ratio = f" --imbalance {panel.imbalance:g}" if panel.imbalance != 1 else ""
    name = f"{panel.dataset}-paper" + (f"-{panel.imbalance:g}" if panel.imbalance != 1 else "")
    return (
        f"tidal-studio experiment {dataset} --preset paper{ratio} --name {name} --runs 3 "
        f"--strategies {','.join(figure.configurations)}"
    )
