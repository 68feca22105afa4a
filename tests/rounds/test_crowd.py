"""ActiveLab and CROWDLAB in real rounds on frozen features, with people of whom one is careless."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest

from tests.helpers.frozen import compute_all, frozen_project, run_round
from tidal_core.config import RoundConfig
from tidal_core.labelling.desk import desk_of
from tidal_core.method.crowdlab import consensus, wide_votes
from tidal_core.projects import Project
from tidal_core.records import Answer, AnswerKind, AnswerMode, Purpose


@pytest.fixture
def project() -> Iterator[Project]:
    project = frozen_project(60, test=0)
    compute_all(project)
    yield project
    project.close()


def careful_and_careless(project: Project, n: int = 24) -> dict[int, int]:
    """Ann is right of the first n images, bo of six, and cy says class 1 of six others. Their known classes."""
    known = {image.id: image.known_class for image in project.store.images.all()[:n]}
    right = {image: label for image, label in known.items() if label is not None}
    desk = desk_of(project)
    for place, (image, label) in enumerate(right.items()):
        people = [("ann", label)] if place >= 12 else [("ann", label), ("bo", label)] if place < 6 else [("ann", label)]
        if 6 <= place < 12:
            people.append(("cy", 1))
        for who, said in people:
            desk.record([Answer(f"event-{who}-{image}", AnswerKind.LABEL, image, said, annotator=who)])
    return right


def test_crowdlab_weighs_people_and_model_and_the_next_round_records_it(project: Project) -> None:
    project.store.settings.save(dataclasses.replace(project.settings, consensus="crowdlab"))
    right = careful_and_careless(project)
    disputed = [each.image_id for each in project.store.people.disagreements()]
    assert disputed
    by_votes = dict(zip(*(column.tolist() for column in _labels(project)), strict=True))
    assert {by_votes[image] for image in disputed} == {1}, "a tie: the newest, cy's"

    run_round(project)
    by_crowdlab = dict(zip(*(column.tolist() for column in _labels(project)), strict=True))
    config = RoundConfig.from_json(run_round(project).config)

    n_right = sum(by_crowdlab[image] == right[image] for image in disputed)
    assert n_right > sum(by_votes[image] == right[image] for image in disputed)
    assert (config.consensus, config.crowdlab_round) == ("crowdlab", 1)
    assert 0 < config.crowdlab_images <= 12
    settled = disputed[0]
    desk_of(project).record(
        [Answer("event-settle", AnswerKind.LABEL, settled, 2, annotator="di", mode=AnswerMode.SETTLE)]
    )
    assert dict(zip(*(column.tolist() for column in _labels(project)), strict=True))[settled] == 2


def _labels(project: Project) -> tuple[np.ndarray, np.ndarray]:
    labels = project.store.answers.labels()
    return labels.image_ids, labels.class_ids


def test_active_lab_asks_new_images_and_labelled_ones_of_other_people_on_one_scale(project: Project) -> None:
    project.store.settings.save(dataclasses.replace(project.settings, strategy="active-lab"))
    careful_and_careless(project)

    run_round(project)

    items = [item for item in project.store.queue.items() if item.purpose is not Purpose.AUDIT]
    answered = set(project.store.answers.answered_images().tolist())
    scores = [item.score for item in items]
    assert None not in scores
    assert scores == sorted(scores)  # type: ignore[type-var]
    assert {item.image_id for item in items if item.purpose is Purpose.AGAIN} <= answered
    assert not {item.image_id for item in items if item.purpose is Purpose.QUERY} & answered
    assert {item.purpose for item in items} == {Purpose.QUERY, Purpose.AGAIN}
    asked_again = {item.image_id for item in items if item.purpose is Purpose.AGAIN}
    of_ann = {asked.image.id for asked in desk_of(project).next("tab-ann", 60, annotator="ann")}
    assert not of_ann & answered
    desk_of(project).release("tab-ann")
    of_di = {asked.image.id for asked in desk_of(project).next("tab-di", 100, annotator="di")}
    assert asked_again <= of_di


def test_a_label_that_nobody_gave_is_not_chosen() -> None:
    votes = wide_votes(
        np.array([1, 1, 2, 2, 3, 3]), np.array([0, 1, 0, 1, 0, 1]), np.array([0, 1, 0, 0, 1, 1]), np.array([1, 2, 3])
    )
    p = np.array([[0.001, 0.001, 0.998], [0.9, 0.05, 0.05], [0.05, 0.9, 0.05]])

    found = consensus(votes, p)

    assert found.classes[1:].tolist() == [0, 1]
    assert found.classes[0] in (-1, 0, 1)
    assert ((found.quality >= 0) & (found.quality <= 1)).all()
