"""Theorems 1 and 2 of TiDAL (ICCV 2023, arXiv 2210.06788, appendix A) as code: why a path tells more than its end.

Theorem 1: the logits of easy samples rise faster than those of hard ones. ``simulate`` runs the stochastic dynamics
(12), ``exact_mean`` is their mean (I + hA)^m X(0), ``continuous`` solves the differential equations (20).

Theorem 2: of two samples that end at the same probability, the one with the smaller area under its curve has the
higher entropy and the lower margin. ``closed_entropy`` and ``closed_margin`` are (23) and (24).

Equation numbers are the paper's. Nothing here trains a network: these are the theorems' own assumptions, taken at
their word. Groups are always in the order easy, hard, other class.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.linalg import expm
from scipy.optimize import brentq
from scipy.special import xlogy

from tidal_core.errors import InputError, TooFewClasses
from tidal_core.records import Float64, Int64

GROUPS = ("easy", "hard", "other class")

# exp(700) is the last that float64 holds; paths scatter above their mean.
_LARGEST_EXPONENT = 300.0


@dataclass(frozen=True)
class Elasticity:
    """The assumptions of Theorem 1: how strongly a step on one sample moves the true-class logit of another."""

    alpha_e: float = 1.0  # among easy samples of class 1, and within class 2
    alpha_h: float = 0.4  # where at least one of the two is a hard sample of class 1
    beta: float = 0.1  # between the classes
    sizes: tuple[int, int, int] = (100, 50, 150)  # easy, hard, other class
    start: tuple[float, float, float] = (1.0, 1.0, 1.0)  # X(0) of each group; the theorem assumes X > 0
    h: float = 0.002  # step size
    sigma: float = 0.1  # standard deviation of the noise: sqrt(h) * sigma is added to every logit at every step

    def __post_init__(self) -> None:
        if not self.alpha_e >= self.alpha_h >= self.beta >= 0:
            raise InputError(
                f"alpha_e, alpha_h, beta are {self.alpha_e:g}, {self.alpha_h:g}, {self.beta:g}; choose "
                "alpha_e >= alpha_h >= beta >= 0: in the theorem easy samples pull each other the most."
            )
        if min(self.sizes) < 1:
            raise InputError(f"the groups have {self.sizes} samples; give each at least one.")
        if min(self.start) <= 0:
            raise InputError(f"the logits start at {self.start}; choose positive ones, as the theorem assumes.")
        if self.h <= 0 or self.sigma < 0:
            raise InputError(f"h is {self.h:g} and sigma {self.sigma:g}; choose h above 0 and sigma of 0 or more.")

    @property
    def between(self) -> Float64:
        """E between groups, (3, 3); symmetric."""
        e, h, b = self.alpha_e, self.alpha_h, self.beta
        return np.array([[e, h, b], [h, h, b], [b, b, e]])

    @property
    def matrix(self) -> Float64:
        """A of dX/dt = A X, the right-hand side of (20): (3, 3)."""
        sizes = np.asarray(self.sizes, np.float64)
        return np.asarray(self.between * (sizes / sizes.sum()))


@dataclass(frozen=True)
class Paths:
    """Averaged logits (13) of R runs at P recorded steps."""

    steps: Int64  # (P,) from 0
    logits: Float64  # (R, P, 3)
    share_left: float  # of all samples of all runs, those seen at X <= 0, which the theorem rules out

    @property
    def mean(self) -> Float64:
        """(P, 3) over the runs."""
        return np.asarray(self.logits.mean(axis=0))


def simulate(setting: Elasticity, *, runs: int, steps: int, seed: int, points: int = 100) -> Paths:
    """Run the dynamics (12) and record the averaged logits about ``points`` times, the first and last step included.

    Every logit is the drift of its group plus its own random walk. The drift is stepped; a walk is only drawn when
    its sample is the training candidate and when it is recorded, over all the steps since then at once. That is
    the same law, with one normal number per step and run instead of one per sample.
    """
    if runs < 1 or steps < 1 or points < 2:
        raise InputError(f"{runs} runs of {steps} steps at {points} points; give at least 1, 1 and 2.")
    if setting.alpha_e * setting.h * steps > _LARGEST_EXPONENT:
        raise InputError(
            f"{steps} steps of h = {setting.h:g} at alpha_e = {setting.alpha_e:g} give numbers too large to compute "
            "with; take fewer or smaller steps."
        )
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(3), setting.sizes)  # (S,)
    between, size = setting.between, len(group)
    spread = setting.sigma * np.sqrt(setting.h)
    recorded = np.unique(np.linspace(0, steps, points).round().astype(np.int64))

    drift = np.tile(np.asarray(setting.start, np.float64), (runs, 1))  # (R, 3)
    walk = np.zeros((runs, size))  # (R, S)
    drawn_at = np.zeros((runs, size), np.int64)  # the step up to which each walk is drawn
    went_negative = np.zeros((runs, size), bool)
    every_run = np.arange(runs)
    logits = np.empty((runs, len(recorded), 3))
    logits[:, 0] = drift

    for point in range(1, len(recorded)):
        start, end = int(recorded[point - 1]), int(recorded[point])
        candidates = rng.integers(0, size, (end - start, runs))  # J
        normals = rng.standard_normal((end - start, runs))
        for step in range(start, end):
            j = candidates[step - start]
            since = step - drawn_at[every_run, j]
            walk[every_run, j] += spread * np.sqrt(since) * normals[step - start]
            drawn_at[every_run, j] = step
            x = drift[every_run, group[j]] + walk[every_run, j]  # X_J(m - 1)
            drift += setting.h * between[group[j]] * x[:, None]  # between is symmetric
        walk += spread * np.sqrt(end - drawn_at) * rng.standard_normal((runs, size))
        drawn_at[:] = end
        went_negative |= drift[:, group] + walk <= 0
        logits[:, point] = drift + _group_means(walk, setting.sizes)
    return Paths(recorded, logits, float(went_negative.mean()))


def exact_mean(setting: Elasticity, steps: Int64) -> Float64:
    """(I + hA)^m X(0), the mean of the dynamics (12) over all runs, for each m of ``steps``: (P, 3)."""
    once = np.eye(3) + setting.h * setting.matrix
    start = np.asarray(setting.start, np.float64)
    return np.stack([np.linalg.matrix_power(once, int(m)) @ start for m in steps])


def continuous(setting: Elasticity, times: Float64) -> Float64:
    """exp(At) X(0), the solution of (20), for each t of ``times`` (t = m h): (P, 3)."""
    start = np.asarray(setting.start, np.float64)
    return np.asarray(expm(setting.matrix * np.asarray(times, np.float64)[:, None, None]) @ start)


class Inequality(NamedTuple):
    """Both sides of (21) for P states."""

    difference: Float64  # (P,) dX_easy/dt - dX_hard/dt, from (20)
    closed: Float64  # (P,) n_easy / n (alpha_e - alpha_h) X_easy

    @property
    def holds(self) -> bool:
        """Whether easy samples rise faster in every state, (14)."""
        return bool((self.difference > 0).all())


def inequality(setting: Elasticity, logits: Float64) -> Inequality:
    """(21) for averaged logits (P, 3)."""
    slopes = logits @ setting.matrix.T
    share = setting.sizes[0] / sum(setting.sizes)
    return Inequality(slopes[:, 0] - slopes[:, 1], share * (setting.alpha_e - setting.alpha_h) * logits[:, 0])


def areas(s_y: float, classes: int) -> Float64:
    """The vector s of (22): s_y for the true class, which comes first, the rest shared equally. (C,)."""
    _check_classes(classes)
    if not 0 <= s_y <= 1:
        raise InputError(f"the area under the true class's curve is {s_y:g}; choose one between 0 and 1.")
    return np.concatenate([[s_y], np.full(classes - 1, (1 - s_y) / (classes - 1))])


def closed_entropy(s_y: Float64 | float, classes: int) -> Float64:
    """H(s) = H_2(s_y) + (1 - s_y) log(C - 1), Equation (23)."""
    _check_classes(classes)
    s = np.asarray(s_y, np.float64)
    return np.asarray(-xlogy(s, s) - xlogy(1 - s, 1 - s) + (1 - s) * np.log(classes - 1))


def closed_margin(s_y: Float64 | float, classes: int) -> Float64:
    """M(s) = C / (C - 1) s_y - 1 / (C - 1), Equation (24)."""
    _check_classes(classes)
    return np.asarray((classes * np.asarray(s_y, np.float64) - 1) / (classes - 1))


def entropy_falls_from(classes: int) -> float:
    """Above this area a larger one always means a lower entropy.

    dH/ds = log((1 - s) / (s (C - 1))) is negative exactly for s > 1/C. The theorem asks for s > 1/2, where H_2 alone
    falls already: that is enough, and for C > 2 more than is needed.
    """
    _check_classes(classes)
    return 1 / classes


@dataclass(frozen=True)
class LearningCurve:
    """p^(t) of the true class over T epochs, with its area and what the estimators make of it."""

    p: Float64  # (T,)
    classes: int
    area: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "area", float(self.p.mean()))

    @property
    def entropy(self) -> float:
        """H of its training dynamics, (23)."""
        return float(closed_entropy(self.area, self.classes))

    @property
    def margin(self) -> float:
        """M of its training dynamics, (24)."""
        return float(closed_margin(self.area, self.classes))


def curve_with_area(*, end: float, area: float, classes: int, epochs: int = 60) -> LearningCurve:
    """A rising curve that starts near 1/C, ends at ``end`` and has ``area`` below it (the mean over epochs).

    p(t) = 1/C + (end - 1/C) (t / T)^g for t = 1..T; g decides between early and late learning and is solved for.
    """
    _check_classes(classes)
    low = 1 / classes
    times = np.arange(1, epochs + 1) / epochs
    least = low + (end - low) / epochs  # g to infinity: everything at the last epoch
    if not low < end <= 1 or not least < area < end:
        raise InputError(
            f"no curve of {epochs} epochs from {low:.3g} to {end:.3g} has the area {area:.3g}; choose one between "
            f"{least:.3g} and {end:.3g}."
        )
    exponent = brentq(lambda log_g: low + (end - low) * np.mean(times ** np.exp(log_g)) - area, -30, 30)
    return LearningCurve(low + (end - low) * times ** np.exp(exponent), classes)


def _group_means(values: Float64, sizes: tuple[int, int, int]) -> Float64:
    """(R, S) -> (R, 3)."""
    bounds = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    return np.asarray(np.add.reduceat(values, bounds, axis=1) / np.asarray(sizes, np.float64))


def _check_classes(classes: int) -> None:
    if classes < 2:
        raise TooFewClasses(f"The number of classes is {classes}; choose 2 or more.")
