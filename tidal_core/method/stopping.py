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
from scipy import stats
from scipy.special import rel_entr

from tidal_core.errors import InputError
from tidal_core.method.dynamics import Interval, rank_correlation, wilson
from tidal_core.method.estimators import entropy, log_of
from tidal_core.records import Float64, Int64

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

    ``right`` of ``tested`` images per round. The interval comes from refits to accuracies drawn anew (parametric
    bootstrap). Rounds are tested on the same images, so images are redrawn, not rounds: hard ones are hard in each, and
    all rounds of one redrawing lie too high or too low together. What the law does not explain is drawn per round. It
    is withheld when it is too uncertain to plan with, or the law does not hold, and says why.
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
    refits = fit_power_law(n, _redrawn(np.clip(law.accuracy(n)[0], 0.0, 1.0), share, tests, seed), weights)

    n_now = float(n[-1])
    grid = np.linspace(n[0], n_now * 1.6, 80)
    curves = refits.accuracy(grid)
    low, high = np.quantile(curves, [0.1, 0.9], axis=0)
    needed = refits.labels_for(target)
    earliest, median, latest = (float(quantile) for quantile in np.quantile(needed, [0.1, 0.5, 0.9], method="nearest"))
    late = slice(len(n) // 2, None)  # the rounds of a curve that bends otherwise than the law say another number
    by_late = float(fit_power_law(n[late], share[late], weights[late]).labels_for(target)[0]) if len(n) >= 6 else median
    reached = wilson(int(hits[-1]), int(tests[-1]))
    more, withheld = None, ""
    if reached.low >= target:
        withheld = "the target is reached already"
    elif share[-1] >= target:
        withheld = f"it may be reached already, but only {int(tests[-1]):,} images measure it: it may still be missed"
    elif len(n) < FORECAST_ROUNDS:
        missing = FORECAST_ROUNDS - len(n)
        withheld = f"too early to tell: wait for {missing} more round{'s' if missing > 1 else ''}"
    elif not math.isfinite(latest):
        withheld = "too uncertain: the accuracy may level off below the target"
    elif median > FORECAST_REACH * n_now:
        withheld = f"it would take more than {FORECAST_REACH:g} times today's labels, too far ahead to forecast"
    elif earliest <= n_now:
        withheld = "it is so near that the number of labels cannot be told from none"
    elif latest - n_now > FORECAST_SPREAD * max(earliest - n_now, 1.0) or not earliest <= by_late <= latest:
        withheld = "too uncertain: very different curves fit the rounds so far"
    else:
        more = Interval(max(median - n_now, 0.0), earliest - n_now, latest - n_now)
    return Forecast(target, more, withheld, grid, law.accuracy(grid)[0], low, high)


def _redrawn(expected: Float64, share: Float64, tests: Float64, seed: int) -> Float64:
    """Accuracies (S, R) as other test images and other seeds might have given them.

    Of two rounds the one with fewer images was tested on a part of the other's: their errors correlate by the square
    root of the part's share, and fully on equal images.
    """
    rng = np.random.default_rng(seed)
    smoothed = (expected * tests + 1) / (tests + 2)
    deviation = np.sqrt(smoothed * (1 - smoothed) / tests)
    values, vectors = np.linalg.eigh(np.sqrt(np.minimum.outer(tests, tests) / np.maximum.outer(tests, tests)))
    root = vectors * np.sqrt(np.maximum(values, 0.0))  # (R, R)
    common = rng.standard_normal((REFITS, len(share))) @ root.T
    unexplained = math.sqrt(float(((share - expected) ** 2).sum()) / max(len(share) - 3, 1))
    own = unexplained * rng.standard_normal((REFITS, len(share)))
    return np.asarray(np.clip(expected + deviation * common + own, 0.0, 1.0))


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


def gain_of_half(labels: Sequence[int], right: Sequence[int], tested: Sequence[int]) -> Gain | None:
    """Accuracy gained since half of the labels, or 100 less; None while there is no round that far back.

    What 100 labels bring gets less with more labels, so the mean gain since then is more than that of the last ones,
    and over so many labels its interval is narrow enough to tell.
    """
    if not labels or not tested[-1]:
        return None
    span = max(100, labels[-1] / 2)
    starts = [place for place in range(len(labels) - 1) if labels[-1] - labels[place] >= span and tested[place]]
    if not starts:
        return None
    start = starts[-1]
    return Gain(labels[-1] - labels[start], difference(right[-1], tested[-1], right[start], tested[start]))


def is_little_gain(labels: Sequence[int], right: Sequence[int], tested: Sequence[int]) -> bool | None:
    """Whether the last labels are known to have brought little, or known to have brought more; else None.

    Known is what the whole interval says. Once the gain is known to be little it stays so until an interval says the
    contrary: else the advice would change with every round.
    """
    little: bool | None = None
    for end in range(2, len(labels) + 1):
        gain = gain_of_half(labels[:end], right[:end], tested[:end])
        if gain is None:
            continue
        _, low, high = (100 * share / gain.labels for share in gain.accuracy)
        if high < GAIN_UNDER:
            little = True
        elif low > GAIN_UNDER or little is not True:
            little = False if low > 0 else None
    return little


class Agreement(NamedTuple):
    """How far two models say the same of the same images."""

    images: int
    share: float  # of the images with one prediction
    kappa: float  # agreement beyond chance, 1 at most; NaN where chance alone would agree always


STEADY_FROM = 0.95  # kappa


def agreement(counts: Int64) -> Agreement:
    """Of images by the class that each of two models predicts, (C, C): Cohen's kappa (Cohen 1960)."""
    n = int(counts.sum())
    share = float(np.trace(counts)) / n
    by_chance = float((counts.sum(axis=0) / n) @ (counts.sum(axis=1) / n))
    return Agreement(n, share, (share - by_chance) / (1 - by_chance) if by_chance < 1 else math.nan)


def steadiness(both: Agreement) -> str:
    """What the agreement of successive models means, in words; as ``CHANGED_UNDER`` it is a sign, and no proof."""
    if math.isnan(both.kappa):
        return "they know one class only"
    if both.kappa >= STEADY_FROM:
        return "what is learnt is steady"
    return "each round still changes much" if both.kappa < 0.8 else "each round still changes something"


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


GAIN_UNDER = 0.015  # accuracy per 100 labels, at the upper end of its interval
ENTROPY_UNDER = 0.15  # mean H-bar of the pool as a share of its maximum
CHANGED_UNDER = 0.02  # predictions of the pool that changed since the round before


def advise(
    gain: Gain | None, is_little: bool | None, entropy_share: float | None, changed_share: float | None
) -> Advice:
    """Whether to stop: by the gain of the last labels, the remaining dynamics entropy, and the changed predictions.

    ``gain`` is ``gain_of_half`` and ``is_little`` is ``is_little_gain``. No other sign stands in for that one: a model
    that is too sure of itself has settled images and stable predictions while it still gains.
    ``entropy_share`` is the pool's mean H-bar over log C, ``changed_share`` the share of pool images whose predicted
    class changed since the previous round; None when not known.
    """
    few = None if entropy_share is None else entropy_share < ENTROPY_UNDER
    stable = None if changed_share is None else changed_share < CHANGED_UNDER
    rules = (
        Rule(
            _sign(is_little, "More labels gain little", "More labels still gain", "Gain: not known yet"),
            is_little,
            _gain_in_words(gain, is_little),
            f"100 labels raised the accuracy by less than {100 * GAIN_UNDER:g} percentage points, also at the upper "
            "end of the 95 % interval",
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
    if any(rule.holds is None for rule in rules):
        return Advice("too early", "Cannot tell yet whether more labels pay. Each round tells more.", rules)
    if not is_little:
        return Advice("go on", "More labels still improve the model.", rules)
    others = sum(bool(rule.holds) for rule in rules[1:])
    if others == 2:
        return Advice("you can stop", "All three signs say that more labels will change little.", rules)
    if others == 1:
        return Advice("nearly there", "Two of the three signs say that you have nearly enough labels.", rules)
    return Advice("go on", "The last labels brought little, but the model still changes: label on for now.", rules)


def _sign(holds: bool | None, yes: str, no: str, unknown: str) -> str:
    return unknown if holds is None else (yes if holds else no)


def _gain_in_words(gain: Gain | None, is_little: bool | None) -> str:
    if gain is None:
        return "not enough labels yet"
    per_100, low, high = (100 * 100 * share / gain.labels for share in gain.accuracy)
    between = f" ({low:+.1f} to {high:+.1f}, over the last {gain.labels:,} labels)"
    unsure = "cannot tell yet: " if is_little is None else ""
    return f"{unsure}{per_100:+.1f} percentage points per 100 labels{between}"


class Quality(NamedTuple):
    """How well one round predicted the training dynamics of the images that it queried."""

    images: int
    module_kl: Interval  # mean KL(observed || predicted), nats, with a 95 % interval of the mean from 30 images on
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


INTERVAL_FROM = 30  # images: with fewer, no interval of a skewed mean holds it as often as it says


def _mean(values: Float64) -> Interval:
    """A mean with a 95 % interval for values with a long upper tail; NaN ends for fewer than 30.

    Student's t leaves most misses above: the upper end is moved by the skewness (Johnson 1978, Hall 1992).
    """
    n = len(values)
    if not n:
        return Interval(math.nan, math.nan, math.nan)
    middle = float(values.mean())
    if n < INTERVAL_FROM:
        return Interval(middle, math.nan, math.nan)
    t = float(stats.t.ppf(0.975, n - 1))
    error = float(values.std(ddof=1)) / math.sqrt(n)
    skewness = float(stats.skew(values, bias=False)) if error > 1e-12 else 0.0
    further = max(0.0, skewness) / (6 * math.sqrt(n)) * (1 + 2 * t * t) * error
    return Interval(middle, max(0.0, middle - t * error), middle + t * error + further)


def merged(rows: Float64, columns: Int64) -> Float64:
    """Rows (N, C) with the probabilities of classes that are one since added up: ``columns`` (C,) is where each goes.

    A class that was merged away is left with 0. One that goes to a class that the rows do not have, -1, stays.
    """
    added = np.zeros_like(rows)
    np.add.at(added.T, np.where(columns < 0, np.arange(len(columns)), columns), rows.T)
    return added


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
