"""ActiveLab: query images whose label is least sure, labelled ones among them: those are asked of another person."""

from __future__ import annotations

import numpy as np

from tidal_core.method.crowdlab import active_lab
from tidal_core.records import Floats, PoolView
from tidal_core.strategies.base import ScoreStrategy


class ActiveLab(ScoreStrategy):
    """How sure an image's label would be, from 1 / C to 1, on one scale for new images and for labelled ones.

    Of a labelled image: the mean of the quality of its consensus label, weighed by the people who gave it and the
    model, and of 1 / C, weighed by one person more. Of a new image: the same without people.
    """

    name = "active-lab"
    title = "ActiveLab"
    explanation = "Images whose label is least sure, new ones and labelled ones, which other people are asked."
    because = "neither the model nor those who labelled it, if anybody did, make its label sure"
    paper = (
        "Goh and Mueller, ActiveLab: Active Learning with Re-Labeling by Multiple Annotators, 2023 (cleanlab's code)"
    )
    cost = "Time (N + L A) C for A people, memory (N + L) C."
    needs = frozenset({"log_p"})
    least_classes = 2
    reads_held_out = True
    asks_again = True

    def scores(self, pool: PoolView) -> Floats:
        """(N,) the score of each pool image."""
        return _scores(pool)[1]

    def scores_again(self, pool: PoolView) -> Floats | None:
        """(L,) the score of each labelled image; None where nothing is known of how sure their labels are."""
        of_labelled = _scores(pool)[0]
        return of_labelled if len(of_labelled) else None


def _scores(pool: PoolView) -> tuple[Floats, Floats]:
    """(L,) or (0,) of the labelled images, (N,) of the pool."""
    # A diverged network was refused before; a class of probability 0 is no trouble.
    p = np.exp(pool.log_p.astype(np.float64))
    p /= p.sum(axis=1, keepdims=True)
    votes, held_out = pool.votes, pool.held_out_log_p
    is_voted = np.zeros(0, dtype=np.bool_) if votes is None else ~np.isnan(votes).all(axis=1)
    if votes is None or held_out is None or not is_voted.any():
        return np.empty(0), active_lab(np.empty((0, 0)), np.empty((0, 0)), p)[1]
    q = np.exp(held_out.astype(np.float64))
    q /= q.sum(axis=1, keepdims=True)
    of_labelled = np.full(len(votes), np.nan)  # labels that nobody gave by hand are not asked again
    of_labelled[is_voted], of_pool = active_lab(votes[is_voted], q[is_voted], p)
    return of_labelled, of_pool
