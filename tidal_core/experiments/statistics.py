"""How to compare arms: intervals, areas, label efficiency, paired tests, a win matrix. Pure functions of arrays.

Accuracies of an arm are (R, P): R runs at P numbers of labels; NaN where a run has not come that far. Row r of two arms
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


def band(values: Float64) -> Band:
    """Mean and 95 % interval by Student's t over the runs of (R, P)."""
    here = ~np.isnan(values)
    n = here.sum(axis=0)
    total = np.where(here, values, 0).sum(axis=0)
    mean = np.divide(total, n, out=np.full(n.shape, np.nan), where=n > 0)
    squares = np.where(here, (values - mean) ** 2, 0).sum(axis=0)
    variance = np.divide(squares, n - 1, out=np.full(n.shape, np.nan), where=n > 1)
    half = stats.t.ppf((1 + LEVEL) / 2, np.maximum(n - 1, 1)) * np.sqrt(variance / np.maximum(n, 1))
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


class Efficiency(NamedTuple):
    """How many labels random asking needs for what an arm reaches."""

    ratio: Float64  # (P,) n_random(acc) / n_arm(acc); above 1 the arm saves labels; NaN where random never gets there
    saved: Float64  # (P,) n_random(acc) - n_arm(acc) labels


def label_efficiency(labels: Int64, mean: Float64, baseline_mean: Float64) -> Efficiency:
    """From mean curves over the same labels; between points by straight lines.

    A curve counts from when an accuracy is first reached: later dips do not undo it. NaN too where even the first
    labels are more than random needs, since nothing is known of fewer.
    """
    best = np.maximum.accumulate(baseline_mean)
    needed = np.full(len(labels), np.nan)
    for place, accuracy in enumerate(mean):
        if np.isnan(accuracy) or accuracy > np.nanmax(best) + _ROUNDING or accuracy < best[0] - _ROUNDING:
            continue
        after = int(np.searchsorted(best, accuracy - _ROUNDING))  # the first point that reaches it
        if after == 0:
            needed[place] = labels[0]
            continue
        step = (accuracy - best[after - 1]) / (best[after] - best[after - 1])
        needed[place] = labels[after - 1] + step * (labels[after] - labels[after - 1])
    return Efficiency(needed / labels, needed - labels)


class Tests(NamedTuple):
    """Paired t-tests of an arm against a baseline."""

    difference: Float64  # (P,) mean over the runs that both have
    p: Float64  # (P,) two-sided; NaN with fewer than two runs
    adjusted: Float64  # (P,) Holm's, over all comparisons
    comparisons: int  # how many were made at once
    n: Int64  # (P,) pairs


def paired_tests(values: Float64, baseline: Float64) -> Tests:
    """One test per number of labels, run by run; the number of comparisons is stated and adjusted for (Holm 1979)."""
    runs = min(len(values), len(baseline))
    differences = values[:runs] - baseline[:runs]
    found = band(differences)
    p = np.array([_t_test(column) for column in differences.T])
    return Tests(found.mean, p, holm(p), int((~np.isnan(p)).sum()), found.n)


def _t_test(differences: Float64) -> float:
    here = differences[~np.isnan(differences)]
    if len(here) < 2:
        return float("nan")
    error = here.std(ddof=1) / np.sqrt(len(here))
    if error < _ROUNDING:  # every run differs by the same
        return 1.0 if abs(here.mean()) < _ROUNDING else 0.0
    return float(2 * stats.t.sf(abs(here.mean()) / error, len(here) - 1))


def holm(p: Float64) -> Float64:
    """p-values adjusted for their number by Holm's step-down; NaN stays and does not count."""
    order = np.argsort(p)  # NaN last
    m = int((~np.isnan(p)).sum())
    adjusted = np.full(len(p), np.nan)
    running = 0.0
    for rank, place in enumerate(order[:m]):
        running = max(running, min(1.0, (m - rank) * p[place]))
        adjusted[place] = running
    return adjusted


class Wins(NamedTuple):
    """Row against column: the share of points at which the row's arm is significantly better than the column's."""

    arms: tuple[str, ...]
    matrix: Float64  # (A, A), 0 to 1
    points: int  # compared, over all settings


def win_matrix(settings: Sequence[Mapping[str, Float64]], level: float = 0.05) -> Wins:
    """As in BADGE (Ash et al., ICLR 2020): a point is a setting (imbalance ratio) at a number of labels.

    A win is a mean difference above 0 with a paired p below ``level``, not adjusted: the matrix is a summary, no test.
    """
    arms = tuple(dict.fromkeys(arm for setting in settings for arm in setting))
    matrix = np.zeros((len(arms), len(arms)))
    points = 0
    for setting in settings:
        for i, row in enumerate(arms):
            for j, column in enumerate(arms):
                if i != j and row in setting and column in setting:
                    found = paired_tests(setting[row], setting[column])
                    matrix[i, j] += int(((found.p < level) & (found.difference > 0)).sum())
        points += max((values.shape[1] for values in setting.values()), default=0)
    return Wins(arms, matrix / max(1, points), points)


def same_accuracy(labels: Int64, mean: Float64, other_mean: Float64) -> str | None:
    """ "Same accuracy with 140 fewer labels": one sentence at the last point where both curves can say it."""
    saved = label_efficiency(labels, mean, other_mean).saved
    known = np.flatnonzero(~np.isnan(saved))
    if not len(known):
        return None
    place = int(known[-1])
    number = round(float(saved[place]))
    if number == 0:
        return f"The same accuracy, {mean[place]:.1%}, with as many labels."
    more = f"{abs(number):,} {'fewer' if number > 0 else 'more'} labels"
    return (
        f"The same accuracy, {mean[place]:.1%}, with {more} ({labels[place]:,} instead of {labels[place] + number:,})."
    )


def check_same_labels(labels: Sequence[Int64]) -> Int64:
    """The numbers of labels that all arms share; InputError where they differ."""
    if not labels:
        raise InputError("There is nothing to compare yet; play a run first.")
    longest = max(labels, key=len)
    if any(not np.array_equal(own, longest[: len(own)]) for own in labels):
        raise InputError("The arms were measured at different numbers of labels; compare runs of one experiment.")
    return longest
