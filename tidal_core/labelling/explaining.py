"""Why an image was asked, in words and numbers for the labelling page; and labelled images to compare it with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from tidal_core import strategies
from tidal_core.errors import NotFound
from tidal_core.estimator_facts import ESTIMATORS
from tidal_core.projects import Project
from tidal_core.records import ImageRecord, Int64, Purpose, RoundState
from tidal_core.rounds import audit, similar
from tidal_core.rounds.seed_batch import thumbnails
from tidal_core.store.scores import ImageScore
from tidal_core.strategies import Strategy
from tidal_core.strategies.distances import squared_distances

CLASSES_SHOWN = 4
PURPOSE_WORDS = {
    Purpose.QUERY: "training, chosen by the strategy",
    Purpose.SEED: "training, chosen before the first round",
    Purpose.AUDIT: "only to measure accuracy",
    Purpose.CHOSEN: "training, sent to the queue by a person",
    Purpose.AGAIN: "a second answer, to see whether people agree",
}
ASKED_AGAIN = (
    "It is asked of several people, and not everybody has answered. Each answers without knowing what others said, nor "
    "what the model learnt from them."
)
SENT = "A person chose it and sent it to the queue."
TOPPED_UP = "Drawn at random: all images that the last round chose are answered or on somebody's screen."
NEIGHBOURS = 3  # for each of the two rival classes
STOOD_FOR = 8  # images that are shown of those that one stands for

Dynamics = Literal["exact", "td", "p"]
_WHERE: dict[Dynamics, tuple[str, str]] = {
    "exact": ("During the training", "was"),
    "td": ("During the training, as predicted,", "was"),
    "p": ("In the final prediction", "is"),
}


@dataclass(frozen=True)
class ClassShare:
    """One class in the explanation: the final prediction's probability and the predicted TD."""

    class_id: int
    p: float
    td: float | None


@dataclass(frozen=True)
class Reasons:
    """Why an image was asked."""

    sentence: str
    facts: list[tuple[str, str]]  # name and value, for people
    classes: list[ClassShare]  # largest first
    round_id: int | None  # whose scores these are
    rivals: list[int]  # the two classes it lies between
    unsettled: str = ""  # how unsettled its dynamics are, a sentence, where the strategy looks at them
    represents: bool = False  # whether it was chosen to stand for others, and ``neighbourhood`` can show them


@dataclass(frozen=True)
class Neighbourhood:
    """The images without a label that one image stands for."""

    sentence: str  # how many these are; "" where its features are not there
    unsettled: str  # how unsettled they are, else it is, a sentence; "" where the strategy does not look at that
    images: list[ImageRecord]  # some of them, most alike first


class _Choice(NamedTuple):
    """How an image came to be asked."""

    purpose: Purpose
    score: ImageScore | None  # of the round that explains it
    strategy: Strategy | None  # that ranked it among those to ask; None where none did

    @property
    def is_for_others(self) -> bool:
        """Whether it was chosen to stand for others that look like it, as the first images are."""
        return self.purpose is Purpose.SEED or (self.strategy is not None and self.strategy.represents)


def reasons(project: Project, image_id: int) -> Reasons:
    """Why an image is or was asked. Raises NotFound for an unknown image."""
    choice = _choice(project, image_id)
    purpose, score, strategy = choice
    if purpose is Purpose.AGAIN:
        return Reasons(ASKED_AGAIN, [("Used for", PURPOSE_WORDS[purpose])], [], None, [])
    if purpose is Purpose.AUDIT:
        sentence = audit.WHY_ASKED
    elif purpose is Purpose.CHOSEN:
        sentence = SENT
    elif purpose is Purpose.SEED or (score is None and not _was_drawn(project, image_id)):
        sentence = "One of the first images, chosen to cover the whole collection before there is a model."
    elif strategy is None:
        sentence = TOPPED_UP
    else:
        sentence = strategy.reason
    represents = choice.is_for_others and similar.has_features(project)
    facts = [("Used for", PURPOSE_WORDS[purpose])]
    if score is None:
        return Reasons(sentence, facts, [], None, [], represents=represents)
    facts += _score_facts(project, score)
    shares = _shares(score, project.store.rounds.get(score.round_id).class_ids)
    return Reasons(
        sentence,
        facts,
        shares[:CLASSES_SHOWN],
        score.round_id,
        rivals=[share.class_id for share in shares[:2]] if len(shares) > 1 else [],
        unsettled="" if represents else _unsettled(project, image_id, choice),
        represents=represents,
    )


def _was_drawn(project: Project, image_id: int) -> bool:
    """Whether it waits in the queue after a round, and no round has put it there."""
    waiting = project.store.queue.find(image_id)
    is_unranked = waiting is not None and waiting.purpose is Purpose.QUERY and waiting.round_id is None
    return is_unranked and project.store.rounds.latest(RoundState.DONE) is not None


def _choice(project: Project, image_id: int) -> _Choice:
    store = project.store
    purpose, round_id = _asked_by(project, store.images.get(image_id))
    scores = store.scores.of_image(image_id, round_id) if round_id is not None else []
    score = scores[0] if scores else None
    if purpose is not Purpose.QUERY or score is None or not score.rank:
        return _Choice(purpose, score, None)
    return _Choice(purpose, score, strategies.of_round(store.rounds.get(score.round_id).strategy))


def neighbourhood(project: Project, image_id: int) -> Neighbourhood | None:
    """The images without a label that an image stands for: no image that is labelled or asked next is more like them.

    None where it was not chosen to stand for others; without features it is left to say how unsettled it is itself.
    Raises NotFound for an unknown image.
    """
    choice, store = _choice(project, image_id), project.store
    if not choice.is_for_others:
        return None
    asked_next = store.queue.next_to_train_on(project.settings.labels_per_round)
    rivals = np.union1d(audit.training_labels(project).image_ids, np.array(asked_next, np.int64))
    free = store.images.unlabelled_ids()
    covered = similar.stood_for(project, image_id, free[~np.isin(free, rivals)], rivals)
    if covered is None:
        return Neighbourhood("", _unsettled(project, image_id, choice), [])
    if not covered.n_images:
        which = f"All of {similar.LOOKED_AT:,} images without a label that were compared are"
        which = which if covered.is_estimate else "Every image without a label is"
        return Neighbourhood(f"{which} more like another one that is labelled or asked next.", "", [])
    about, images, them = "about " if covered.is_estimate else "", "images", "them"
    if covered.n_images == 1:
        images, them = "image", "it"
    return Neighbourhood(
        f"It stands for {about}{covered.n_images:,} {images} without a label: none that is labelled or asked next is "
        f"more like {them}.",
        _unsettled(project, image_id, choice, covered.image_ids),
        store.images.many(covered.image_ids[:STOOD_FOR].tolist()),
    )


def _unsettled(project: Project, image_id: int, choice: _Choice, others: Int64 | None = None) -> str:
    """How far one class is ahead of the second, in what the strategy looks at; "" where that is unknown.

    For the image itself, or as a mean over ``others`` (K,).
    """
    if choice.score is None or choice.strategy is None:
        return ""
    needs = choice.strategy.needs
    looked_at: Dynamics
    if "exact_log_p" in needs:
        looked_at = "exact"
    elif "td_log_p" in needs:
        looked_at = "td"
    elif choice.strategy.represents and "log_p" in needs:
        looked_at = "p"
    else:
        return ""
    ids = np.array([image_id]) if others is None else others
    lead = project.store.scores.mean_lead(choice.score.round_id, ids, looked_at)
    if lead is None:
        return ""
    where, verb = _WHERE[looked_at]
    degree = "somewhat" if lead < 2 / 3 else "clearly"
    ahead = f"no class {verb} clearly" if lead < 1 / 3 else f"one class {verb} {degree}"
    whose, mean = ("it", "") if others is None else ("them", " on average")
    return f"{where} {ahead} ahead for {whose}: {lead:.2f} of 1 between the two most likely classes{mean}."


def _asked_by(project: Project, image: ImageRecord) -> tuple[Purpose, int | None]:
    """What the image was asked for, and the round whose scores explain it."""
    store = project.store
    waiting = store.queue.find(image.id)
    if waiting is not None:
        purpose, round_id = waiting.purpose, waiting.round_id
    else:
        purpose = audit.purposes(project, [image.id]).get(image.id, Purpose.QUERY)
        queries = [stored.answer for stored in store.answers.of_image(image.id) if stored.answer.purpose]
        round_id = queries[-1].round_id if queries else None
    if round_id is None and purpose is not Purpose.SEED:
        done = store.rounds.latest(RoundState.DONE)
        round_id = done.id if done else None
    return purpose, round_id


def _score_facts(project: Project, score: ImageScore) -> list[tuple[str, str]]:
    store = project.store
    facts = []
    if score.rank:
        facts.append(("Rank", f"{score.rank:,} of {store.scores.pool_size(score.round_id):,}"))
    asked_by = strategies.of_round(store.rounds.get(score.round_id).strategy).estimator
    shown = dict.fromkeys([*([asked_by.name] if asked_by else []), "td_entropy", "td_margin"])
    for estimator in (ESTIMATORS[name] for name in shown if name in score.estimators):
        value = score.estimators[estimator.name]
        below = store.scores.percentile(score.round_id, estimator.name, value)
        high = estimator.query_end == "highest"
        share = below if high else 1 - below
        facts.append((estimator.title, f"{value:.2f} ({'above' if high else 'below'} {share:.0%} of the images)"))
    return facts


def _shares(score: ImageScore, class_ids: tuple[int, ...]) -> list[ClassShare]:
    ids = score.class_ids if score.class_ids is not None else np.array(class_ids, dtype=np.int64)
    weight = score.p if score.td is None else np.maximum(score.p, score.td)
    order = np.argsort(-weight, kind="stable")
    return [ClassShare(int(ids[i]), float(score.p[i]), None if score.td is None else float(score.td[i])) for i in order]


def neighbours(project: Project, image_id: int) -> list[tuple[int, list[ImageRecord]]]:
    """For each of the two rival classes, up to three labelled images that look most like this one.

    Likeness is the distance between images averaged down to 8x8 pixels. Raises NotFound for an unknown image.
    """
    store = project.store
    labels = audit.training_labels(project)
    labels = labels.where(~np.isin(labels.image_ids, project.store.queue.asked_again()))  # others are to answer these
    neighbours: list[tuple[int, list[ImageRecord]]] = []
    point = _small(project, np.array([image_id], dtype=np.int64))
    for class_id in reasons(project, image_id).rivals:
        ids = labels.image_ids[(labels.class_ids == class_id) & (labels.image_ids != image_id)]
        if len(ids):
            order = np.argsort(squared_distances(_small(project, ids), point)[:, 0], kind="stable")
            neighbours.append((class_id, store.images.many(ids[order[:NEIGHBOURS]].tolist())))
    return neighbours


def _small(project: Project, image_ids: Int64) -> np.ndarray:
    if not project.pixels.exists():
        raise NotFound(
            f"The pixel cache of {project.title!r} is missing; change the training size on the Project page "
            "(Settings) to rebuild it."
        )
    return thumbnails(project.pixels, project.store.images.pixel_rows(image_ids))
