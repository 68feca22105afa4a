"""Which labels are probably mistakes: signals of each labelled image, rankings made of them, and about how many.

Arrays in, numbers out: nothing here trains, reads the store or decides. Every signal is high where a label looks right;
a ranking is of suspicion, high where it looks wrong. N images, C classes, y the label, p out of fold: by heads that did
not train on the image.

Sources
    label probability, margin   Northcutt et al. 2021, Confident Learning: p(y) and (p(y) - max other + 1) / 2; what
                                cleanlab ranks by (a test compares them)
    margin area (AUM)           Pleiss et al. 2020, with probabilities: ``dynamics.margin_area``
    p-bar                       TiDAL, Eq. 5: the mean probability of the label while the model trained
    neighbours                  Zhu et al. 2022, Detecting Corrupted Labels Without Training: votes of the nearest
    expected mistakes           Northcutt et al. 2021: what lies beside the diagonal of the confident joint
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from tidal_core.records import Bools, Float32, Float64, Floats, Int64

NEIGHBOURS = 10
_BLOCK = 2_048  # rows of the matrix of likenesses at once


class Signal(NamedTuple):
    """One thing that tells of a mistake, for people."""

    title: str
    meaning: str


SIGNALS: dict[str, Signal] = {
    "label_p": Signal(
        "Probability of the label",
        "What models that did not train on the image give to its label. cleanlab ranks by it (Northcutt et al. 2021).",
    ),
    "margin": Signal(
        "Margin of the label",
        "By how much the label leads the best other class, in models that did not train on the image.",
    ),
    "margin_area": Signal(
        "Margin area",
        "By how much the label led the best other class while the model trained on it (Pleiss et al. 2020).",
    ),
    "p_bar": Signal("p-bar of the label", "The mean probability of the label while the model trained on it (TiDAL)."),
    "neighbours": Signal(
        "Neighbours", "The share of the ten labelled images most like it that have its label (Zhu et al. 2022)."
    ),
}
"""By name; the arrays of a ranking have these names, too."""

DEFAULT = "combined"
COMBINED = ("label_p", "margin_area")
"""What the default ranking is the mean rank of, of those that are known (chosen in EXPERIMENTS.md)."""


def label_probability(p: Floats, labels: Int64) -> Float64:
    """p(y) (N,) of p (N, C) and labels (N,)."""
    values: Float64 = np.asarray(p, dtype=np.float64)[np.arange(len(labels)), labels]
    return values


def label_margin(p: Floats, labels: Int64) -> Float64:
    """(p(y) - max other + 1) / 2 (N,), 0 to 1; 1 where there is one class."""
    others = np.array(p, dtype=np.float64)
    others[np.arange(len(labels)), labels] = -np.inf
    largest = others.max(axis=1, initial=-np.inf)
    return (label_probability(p, labels) - np.where(np.isneginf(largest), 0.0, largest) + 1) / 2


def neighbour_share(x: Float32, labels: Int64, n_neighbours: int = NEIGHBOURS) -> Float64:
    """Share (N,) of the votes of the nearest others for an image's own label; ``x`` (N, D) of length 1.

    A vote weighs as the cosine, at least 0. NaN where there is no other image.
    """
    n = len(labels)
    k = min(n_neighbours, n - 1)
    share = np.full(n, np.nan)
    if k < 1:
        return share
    for start in range(0, n, _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, n))
        likeness = x[rows] @ x.T  # (n, N)
        likeness[np.arange(len(rows)), rows] = -np.inf
        nearest = np.argpartition(-likeness, k - 1, axis=1)[:, :k]
        votes = np.maximum(np.take_along_axis(likeness, nearest, axis=1), 1e-6).astype(np.float64)
        same = labels[nearest] == labels[rows][:, None]
        share[rows] = (votes * same).sum(axis=1) / votes.sum(axis=1)
    return share


def suspicion(signals: Mapping[str, Floats], ranking: str = DEFAULT) -> Float64:
    """How suspicious each label is (N,), 0 to 1, NaN where nothing is known of it.

    ``ranking``: a name of SIGNALS, or DEFAULT: the mean of the ranks by COMBINED, of those there are; where there is
    none of them, of all there are. Raises KeyError for a signal that is not there.
    """
    names: tuple[str, ...] = (ranking,)
    if ranking == DEFAULT:
        names = tuple(name for name in COMBINED if name in signals) or tuple(signals)
    ranks = [_share_above(np.asarray(signals[name], dtype=np.float64)) for name in names]
    if not ranks:
        raise KeyError(ranking)
    stacked = np.stack(ranks)  # (signals, N)
    known = ~np.isnan(stacked)
    total = np.where(known, stacked, 0).sum(axis=0)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)


def by_suspicion(suspicions: Floats, tie_break: Floats | None = None) -> Int64:
    """Rows (N,), the most suspicious first; equals by ``tie_break`` (the smallest first), then as they come."""
    last = np.where(np.isnan(suspicions), -np.inf, suspicions)
    ties = np.zeros(len(last)) if tie_break is None else np.nan_to_num(np.asarray(tie_break, dtype=np.float64), nan=2)
    return np.lexsort((np.arange(len(last)), ties, -last))


def confident_mistakes(p: Floats, labels: Int64) -> Bools:
    """Which labels (N,) lie beside the diagonal of the confident joint: their number estimates that of the mistakes.

    A class is confident where its p is at least its mean over the images that have its label; an image counts as a
    mistake if another class than its label is the likeliest of those that are confident. Rows of NaN are none.
    """
    values = np.asarray(p, dtype=np.float64)
    known = ~np.isnan(values).any(axis=1)
    mistakes = np.zeros(len(labels), dtype=np.bool_)
    if not known.any():
        return mistakes
    values, of_known = values[known], labels[known]
    thresholds = np.full(values.shape[1], np.inf)
    for position in np.unique(of_known):
        thresholds[position] = values[of_known == position, position].mean()
    confident = values >= thresholds - 1e-6  # rounding must not decide where all are the same
    best = np.where(confident, values, -np.inf).argmax(axis=1)
    mistakes[known] = confident.any(axis=1) & (best != of_known)
    return mistakes


def _share_above(signal: Float64) -> Float64:
    """Ranks as shares 0 to 1, 1 for the lowest signal; NaN stays."""
    n = int((~np.isnan(signal)).sum())
    ranks: Float64 = rankdata(-signal, nan_policy="omit")
    return (ranks - 0.5) / max(n, 1)
