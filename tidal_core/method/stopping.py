"""Does labelling still pay: gains with intervals, the module's quality, rules for stopping, a forecast.

numpy and scipy on arrays; no store, no drawing. Every rule is a number against a threshold, and both are shown: nothing
here stops anybody.

Sources: the power law of learning curves, error(n) = e + b n^-c (Hestness et al. 2017; Viering and Loog 2023); the
interval of a difference of proportions, Newcombe 1998, method 10; stopping by stabilising predictions, Bloodgood and
Vijay-Shanker 2009.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import rel_entr

from tidal_core.errors import InputError
from tidal_core.method.dynamics import Interval, rank_correlation, wilson
from tidal_core.method.estimators import entropy, log_of
from tidal_core.records import Float64

EXPONENTS = np.linspace(0.1, 2.0, 39)
"""Exponents c that the power law may take; with c given, the rest is a linear fit."""


class PowerLaw(NamedTuple):
    """error(n) = floor + scale * n ** -exponent, n labels; arrays are (S,), one entry per refit."""

    floor: Float64
    scale: Float64
    exponent: Float64

    def accuracy(self, labels: ArrayLike) -> Float64:
        """Accuracy (S, M) at M numbers of labels."""
        n = np.asarray(labels, dtype=np.float64)[None, :]
        value: Float64 = 1.0 - self.floor[:, None] - self.scale[:, None] * n ** -self.exponent[:, None]
        return value

    def labels_for(self, accuracy: float) -> Float64:
        """Labels (S,) at which the accuracy is reached; infinity where it never is."""
        room = 1.0 - accuracy - self.floor
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            needed = np.where(room > 0, (self.scale / room) ** (1 / self.exponent), np.inf)
        return np.asarray(needed, dtype=np.float64)


def fit_power_law(labels: ArrayLike, accuracy: ArrayLike, weights: ArrayLike) -> PowerLaw:
    """Weighted least squares over a grid of exponents: labels (R,), accuracy (S, R), weights (R,) or (S, R).

    The floor and the scale are kept at or above 0. Raises InputError for fewer than three rounds.
    """
    n = np.asarray(labels, dtype=np.float64)
    error = 1.0 - np.atleast_2d(np.asarray(accuracy, dtype=np.float64))  # (S, R)
    if len(n) < 3 or error.shape[1] != len(n):
        raise InputError(f"a learning curve needs at least three rounds; there are {len(n)}.")
    w = np.broadcast_to(np.asarray(weights, dtype=np.float64), error.shape)[:, None, :]  # (S, 1, R)
    z = n ** -EXPONENTS[:, None]  # (K, R)
    e = error[:, None, :]  # (S, 1, R)
    total, sum_z, sum_zz = w.sum(2), (w * z).sum(2), (w * z * z).sum(2)  # (S, 1), (S, K), (S, K)
    sum_e, sum_ze = (w * e).sum(2), (w * z * e).sum(2)
    determinant = np.maximum(total * sum_zz - sum_z**2, 1e-300)
    scale = (total * sum_ze - sum_z * sum_e) / determinant  # (S, K)
    floor = (sum_e - scale * sum_z) / total
    # On the border of what is allowed the best fit has one parameter less.
    no_floor = floor < 0
    scale = np.where(no_floor, sum_ze / sum_zz, scale)
    floor = np.where(no_floor, 0.0, floor)
    flat = scale < 0
    floor, scale = np.where(flat, sum_e / total, floor), np.where(flat, 0.0, scale)
    squares = (w * (e - floor[:, :, None] - scale[:, :, None] * z) ** 2).sum(2)  # (S, K)
    best = squares.argmin(axis=1)
    rows = np.arange(len(best))
    return PowerLaw(floor[rows, best], scale[rows, best], EXPONENTS[best])


class Forecast(NamedTuple):
    """Where the accuracy is going; curves are (M,)."""

    target: float
    more_labels: Interval | None  # None when withheld
    withheld: str  # why, in words; "" when it is not
    labels: Float64  # (M,), from the first round to somewhat beyond the last
    middle: Float64
    low: Float64
    high: Float64


FORECAST_ROUNDS = 5  # fewer rounds fit any curve
FORECAST_SPREAD = 4.0  # the upper end of the interval over the lower: beyond it the sentence would say nothing
FORECAST_REACH = 3.0  # times the labels of today: further out the law is faith
REFITS = 200


def forecast(
    labels: Sequence[int], right: Sequence[int], tested: Sequence[int], target: float, *, seed: int = 0
) -> Forecast | None:
    """How many more labels to ``target`` accuracy, with an 80 % interval; None before there is a curve to draw.

    ``right`` of ``tested`` images per round. The interval comes from refits to accuracies drawn anew from the fit
    (parametric bootstrap). It is withheld when it is too uncertain to plan with, and says why.
    """
    n, hits, tests = (np.asarray(counts, dtype=np.float64) for counts in (labels, right, tested))
    usable = (tests > 0) & (n > 0)
    n, hits, tests = n[usable], hits[usable], tests[usable]
    if len(n) < 3 or len(np.unique(n)) < 3:
        return None
    share = hits / tests
    smoothed = (hits + 1) / (tests + 2)  # a perfect round has a variance too
    weights = tests / (smoothed * (1 - smoothed))
    law = fit_power_law(n, share, weights)
    expected = np.clip(law.accuracy(n)[0], 0.0, 1.0)
    drawn = np.random.default_rng(seed).binomial(tests.astype(np.int64), expected, size=(REFITS, len(n))) / tests
    # What the law does not explain (rounds differ by their seeds too) widens the draws.
    excess = max(1.0, float(np.sqrt((weights * (share - expected) ** 2).sum() / max(len(n) - 3, 1))))
    refits = fit_power_law(n, np.clip(expected + (drawn - expected) * excess, 0, 1), weights)

    n_now = float(n[-1])
    grid = np.linspace(n[0], n_now * 1.6, 80)
    curves = refits.accuracy(grid)
    low, high = np.quantile(curves, [0.1, 0.9], axis=0)
    needed = refits.labels_for(target)
    earliest, median, latest = (float(quantile) for quantile in np.quantile(needed, [0.1, 0.5, 0.9], method="nearest"))
    more, withheld = None, ""
    if share[-1] >= target:
        withheld = "the target is reached already"
    elif len(n) < FORECAST_ROUNDS:
        missing = FORECAST_ROUNDS - len(n)
        withheld = f"too early to tell: wait for {missing} more round{'s' if missing > 1 else ''}"
    elif not math.isfinite(latest):
        withheld = "too uncertain: the accuracy may level off below the target"
    elif median > FORECAST_REACH * n_now:
        withheld = f"it would take more than {FORECAST_REACH:g} times today's labels, too far ahead to forecast"
    elif latest - n_now > FORECAST_SPREAD * max(earliest - n_now, 1.0):
        withheld = "too uncertain: very different curves fit the rounds so far"
    else:
        more = Interval(max(median - n_now, 0.0), max(earliest - n_now, 0.0), max(latest - n_now, 0.0))
    return Forecast(target, more, withheld, grid, law.accuracy(grid)[0], low, high)


def difference(right: int, n: int, right_before: int, n_before: int, level: float = 0.95) -> Interval:
    """Difference of two proportions with Newcombe's interval (method 10), for independent samples.

    Two rounds on the same test images are positively correlated: there the interval is wider than it need be.
    """
    after, before = wilson(right, n, level), wilson(right_before, n_before, level)
    value = after.value - before.value
    down = math.hypot(after.value - after.low, before.high - before.value)
    up = math.hypot(after.high - after.value, before.value - before.low)
    return Interval(value, value - down, value + up)


class Gain(NamedTuple):
    """What the last labels were worth."""

    labels: int  # how many were added between the two rounds compared
    accuracy: Interval  # gained, as a share


def gain_of_last(labels: Sequence[int], right: Sequence[int], tested: Sequence[int], last: int = 100) -> Gain | None:
    """Accuracy gained by at least the ``last`` labels, or by all while there are fewer; None for one round."""
    if len(labels) < 2 or not tested[-1]:
        return None
    far_enough = [i for i in range(len(labels) - 1) if labels[-1] - labels[i] >= last and tested[i]]
    start = far_enough[-1] if far_enough else next((p for p in range(len(labels) - 1) if tested[p]), None)
    if start is None:
        return None
    return Gain(labels[-1] - labels[start], difference(right[-1], tested[-1], right[start], tested[start]))


class Rule(NamedTuple):
    """One sign that it may be enough."""

    name: str  # what is the case, in words: it changes with ``holds``
    holds: bool | None  # None: not known yet
    measured: str  # the number, in words
    threshold: str  # when it holds, in words


class Advice(NamedTuple):
    """All signs, and what they come to."""

    verdict: str  # "go on", "nearly there", "you can stop" or "too early"
    sentence: str
    rules: tuple[Rule, ...]


GAIN_UNDER = 0.01  # accuracy per 100 labels
ENTROPY_UNDER = 0.15  # mean H-bar of the pool as a share of its maximum
GAIN_KNOWN = 0.05  # half the width of the gain's interval: with a wider one a small gain is not known to be small
CHANGED_UNDER = 0.02  # predictions of the pool that changed since the round before


def advise(gain: Gain | None, entropy_share: float | None, changed_share: float | None) -> Advice:
    """Whether to stop: by the gain of the last labels, the remaining dynamics entropy, and the changed predictions.

    ``entropy_share`` is the pool's mean H-bar over log C, ``changed_share`` the share of pool images whose predicted
    class changed since the previous round; None when not known.
    """
    little = _is_little(gain)
    few = None if entropy_share is None else entropy_share < ENTROPY_UNDER
    stable = None if changed_share is None else changed_share < CHANGED_UNDER
    rules = (
        Rule(
            _sign(little, "More labels gain little", "More labels still gain", "Gain: not known yet"),
            little,
            _gain_in_words(gain),
            f"the last 100 labels raised the accuracy by less than {100 * GAIN_UNDER:g} percentage point",
        ),
        Rule(
            _sign(few, "Few images are unsettled", "Many images are unsettled", "Unsettled images: not known yet"),
            few,
            "not known for the last round" if entropy_share is None else f"{entropy_share:.0%} of the largest possible",
            f"the mean dynamics entropy of the unlabelled images is below {ENTROPY_UNDER:.0%} of the largest possible",
        ),
        Rule(
            _sign(stable, "Predictions are stable", "Predictions still change", "Changed predictions: not known yet"),
            stable,
            "needs two rounds" if changed_share is None else f"{changed_share:.1%} of the predictions changed",
            f"less than {CHANGED_UNDER:.0%} of the predictions changed since the previous round",
        ),
    )
    known = [rule.holds for rule in rules if rule.holds is not None]
    met = sum(known)
    if len(known) < 3:
        return Advice("too early", "Cannot tell yet whether more labels pay. Each round tells more.", rules)
    if met == 3:
        return Advice("you can stop", "All three signs say that more labels will change little.", rules)
    if met == 2:
        return Advice("nearly there", "Two of the three signs say that you have nearly enough labels.", rules)
    return Advice("go on", "More labels still improve the model.", rules)


def _sign(holds: bool | None, yes: str, no: str, unknown: str) -> str:
    return unknown if holds is None else (yes if holds else no)


def _is_little(gain: Gain | None) -> bool | None:
    """Whether the last labels brought little; None where what measured it are too few images to tell."""
    if gain is None or gain.labels < 50:
        return None
    value, low, high = gain.accuracy
    if 100 * value / gain.labels < GAIN_UNDER:
        return True if (high - low) / 2 <= GAIN_KNOWN else None
    return False if low > 0 else None


def _gain_in_words(gain: Gain | None) -> str:
    if gain is None or gain.labels < 50:
        return "not enough labels yet"
    per_100, low, high = (100 * 100 * share / gain.labels for share in gain.accuracy)
    between = f" ({low:+.1f} to {high:+.1f})"
    unsure = "cannot tell yet: " if _is_little(gain) is None else ""
    return f"{unsure}{per_100:+.1f} percentage points per 100 labels{between}"


class Quality(NamedTuple):
    """How well one round predicted the training dynamics of the images that it queried."""

    images: int
    module_kl: Interval  # mean KL(observed || predicted), nats, with a 95 % interval of the mean
    final_kl: Interval  # the same for the final prediction
    module_rank: float  # Spearman's correlation of the entropies predicted and observed
    final_rank: float


def quality(observed: ArrayLike, predicted: ArrayLike, final: ArrayLike) -> Quality:
    """Compare predictions made when an image was queried with what was observed once it was trained on.

    Each (N, C): ``observed`` p-bar, the TD module's ``predicted`` p-bar, and the classifier's ``final`` prediction.
    """
    seen, foreseen, at_end = (np.asarray(p, dtype=np.float64) for p in (observed, predicted, final))
    seen_entropy = entropy(log_of(seen))
    return Quality(
        len(seen),
        _mean(divergence(seen, foreseen)),
        _mean(divergence(seen, at_end)),
        rank_correlation(seen_entropy, entropy(log_of(foreseen))),
        rank_correlation(seen_entropy, entropy(log_of(at_end))),
    )


def divergence(p: ArrayLike, q: ArrayLike) -> Float64:
    """KL(p || q) of each row in nats: (N, C) to (N,). q is kept above 1e-6, as float32 leaves it at 0."""
    floor = np.maximum(np.asarray(q, dtype=np.float64), 1e-6)
    value: Float64 = rel_entr(np.asarray(p, dtype=np.float64), floor / floor.sum(axis=1, keepdims=True)).sum(axis=1)
    return value


def _mean(values: Float64) -> Interval:
    if not len(values):
        return Interval(math.nan, math.nan, math.nan)
    middle = float(values.mean())
    half = 1.96 * float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return Interval(middle, max(0.0, middle - half), middle + half)


def dense(p: Sequence[ArrayLike], class_ids: Sequence[ArrayLike | None], order: Sequence[int]) -> Float64:
    """Stored vectors as rows (N, C) over the classes of ``order``.

    A row with class ids holds some classes only: the rest of its probability is spread evenly over the other classes.
    Rows of a round that knew fewer classes give them 0.
    """
    column_of = {class_id: column for column, class_id in enumerate(order)}
    rows = np.zeros((len(p), len(order)), dtype=np.float64)
    for row, (values, ids) in enumerate(zip(p, class_ids, strict=True)):
        numbers = np.asarray(values, dtype=np.float64)
        if ids is None:
            rows[row, : len(numbers)] = numbers
            continue
        entries = zip(np.asarray(ids).tolist(), numbers.tolist(), strict=True)
        known = [(column_of[class_id], value) for class_id, value in entries if class_id in column_of]
        columns = [column for column, _ in known]
        remaining = max(0.0, 1.0 - sum(value for _, value in known))
        if len(order) > len(columns):
            rows[row] = remaining / (len(order) - len(columns))
        rows[row, columns] = [value for _, value in known]
    return rows
