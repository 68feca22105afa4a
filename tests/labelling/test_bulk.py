"""One act on many images, and its undo: what changes, what is left and why, what others answered since."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.finished import finish_round
from tests.helpers.served import Served
from tidal_core.config import ProjectSettings
from tidal_core.errors import InputError, NotFound
from tidal_core.export.tables import ExportOptions
from tidal_core.export.tables.base import table_of
from tidal_core.labelling import bulk
from tidal_core.labelling.bulk import Result
from tidal_core.labelling.desk import desk_of
from tidal_core.projects import Project
from tidal_core.records import Answer, AnswerKind, AnswerMode, ImageStatus, Purpose, Shown
from tidal_core.rounds import audit, queue_plan
from tidal_core.store.acts import Act, ActKind

RED, GREEN, BLUE = 1, 2, 3


@pytest.fixture
def project(served: Served) -> Project:
    return served.project


@pytest.fixture
def audited() -> Iterator[Project]:
    made = Served(ProjectSettings(title="tiny", training_size=8, labels_per_round=6, audit_share=0.1))
    yield made.project
    made.close()


def act(project: Project, kind: str, image_ids: Any = None, **more: Any) -> Result:
    where = more.pop("where", None)
    return bulk.perform(project, Act(ActKind(kind), **more), image_ids=image_ids, where=where)


def undo(project: Project, done: Result) -> Result:
    return act(project, "undo", undoes=done.act_id)


def label(project: Project, event_id: str, image_id: int, class_id: int, annotator: str = "Ann") -> None:
    answer = Answer(event_id, AnswerKind.LABEL, image_id, class_id=class_id, annotator=annotator, purpose=Purpose.QUERY)
    assert project.store.answers.record([answer])[0].refused is None


def labels(project: Project) -> dict[int, int]:
    current = project.store.answers.labels()
    return dict(zip(current.image_ids.tolist(), current.class_ids.tolist(), strict=True))


def state(project: Project) -> list[Any]:
    """All that acts change, but for the queue; of the labels all but their event's id and number."""
    columns = "image_id, kind, class_id, reason, note, annotator, mode, purpose, round_id, answered_at"
    rows = project.store.database.rows
    return [
        rows(f"SELECT {columns} FROM current_answers ORDER BY image_id"),
        rows("SELECT id, status FROM images ORDER BY id"),
        rows("SELECT image_id, note FROM standing_answers WHERE kind = 'flag' ORDER BY ALL"),
    ]


def test_every_image_of_an_act_gets_an_event_of_its_own(project: Project) -> None:
    done = act(project, "label", [3, 1, 2], class_id=GREEN, annotator="Ann")

    events = project.store.answers.all()
    assert (done.changed, done.left, done.why) == (3, 0, "")
    assert [event.answer.event_id for event in events] == [f"{done.act_id}-{number}" for number in range(3)]
    assert [event.answer.image_id for event in events] == [3, 1, 2]
    assert {(event.answer.mode, event.answer.annotator) for event in events} == {(AnswerMode.BULK, "Ann")}
    assert labels(project) == {1: GREEN, 2: GREEN, 3: GREEN}


def test_an_image_named_twice_is_labelled_once_and_an_unknown_one_is_told(project: Project) -> None:
    done = act(project, "label", [2, 2, 999], class_id=RED)

    assert (done.changed, done.left) == (1, 1)
    assert done.why == "1 image left as before: 1 is not in this project."


def test_test_images_are_not_labelled(project: Project) -> None:
    done = act(project, "label", where="id>=60 and id<=62", class_id=RED)

    assert (done.changed, done.why) == (1, "2 images left as before: 2 are test images.")


def test_the_models_class_is_each_images_own_and_those_without_one_are_counted(project: Project) -> None:
    finish_round(project)
    collection = project.store.collection.chosen(bulk.parse("predicted!=none and unlabelled", []))
    wanted = dict(zip(collection.image_ids.tolist(), collection.predicted.tolist(), strict=True))
    without = np.setdiff1d(project.store.images.unlabelled_ids(), collection.image_ids)
    with project.store.database.write() as cursor:
        cursor.execute("UPDATE scores SET part = 'aside' WHERE image_id = ?", [min(wanted)])

    done = act(project, "model", where="unlabelled and split=pool")

    del wanted[min(wanted)]
    confirmed = {image_id: class_id for image_id, class_id in labels(project).items() if image_id in wanted}
    assert len(wanted) > 10
    assert confirmed == wanted
    assert (done.changed, done.left) == (len(wanted), len(without) + 1)
    assert f"{len(without) + 1} ha" in done.why
    event = project.store.answers.all()[-1].answer
    assert (event.kind, event.suggestion_class, event.suggestion_shown) == (
        AnswerKind.LABEL,
        event.class_id,
        Shown.BEFORE,
    )


def test_what_is_kept_to_measure_accuracy_is_only_asked_one_by_one(audited: Project) -> None:
    reserved = set(audit.reserved(audited).tolist())
    everything = audited.store.images.unlabelled_ids()

    done = [
        act(audited, "queue", everything),
        act(audited, "skip", everything, reason="blurred"),
        act(audited, "label", everything, class_id=RED),
    ]

    assert len(reserved) == 6
    assert [result.left for result in done] == [6, 6, 6]
    assert "6 are kept to measure accuracy" in done[0].why
    assert set(audit.reserved(audited).tolist()) == reserved
    assert not reserved & set(labels(audited))
    assert audit.sample(audited).population == 60


def test_a_label_of_the_audit_sample_stays_in_it_and_is_never_the_models(audited: Project) -> None:
    finish_round(audited)
    drawn = int(audit.reserved(audited)[0])
    audited.store.answers.record(
        [Answer("drawn", AnswerKind.LABEL, drawn, class_id=RED, purpose=Purpose.AUDIT, annotator="Ann")]
    )

    by_model = act(audited, "model", [drawn])
    by_hand = act(audited, "label", [drawn], class_id=BLUE)

    assert (by_model.changed, by_hand.changed) == (0, 1)
    assert audited.store.answers.all()[-1].answer.purpose is Purpose.AUDIT
    given = audited.store.answers.labels()
    assert given.where(np.isin(given.image_ids, audit.sample(audited).image_ids)).class_ids.tolist() == [BLUE]


def test_an_undo_leaves_what_others_have_answered_since(project: Project) -> None:
    label(project, "before", 1, RED)
    done = act(project, "label", [1, 2, 3], class_id=GREEN, annotator="Ann")
    label(project, "since", 2, BLUE, annotator="Carl")

    undone = undo(project, done)

    assert labels(project) == {1: RED, 2: BLUE}
    assert (undone.changed, undone.left) == (2, 1)
    assert undone.why == "1 image left as before: 1 was answered again since."


def test_an_undone_unlabel_leaves_what_was_answered_since(project: Project) -> None:
    label(project, "one", 1, RED)
    label(project, "two", 2, RED)
    done = act(project, "unlabel", [1, 2])
    label(project, "since", 2, BLUE)

    undone = undo(project, done)

    assert labels(project) == {1: RED, 2: BLUE}
    assert (undone.changed, undone.left) == (1, 1)


def test_a_label_that_was_taken_back_and_given_again_goes_with_the_act_that_gave_it(project: Project) -> None:
    label(project, "first", 1, RED)
    given = act(project, "label", [1], class_id=GREEN)
    taken = act(project, "unlabel", [1])

    undo(project, taken)
    assert labels(project) == {1: GREEN}
    undo(project, given)
    assert labels(project) == {1: RED}


def test_an_act_is_undone_once_and_an_undo_never(project: Project) -> None:
    done = act(project, "label", [1, 2], class_id=RED)
    undone = undo(project, done)

    again = undo(project, done)

    assert (again.changed, again.left) == (0, 2)
    with pytest.raises(InputError, match="no act that can be undone"):
        undo(project, undone)
    with pytest.raises(NotFound, match="no act bulk-label-00000000"):
        act(project, "undo", undoes="bulk-label-00000000")


def test_an_act_that_is_sent_twice_is_done_once(project: Project) -> None:
    done = [act(project, "flag", [1, 2], note="two flowers", key="abcdefgh") for _ in range(2)]

    assert [result.changed for result in done] == [2, 2]
    assert project.store.answers.count(AnswerKind.FLAG) == 2


def test_images_answered_after_the_page_was_drawn_are_left(project: Project) -> None:
    label(project, "seen", 1, RED)
    seen = project.store.answers.last_seq()
    label(project, "unseen", 2, RED, annotator="Carl")

    done = act(project, "label", [1, 2, 3], class_id=BLUE, seen=seen)

    assert labels(project) == {1: BLUE, 2: RED, 3: BLUE}
    assert done.why == "1 image left as before: 1 was answered meanwhile."


def test_images_sent_to_the_queue_come_next_in_the_order_given_and_outlive_a_ranking(project: Project) -> None:
    desk = desk_of(project)
    desk.next("tab-one", 2)
    done = act(project, "queue", [30, 20, 40])

    assert [asked.image.id for asked in desk.next("tab-two", 3)] == [30, 20, 40]
    assert done.changed == 3
    project.store.queue.replace(queue_plan.plan_queue(project, audit.rankable(project), round_id=1))
    assert [item.image_id for item in project.store.queue.items()][:3] == [30, 20, 40]
    assert len({item.image_id for item in project.store.queue.items()}) == project.store.queue.count()


def test_what_was_sent_to_the_queue_goes_back_to_its_place(project: Project) -> None:
    desk_of(project).next("tab-one", 1)
    before = project.store.queue.items()
    done = act(project, "queue", [before[9].image_id, before[4].image_id])

    undo(project, done)

    assert project.store.queue.items() == before


def test_an_excluded_image_is_neither_asked_trained_on_measured_nor_exported(project: Project) -> None:
    finish_round(project)
    for number, image_id in enumerate((1, 2, 3)):
        label(project, f"given-{number}", image_id, RED)
    queued = project.store.queue.items()[0].image_id

    act(project, "exclude", [1, queued, 61])

    assert queued not in {asked.image.id for asked in desk_of(project).next("tab-one", 200)}
    assert {2, 3} <= set(labels(project))
    assert 1 not in labels(project)
    assert 61 not in audit.measured_on(project).image_ids
    assert 1 not in audit.training_labels(project).image_ids
    for what in ("labels", "predictions"):
        assert not {1, queued, 61} & set(table_of(project, ExportOptions(what=what))["image_id"].to_pylist())
    assert project.store.answers.tally().labelled == len(labels(project))
    assert sum(project.store.answers.counts_by_class().values()) == len(labels(project))


def test_an_excluded_image_leaves_the_audit_sample_and_its_population(audited: Project) -> None:
    first, second = audit.reserved(audited)[:2].tolist()
    for image_id in (first, second):
        answer = Answer(f"drawn-{image_id}", AnswerKind.LABEL, image_id, class_id=RED, purpose=Purpose.AUDIT)
        audited.store.answers.record([answer])

    act(audited, "exclude", [first, *np.setdiff1d(audited.store.images.unlabelled_ids(), [second])[:10]])

    sample = audit.sample(audited)
    assert sample.image_ids.tolist() == [second]
    assert sample.population == 60 - 11


def test_a_near_duplicate_that_was_excluded_is_hidden_again_when_it_is_taken_back(project: Project) -> None:
    project.store.images.set_status([5], ImageStatus.HIDDEN)

    excluded = act(project, "exclude", [5, 6])
    assert {image.status for image in project.store.images.many([5, 6])} == {ImageStatus.EXCLUDED}
    included = act(project, "include", [5, 6])
    assert [image.status for image in project.store.images.many([5, 6])] == [ImageStatus.HIDDEN, ImageStatus.READY]
    undo(project, included)
    assert {image.status for image in project.store.images.many([5, 6])} == {ImageStatus.EXCLUDED}
    undo(project, excluded)
    assert [image.status for image in project.store.images.many([5, 6])] == [ImageStatus.HIDDEN, ImageStatus.READY]


def test_a_tab_is_told_of_images_that_an_act_answered_or_excluded(project: Project) -> None:
    desk = desk_of(project)
    held = [asked.image.id for asked in desk.next("tab-one", 4)]

    act(project, "label", held[:1], class_id=RED)
    act(project, "exclude", held[1:2])

    assert desk.renew("tab-one", held) == set(held[:2])


def test_an_answer_of_a_tab_that_did_not_know_of_the_act_stands_and_outlives_its_undo(project: Project) -> None:
    held = [asked.image.id for asked in desk_of(project).next("tab-one", 2)]
    done = act(project, "label", held, class_id=RED)

    label(project, "from-tab", held[0], GREEN)
    assert labels(project) == {held[0]: GREEN, held[1]: RED}
    undo(project, done)

    assert labels(project) == {held[0]: GREEN}


def test_an_event_of_exclusion_is_taken_back_with_its_act_only(project: Project) -> None:
    done = act(project, "exclude", [1])
    event = project.store.answers.all()[0].answer

    outcome = project.store.answers.record([event.undone("undo-alone", annotator="me", mode=AnswerMode.SINGLE)])[0]

    assert outcome.refused is not None
    undo(project, done)
    assert project.store.images.get(1).status is ImageStatus.READY


def test_a_persons_history_has_labels_and_not_what_was_sent_to_the_queue(project: Project) -> None:
    label(project, "event-one", 1, RED)
    act(project, "queue", range(2, 60), annotator="Ann")
    act(project, "label", [3], class_id=BLUE, annotator="Ann")

    history = desk_of(project).history("Ann", None, 5)

    assert [asked.image.id for _, _, asked in history] == [3, 1]


def test_a_fault_in_the_middle_leaves_nothing(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    label(project, "before", 1, RED)
    before, n = state(project), project.store.answers.count()
    monkeypatch.setattr("tidal_core.store.acts.out_of_queue", lambda cursor, ids: cursor.execute("SELECT no_such"))

    with pytest.raises(duckdb.Error):
        act(project, "label", [1, 2, 3], class_id=GREEN)

    assert (state(project), project.store.answers.count()) == (before, n)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"kind": "label", "image_ids": [1], "class_id": 99}, "no class 99"),
        ({"kind": "skip"}, "either ids or where"),
        ({"kind": "skip", "image_ids": [1], "where": ""}, "either ids or where"),
        ({"kind": "skip", "where": "colour=red"}, "Images have no 'colour'"),
    ],
)
def test_an_act_that_cannot_be_is_refused(project: Project, more: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        act(project, **more)
    assert project.store.answers.count() == 0


ACTS = [
    {"kind": "label", "class_id": RED},
    {"kind": "label", "class_id": GREEN},
    {"kind": "model"},
    {"kind": "skip", "reason": "blurred"},
    {"kind": "flag", "note": "odd"},
    {"kind": "unlabel"},
    {"kind": "queue"},
    {"kind": "exclude"},
    {"kind": "include"},
]


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIDAL_HOME", str(tmp_path_factory.mktemp("home")))
        made = Served()
        finish_round(made.project)
        yield made.project
        made.close()


@settings(deadline=None, max_examples=12)
@given(st.lists(st.tuples(st.sampled_from(ACTS), st.lists(st.integers(1, 64), min_size=1, max_size=8)), max_size=7))
def test_undoing_acts_from_the_last_to_the_first_brings_every_state_back(
    scored: Project, steps: list[tuple[dict[str, Any], list[int]]]
) -> None:
    done, states = [], [state(scored)]
    for given_act, image_ids in steps:
        result = act(scored, image_ids=image_ids, **given_act)
        if result.changed:
            done.append(result)
            states.append(state(scored))

    for result in reversed(done):
        assert state(scored) == states.pop()
        undo(scored, result)
    assert state(scored) == states.pop()


@settings(deadline=None, max_examples=12)
@given(
    st.lists(st.tuples(st.sampled_from(ACTS[:4]), st.lists(st.integers(1, 20), min_size=1)), max_size=5), st.randoms()
)
def test_acts_undone_in_any_order_leave_the_labels_of_before(
    scored: Project, steps: list[tuple[dict[str, Any], list[int]]], random: Any
) -> None:
    before = state(scored)
    done = [result for given_act, ids in steps if (result := act(scored, image_ids=ids, **given_act)).changed]
    random.shuffle(done)

    for result in done:
        undo(scored, result)

    assert state(scored) == before
