"""How far people agree who labelled the same images: kappas and alpha, overall, of each class, of each pair of people.

The statistics are those of kept libraries (scikit-learn, NLTK), which are imported where they are used: a page opens
without them. Arrays only, no torch.

Cohen, A coefficient of agreement for nominal scales, 1960: two people, agreement beyond what their own habits bring by
chance. Fleiss, Measuring nominal scale agreement among many raters, 1971: any people, as many of each image.
Krippendorff, Content Analysis, 2004: any number of people of each image, the disagreement that chance would bring as
the measure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tidal_core.method.dynamics import wilson
from tidal_core.records import Bools, Int64

CLASSES_AT_MOST = 30  # an alpha of its own for each of those that most images are said to be
ENOUGH = 20  # images: below, an agreement says little
RELIABLE, TENTATIVE = 0.8, 0.667  # Krippendorff 2004, page 241


@dataclass(frozen=True)
class Votes:
    """Labels that people gave without knowing each other's, at most one of each person and image; row-aligned (V,)."""

    images: Int64
    people: Int64  # numbers of people
    classes: Int64  # class ids, merged ones as what they were merged into

    def where(self, keep: Bools) -> Votes:
        """The votes for which ``keep`` (V,) is true."""
        return Votes(self.images[keep], self.people[keep], self.classes[keep])

    def shared(self) -> Votes:
        """Those on images with votes of two people or more."""
        _, place, n = np.unique(self.images, return_inverse=True, return_counts=True)
        return self.where(n[place] > 1)


class Pair(NamedTuple):
    """Two people, on the images that both labelled."""

    first: int
    second: int
    images: int
    same: int  # images that both gave the same class
    kappa: float | None  # Cohen's; None where it is not defined: both gave one and the same class throughout


class ClassAgreement(NamedTuple):
    """One class, on the images that at least one person gave it."""

    class_id: int
    images: int
    unanimous: int  # images that everybody gave it
    alpha: float | None  # Krippendorff's, this class against all others, over all shared images; None: not defined


@dataclass(frozen=True)
class Agreement:
    """What is known of agreement; numbers that are not defined are None."""

    images: int  # labelled by two people or more
    unanimous: int  # of these, images on which all agree
    low: float  # of the share of these, 95 % (Wilson)
    high: float
    alpha: float | None  # Krippendorff's, over all of them
    fleiss: float | None
    fleiss_images: int  # with exactly ``fleiss_people`` labels, which most shared images have
    fleiss_people: int
    pairs: tuple[Pair, ...]  # most images first
    classes: tuple[ClassAgreement, ...]  # most images first

    @property
    def cohen(self) -> float | None:
        """The pairs' mean of Cohen's kappa, each pair by its images; None where no pair has one."""
        known = [(pair.kappa, pair.images) for pair in self.pairs if pair.kappa is not None]
        return sum(kappa * n for kappa, n in known) / sum(n for _, n in known) if known else None


def agreement(votes: Votes) -> Agreement:
    """All of it; one person alone, or nobody, gives counts of 0."""
    votes = votes.shared()
    images, place, n_votes = np.unique(votes.images, return_inverse=True, return_counts=True)
    if not len(images):
        return Agreement(0, 0, 0.0, 1.0, None, None, 0, 0, (), ())
    low_class, high_class = (np.zeros(len(images), np.int64) for _ in range(2))
    low_class[:] = np.iinfo(np.int64).max
    np.minimum.at(low_class, place, votes.classes)
    np.maximum.at(high_class, place, votes.classes)
    is_unanimous = low_class == high_class
    share = wilson(int(is_unanimous.sum()), len(images))
    people = int(np.bincount(n_votes).argmax())
    alike = votes.where((n_votes == people)[place])
    return Agreement(
        images=len(images),
        unanimous=int(is_unanimous.sum()),
        low=share.low,
        high=share.high,
        alpha=krippendorff(votes),
        fleiss=fleiss(alike),
        fleiss_images=int((n_votes == people).sum()),
        fleiss_people=people,
        pairs=pairs(votes),
        classes=_of_classes(votes, place, is_unanimous),
    )


def krippendorff(votes: Votes) -> float | None:
    """Krippendorff's alpha of nominal labels on images with two votes or more; None where all are of one class."""
    from nltk.metrics.agreement import AnnotationTask

    if len(np.unique(votes.classes)) < 2:
        return None
    return float(AnnotationTask(data=_triples(votes, votes.people)).alpha())


def fleiss(votes: Votes) -> float | None:
    """Fleiss' kappa of images that have equally many votes, of whomever; None where all votes are of one class.

    It knows no persons: the votes of an image stand in for as many raters, in any order.
    """
    from nltk.metrics.agreement import AnnotationTask

    if len(np.unique(votes.classes)) < 2:
        return None
    order = np.argsort(votes.images, kind="stable")
    _, first, n = np.unique(votes.images[order], return_index=True, return_counts=True)
    rater = np.empty(len(order), dtype=np.int64)
    rater[order] = np.arange(len(order)) - np.repeat(first, n)
    return float(AnnotationTask(data=_triples(votes, rater)).pi())


def _triples(votes: Votes, raters: Int64) -> list[tuple[int, int, int]]:
    return list(zip(raters.tolist(), votes.images.tolist(), votes.classes.tolist(), strict=True))


def pairs(votes: Votes) -> tuple[Pair, ...]:
    """Every two people who labelled an image both, those with most such images first."""
    from sklearn.metrics import cohen_kappa_score

    people = np.unique(votes.people).tolist()
    said = {who: votes.where(votes.people == who) for who in people}
    found = []
    for place, first in enumerate(people):
        for second in people[place + 1 :]:
            _, a, b = np.intersect1d(said[first].images, said[second].images, return_indices=True)
            if not len(a):
                continue
            of_first, of_second = said[first].classes[a], said[second].classes[b]
            is_defined = len(np.unique(np.concatenate([of_first, of_second]))) > 1
            kappa = float(cohen_kappa_score(of_first, of_second)) if is_defined else None
            found.append(Pair(first, second, len(a), int((of_first == of_second).sum()), kappa))
    return tuple(sorted(found, key=lambda pair: (-pair.images, pair.first, pair.second)))


def _of_classes(votes: Votes, place: Int64, is_unanimous: Bools) -> tuple[ClassAgreement, ...]:
    """``place`` (V,) is each vote's image among the shared ones, ``is_unanimous`` (I,) of these."""
    found = []
    for class_id in np.unique(votes.classes).tolist():
        with_it = np.unique(place[votes.classes == class_id])
        found.append(ClassAgreement(class_id, len(with_it), int(is_unanimous[with_it].sum()), None))
    found.sort(key=lambda each: (-each.images, each.class_id))
    shown = found[:CLASSES_AT_MOST]
    return tuple(
        each._replace(
            alpha=krippendorff(Votes(votes.images, votes.people, (votes.classes == each.class_id).astype(np.int64)))
        )
        for each in shown
    )


def in_words(result: Agreement) -> str:
    """What the numbers mean, for people."""
    if not result.images:
        return "No image has labels of two people yet."
    images = "1 image" if result.images == 1 else f"{result.images:,} images"
    first = f"On {result.unanimous:,} of {images} that two or more people labelled, all said the same "
    first += f"({result.low:.0%} to {result.high:.0%} of such images, 95 % interval)."
    if result.alpha is None or math.isnan(result.alpha):
        return f"{first} Only one class was given, so agreement beyond chance cannot be measured."
    if result.alpha <= 0:
        second = "That is no more than chance alone would bring: the classes mean different things to these people."
    else:
        second = f"Of the disagreement that chance alone would bring, {result.alpha:.0%} does not happen (alpha)."
        if result.alpha >= RELIABLE:
            second += " Labels like these are usually relied on (alpha of 0.8 and more)."
        elif result.alpha >= TENTATIVE:
            second += " That is enough for tentative conclusions only (alpha of 0.667 to 0.8)."
        else:
            second += " That is too little to rely on (alpha below 0.667): agree on what the classes mean first."
    few = " With so few images all of this may still be chance." if result.images < ENOUGH else ""
    return f"{first} {second}{few}"
