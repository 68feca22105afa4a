"""What asking could reach at best, nearly: of many batches, the one after which the head is most accurate.

The best of many batches that several strategies choose, each from a random part of the pool (as in BoSS, the best-of-
strategies selector). Which one is best is told by labels that nobody has when a batch is chosen: those of the pool
images that it leaves unasked. So it lives here, for comparisons, and is no strategy that the studio offers. The test
images decide nothing here either. It costs a training for each candidate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tidal_core import strategies
from tidal_core.errors import InputError
from tidal_core.records import Int64, PoolView
from tidal_core.strategies.base import Strategy

BY = ("margin", "badge", "coreset", "typiclust", "maxherding", "probcover", "confidence", "random")
"""Who suggests candidates, in turn: strategies that need nothing trained beside the classifier."""

LEAST_SHARE = 0.05  # of the pool that a candidate is chosen from


class Oracle(Strategy):
    """Described as a strategy is, so that comparisons name it; it chooses by ``best_batch`` alone."""

    name = "oracle"
    title = "Oracle (best of many batches)"
    explanation = "The batch, of many, after which the classifier is most accurate on labels that nobody has yet."
    paper = "As in BoSS: A Best-of-Strategies Selector as an Oracle for Deep Active Learning"
    cost = "Time and memory of a training for each candidate batch."
    needs = frozenset({"log_p", "features", "labelled_features", "labelled_log_p"})
    least_classes = 2

    def choose(self, pool: PoolView, n: int, rng: np.random.Generator) -> Int64:
        """Raises InputError: arrays do not say what a training would come to."""
        raise InputError("The oracle chooses in comparisons only, where labels are known; choose another strategy.")


def best_batch(
    pool: PoolView, n: int, rng: np.random.Generator, candidates: int, accuracy_after: Callable[[Int64], float]
) -> Int64:
    """Positions (n,) in the pool of the best of so many candidate batches; of equally good ones the first.

    ``accuracy_after`` tells how accurate the classifier is, trained on what is labelled and the images at these
    positions (n,) of the pool.
    """
    batches = [_candidate(pool, n, rng, BY[k % len(BY)]) for k in range(candidates)]
    return batches[int(np.argmax([accuracy_after(batch) for batch in batches]))]


def _candidate(pool: PoolView, n: int, rng: np.random.Generator, by: str) -> Int64:
    size = len(pool.ids)
    n_part = max(n, round(size * rng.uniform(LEAST_SHARE, 1)))
    part = np.sort(rng.choice(size, n_part, replace=False))
    view = replace(pool, ids=pool.ids[part], log_p=pool.log_p[part], td_log_p=None, features=pool.features[part])
    view = replace(view, extra={}, exact_log_p=None)
    return part[strategies.get(by).select(view, n, rng)]
