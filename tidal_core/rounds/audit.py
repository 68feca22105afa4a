"""The audit sample: images that are only there to measure accuracy. All of its law and policy; no SQL, no torch.

The law
    At import every pool image gets a place in a random order (``images.ingest.draw_audit_order``). The images at the
    front of it, the audit share of them all, are *reserved*: no strategy ranks them, no sheet shows them, nothing
    trains on them. Of the images that a person is asked one by one, the audit share is the next of the reserve.

What it estimates
    How often the model is right on images that it has not seen, out of a *population*: all pool images that nobody had
    labelled when their part of the order was reserved. In that population the sample is a simple random one, because
    what is answered later takes no reserved image out of it. Three things keep it so.

    - *Layers*. When the share grows, a new stretch of the order is reserved, out of what strategies have left by then:
      its images are a sample of another population than those before, and the two are never mixed. The layer with
      more images is the sample.
    - *The front*. An import puts new images between those that were drawn. The sample ends at the first that is still
      to be asked, so that new images count in it as often as in the collection. Those behind it count again later.
    - *What came labelled*. Images with a label of an import are in neither population nor sample, whenever it came.

    Skipped images leave it: it speaks of images that people label. Excluded ones leave it and the population. It is
    judged by their answers. It is not accuracy on the whole collection, and says nothing of which strategy is better.
    ``benchmarks.coverage`` simulates all of this.

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

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidal_core.projects import Project
from tidal_core.records import AnswerMode, ClassRecord, Float64, Int64, Purpose, QueueItem
from tidal_core.store.answers import Labels
from tidal_core.store.views import AuditHistory

PART = "audit"  # what its scores and metrics are stored under
ENOUGH = 30  # images: below, the interval of an accuracy is wider than 30 points and says nothing

WHY_ASKED = (
    "Picked at random for the audit sample, which only measures how often the model is right; "
    "the model never trains on this image."
)

WHAT_IT_MEASURES = (
    "How often the model is right on images that it has not seen, out of those that nobody had labelled when measuring "
    "began. Skipped images leave the sample: it speaks of images that you label, and is judged by your answers."
)

LAYERS = "audit_layers"
"""The note on which stretches of the order were reserved when."""

POPULATION = "population"
"""The metric of a round that holds its ``Population``: the value is ``begin``, the images are ``n``."""

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


class Population(NamedTuple):
    """What accuracy is measured for; accuracies of two populations are not compared."""

    begin: int  # the last answer before its sample was reserved; 0 for test images
    images: int

    def is_like(self, other: Population) -> bool:
        """Whether at most one image in a hundred came or went: that moves an accuracy by a point at most."""
        return self.begin == other.begin and 100 * abs(self.images - other.images) <= max(self.images, other.images)


@dataclass(frozen=True)
class Measured:
    """Images whose class is known and that nothing trained on."""

    image_ids: Int64  # (N,)
    class_ids: Int64  # (N,)
    part: str  # "test" or PART
    population: Population  # what they are a sample of, or they themselves where they are test images

    def where(self, keep: NDArray[np.bool_]) -> Measured:
        """The images for which ``keep`` (N,) is true."""
        return replace(self, image_ids=self.image_ids[keep], class_ids=self.class_ids[keep])


class Layer(NamedTuple):
    """A stretch of the order that was reserved at one moment; ends are shares of all places."""

    low: float
    high: float
    begin: int  # the last answer before it was reserved
    until: float  # where it ends now that the share was lowered; ``high`` before


class Sample(NamedTuple):
    """The audit images that count, and what they speak for."""

    image_ids: Int64  # (N,) in the order in which they are drawn, skipped ones too
    population: int  # images that it is a random sample of
    images: int  # in the pool
    begin: int  # the last answer before its images were reserved
    skipped: int = 0  # of ``image_ids``
    waiting: int = 0  # audit images that were asked and do not count yet, or not with these


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


def layers_with(layers: Sequence[Layer], share: float, last_seq: int) -> list[Layer]:
    """The layers once the share is ``share``: a larger one reserves a new stretch, a smaller one gives some back."""
    cut = [layer._replace(until=min(layer.until, max(share, layer.low))) for layer in layers]
    reserved_until = max((layer.until for layer in cut if layer.until > layer.low), default=0.0)
    return [*cut, Layer(reserved_until, share, last_seq, share)] if share > reserved_until else cut


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
    _layers(project)
    answers = project.store.answers
    front = project.store.images.front_of_audit_order(reserve_size(project))
    drawn = answers.images_asked_for(Purpose.AUDIT)
    front = front[~np.isin(front, answers.images_answered_otherwise(Purpose.AUDIT)) | np.isin(front, drawn)]
    return np.concatenate([front, np.setdiff1d(drawn, front)])


def _layers(project: Project) -> list[Layer]:
    """What was reserved when, brought up to the share of now; newly reserved images leave the queue of a strategy."""
    store, share = project.store, float(project.settings.audit_share)
    noted = store.settings.get(LAYERS)
    layers = [Layer(*numbers) for numbers in json.loads(noted)] if noted else []
    begin = store.answers.last_seq()
    if noted is None and (first_drawn := store.answers.first_seq_for(Purpose.AUDIT)):
        begin = first_drawn - 1  # a project of before this note: nothing is known of when its share changed
    changed = layers_with(layers, share, begin)
    if changed != layers or noted is None:
        store.settings.set(LAYERS, json.dumps(changed))
        store.queue.drop_unheld(store.images.front_of_audit_order(reserve_size(project)), keep=Purpose.AUDIT)
    return changed


def sample(project: Project) -> Sample:
    """The audit images that are one random sample, and how many images they speak for; see the law above."""
    history = project.store.views.audit_history()
    place = (history.places + 0.5) / max(len(history.places), 1)
    layers = _layers(project)
    samples = [_sample_of(history, place, layers, number) for number in range(len(layers))]
    n_drawn = int((history.drawn > 0).sum())
    if not samples:
        return Sample(np.empty(0, np.int64), 0, len(place), 0, waiting=n_drawn)
    best = max(samples, key=lambda candidate: (len(candidate.image_ids), candidate.begin))
    labelled = int(np.isin(best.image_ids, project.store.answers.labels().image_ids).sum())
    skipped = int(np.isin(best.image_ids, project.store.answers.answered_images()).sum()) - labelled
    return best._replace(skipped=skipped, waiting=n_drawn - len(best.image_ids))


def what_it_speaks_for(sample: Sample | None) -> str:
    """For people: the part of the collection that the sample is a random sample of, and what left it."""
    if sample is None:
        return WHAT_IT_MEASURES
    which = (
        f"any of the {sample.images:,} images, had nobody labelled it"
        if sample.population == sample.images
        else f"the {sample.population:,} of {sample.images:,} images that nobody had labelled when measuring began"
    )
    sentences = [f"It says how often the model is right on {which}, judged by your answers."]
    if sample.skipped:
        images = "1 image of it was" if sample.skipped == 1 else f"{sample.skipped:,} images of it were"
        sentences.append(f"{images} skipped and left it: it speaks of images that you label.")
    if sample.waiting:
        images = "1 more image does" if sample.waiting == 1 else f"{sample.waiting:,} more images do"
        sentences.append(f"{images} not count: new images, or another share, made it begin anew.")
    return " ".join(sentences)


def _sample_of(history: AuditHistory, place: Float64, layers: Sequence[Layer], number: int) -> Sample:
    """What one layer's images say; ``place`` (N,) is each image's as a share of all."""
    layer, drawn, otherwise = layers[number], history.drawn, history.otherwise
    is_drawn = drawn > 0
    counts = (place >= layer.low) & (place < layer.high) & (drawn > layer.begin) & ~history.came_labelled
    counts &= ~history.excluded
    for later in layers[number + 1 :]:  # the same stretch may have been given back and reserved again
        counts &= ~((place >= later.low) & (place < later.high) & (drawn > later.begin))
    to_ask = (place >= layer.low) & (place < layer.until) & ~is_drawn & (otherwise == 0) & history.ready
    # An image that somebody holds was there when those behind it were drawn. One of a new import was not: it is next.
    by_place = np.argsort(place[counts])
    places_drawn, drawn_at = place[counts][by_place], history.drawn_at[counts][by_place]
    last_behind = np.append(np.maximum.accumulate(drawn_at[::-1])[::-1], -np.inf)
    is_new = history.imported_at[to_ask] > last_behind[np.searchsorted(places_drawn, place[to_ask])]
    counts &= place < place[to_ask][is_new].min(initial=np.inf)
    gone_before = ((otherwise > 0) & (otherwise <= layer.begin)) | (is_drawn & (drawn <= layer.begin))
    can_be_asked = (history.ready | is_drawn | (otherwise > 0)) & ~history.excluded
    population = (place >= layer.low) & ~history.came_labelled & ~gone_before & can_be_asked
    order = np.argsort(place[counts])
    return Sample(history.image_ids[counts][order], int(population.sum()), len(place), layer.begin)


def rankable(project: Project) -> Int64:
    """Pool images that a strategy may choose from: ready, not answered, not reserved; by id."""
    # Each id stands once in both: without sorting them again, a million take a tenth of the time.
    return np.setdiff1d(project.store.images.unlabelled_ids(), reserved(project), assume_unique=True)


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


def measured_on(project: Project) -> Measured:
    """What accuracy is measured on: the test images where their classes are known, else the audit sample."""
    image_ids, class_ids = project.store.images.test_set()
    if len(image_ids):
        return Measured(image_ids, class_ids, "test", Population(0, len(image_ids)))
    drawn, labels = sample(project), project.store.answers.labels()
    labels = labels.where(np.isin(labels.image_ids, drawn.image_ids))  # skipped images have none
    return Measured(labels.image_ids, labels.class_ids, PART, Population(drawn.begin, drawn.population))
