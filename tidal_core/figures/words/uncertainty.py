"""The sentences of the page Uncertainty: scores over rounds, final prediction against dynamics, scores compared."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from tidal_core.estimator_facts import ESTIMATORS
from tidal_core.figures.uncertainty import AgreementInfo, ByClassInfo, RidgeInfo, ScatterInfo
from tidal_core.figures.words.common import LEVEL, Told, called, capital, counted, differ, z_of
from tidal_core.records import Int64

NONE_LEFT = "No image is left without a label."


def ridge_told(info: RidgeInfo) -> Told:
    """Of ``ridge_figure``: whether what is left has become surer since the first round shown."""
    score = ESTIMATORS[info.estimator]
    unsure = "right" if score.query_end == "highest" else "left"
    look = f"Look at the top ridge, the newest round: the further to the {unsure}, the less sure the model is."
    of = {name: info.counts[:, place] for place, name in enumerate(info.groups)}  # (R, B) each
    left, asked = of.get("remaining", np.zeros((len(info.rounds), 0))), of.get("asked", np.zeros((len(info.rounds), 0)))
    known = [place for place in range(len(info.rounds)) if left[place].sum()]
    if not known:
        return Told(look, NONE_LEFT)
    first, last = known[0], known[-1]
    now = _middle(left[last], info)
    if first != last:
        before, step = _middle(left[first], info), float(info.centres[1] - info.centres[0])
        change = float(score.urgency(np.array([now - before]))[0])
        surer = "no more and no less sure" if abs(change) <= step else "surer" if change < 0 else "less sure"
        return Told(
            look,
            f"Of the images left to label, the middle one had a {score.words} of {before:.2f} after round "
            f"{info.rounds[first]} and has {now:.2f} after round {info.rounds[last]}: the model is {surer} now.",
        )
    here = f"The middle one of {counted(int(left[last].sum()))} left has a {score.words} of {now:.2f}"
    if asked[last].sum():
        here += f", the middle one of {counted(int(asked[last].sum()))} asked {_middle(asked[last], info):.2f}"
    return Told(look, f"{here}.")


def _middle(counts: Int64, info: RidgeInfo) -> float:
    """The median of a histogram (B,), to its bin."""
    below = np.cumsum(counts)
    return float(info.centres[int(np.searchsorted(below, below[-1] / 2))])


def scatter_told(info: ScatterInfo) -> Told:
    """Of ``scatter_figure``: how many images are less settled on the way than at the end."""
    look = "Look at the images above the line: they look settled in the end, but were not on the way."
    n, above = len(info.image), info.y > info.x
    if not n:
        return Told(look, NONE_LEFT)
    of = f"{counted(n)} drawn" if n < info.pool else counted(n)
    here = f"{capital(_some(int(above.sum())))} of {of} {'lies' if n == 1 or above.sum() == 1 else 'lie'} above it"
    if info.queried.any():
        here += f", {_some(int((above & info.queried).sum()))} of the {int(info.queried.sum()):,} asked among them"
    return Told(look, f"{here}{_in_common(info)}.")


def exact_told(info: ScatterInfo) -> Told:
    """Of ``exact_figure``: how far off the module is on average."""
    look = "Look at how far the points are from the line: on it the TD module foresaw exactly what came."
    if not len(info.image):
        return Told(look, NONE_LEFT)
    off = float(np.abs(info.x - info.y).mean())
    return Told(look, f"On average it is {off:.2f} off, on a scale from -1 to 1{_in_common(info)}.")


def _some(n: int) -> str:
    return f"{n:,}" if n else "none"


def _in_common(info: ScatterInfo) -> str:
    """How alike two scores order the pool; an order in common only if it is more than chance."""
    r = info.correlation
    if math.isnan(r) or info.pool < 3:
        return ""
    if abs(r) <= z_of(1) / math.sqrt(info.pool - 1):
        return f"; both scores have no more order in common than by chance (rank correlation {r:.2f})"
    alike = (
        "nearly the same" if r >= 0.8 else "a similar" if r >= 0.5 else "a slightly similar" if r > 0 else "an opposite"
    )
    return f"; both scores put the images in {alike} order (rank correlation {r:.2f})"


def agreement_told(info: AgreementInfo) -> Told:
    """Of ``agreement_figure``: which two scores choose the most alike, and which the least."""
    look = "Look at the fields off the diagonal: how many images of the next batch two scores have in common."
    if len(info.estimators) < 2:
        return Told(look, "There is only one score here, so there is nothing to compare.")
    if not info.batch:
        return Told(look, NONE_LEFT)
    if info.batch >= info.pool:
        return Told(look, f"The next batch takes all {counted(info.pool)} that are left, whatever the score.")
    rows, columns = np.triu_indices(len(info.estimators), 1)
    common = np.rint(info.overlap[rows, columns] * info.batch).astype(int)
    most, least = int(common.argmax()), int(common.argmin())

    def pair(place: int) -> str:
        one, other = (ESTIMATORS[info.estimators[at]].words for at in (rows[place], columns[place]))
        return f"{one} and {other}"

    here = (
        f"{capital(pair(most))} have {common[most]:,} of {info.batch:,} in common{_or_chance(int(common[most]), info)}"
    )
    if common[most] != common[least]:
        here += f"; {pair(least)} {_some(int(common[least]))}{_or_chance(int(common[least]), info)}"
    return Told(look, f"{here}.")


def _or_chance(common: int, info: AgreementInfo) -> str:
    """A remark on an overlap that two random batches might have, too."""
    by_chance = stats.hypergeom.sf(common - 1, info.pool, info.batch, info.batch)
    return ", no more than two random batches might" if by_chance >= 1 - LEVEL else ""


def by_class_told(info: ByClassInfo) -> Told:
    """Of ``by_class_figure``: the least and the most settled class, if that is more than chance."""
    look = "Look at the top: the classes that the model is least sure of come first."
    if not info.classes:
        return Told(look, NONE_LEFT)
    n, quartiles = info.images, info.quantiles[:, 1:4]  # (C,), (C, 3)

    def of(place: int) -> str:
        images = counted(int(n[place]))
        return f"{called(info.classes[place])} (middle of {images}: {quartiles[place, 1]:.2f})"

    if len(info.classes) == 1:
        return Told(look, f"All are predicted as one class, {of(0)}.")
    ends = [(float(low), float(middle), float(high)) for low, middle, high in quartiles[[0, -1]]]
    pairs = len(info.classes) * (len(info.classes) - 1) // 2
    real = differ(ends[0], ends[1], (int(n[0]), int(n[-1])), pairs)
    chance = "more than chance explains" if real else "a difference that may be chance"
    return Told(look, f"Least sure is {of(0)}, surest {of(-1)}: {chance}.")
