"""The audit sample: images that are only there to measure accuracy. All of its law and policy; no SQL, no torch.

The law
    At import every pool image gets a place in a random order (``images.ingest.draw_audit_order``). The images at the
    front of it, the audit share of them all, are *reserved*: no strategy ranks them, no sheet shows them, nothing
    trains on them. Of the images that a person is asked one by one, the audit share is the next of the reserve.

What it estimates
    Accuracy on *unseen* images: those that nobody has labelled yet and that no strategy has chosen. Not accuracy on the
    whole collection: labels that an import brings, or that were given before the share was raised, take images out of
    the reserve. Skipped images leave the sample, too: where people skip what is hard, it comes out too high. It says
    nothing of which strategy is better.

Its interval
    Wilson's (1927) for a share of independent draws: ``method.dynamics.accuracy``. With no test images, a round
    measures itself on this sample, see ``measured_on``.

The share is kept exactly in the long run: audit image j is place ceil(j / share) of the images asked, so that place k
is one where floor(k * share) grows (error diffusion). What has been asked so far is read from the answers, never from
the queue, which is replaced after every round: short rounds do not put the audit off.

Experiments import ``audited_among`` and ``training_labels``: the one exception to "experiments never know rounds", so
that this law is written once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidal_core.projects import Project
from tidal_core.records import AnswerMode, ClassRecord, Int64, Purpose, QueueItem
from tidal_core.store.answers import Labels

PART = "audit"  # what its scores and metrics are stored under

WHY_ASKED = (
    "Picked at random for the audit sample, which only measures how often the model is right; "
    "the model never trains on this image."
)

WHAT_IT_MEASURES = (
    "How often the model is right on images that it has not seen: not labelled before, and not chosen by the strategy. "
    "Skipped images leave the sample, so skipping hard images makes the number too high."
)

ONE_BY_ONE = (AnswerMode.SINGLE, AnswerMode.WIDGETS, AnswerMode.AUTOPILOT)
"""Answers that count towards the share. A sheet never holds an audit image, so its answers do not."""


class SoFar(NamedTuple):
    """How many images have been asked so far."""

    audited: int = 0  # audit images asked
    others: int = 0  # images asked after the last of them


NOTHING_YET = SoFar()


class Woven(NamedTuple):
    """Images to ask, in order."""

    image_ids: Int64  # (M,)
    rows: Int64  # (M,) which row of the ranking each is, -1 for an audit image


@dataclass(frozen=True)
class Measured:
    """Images whose class is known and that nothing trained on."""

    image_ids: Int64  # (N,)
    class_ids: Int64  # (N,)
    part: str  # "test" or PART

    def where(self, keep: NDArray[np.bool_]) -> Measured:
        """The images for which ``keep`` (N,) is true."""
        return Measured(self.image_ids[keep], self.class_ids[keep], self.part)


# --- the share, on numbers alone


def audited_among(share: float, start: int, n: int) -> int:
    """How many of the places start + 1 to start + n (counted from 1) are audit images."""
    exact = _exact(share)
    return int((start + n) * exact) - int(start * exact)


def gap_before(number: int, share: float) -> int:
    """Places from audit image ``number`` - 1 to audit image ``number`` (from 1); ``share`` must be above 0."""
    exact = _exact(share)
    return _place(number, exact) - _place(number - 1, exact)


def weave(ranked: Int64, sample: Int64, share: float, so_far: SoFar = NOTHING_YET) -> Woven:
    """``ranked`` image ids (N,) in their order with the ids of ``sample`` at the places that the share gives them.

    Ends with the last of ``ranked``; when the sample is used up, the ranking goes on without. An audit image that is
    overdue (the share was raised) comes first, and only that one: the past is not made up for.
    """
    if not _exact(share):
        return Woven(ranked, np.arange(len(ranked)))
    audited = so_far.audited
    until_audit = gap_before(audited + 1, share) - 1 - so_far.others  # others to ask before the next audit image
    waiting = iter(sample.tolist())
    image_ids: list[int] = []
    rows: list[int] = []
    for row, image_id in enumerate(ranked.tolist()):
        if until_audit <= 0 and (drawn := next(waiting, None)) is not None:
            image_ids.append(drawn)
            rows.append(-1)
            audited += 1
            until_audit = gap_before(audited + 1, share) - 1
        image_ids.append(image_id)
        rows.append(row)
        until_audit -= 1
    return Woven(np.array(image_ids, dtype=np.int64), np.array(rows, dtype=np.int64))


def _exact(share: float) -> Fraction:
    """0.15 as 3/20: floats would put some places one too far."""
    return Fraction(share).limit_denominator(10_000)


def _place(number: int, share: Fraction) -> int:
    """ceil(number / share)"""
    return -(-number * share.denominator // share.numerator)


# --- which images


def reserve_size(project: Project) -> int:
    """How many images at the front of the audit order are reserved.

    The audit share of the collection: with that share of the images asked, the reserve lasts as long as the pool.
    """
    return round(project.settings.audit_share * project.store.images.count_in_audit_order())


def reserved(project: Project) -> Int64:
    """Images that belong to the audit sample, answered or not, in the order in which they are asked.

    One that was asked for the audit stays in it, also when its answer is taken back or the share is lowered. One that
    was answered for another reason is never drawn, also when that answer is taken back: the model may have seen it.
    """
    answers = project.store.answers
    front = project.store.images.front_of_audit_order(reserve_size(project))
    drawn = answers.images_asked_for(Purpose.AUDIT)
    front = front[~np.isin(front, answers.images_answered_otherwise(Purpose.AUDIT)) | np.isin(front, drawn)]
    return np.concatenate([front, np.setdiff1d(drawn, front)])


def rankable(project: Project) -> Int64:
    """Pool images that a strategy may choose from: ready, not answered, not reserved; by id."""
    return np.setdiff1d(project.store.images.unlabelled_ids(), reserved(project))


def purposes(project: Project, image_ids: Iterable[int]) -> dict[int, Purpose]:
    """The last purpose of each image, by image id, the audit if it ever was; images never asked are left out."""
    purposes_of = project.store.answers.purposes(image_ids)
    return {image: Purpose.AUDIT if Purpose.AUDIT in history else history[-1] for image, history in purposes_of.items()}


def with_audit(project: Project, ranked: Int64, behind: Sequence[QueueItem] = ()) -> Woven:
    """``ranked`` image ids (N,), none of them reserved, with what the audit asks among them.

    ``behind``: what waits in the queue and is asked before; none where the new ranking replaces it.
    """
    store = project.store
    answered = np.isin(store.answers.images_asked_for(Purpose.AUDIT), store.answers.answered_images())
    so_far = SoFar(int(answered.sum()), store.answers.count_since_last(Purpose.AUDIT, ONE_BY_ONE))
    for item in behind:
        is_audit = item.purpose is Purpose.AUDIT
        so_far = SoFar(so_far.audited + 1) if is_audit else SoFar(so_far.audited, so_far.others + 1)
    sample = reserved(project)
    waiting = [item.image_id for item in behind]
    unasked = sample[np.isin(sample, store.images.unlabelled_ids()) & ~np.isin(sample, waiting)]
    return weave(ranked, unasked, project.settings.audit_share, so_far)


# --- which labels


def training_labels(project: Project) -> Labels:
    """Current labels that may be trained on: of pool images, in classes in use, none of the audit sample."""
    return training_set(project)[0]


def training_set(project: Project) -> tuple[Labels, list[ClassRecord]]:
    """``training_labels`` and the classes in use, of one moment: a merge between the two would leave labels of none."""
    labels, classes = project.store.labels_and_classes()
    return labels.where(~np.isin(labels.image_ids, project.store.answers.images_asked_for(Purpose.AUDIT))), classes


def audit_labels(project: Project) -> Labels:
    """Current labels of the images that were asked for the audit; skipped ones are not among them."""
    labels = project.store.answers.labels()
    return labels.where(np.isin(labels.image_ids, project.store.answers.images_asked_for(Purpose.AUDIT)))


def measured_on(project: Project) -> Measured:
    """What accuracy is measured on: the test images where their classes are known, else the audit sample."""
    image_ids, class_ids = project.store.images.test_set()
    if len(image_ids):
        return Measured(image_ids, class_ids, "test")
    labels = audit_labels(project)
    return Measured(labels.image_ids, labels.class_ids, PART)
