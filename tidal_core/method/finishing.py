"""For which images may the model's class be taken, so that at least a target share of them is right?

Images that were picked at random and labelled by people, and that the model never trained on, are the evidence. Images
that a strategy chose are none: they are the hard ones. What heads predict of those that they did not train on only
says in which order sets of images are tried.

The law
    Candidates get a *score*: the log-odds of their confidence, moved for each predicted class by what the folds say of
    it (small classes are pulled to the common value, which pools them). The k candidates of the largest scores are a
    set; twenty sets of different k are tried. Of a set of which n random images were checked and x are wrong, the
    hypothesis "more than 1 - target of what would be accepted is wrong" is rejected where x or fewer would be wrong
    with probability ``level`` at most: hypergeometric, as the checked images come out of the set, or binomial, where
    they come from elsewhere (test images).

    Many sets are looked at, and none is paid for: they are tested one after the other in an order that knows no answer
    of a checked image (the likeliest to pass first), until the first that does not pass (fixed-sequence testing;
    Angelopoulos, Bates, Candès, Jordan and Lei, Learn then Test, 2021). The largest set that passed is proposed. No
    test is made before one has a fair chance to pass, so that asking too early costs nothing.

    A *look* is the test of one target with one round and so many images checked. Of all looks of a project's life, over
    its rounds and targets, number k may err with probability 0.05 * 6 / (pi k)^2: 0.030, 0.0076, 0.0034, ..., 0.05 in
    all. A look that passed is not paid for (fallback procedure; Wiens and Dmitrienko, 2005): the next has its level.

Refused: a target outside 0.5 to 0.999, arrays of different length.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy import stats
from scipy.special import expit, logit

from tidal_core.errors import InputError
from tidal_core.records import Bools, Float64, Int64

LEVEL = 0.05  # of all looks of a project together: in so many projects a target is missed, at most
SHARES = np.array([*np.arange(1.0, 0.5, -0.05), *np.arange(0.5, 0.0, -0.05)])  # of the candidates, in the sets tried
LEAST = 10  # images in a set that is tried
TESTED_FROM = 0.4  # chance to pass: below, no test is made
LIKELY = 0.8  # chance to pass that is aimed at where more images are to be checked
EASIER = 1.0  # log-odds by which images left are right more often than chosen ones of equal confidence
CLASS_SPREAD = 0.7  # deviation of a class's log-odds from the common one, before anything is known of it
TOO_SURE = -0.7  # log-odds that a model is taken to be too sure by before anything is known: half as right as it says
SAMPLE = 50  # accepted images that a person looks at before they are taken
VETO = 0.05  # so rarely a set that keeps its target has as many wrong ones in the sample


class Judged(NamedTuple):
    """Images whose class is known, as the model predicts them; arrays are (M,)."""

    confidence: Float64  # the largest probability
    predicted: Int64  # positions of classes
    is_right: Bools


class ClassShare(NamedTuple):
    """What is proposed of one predicted class."""

    position: int
    threshold: float  # confidence from which on images are accepted; above 1 for none
    accepted: int
    left: int  # for people
    checked: int  # random images of the accepted kind that were checked
    wrong: int  # of these


class Proposal(NamedTuple):
    """For which candidates the model's class may be taken."""

    target: float
    is_accepted: Bools  # (N,)
    classes: tuple[ClassShare, ...]  # one per class
    checked: int  # random images of the accepted kind that were checked
    wrong: int  # of these
    at_least: float | None  # share of the accepted that is right, lower end of the interval; None without any
    was_tested: bool  # whether a look was spent
    more_checks: int | None  # random images to check until a proposal is likely; None: no number would do
    reason: str  # why nothing is accepted; ""

    @property
    def accepted(self) -> int:
        """How many."""
        return int(self.is_accepted.sum())


class Looks:
    """The tests of a project's life. A test made again of the same evidence is the same look, and says the same."""

    def __init__(self, made: Mapping[str, tuple[int, bool]] | None = None) -> None:
        self.made = dict(made or {})
        """By what names the evidence: the number of the look, and whether it passed."""

    def number(self, evidence: str) -> int:
        """The number of the look at this evidence, made or to be made."""
        if evidence in self.made:
            return self.made[evidence][0]
        return 1 + sum(not passed for _, passed in self.made.values())

    def note(self, evidence: str, proposal: Proposal) -> bool:
        """Take a look down that was made with ``number``; returns whether it is a new one."""
        if not proposal.was_tested or evidence in self.made:
            return False
        self.made[evidence] = (self.number(evidence), proposal.accepted > 0)
        return True


def evidence_of(round_id: int, checked: int, target: float) -> str:
    """What names the evidence of a look."""
    return f"{round_id}|{checked}|{target:g}"


class Veto(NamedTuple):
    """What a sample of the accepted images says."""

    is_vetoed: bool
    sentence: str


def level_of_look(look: int) -> float:
    """The error that look number ``look`` (from 1) may make; all of them together ``LEVEL``."""
    if look < 1:
        raise InputError(f"Looks count from 1, not {look}.")
    return LEVEL * 6 / (math.pi * look) ** 2


def propose(
    confidence: Float64,
    predicted: Int64,
    checked: Judged,
    folds: Judged,
    n_classes: int,
    target: float,
    *,
    from_elsewhere: bool = False,
    look: int = 1,
) -> Proposal:
    """For which of N candidates, with ``confidence`` and ``predicted`` (N,), the model's class may be taken.

    ``checked``: random images, of those that the candidates are the rest of, or ``from_elsewhere``. ``folds``: labelled
    images as heads predict them that did not train on them; may be empty. ``look``: ``Looks.number``.
    """
    if not 0.5 <= target <= 0.999:
        raise InputError(f"The target is {target:g}; give a share between 0.5 and 0.999.")
    if len(confidence) != len(predicted):
        raise InputError(f"There are {len(confidence)} confidences and {len(predicted)} predictions; give one each.")
    n, level = len(confidence), level_of_look(look)
    if not n:
        return _nothing(confidence, n_classes, target, None, "No images are left that the model could label.")
    shifts = class_shifts(folds, n_classes)
    score = log_odds(confidence) + shifts[predicted]
    score_of_checked = log_odds(checked.confidence) + shifts[checked.predicted]
    by_score = np.sort(score)[::-1]
    sizes = np.unique(np.clip((SHARES * n).astype(np.int64), min(LEAST, n), n))[::-1]
    cuts = by_score[sizes - 1]  # (K,)
    accepted = np.searchsorted(-by_score, -cuts, side="right")  # (K,) ties included
    sampled = (score_of_checked[:, None] >= cuts).sum(axis=0)  # (K,)
    expected = np.cumsum(1 - expit(by_score))[accepted - 1] / accepted  # (K,) share of wrong ones
    bounds = [
        _most_wrong(int(m), int(a), target, level, from_elsewhere) for m, a in zip(sampled, accepted, strict=True)
    ]
    chance = stats.binom.cdf(bounds, sampled, expected)  # to pass
    order = np.lexsort((-accepted, -chance.round(2)))
    wrong = ((score_of_checked[:, None] >= cuts) & ~checked.is_right[:, None]).sum(axis=0)
    passed = []
    was_tested = bool(chance[order[0]] >= TESTED_FROM)
    for place in order if was_tested else ():
        if wrong[place] > bounds[place]:
            break
        passed.append(place)
    if not passed:
        more = _more_checks(
            score_of_checked, checked, by_score, accepted, cuts, expected, target, look, was_tested, from_elsewhere
        )
        return _nothing(confidence, n_classes, target, more, _reason(target, len(checked.is_right), more), was_tested)
    best = max(passed, key=lambda place: accepted[place])
    is_accepted = score >= cuts[best]
    is_sampled = score_of_checked >= cuts[best]
    thresholds = expit(cuts[best] - shifts)
    classes = tuple(
        ClassShare(
            position,
            float(thresholds[position]),
            int((is_accepted & (predicted == position)).sum()),
            int((~is_accepted & (predicted == position)).sum()),
            int((is_sampled & (checked.predicted == position)).sum()),
            int((is_sampled & (checked.predicted == position) & ~checked.is_right).sum()),
        )
        for position in range(n_classes)
    )
    n_sampled, n_wrong = int(sampled[best]), int(wrong[best])
    at_least = _at_least(n_sampled, n_wrong, int(accepted[best]), level, from_elsewhere)
    return Proposal(target, is_accepted, classes, n_sampled, n_wrong, at_least, True, 0, "")


def log_odds(p: Float64) -> Float64:
    """log(p / (1 - p)), with p kept where float32 can tell it from 0 and 1."""
    value: Float64 = logit(np.clip(np.asarray(p, np.float64), 1e-6, 1 - 1e-6))
    return value


def class_shifts(folds: Judged, n_classes: int) -> Float64:
    """(C,) what is added to the log-odds of each predicted class: the most probable values, after the folds.

    One for all classes, then one for each: small classes stay near the common one.
    """
    offset = log_odds(folds.confidence)
    common = _most_probable(offset, folds.is_right, TOO_SURE, 1.0)
    return np.array(
        [
            EASIER + _most_probable(offset[of_class], folds.is_right[of_class], common, CLASS_SPREAD)
            for of_class in (folds.predicted == position for position in range(n_classes))
        ]
    )


def sample_of(accepted: Int64, rng: np.random.Generator, n: int = SAMPLE) -> Int64:
    """Up to n of the accepted images, drawn at random, for a person to look at."""
    return np.asarray(rng.permutation(accepted)[:n], dtype=np.int64)


def judge_sample(shown: int, wrong: int, target: float) -> Veto:
    """Whether so many wrong ones of a random sample of the accepted contradict the target."""
    if not 0 <= wrong <= shown:
        raise InputError(f"{wrong} of {shown} images cannot be wrong.")
    usual = f"{target:.0%} right means about {shown * (1 - target):.1f} wrong of {shown}"
    if shown and float(stats.binom.sf(wrong - 1, shown, 1 - target)) < VETO:
        return Veto(True, f"{wrong} of {shown} are wrong; {usual}. That is too many: nothing should be accepted.")
    return Veto(False, f"{wrong} of {shown} are wrong; {usual}. This agrees with the target.")


def _most_probable(offset: Float64, is_right: Bools, mean: float, deviation: float) -> float:
    """The shift b of largest p(b | right) for right ~ Bernoulli(expit(offset + b)), b ~ Normal; by Newton's steps."""
    shift = mean
    for _ in range(30):
        p = expit(offset + shift)
        slope = float((is_right - p).sum()) - (shift - mean) / deviation**2
        step = slope / (float((p * (1 - p)).sum()) + 1 / deviation**2)
        shift += max(-1.0, min(1.0, step))
    return shift


def _most_wrong(sampled: int, accepted: int, target: float, level: float, from_elsewhere: bool) -> int:
    """How many of ``sampled`` may be wrong to accept so many more; -1 where even none would not do."""
    if not sampled:
        return -1
    wrong = np.arange(math.ceil((1 - target) * sampled) + 1)  # as many as the target allows are never few enough
    if from_elsewhere:
        chance = stats.binom.cdf(wrong, sampled, 1 - target)
    else:
        # The fewest wrong ones in the whole set with which those to accept could miss the target. That the checked
        # ones took some of them out is not counted, so that the hypothesis does not depend on what was seen.
        too_many = math.floor((1 - target) * accepted + 1e-9) + 1
        chance = stats.hypergeom.cdf(wrong, accepted + sampled, too_many, sampled)
    return int((chance <= level).sum()) - 1


def _at_least(sampled: int, wrong: int, accepted: int, level: float, from_elsewhere: bool) -> float:
    """The lower end of the one-sided interval of the share that is right."""
    if from_elsewhere:
        return float(stats.beta.ppf(level, sampled - wrong, wrong + 1)) if sampled > wrong else 0.0
    in_all = np.arange(wrong, accepted + sampled + 1)
    possible = in_all[stats.hypergeom.cdf(wrong, accepted + sampled, in_all, sampled) > level]
    return max(0.0, 1 - float(possible.max()) / accepted)


def _more_checks(
    score_of_checked: Float64,
    checked: Judged,
    by_score: Float64,
    accepted: Int64,
    cuts: Float64,
    expected: Float64,
    target: float,
    look: int,
    was_tested: bool,
    from_elsewhere: bool,
) -> int | None:
    """Random images to check beside those there are until some set passes with a chance of ``LIKELY``."""
    n, level = len(by_score), level_of_look(look + was_tested)
    above = score_of_checked[:, None] >= cuts
    sampled, wrong = above.sum(axis=0), (above & ~checked.is_right[:, None]).sum(axis=0)
    share = (20 * expected + wrong) / (20 + sampled)  # of wrong ones, the checked ones taken into account
    best_chance, best = TESTED_FROM, None
    for more in np.unique(np.geomspace(5, max(n - 1, 5), 25).astype(np.int64)):
        fresh = np.round(more * accepted / n).astype(np.int64)
        remaining = accepted - fresh
        # No test lets more pass than the target does, and that is quickly counted.
        at_best = stats.binom.cdf(np.ceil((1 - target) * (sampled + fresh)) - wrong, fresh, share)
        for place in np.flatnonzero((remaining > 0) & (at_best > best_chance)):
            most = _most_wrong(int(sampled[place] + fresh[place]), int(remaining[place]), target, level, from_elsewhere)
            allowed = most - wrong[place]
            chance = float(stats.binom.cdf(allowed, fresh[place], share[place])) if allowed >= 0 else 0.0
            if chance >= LIKELY:
                return int(more)
            if chance > best_chance:
                best_chance, best = chance, int(more)
    return best


def _reason(target: float, checked: int, more: int | None) -> str:
    images = "1 image that was" if checked == 1 else f"{checked:,} images that were"
    if more is None:
        return (
            f"No part of the images left can be shown to be {target:.0%} right: the model is not sure enough, or so "
            "few images are left that checking would be labelling them. Choose a lower target, or label on."
        )
    return (
        f"{images} picked at random and checked are too few to show that {target:.0%} are right. With about {more:,} "
        "more checked, the model can probably label some of the rest. A lower target needs fewer."
    )


def _nothing(
    confidence: Float64, n_classes: int, target: float, more: int | None, reason: str, was_tested: bool = False
) -> Proposal:
    none = tuple(ClassShare(position, 2.0, 0, 0, 0, 0) for position in range(n_classes))
    return Proposal(target, np.zeros(len(confidence), np.bool_), none, 0, 0, None, was_tested, more, reason)
