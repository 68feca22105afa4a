"""Accepting the model's class for what is left of a project, and taking that back."""

import dataclasses
import json
from collections.abc import Iterator

import numpy as np
import pytest

from benchmarks.made_up import Size, make
from tests.helpers.finished import finish_round
from tests.helpers.served import Served
from tests.pages.looking import sure_of_all
from tidal_core.config import ProjectSettings
from tidal_core.errors import InputError
from tidal_core.labelling import finishing
from tidal_core.labelling.desk import desk_of
from tidal_core.method.finishing import ClassShare, Proposal
from tidal_core.projects import Project, open_project
from tidal_core.records import Answer, AnswerKind, Purpose
from tidal_core.rounds import audit
from tidal_core.rounds.due import count_for_round
from tidal_core.rounds.finishing import LOOKS, Standing, proposal_of, standing

SETTINGS = ProjectSettings(title="tiny", training_size=8, labels_per_round=6, audit_share=0.3)


@pytest.fixture
def project() -> Iterator[Project]:
    served = Served(SETTINGS, n=200)
    finish_round(served.project)
    yield served.project
    served.close()


def state_of(project: Project) -> Standing:
    state = standing(project)
    assert state is not None
    return state


def everything(state: Standing, target: float = 0.9) -> Proposal:
    """A proposal to take all that is left."""
    n = len(state.image_ids)
    shares = tuple(ClassShare(c, 0.5, 1, 0, 30, 0) for c in range(len(state.class_ids)))
    return Proposal(target, np.ones(n, np.bool_), shares, 60, 0, 0.93, True, 0, "")


def accept(project: Project, wrong: tuple[int, ...] = ()) -> finishing.Accepted:
    state = state_of(project)
    proposal = everything(state)
    shown = finishing.sample(project, state, proposal)
    return finishing.accept(project, state, proposal, shown, wrong or (), annotator="ann")


def test_candidates_are_what_nobody_answered_and_the_audit_does_not_keep(project: Project) -> None:
    state = state_of(project)
    others = set(audit.reserved(project).tolist()) | set(project.store.answers.answered_images().tolist())
    assert set(state.image_ids.tolist()) == set(range(1, 201)) - others
    assert len(others) > 60


def test_random_images_that_were_checked_are_the_evidence_and_chosen_ones_are_not(project: Project) -> None:
    assert not len(state_of(project).checked.is_right)
    chosen, drawn = state_of(project).image_ids[:2].tolist()
    for image, purpose in ((chosen, Purpose.QUERY), (drawn, Purpose.AUDIT)):
        project.store.answers.record([Answer(f"e{image}", AnswerKind.LABEL, image, class_id=1, purpose=purpose)])

    assert len(state_of(project).checked.is_right) == 1


def test_what_is_accepted_trains_nothing_and_counts_as_nobodys_label(project: Project) -> None:
    before = count_for_round(project), desk_of(project).counts().labelled, len(audit.training_labels(project).image_ids)
    accepted = accept(project)

    assert accepted.images == len(state_of(project).image_ids) > 0
    after = count_for_round(project), desk_of(project).counts().labelled, len(audit.training_labels(project).image_ids)
    assert before == after


def test_wrong_images_of_the_sample_stay_for_people_and_are_asked_next(project: Project) -> None:
    state = state_of(project)
    wrong = tuple(finishing.sample(project, state, everything(state))[:2].tolist())
    accepted = accept(project, wrong)

    assert accepted.images == len(state.image_ids) - 2
    assert not set(wrong) & set(project.store.model_answers.images().tolist())
    assert {item.image_id for item in project.store.queue.items()[:2]} == set(wrong)


def test_a_bad_sample_forbids_all_of_it_until_another_round_or_a_lower_target(project: Project) -> None:
    state = state_of(project)
    proposal = everything(state)
    shown = finishing.sample(project, state, proposal)
    accepted = finishing.accept(project, state, proposal, shown, shown[:20].tolist(), annotator="ann")

    assert (accepted.images, accepted.veto.is_vetoed) == (0, True)
    assert not len(project.store.model_answers.images())
    assert finishing.vetoed(project, state, 0.9)
    assert not finishing.vetoed(project, state, 0.8)
    with pytest.raises(InputError, match="another round"):
        finishing.accept(project, state, proposal, shown, (), annotator="ann")


def test_undone_as_one_act_people_are_asked_again(project: Project) -> None:
    accepted = accept(project)
    assert finishing.undo(project, accepted.act_id, annotator="ann") == accepted.images
    assert not len(project.store.model_answers.images())
    assert len(state_of(project).image_ids) == accepted.images


def test_people_are_asked_last_about_what_the_model_labelled(project: Project) -> None:
    state = state_of(project)
    half = everything(state)._replace(is_accepted=np.arange(len(state.image_ids)) % 2 == 0)
    finishing.accept(project, state, half, finishing.sample(project, state, half), (), annotator="ann")

    finish_round(project)

    taken = set(project.store.model_answers.images().tolist())
    asked = [item.image_id in taken for item in project.store.queue.items() if item.purpose is Purpose.QUERY]
    assert asked == sorted(asked)
    assert any(asked)


def test_more_random_images_come_first_and_measure_only(project: Project) -> None:
    state = state_of(project)
    proposal = everything(state)._replace(is_accepted=np.zeros(len(state.image_ids), np.bool_), more_checks=80)

    assert finishing.check_more(project, state, proposal) == 80

    first = project.store.queue.items()[:80]
    assert {item.purpose for item in first} == {Purpose.AUDIT}
    assert len({item.image_id for item in first}) == 80 > len(audit.reserved(project)) - 10


def test_nothing_can_be_accepted_where_nothing_is_proposed(project: Project) -> None:
    state = state_of(project)
    proposal = proposal_of(project, state, 0.98)
    assert not proposal.accepted
    with pytest.raises(InputError, match="Nothing can be accepted"):
        finishing.accept(project, state, proposal, np.empty(0, np.int64), (), annotator="ann")


def test_after_a_restart_an_act_is_taken_back_whole_and_proposed_anew(project: Project) -> None:
    state = state_of(project)
    accepted = accept(project)
    project.close()

    again = open_project(project.slug)
    (act,) = again.store.model_answers.acts()
    assert (act.act_id, act.images) == (accepted.act_id, accepted.images)
    assert finishing.undo(again, act.act_id, annotator="ben") == accepted.images
    assert not again.store.model_answers.acts()
    assert state_of(again).image_ids.tolist() == state.image_ids.tolist()
    again.close()


def test_a_test_that_failed_is_paid_for_after_a_restart_and_in_the_next_round() -> None:
    project = make("life", Size(labelled=40, pool=60, test=200, rounds=1, epochs=5))
    sure_of_all(project)
    state = state_of(project)
    with project.store.database.write() as cursor:  # every second of the test images turns out to be another class
        cursor.execute("UPDATE images SET known_class = known_class % 3 + 1 WHERE split = 'test' AND id % 2 = 0")
    state = state_of(project)
    failed = proposal_of(project, state, 0.9)
    assert (failed.was_tested, failed.accepted) == (True, 0)
    noted = project.store.settings.get(LOOKS)
    assert proposal_of(project, state_of(project), 0.9) is not None  # the same again costs nothing
    assert project.store.settings.get(LOOKS) == noted
    project.close()

    again = open_project("life")
    assert state_of(again).looks == 1
    proposal_of(again, dataclasses.replace(state_of(again), round_id=2), 0.9)
    made = json.loads(again.store.settings.get(LOOKS) or "{}")
    assert [number for number, _ in made.values()] == [1, 2]
    again.close()
