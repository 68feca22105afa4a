"""What waits for a review, and what a person says of a label."""

from __future__ import annotations

import numpy as np

from tests.helpers.frozen import run_round
from tidal_core.labelling import review
from tidal_core.labelling.desk import Desk, desk_of
from tidal_core.labelling.review import Act, Suspect
from tidal_core.method.suspicion import DEFAULT
from tidal_core.projects import Project
from tidal_core.records import AnswerKind, AnswerMode, Purpose
from tidal_core.rounds.suspicions import suspicions_of


def first(project: Project) -> Suspect:
    return review.waiting(project, suspicions_of(project), DEFAULT)[0]


def say(desk: Desk, suspect: Suspect, act: Act, class_id: int | None = None) -> str:
    return review.answer(desk, suspect, act, f"{act}-{suspect.image_id}", "eva", class_id)[1]


def test_what_was_kept_changed_or_left_open_does_not_come_again(mistaken: tuple[Project, list[int]]) -> None:
    project, planted = mistaken
    suspicions, desk = suspicions_of(project), desk_of(project)
    suspects = review.waiting(project, suspicions, DEFAULT)
    assert {suspect.image_id for suspect in suspects[:4]} == set(planted)

    said = [say(desk, suspects[0], "keep"), say(desk, suspects[1], "unsure")]
    said.append(say(desk, suspects[2], "change", suspects[2].suggested))

    assert said == ["", "", ""]
    gone = {suspect.image_id for suspect in suspects[:3]}
    for looked_at in (suspicions, suspicions_of(project)):
        left = review.waiting(project, looked_at, DEFAULT, everything=True)
        assert not gone & {suspect.image_id for suspect in left}
        assert left[0].image_id == suspects[3].image_id
    current = project.store.answers.current(suspects[2].image_id)
    assert current is not None
    assert current.answer.class_id == suspects[2].suggested
    assert (current.answer.mode, current.answer.purpose) == (AnswerMode.REVIEW, Purpose.QUERY)


def test_an_unsure_answer_is_a_flag_and_the_label_stands(mistaken: tuple[Project, list[int]]) -> None:
    project, _ = mistaken
    suspect = first(project)

    say(desk_of(project), suspect, "unsure")

    (flag,) = project.store.answers.set_aside()
    assert (flag.answer.kind, flag.answer.image_id, flag.answer.note) == (
        AnswerKind.FLAG, suspect.image_id, review.UNSURE_NOTE,
    )  # fmt: skip
    current = project.store.answers.current(suspect.image_id)
    assert current is not None
    assert current.answer.class_id == suspect.label


def test_an_answer_that_is_sent_twice_is_stored_once(mistaken: tuple[Project, list[int]]) -> None:
    project, _ = mistaken
    suspect, before = first(project), project.store.answers.count()

    say(desk_of(project), suspect, "keep")
    say(desk_of(project), suspect, "keep")

    assert project.store.answers.count() == before + 1


def test_nothing_is_stored_for_a_label_that_somebody_has_changed(mistaken: tuple[Project, list[int]]) -> None:
    project, _ = mistaken
    suspect, desk = first(project), desk_of(project)
    say(desk, suspect, "change", suspect.suggested)

    given, why = review.answer(desk, suspect, "keep", "late", "eva")

    assert given is None
    assert "Somebody else has changed this label" in why


def test_an_undone_answer_brings_the_label_back_for_review(mistaken: tuple[Project, list[int]]) -> None:
    project, _ = mistaken
    suspicions, desk = suspicions_of(project), desk_of(project)
    suspect = first(project)
    given, _ = review.answer(desk, suspect, "change", "one", "eva", suspect.suggested)
    assert given is not None

    desk.record([given.undone("two", annotator="eva", mode=AnswerMode.REVIEW)])

    assert review.waiting(project, suspicions, DEFAULT)[0] == suspect


def test_since_when_the_model_prefers_the_other_class_is_known(mistaken: tuple[Project, list[int]]) -> None:
    project, planted = mistaken
    assert review.since(project, first(project)) == (None, None)
    run_round(project)

    suspects = review.waiting(project, suspicions_of(project), DEFAULT)
    known = [review.since(project, suspect) for suspect in suspects if suspect.image_id in planted]

    assert len(known) == len(planted)
    for image in known:  # a head of 60 labels may learn a mistake by heart: then nothing is said
        assert image.round_id in (None, 1)
        assert image.epoch is None or image.epoch >= 1


def test_the_last_stretch_begins_where_the_class_led_to_the_end() -> None:
    epochs = np.array([1, 3, 5, 7])

    assert review._last_stretch(epochs, np.array([True, False, True, True])) == 5
    assert review._last_stretch(epochs, np.array([True, True, True, True])) == 1
    assert review._last_stretch(epochs, np.array([True, True, True, False])) is None
