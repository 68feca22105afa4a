"""What a query strategy is, and the laws that hold for each of them.

A strategy chooses which n images of a pool to query next, from arrays alone: it never trains, reads no file and keeps
no state. ``Strategy.select`` checks what goes in and what comes out, for strategies registered from elsewhere too.
What people read of a strategy, on pages, in "Why this image?" and in model cards, comes from its class alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, cast

import numpy as np
from numpy.typing import NDArray

from tidal_core.errors import InputError, TidalError, TooFewClasses
from tidal_core.estimator_facts import Direction, Estimator
from tidal_core.records import Float32, Floats, Int64, LinearHead, PoolView

Need = Literal[
    "log_p",
    "td_log_p",
    "features",
    "labelled_features",
    "labelled_log_p",
    "mc_information",
    "predicted_loss",
    "predicted_rank",
    "labelled_score",
    "task_labelled_score",
    "exact_log_p",
    "head",
]

SAID_BY: dict[str, str] = {
    "mc_information": "mc-dropout",
    "predicted_loss": "learning-loss",
    "predicted_rank": "ranker",
    "labelled_score": "vaal",
    "task_labelled_score": "ta-vaal",
}
"""What is in ``PoolView.extra``, and which companion says it."""

COMPANIONS: dict[str, str] = {"td_log_p": "td", **SAID_BY}
"""Which companion has to be trained beside the classifier for which need."""


class Strategy(ABC):
    """Chooses the images to query. Subclasses describe themselves in the class variables and implement ``choose``.

    What the contract suite demands of them, beside what ``select`` checks:

    ``explanation``: which images it chooses, one sentence with its full stop ("Images where two classes are level.").
    ``because``: why it chose one of them, the rest of the sentence "Chosen by Margin: ..." without its full stop ("the
    model finds its two most likely classes almost equally likely"). The explanation takes its place if it is missing.
    ``cost``: names both its time and its memory; the registry refuses one that does not.
    ``least_classes``: 2 where it compares two classes.
    ``represents``: it chooses an image for the images that look like it, so that these are shown as its reason.
    """

    name: str  # what settings, commands and stored rounds call it: no spaces, commas, plus signs or slashes
    title: str  # what people call it
    explanation: str  # which images it chooses
    because: str = ""  # why it chose an image
    paper: ClassVar[str]  # where it is from
    cost: ClassVar[str]  # for N pool images, L labelled ones, C classes, D features, n queried
    needs: ClassVar[frozenset[Need]] = frozenset()
    ranks_all: ClassVar[bool] = False  # whether ranking the whole pool costs no more than sorting it
    least_classes: ClassVar[int] = 1
    reads_held_out: ClassVar[bool] = False
    """Whether it chooses better by ``PoolView.held_out_log_p``: heads are then trained for it where they train fast."""
    asks_again: ClassVar[bool] = False
    """Whether it ranks labelled images beside those of the pool, to be asked of other people: ``scores_again``."""
    represents: ClassVar[bool] = False  # whether it chooses an image to stand for others
    chosen_among: ClassVar[int | None] = None
    """Of a larger pool it looks at a random part of so many images (n at least): nobody need bring it the features of
    the others."""
    estimator: ClassVar[Estimator | None] = None
    """What it ranks images by, for showing its value; None where the scores table keeps no such number."""

    @property
    def in_words(self) -> str:
        """What it chooses, to follow "chooses images by": "Random: any image, each with the same chance"."""
        return f"{self.title}: {_rest_of_a_sentence(self.explanation)}"

    @property
    def reason(self) -> str:
        """Why it chose an image, a sentence."""
        return f"Chosen by {self.title}: {self.because or _rest_of_a_sentence(self.explanation)}."

    @property
    def companions(self) -> frozenset[str]:
        """What has to be trained beside the classifier for this strategy."""
        return frozenset(COMPANIONS[need] for need in self.needs if need in COMPANIONS)

    def select(self, pool: PoolView, n: int, rng: np.random.Generator) -> Int64:
        """Rows of the n images to query, most wanted first: (n,) int64, each once.

        The same pool, n and state of ``rng`` give the same answer; ``pool`` is not changed. Raises InputError when n
        is negative or larger than the pool, or when the pool lacks what the strategy needs.
        """
        size = len(pool.ids)
        if not 0 <= n <= size:
            raise InputError(f"{self.name} cannot choose {n} of {size} images; choose from 0 to {size}.")
        if n == 0:
            return np.empty(0, np.int64)
        self._check(pool)
        try:
            rows = np.asarray(self.choose(pool, n, rng), np.int64)
        except TidalError:
            raise
        except Exception as error:  # whatever a strategy of another package raises
            few = "; state least_classes = 2 if it compares two classes" if pool.log_p.shape[1] < 2 else ""
            raise TidalError(
                f"The strategy {self.name} failed ({type(error).__name__}: {error}); this is an error in "
                f"{type(self).__module__}{few}. Choose another strategy on the Project page until it is mended."
            ) from error
        if rows.shape != (n,) or len(np.unique(rows)) != n or rows.min() < 0 or rows.max() >= size:
            raise TidalError(
                f"The strategy {self.name} did not return {n} different rows of {size}; this is an error in "
                f"{type(self).__module__}."
            )
        return rows

    @abstractmethod
    def choose(self, pool: PoolView, n: int, rng: np.random.Generator) -> Int64:
        """As ``select``, for a pool that has what is needed and 1 <= n <= N."""

    def scores(self, pool: PoolView) -> Floats | None:
        """(N,) the number by which it ranks, for showing to people; None for strategies that choose whole batches."""
        return None

    def scores_again(self, pool: PoolView) -> Floats | None:
        """(L,) the number by which labelled images are ranked among the others, where it ``asks_again``; else None."""
        return None

    def _check(self, pool: PoolView) -> None:
        size, classes = pool.log_p.shape if pool.log_p.ndim == 2 else (-1, -1)
        if size != len(pool.ids):
            raise InputError(
                f"The pool has {len(pool.ids)} images and log_p has shape {pool.log_p.shape}; give a row to each."
            )
        if classes < self.least_classes:
            raise TooFewClasses(
                f"{self.name} needs {self.least_classes} classes and the round has {classes}; "
                "add a class on the Project page."
            )
        for need in sorted(self.needs):
            values = needed(pool, need)
            if values is None:
                raise InputError(f"{self.name} needs {_IN_WORDS.get(need, need)}; {_remedy(need)}")
            # A class may have the log-probability -inf; distances between infinite features are not numbers.
            not_numbers = ~np.isfinite(values) if "features" in need else np.isnan(values)
            if not_numbers.any():
                bad = int(not_numbers.reshape(len(values), -1).any(axis=1).sum())
                raise InputError(
                    f"{need} is not a number for {bad} of {len(values)} images, because the training diverged; train "
                    "again with other random numbers (Train now on the Training page), or choose another training on "
                    "the Project page."
                )


class ScoreStrategy(Strategy):
    """A strategy that ranks each image by one number of its own."""

    ranks_all: ClassVar[bool] = True
    query_end: ClassVar[Direction] = "lowest"  # as the estimator says, where there is one
    cost: ClassVar[str] = "Time N log N, memory N C."

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if cls.estimator is not None:
            cls.query_end = cls.estimator.query_end

    @abstractmethod
    def scores(self, pool: PoolView) -> Floats:
        """(N,) the number of each pool image by which it is ranked."""

    def choose(self, pool: PoolView, n: int, rng: np.random.Generator) -> Int64:
        """The n best by score; equal scores in random order."""
        scores = self.scores(pool)
        return best(scores if self.query_end == "highest" else -scores, n, rng)


def best(urgency: Floats, n: int, rng: np.random.Generator) -> Int64:
    """Rows of the n largest values, largest first; equal values in an order drawn from ``rng``."""
    shuffled = rng.permutation(len(urgency))
    order = np.argsort(-urgency[shuffled], kind="stable")[:n]
    return shuffled[order]


def _rest_of_a_sentence(sentence: str) -> str:
    """Without the full stop; the first letter small, unless the word begins with several capitals."""
    start = sentence if sentence[1:2].isupper() else sentence[:1].lower() + sentence[1:]
    return start.removesuffix(".")


def needed(pool: PoolView, need: Need) -> NDArray[Any] | None:
    """The array of that name, from the pool's own fields or from what companions said; None where it is missing."""
    if need == "head":
        return None if pool.head is None else pool.head.weight
    values = pool.extra.get(need) if need in SAID_BY else getattr(pool, need)
    return cast("NDArray[Any] | None", values)


_IN_WORDS: dict[Need, str] = {
    "exact_log_p": "the training dynamics of every image, which only a round on frozen features has",
    "head": "the weights of a last layer that reads the images' features, which this network does not have",
}


def _remedy(need: Need) -> str:
    if need in _IN_WORDS:
        return "choose another training on the Project page (Pretrained), or another strategy."
    return f"this pool does not have it; train with the companion {COMPANIONS.get(need)!r}, or choose another strategy."


def exact_of(pool: PoolView) -> Float32:
    """The logarithm of the pool's exact p-bar, for strategies that declared that they need it."""
    if pool.exact_log_p is None:
        raise InputError(f"The pool has no exact training dynamics; {_remedy('exact_log_p')}")
    return pool.exact_log_p


def head_of(pool: PoolView) -> LinearHead:
    """The classifier's last layer, for strategies that declared that they need it."""
    if pool.head is None:
        raise InputError(f"The pool has no last layer; {_remedy('head')}")
    return pool.head


def td_of(pool: PoolView) -> Float32:
    """The pool's TD log-probabilities, for strategies that declared that they need them."""
    if pool.td_log_p is None:
        raise InputError("The pool has no td_log_p; train with the companion 'td'.")
    return pool.td_log_p
