"""How to compare configurations: intervals, areas, label efficiency, paired tests, a win matrix. Pure functions.

Accuracies are (R, P): R runs at P numbers of labels; NaN where a run has not come that far. Row r of two configurations
is the same run: the same first labels and weights, so that differences are taken run by run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from tidal_core.errors import InputError
from tidal_core.records import Float64, Int64

LEVEL = 0.95
_ROUNDING = 1e-9  # of a mean: equal accuracies differ by as much


class Band(NamedTuple):
    """A mean and its interval at P points; the interval is NaN where fewer than two runs are."""

    mean: Float64  # (P,)
    low: Float64
    high: Float64
    n: Int64  # runs that each point rests on


def band(values: Float64, level: float = LEVEL) -> Band:
    """Mean and interval, 95 % by default, by Student's t over the runs of (R, P)."""
    here = ~np.isnan(values)
    n = here.sum(axis=0)
    total = np.where(here, values, 0).sum(axis=0)
    mean = np.divide(total, n, out=np.full(n.shape, np.nan), where=n > 0)
    squares = np.where(here, (values - mean) ** 2, 0).sum(axis=0)
    variance = np.divide(squares, n - 1, out=np.full(n.shape, np.nan), where=n > 1)
    half = stats.t.ppf((1 + level) / 2, np.maximum(n - 1, 1)) * np.sqrt(variance / np.maximum(n, 1))
    return Band(mean, mean - half, mean + half, n)


def relative(values: Float64, baseline: Float64) -> Float64:
    """100 (acc - acc_baseline) / acc_baseline, run by run: percent, (R, P) for the runs that both have."""
    runs = min(len(values), len(baseline))
    base = baseline[:runs]
    share = np.divide(values[:runs] - base, base, out=np.full(base.shape, np.nan), where=base > 0)
    return np.asarray(100 * share)


def area_under(labels: Int64, values: Float64) -> Float64:
    """Mean accuracy over the labels, by trapezoids: (R,). NaN for a run that is not finished."""
    if len(labels) < 2:
        return np.asarray(values.mean(axis=1))
    return np.asarray(np.trapezoid(values, labels, axis=1) / (labels[-1] - labels[0]))


def area_between(labels: Int64, values: Float64, low: float, high: float) -> Float64:
    """As ``area_under``, over the numbers of labels from ``low`` to ``high`` that were measured: (R,); NaN for none."""
    inside = (labels >= low) & (labels <= high)
    if not inside.any():
        return np.full(len(values), np.nan)
    return area_under(labels[inside], values[:, inside])


def share_won(values: Float64, others: Float64) -> float:
    """At how many (run, number of labels) of those that two (R, P) have in common the first is more accurate.

    A share, 0 to 1; equal accuracies count half. NaN where they have none in common.
    """
    runs = min(len(values), len(others))
    gains = (values[:runs] - others[:runs])[~np.isnan(values[:runs] + others[:runs])]
    return float(((gains > 0) + 0.5 * (gains == 0)).mean()) if len(gains) else float("nan")


def paired_runs(values: Float64, baseline: Float64) -> tuple[Float64, Float64]:
    """The runs that both have, as far as any of them has come: two (R, P'), without NaN.

    Mean curves of them can be compared point by point: no run enters one curve and not the other, or joins on the way.
    """
    runs = min(len(values), len(baseline))
    own, others = values[:runs], baseline[:runs]
    both = ~np.isnan(own + others)
    reach = int(np.flatnonzero(both.any(axis=0)).max(initial=-1)) + 1
    whole = both[:, :reach].all(axis=1) & (reach > 0)
    return own[whole, :reach], others[whole, :reach]


class Efficiency(NamedTuple):
    """How many labels a baseline, random asking, needs for what a configuration reaches."""

    ratio: Float64  # (P,) n_random(acc) / n(acc); above 1 it saves labels; NaN where random never gets there
    saved: Float64  # (P,) n_random(acc) - n_arm(acc) labels


def label_efficiency(labels: Int64, mean: Float64, baseline_mean: Float64) -> Efficiency:
    """At the accuracy of each point of ``mean``, from mean curves over the same labels, straight between points.

    NaN too where even the first labels are more than random needs, since nothing is known of fewer.
    """
    own = np.array([labels_for(labels, mean, accuracy) for accuracy in mean])
    needed = np.array([labels_for(labels, baseline_mean, accuracy) for accuracy in mean])
    return Efficiency(needed / own, needed - own)


def labels_for(labels: Int64, mean: Float64, accuracy: float) -> float:
    """The labels with which a curve first reaches an accuracy: later dips do not undo it.

    NaN when it never does, or has more with its first labels already.
    """
    best = np.fmax.accumulate(mean)
    if not len(best) or not best[0] - _ROUNDING <= accuracy <= best[-1] + _ROUNDING:
        return float("nan")
    after = int(np.searchsorted(best, accuracy - _ROUNDING))  # the first point that reaches it
    if after == 0:
        return float(labels[0])
    step = (accuracy - best[after - 1]) / (best[after] - best[after - 1])
    return float(labels[after - 1] + step * (labels[after] - labels[after - 1]))


class Tests(NamedTuple):
    """Paired t-tests of a configuration against a baseline."""

    difference: Float64  # (P,) mean over the runs that both have
    p: Float64  # (P,) two-sided; NaN with fewer than two runs
    adjusted: Float64  # (P,) Holm's, over all comparisons
    comparisons: int  # how many were made at once
    n: Int64  # (P,) pairs


def paired_tests(values: Float64, baseline: Float64) -> Tests:
    """One test per number of labels, run by run; the number of comparisons is stated and adjusted for (Holm 1979)."""
    runs = min(len(values), len(baseline))
    differences = values[:runs] - baseline[:runs]
    difference_band = band(differences)
    p = _t_tests(differences, difference_band)
    return Tests(difference_band.mean, p, holm(p), int((~np.isnan(p)).sum()), difference_band.n)


def _t_tests(differences: Float64, difference_band: Band) -> Float64:
    """Two-sided p of a mean of 0 for each column of (R, P), whose band is ``found``; NaN with fewer than two runs."""
    n, size = difference_band.n, np.abs(difference_band.mean)
    squares = np.nansum((differences - difference_band.mean) ** 2, axis=0)
    error = np.sqrt(squares / np.maximum(n - 1, 1) / np.maximum(n, 1))
    flat = error < _ROUNDING
    p = 2 * stats.t.sf(size / np.where(flat, 1, error), np.maximum(n - 1, 1))
    # Where every run differs by the same number of test images t would be infinite, with two runs by mere coincidence.
    # What is left is the sign: the chance that R fair coins fall alike.
    p = np.where(flat, np.where(size < _ROUNDING, 1.0, 2.0 ** (1 - n)), p)
    return np.where(n < 2, np.nan, p)


def holm(p: Float64) -> Float64:
    """p-values adjusted for their number by Holm's step-down; NaN stays and does not count."""
    order = np.argsort(p)  # NaN last
    m = int((~np.isnan(p)).sum())
    adjusted = np.full(len(p), np.nan)
    running = 0.0
    for rank, position in enumerate(order[:m]):
        running = max(running, min(1.0, (m - rank) * p[position]))
        adjusted[position] = running
    return adjusted


class Wins(NamedTuple):
    """Row against column: the share of points at which the row is significantly better than the column."""

    configurations: tuple[str, ...]
    matrix: Float64  # (A, A), 0 to 1; NaN where the two were at no point compared by two runs
    points: int  # at which the two that have the most in common were compared, over all settings


def win_matrix(settings: Sequence[Mapping[str, Float64]], level: float = 0.05) -> Wins:
    """As in BADGE (Ash et al., ICLR 2020): a point is a setting (imbalance ratio) at a number of labels.

    A win is a mean difference above 0 with a paired p below ``level``, not adjusted: the matrix is a summary, no test.
    """
    configurations = tuple(dict.fromkeys(configuration for setting in settings for configuration in setting))
    wins, compared = np.zeros((2, len(configurations), len(configurations)))
    for setting in settings:
        for i, row in enumerate(configurations):
            for j, column in enumerate(configurations[:i]):
                if row in setting and column in setting:
                    tests = paired_tests(setting[row], setting[column])
                    wins[i, j] += int(((tests.p < level) & (tests.difference > 0)).sum())
                    wins[j, i] += int(((tests.p < level) & (tests.difference < 0)).sum())
                    compared[[i, j], [j, i]] += tests.comparisons
    matrix = np.divide(wins, compared, out=np.full_like(wins, np.nan), where=compared > 0)
    return Wins(configurations, matrix, int(compared.max(initial=0)))


class SameAccuracy(NamedTuple):
    """The highest accuracy that two mean curves both reach, and the labels that each needs for it."""

    accuracy: float
    labels: int
    other_labels: int

    @property
    def sentence(self) -> str:
        """ "The same accuracy, 80.0%, with 140 fewer labels (60 instead of 200)." """
        if self.labels == self.other_labels:
            return f"The same accuracy, {self.accuracy:.1%}, with the same number of labels."
        more = "fewer" if self.other_labels > self.labels else "more"
        return (
            f"The same accuracy, {self.accuracy:.1%}, with {abs(self.other_labels - self.labels):,} {more} labels "
            f"({self.labels:,} instead of {self.other_labels:,})."
        )


def same_accuracy(labels: Int64, mean: Float64, other_mean: Float64) -> SameAccuracy | None:
    """From mean curves over the same labels. None when one begins above all that the other reaches."""
    if not len(mean) or not len(other_mean):
        return None
    accuracy = float(min(np.nanmax(mean), np.nanmax(other_mean)))
    own, others = (labels_for(labels, curve, accuracy) for curve in (mean, other_mean))
    if np.isnan(own + others):
        return None
    return SameAccuracy(accuracy, round(own), round(others))


def labels_saved(labels: Int64, values: Float64, other: Float64, *, candidates: int = 1) -> SameAccuracy | None:
    """How many labels a configuration saves, or costs, of ``paired_runs``: two (R, P).

    None unless the difference is beyond chance (as ``beyond_chance`` says it, for all ``candidates`` at once) and the
    labels say the same as the accuracy: never after one run.
    """
    gain = _mean_gain(labels, values, other, candidates)
    if gain is None or gain.low <= 0 <= gain.high:
        return None
    saved = same_accuracy(labels, values.mean(axis=0), other.mean(axis=0))
    if saved is None or (saved.other_labels - saved.labels) * gain.mean <= 0:
        return None
    return saved


class _Gain(NamedTuple):
    """Mean difference over all numbers of labels in points of accuracy, and its interval."""

    mean: float
    low: float
    high: float


def _mean_gain(labels: Int64, values: Float64, other: Float64, candidates: int) -> _Gain | None:
    if len(values) < 2:
        return None
    gains = 100 * (area_under(labels, values) - area_under(labels, other))[:, None]
    gain_band = band(gains, 1 - (1 - LEVEL) / candidates)
    return _Gain(*(float(part[0]) for part in (gain_band.mean, gain_band.low, gain_band.high)))


def beyond_chance(labels: Int64, values: Float64, other: Float64, *, candidates: int = 1) -> str:
    """Whether a difference is more than chance, for an audience: the mean one over all labels, with its interval.

    Of ``paired_runs``: two (R, P). One comparison for the whole curve, so that no number of labels is picked. Where the
    configuration is one of several that could have been picked, it holds for all ``candidates`` at once (Bonferroni).
    """
    runs = len(values)
    gain = _mean_gain(labels, values, other, candidates)
    if gain is None:
        return "One run is not enough to rule out chance: add runs." if runs else "They have no runs in common yet."
    verdict = "More than chance" if gain.low > 0 or gain.high < 0 else "This may be chance"
    picked = f", widened because one of {candidates} was picked" if candidates > 1 else ""
    return (
        f"{verdict}: over all numbers of labels the mean difference is {gain.mean:+.1f} points of accuracy, 95 % "
        f"interval {gain.low:+.1f} to {gain.high:+.1f}{picked}, from {runs} runs with the same first labels."
    )


def check_same_labels(labels: Sequence[Int64]) -> Int64:
    """The numbers of labels that all configurations share; InputError where they differ."""
    if not labels:
        raise InputError("There is nothing to compare yet; finish a round first.")
    longest = max(labels, key=len)
    if any(not np.array_equal(own, longest[: len(own)]) for own in labels):
        raise InputError(
            "The configurations were measured at different numbers of labels; compare runs of one experiment."
        )
    return longest
