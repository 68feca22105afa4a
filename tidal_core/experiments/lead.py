"""Which of two arms of one race needs fewer labels, said as soon as it is more than chance, and not before. Pure.

The rule, which ``RULE`` tells people. Arm A after round t is compared with arm B after round s >= t, over the same test
images, by the exact test of McNemar (1947): of the images that just one of the two gets right, is A's share more than
that of a fair coin? A saves the labels between t and s where

- A after t is more accurate than B after every round up to s, and
- the two-sided p of A after t against B after t, after t + 1, and so on to s is below 5 % / (rounds - 1), each.

The division is Bonferroni's, for all the rounds after the common first one at which one could look. Within a round t
the comparisons go in a fixed order, from t on, and end at the first that fails: that costs nothing (fixed-sequence
testing). Both arms may be ahead, so the test has two sides. Finished rounds do not change: what was said stays said.

It speaks of these two sequences of classifiers, on images like those that were tested. Whether a way of asking is
better with other first labels, only several runs tell: ``statistics.beyond_chance``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from tidal_core.experiments.statistics import LEVEL
from tidal_core.records import Int64

Bool = NDArray[np.bool_]

RULE = (
    "It is said only once it is more than chance: both arms are tested on the same images, and those that just one of "
    "them gets right are compared (McNemar's exact test). p has to be below {level:.2%}, that is 5 % shared among the "
    "{looks} rounds at which one could look, with the arm ahead of every round of the other up to those labels. It "
    "speaks of this race; whether it holds with other first labels, several runs on the page Experiments tell."
)


class Lead(NamedTuple):
    """One arm is ahead of the other by more than chance."""

    is_first: bool  # the first of the two arms is ahead
    labels: int  # that it needed for ``accuracy``
    other_labels: int  # with which the other is still less accurate, at ``other_accuracy``
    accuracy: float
    other_accuracy: float
    p: float  # of the last comparison

    @property
    def saved(self) -> int:
        """Labels; 0 where it is ahead with the same number."""
        return self.other_labels - self.labels

    def sentence(self, ahead: str, behind: str) -> str:
        """For an audience; the two names are those of the arms."""
        numbers = f"{self.accuracy:.1%} with {self.labels:,} labels"
        if not self.saved:
            return (
                f"{ahead} is ahead: {numbers}, where {behind} has {self.other_accuracy:.1%} "
                f"({_p_in_words(self.p)}). How many labels that saves, the next rounds show."
            )
        return (
            f"Same accuracy with {self.saved:,} fewer labels: {ahead} reached {numbers}; {behind} is still below with "
            f"{self.other_labels:,} ({self.other_accuracy:.1%}, {_p_in_words(self.p)})."
        )


def _p_in_words(p: float) -> str:
    return "p below 0.001" if p < 0.001 else f"p = {p:.2g}"


def level_of(rounds: int) -> float:
    """What a p has to be below in a race of so many rounds."""
    return (1 - LEVEL) / max(1, rounds - 1)


def rule(rounds: int) -> str:
    """The rule for people, for a race of so many rounds."""
    return RULE.format(level=level_of(rounds), looks=max(1, rounds - 1))


def mcnemar(right: Bool, other: Bool) -> float:
    """Two-sided exact p that two classifiers are equally often right, from the same T images: two (T,)."""
    only, only_other = int((right & ~other).sum()), int((other & ~right).sum())
    return float(stats.binomtest(only, only + only_other).pvalue) if only + only_other else 1.0


def leads(labels: Int64, right: Bool, other: Bool, rounds: int) -> list[Lead]:
    """What can be said by now, the most labels saved first: none, one arm's lead, or one of each.

    ``labels`` (P,) of each round, ``right`` (A, T) and ``other`` (B, T) which test images the arms get right after the
    A and B rounds that they have finished; ``rounds`` planned.
    """
    found = [_best(labels, right, other, rounds, True), _best(labels, other, right, rounds, False)]
    return sorted((lead for lead in found if lead is not None), key=lambda lead: -lead.saved)


def _best(labels: Int64, right: Bool, other: Bool, rounds: int, is_first: bool) -> Lead | None:
    accuracy, others = right.mean(axis=1), other.mean(axis=1)
    best: Lead | None = None
    for t in range(1, min(len(right), len(other))):  # after the first round both are the same but for chance
        for s in range(t, len(other)):
            if accuracy[t] <= others[: s + 1].max() or (p := mcnemar(right[t], other[s])) >= level_of(rounds):
                break
            lead = Lead(is_first, int(labels[t]), int(labels[s]), float(accuracy[t]), float(others[s]), p)
            if best is None or lead.saved >= best.saved:
                best = lead
    return best
