"""Why an image was asked, in words and numbers for the labelling page; and labelled images to compare it with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tidal_core import strategies
from tidal_core.errors import NotFound
from tidal_core.estimator_facts import ESTIMATORS
from tidal_core.projects import Project
from tidal_core.records import ImageRecord, Int64, Purpose, RoundState
from tidal_core.rounds import audit
from tidal_core.rounds.seed_batch import thumbnails
from tidal_core.store.scores import ImageScore
from tidal_core.strategies.distances import squared_distances

CLASSES_SHOWN = 4
PURPOSE_WORDS = {
    Purpose.QUERY: "training, chosen by the strategy",
    Purpose.SEED: "training, chosen before the first round",
    Purpose.AUDIT: "only to measure accuracy",
    Purpose.CHOSEN: "training, sent to the queue by a person",
}
SENT = "A person chose it and sent it to the queue."
NEIGHBOURS = 3  # for each of the two rival classes


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


def reasons(project: Project, image_id: int) -> Reasons:
    """Why an image is or was asked. Raises NotFound for an unknown image."""
    store = project.store
    image = store.images.get(image_id)
    purpose, round_id = _asked_by(project, image)
    scores = store.scores.of_image(image_id, round_id) if round_id is not None else []
    if purpose is Purpose.AUDIT:
        sentence = audit.WHY_ASKED
    elif purpose is Purpose.CHOSEN:
        sentence = SENT
    elif purpose is Purpose.SEED or not scores:
        sentence = "One of the first images, chosen to cover the whole collection before there is a model."
    else:
        sentence = strategies.of_round(store.rounds.get(scores[0].round_id).strategy).reason
    facts = [("Used for", PURPOSE_WORDS[purpose])]
    if not scores:
        return Reasons(sentence, facts, [], None, [])
    score = scores[0]
    facts += _score_facts(project, score)
    shares = _shares(score, store.rounds.get(score.round_id).class_ids)
    rivals = [share.class_id for share in shares[:2]] if len(shares) > 1 else []
    return Reasons(sentence, facts, shares[:CLASSES_SHOWN], score.round_id, rivals)


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
