"""Statistics of recorded training curves, and honest intervals around accuracies. numpy and scipy on arrays only.

Symbols: T epochs, N images, C classes; p[t, i, c] is the classifier's probability of class c for image i at epoch t,
written p^(t)(c | x) in the paper. Nothing here reads the store, trains or draws.

Sources
    area (p-bar)                          TiDAL (ICCV 2023), Eq. 5
    confidence, variability, correctness  Swayamdipta et al. 2020, Dataset Cartography
    forgetting events                     Toneva et al. 2019, An Empirical Study of Example Forgetting
    area under the margin                 Pleiss et al. 2020, with probabilities in place of logits
    EL2N                                  Paul et al. 2021, Deep Learning on a Data Diet
    Wilson interval                       Wilson 1927
    interval of a mean of proportions     ours, see ``balanced_accuracy``
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri
from scipy.stats import spearmanr

from tidal_core.errors import InputError
from tidal_core.records import Bools, Float32, Float64, Int64


class Explanation(NamedTuple):
    """What a statistic of curves means, for someone who never read the papers; see ``records`` for estimators."""

    title: str
    meaning: str
    source: str

    @property
    def help(self) -> str:
        """Both in one text, as a hover shows it."""
        return f"{self.meaning} ({self.source})"


EXPLANATIONS: dict[str, Explanation] = {
    "confidence": Explanation(
        "Confidence",
        "The mean probability of the image's label over the epochs: 1 means that the model was sure of it from the "
        "start.",
        "Swayamdipta et al. 2020",
    ),
    "variability": Explanation(
        "Variability",
        "How much the probability of the label changed over the epochs (standard deviation): a high value means that "
        "the model changed its mind.",
        "Swayamdipta et al. 2020",
    ),
    "correctness": Explanation(
        "Correctness",
        "The share of epochs in which the label was the model's first choice.",
        "Swayamdipta et al. 2020",
    ),
    "forgetting": Explanation(
        "Forgetting events",
        "How often the model predicted the label in one epoch and another class in the next. Images whose label was "
        "never predicted are listed separately, as never learnt.",
        "Toneva et al. 2019",
    ),
    "first_learnt": Explanation(
        "First learnt",
        "The first epoch in which the label was the model's first choice.",
        "Toneva et al. 2019",
    ),
    "aum": Explanation(
        "Margin area",
        "By how much the label's probability led the best other class, on average. Below 0, another class was ahead "
        "most of the time: check whether the label is wrong.",
        "Pleiss et al. 2020, here with probabilities",
    ),
    "el2n": Explanation(
        "Error length (EL2N)",
        "The distance between the probabilities in one epoch and a perfect answer: 0 is perfect, 1.41 means sure of a "
        "wrong class.",
        "Paul et al. 2021",
    ),
    "area": Explanation(
        "Training dynamics (p-bar)",
        "The area under each class's curve: the mean probability of the class over the epochs. This is what the TD "
        "module learns to predict.",
        "TiDAL, Eq. 5",
    ),
}


class LabelView(NamedTuple):
    """Curves as seen from each image's label; every array is (T, N)."""

    p_label: Float64  # probability of the label
    p_other: Float64  # largest probability of any other class
    correct: Bools  # the label alone is the first choice: a tie is not


class Forgetting(NamedTuple):
    """Learning and forgetting, one entry per image (N,)."""

    events: Int64  # right at one epoch, wrong at the next
    first_learnt: Int64  # epoch from 1; 0 when never learnt
    never_learnt: Bools


class CurveStatistics(NamedTuple):
    """Every statistic of one round's curves, one entry per image (N,)."""

    confidence: Float64
    variability: Float64
    correctness: Float64
    forgetting: Int64
    first_learnt: Int64  # epoch from 1; 0 when never learnt
    margin_area: Float64

    def columns(self) -> dict[str, Float32 | Int64]:
        """By name, for storing; floats in single precision. ``area``, of the label's curve, is its confidence."""
        columns = {"area": self.confidence, **self._asdict()}
        return {name: v.astype(np.float32) if v.dtype == np.float64 else v for name, v in columns.items()}


class Interval(NamedTuple):
    """A value with its interval."""

    value: float
    low: float
    high: float


def label_view(p: ArrayLike, labels: ArrayLike, class_index: ArrayLike | None = None) -> LabelView:
    """The curves of each image's label against the best other class.

    ``p`` is (T, N, C), or (T, N, K) with ``class_index`` of the same shape naming the class of each entry (-1: unused);
    ``labels`` is (N,), positions in the class order. A label that a sparse row does not hold counts as probability 0.
    Raises InputError when shapes do not fit.
    """
    values = np.asarray(p, dtype=np.float64)  # (T, N, C or K)
    label = np.asarray(labels, dtype=np.int64)  # (N,)
    if values.ndim != 3 or label.shape != values.shape[1:2]:
        raise InputError(
            f"curves of shape {values.shape} do not fit {label.shape} labels; give (epochs, images, classes)."
        )
    if class_index is None:
        class_at = np.arange(values.shape[2], dtype=np.int64)[None, None, :]  # (1, 1, C)
        if label.size and not (label.min() >= 0 and label.max() < values.shape[2]):
            raise InputError(
                f"labels go from {label.min()} to {label.max()} and there are {values.shape[2]} classes; "
                "labels are positions from 0."
            )
    else:
        class_at = np.asarray(class_index, dtype=np.int64)  # (T, N, K)
        if class_at.shape != values.shape:
            raise InputError(
                f"class indices of shape {class_at.shape} do not fit curves of shape {values.shape}; give one for each."
            )
    is_label = class_at == label[None, :, None]  # (T, N, C or K)
    p_label = np.where(is_label, values, 0.0).max(axis=2, initial=0.0)
    p_other = np.where(is_label, 0.0, values).max(axis=2, initial=0.0)
    return LabelView(p_label, p_other, p_label > p_other)


def joined(views: Sequence[LabelView]) -> LabelView:
    """Views of consecutive epochs as one, (T, N); at least one of them."""
    return LabelView(*(np.concatenate(parts) for parts in zip(*views, strict=True)))


def area(p: ArrayLike, *, second_half: bool = False) -> Float64:
    """p-bar, the mean of the curves over epochs (TiDAL, Eq. 5): (T, ...) to (...).

    ``second_half`` averages epochs T // 2 + 1 to T only, as a round trained with that window does. Raises InputError
    without an epoch.
    """
    values = np.asarray(p, dtype=np.float64)
    if not values.shape[0]:
        raise InputError("there is no epoch to average over yet; wait until the round's first epoch is done.")
    start = values.shape[0] // 2 if second_half else 0
    mean: Float64 = values[start:].mean(axis=0)
    return mean


def confidence(p_label: ArrayLike) -> Float64:
    """Mean probability of the label over epochs: (T, N) to (N,)."""
    return area(p_label)


def variability(p_label: ArrayLike) -> Float64:
    """Standard deviation of the label's probability over epochs: (T, N) to (N,), 0 to 0.5."""
    values = np.asarray(p_label, dtype=np.float64)
    deviation: Float64 = values.std(axis=0)
    return deviation


def correctness(correct: ArrayLike) -> Float64:
    """Share of epochs at which the label was the first choice: (T, N) to (N,)."""
    return area(np.asarray(correct, dtype=np.float64))


def forgetting(correct: ArrayLike) -> Forgetting:
    """Forgetting events and the first epoch at which each image was learnt; ``correct`` is (T, N)."""
    right = np.asarray(correct, dtype=np.bool_)
    events = (right[:-1] & ~right[1:]).sum(axis=0, dtype=np.int64)
    never: Bools = np.logical_not(right.any(axis=0))
    first = np.where(never, 0, right.argmax(axis=0) + 1).astype(np.int64)
    return Forgetting(events, first, never)


def margin_area(p_label: ArrayLike, p_other: ArrayLike) -> Float64:
    """Area under the margin, on probabilities: mean of p(label) - max other, (T, N) to (N,), -1 to 1."""
    return area(np.asarray(p_label, dtype=np.float64) - np.asarray(p_other, dtype=np.float64))


def el2n(p: ArrayLike, labels: ArrayLike) -> Float64:
    """Length of the error vector p - one-hot(label) at one epoch: (N, C) and (N,) to (N,), 0 to sqrt 2."""
    error = np.array(p, dtype=np.float64)  # (N, C), a copy
    error[np.arange(error.shape[0]), np.asarray(labels, dtype=np.int64)] -= 1.0
    length: Float64 = np.sqrt(np.square(error).sum(axis=1))
    return length


def curve_statistics(view: LabelView) -> CurveStatistics:
    """Every statistic of a round's curves, seen from the labels."""
    learnt = forgetting(view.correct)
    return CurveStatistics(
        confidence=confidence(view.p_label),
        variability=variability(view.p_label),
        correctness=correctness(view.correct),
        forgetting=learnt.events,
        first_learnt=learnt.first_learnt,
        margin_area=margin_area(view.p_label, view.p_other),
    )


def rank_correlations(rows: ArrayLike) -> Float64:
    """Spearman's rank correlation of each pair of E rows (E, N): (E, E), 1 on the diagonal.

    NaN beside the diagonal for a row that does not vary, and for fewer than three columns.
    """
    values = np.asarray(rows, dtype=np.float64)
    correlation = np.full((len(values), len(values)), np.nan)
    varied = np.flatnonzero(np.ptp(values, axis=1) > 0) if values.shape[1] >= 3 else np.empty(0, np.int64)
    if len(varied) == 2:  # for two rows scipy gives one number
        correlation[np.ix_(varied, varied)] = spearmanr(*values[varied]).statistic
    elif len(varied) > 2:
        correlation[np.ix_(varied, varied)] = spearmanr(values[varied], axis=1).statistic
    np.fill_diagonal(correlation, 1.0)
    return correlation


def rank_correlation(first: ArrayLike, second: ArrayLike) -> float:
    """Spearman's rank correlation of N pairs; NaN for fewer than three or where one does not vary."""
    return float(rank_correlations([np.asarray(first), np.asarray(second)])[0, 1])


def _check_level(level: float) -> float:
    """The normal quantile of a two-sided level."""
    if not 0.0 < level < 1.0:
        raise InputError(f"the confidence level is {level:g}; choose one between 0 and 1, such as 0.95.")
    return float(ndtri(0.5 + level / 2))


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """A proportion with Wilson's score interval; without a trial NaN in [0, 1].

    Raises InputError for a count outside 0..n.
    """
    if not 0 <= successes <= n:
        raise InputError(f"{successes} of {n} is not a proportion; the count must lie between 0 and {n}.")
    z = _check_level(level)
    if n == 0:
        return Interval(float("nan"), 0.0, 1.0)
    share = successes / n
    low, high = _wilson_ends(share, n, z)
    # The ends are exact at 0 and n; floating point leaves them off by 1e-17.
    return Interval(share, 0.0 if successes == 0 else low, 1.0 if successes == n else high)


def confusion(labels: ArrayLike, predictions: ArrayLike, n_classes: int) -> Int64:
    """Int64 (C, C): rows are what people said, columns what the classifier says."""
    truth = np.asarray(labels, dtype=np.int64)
    predicted = np.asarray(predictions, dtype=np.int64)
    counts = np.bincount(truth * n_classes + predicted, minlength=n_classes * n_classes)
    return counts.reshape(n_classes, n_classes).astype(np.int64)


def accuracy(counts: ArrayLike, level: float = 0.95) -> Interval:
    """Accuracy of a confusion matrix (C, C) with Wilson's interval."""
    matrix = np.asarray(counts, dtype=np.int64)
    return wilson(int(np.trace(matrix)), int(matrix.sum()), level)


def recalls(counts: ArrayLike, level: float = 0.95) -> tuple[Interval, ...]:
    """For each class the share of its images that the classifier gets right; NaN for a class without images."""
    matrix = np.asarray(counts, dtype=np.int64)
    return tuple(wilson(int(row[position]), int(row.sum()), level) for position, row in enumerate(matrix))


def balanced_accuracy(counts: ArrayLike, level: float = 0.95) -> Interval:
    """Mean recall over the classes that have images, so that a rare class counts as much as a common one.

    Zou and Donner's combination of the classes' Wilson intervals (MOVER) covers 85 to 92 % where recalls are high: at
    k = n each class leans the same way. Instead each class's variance is taken at q = (k + 1) / (n + 2), which is not 0
    there, and the interval is the hull of two: the normal one around the mean, and Wilson's of as many images as have
    that variance. ``benchmarks.coverage``: 93 to 100 % for 1 to 200 images per class. For one class it is Wilson's.

    Without an image NaN in [0, 1].
    """
    matrix = np.asarray(counts, dtype=np.int64)
    n = matrix.sum(axis=1)
    seen = n > 0
    n, right = n[seen].astype(np.float64), np.diag(matrix)[seen]  # (classes seen,) each
    if len(n) < 2:
        return wilson(int(right.sum()), int(n.sum()), level)
    z = _check_level(level)
    mean, q = float((right / n).mean()), (right + 1) / (n + 2)
    variance = float((q * (1 - q) / n).sum()) / len(n) ** 2
    half = z * math.sqrt(variance)
    images = float(q.mean() * (1 - q.mean())) / variance
    low, high = _wilson_ends(mean, images, z)
    return Interval(mean, max(0.0, min(low, mean - half)), min(1.0, max(high, mean + half)))


def _wilson_ends(share: float, n: float, z: float) -> tuple[float, float]:
    """Wilson's interval of a share of ``n`` images, which need not be a whole number."""
    scale = 1 + z * z / n
    centre = (share + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return centre - half, centre + half
