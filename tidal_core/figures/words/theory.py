"""The sentences of the page Theory: the two theorems, and the motivating experiment."""

from __future__ import annotations

import math

import numpy as np

from tidal_core.estimator_facts import ESTIMATORS
from tidal_core.figures.theory import AreasInfo, PathsInfo, SeparationInfo
from tidal_core.figures.words.common import Told, counted, points, z_of
from tidal_core.method.dynamics import Interval


def paths_told(info: PathsInfo) -> Told:
    """Of ``paths_figure``: how far easy and hard images are apart at the end, beyond the chance of the runs."""
    gap = float(info.mean[-1, 0] - info.mean[-1, 1])
    # A band of the middle 90 % is 2 x 1.645 deviations wide; the mean over the runs is known by their root better.
    errors = (info.high[-1, :2] - info.low[-1, :2]) / (2 * 1.645 * math.sqrt(info.runs))
    real = abs(gap) > z_of(1) * math.hypot(*errors)
    ends = f"In the end easy images are at {info.mean[-1, 0]:.2f} and hard ones at {info.mean[-1, 1]:.2f}"
    return Told(
        "Look at the gap between easy and hard images: bands hold the middle 90 % of the simulated runs, dashes are "
        "their exact mean, rings solve the differential equation (20).",
        f"{ends}: {f'a gap of {abs(gap):.2f}' if real else 'no gap beyond chance'}, over {counted(info.runs, 'run')}.",
    )


def speed_told(info: PathsInfo) -> Told:
    """Of ``speed_figure``: where easy images rise faster, and how well both sides of (21) agree."""
    low, high = float(info.difference.min()), float(info.difference.max())
    if low > 1e-9:
        here = f"It is above zero all the way, from {low:.2f} to {high:.2f}: easy images never stop pulling ahead."
    else:
        here = "It is at zero all the way: easy and hard images rise alike."
    largest = float(np.abs(info.difference - info.closed).max())
    return Told(
        "Look at the height: how much faster easy images rise than hard ones.",
        f"{here} Both sides of (21) agree: they differ by at most {largest:.0e}.",
    )


def areas_told(info: AreasInfo) -> Told:
    """Of ``areas_figure``: the ends are alike, the areas are not."""
    fast, slow, end = info.fast, info.slow, float(info.fast.p[-1])
    apart = fast.area - slow.area
    here = (
        f"Both end at {end:.0%}, but one has {fast.area:.2f} of the area below it and the other {slow.area:.2f}: only "
        "the way tells them apart."
        if apart >= 0.005
        else f"Both end at {end:.0%} and have the same area, {fast.area:.2f}: nothing tells them apart."
    )
    return Told("Look at the ends of both curves, and then at the areas below: these are the training dynamics.", here)


def range_told(info: AreasInfo) -> Told:
    """Of ``range_figure``: what a larger area does to entropy and margin."""
    fast, slow = info.fast, info.slow
    here = (
        f"From the smaller area to the larger, entropy goes from {slow.entropy:.2f} to {fast.entropy:.2f} and the "
        f"margin from {slow.margin:.2f} to {fast.margin:.2f}."
        if fast.area - slow.area >= 0.005
        else f"Their areas are alike: both have an entropy of {fast.entropy:.2f} and a margin of {fast.margin:.2f}."
    )
    return Told("Look at the shaded range: there a larger area always means less entropy and more margin.", here)


def label_told(info: SeparationInfo) -> Told:
    """Of ``label_figure``: how rare the rare classes are."""
    common, rare = (
        float(part.mean()) for part in (info.counts[: info.major_classes], info.counts[info.major_classes :])
    )
    here = f"A rare class has {rare:.0f} images, a common one {common:.0f}" + (
        f": {common / rare:.0f} times as many." if rare else "."
    )
    return Told("Look at the right half: these classes are rare, which makes their images hard.", here)


def learning_told(info: SeparationInfo) -> Told:
    """Of ``learning_figure``: how far rare classes lag behind, halfway and at the end."""
    middle = len(info.accuracy) // 2
    (common, rare), (common_end, rare_end) = info.accuracy[max(middle - 1, 0)], info.accuracy[-1]
    return Told(
        "Look at the distance between the lines: how much later the rare classes are learnt.",
        f"After epoch {max(middle, 1)} it knew {common:.0%} of the common and {rare:.0%} of the rare training images; "
        f"in the end {common_end:.0%} and {rare_end:.0%}.",
    )


def histogram_told(info: SeparationInfo, estimator: str) -> Told:
    """Of ``histogram_figure``: how often a rare image is judged harder than a common one."""
    score = ESTIMATORS[estimator]
    auroc = _auroc(info, estimator)
    look = f"Look at the overlap: the less there is, the better the {score.words} tells rare images from common ones."
    said = f"Of a rare and a common image, the rare one is judged harder {auroc.value:.0%} of the time"
    if auroc.low <= 0.5 <= auroc.high:
        return Told(look, f"{said}: no better than guessing, beyond chance.")
    verdict = "better" if auroc.value > 0.5 else "worse"
    return Told(look, f"{said} (between {auroc.low:.0%} and {auroc.high:.0%}): {verdict} than guessing.")


def scatter_told(info: SeparationInfo, x: str, y: str) -> Told:
    """Of ``scatter_figure``: which of the two scores separates better, beyond chance."""
    first, second = _auroc(info, x), _auroc(info, y)
    better, worse = (y, x) if second.value >= first.value else (x, y)
    apart = first.high < second.low or second.high < first.low
    ends = f"({max(first.value, second.value):.0%} against {min(first.value, second.value):.0%})"
    here = (
        f"The {ESTIMATORS[better].words} tells rare from common better than the {ESTIMATORS[worse].words} {ends}, by "
        f"{points(second.value - first.value)}."
        if apart
        else f"Neither tells rare from common better beyond chance {ends}."
    )
    return Told("Look at one axis at a time: along which do the colours come apart?", here)


def _auroc(info: SeparationInfo, estimator: str) -> Interval:
    """The chance that a rare image is judged harder, with its 95 % interval (Hanley and McNeil 1982)."""
    a, n, m = info.auroc[estimator], max(int(info.minor.sum()), 1), max(int((~info.minor).sum()), 1)
    q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
    variance = (a * (1 - a) + (n - 1) * (q1 - a * a) + (m - 1) * (q2 - a * a)) / (n * m)
    reach = z_of(1) * math.sqrt(max(variance, 0.0))
    return Interval(a, max(a - reach, 0.0), min(a + reach, 1.0))
