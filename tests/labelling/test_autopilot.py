"""The autopilot: known classes through the desk, at a chosen speed, with a chosen share of mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.helpers.gates import WAIT_SECONDS, RoundGate, wait_for
from tests.helpers.served import Served
from tests.helpers.tiny import tiny_project
from tidal_core.errors import InputError
from tidal_core.labelling.autopilot import AUTOPILOT, Autopilot, Phase, Plan, said_class
from tidal_core.labelling.desk import desk_of
from tidal_core.projects import Project, create_project, open_project
from tidal_core.records import Answer, AnswerKind, AnswerMode, RoundState
from tidal_core.server.studio import Studio
from tidal_core.store.answers import Outcome

FAST = Plan(per_second=50)


def labels_of(project: Project) -> dict[int, int]:
    labels = project.store.answers.labels()
    return dict(zip(labels.image_ids.tolist(), labels.class_ids.tolist(), strict=True))


def flown(pilot: Autopilot) -> None:
    """Wait until it has stopped by itself."""
    wait_for(lambda: not pilot.flies, "the end of the flight")


def test_it_answers_every_image_by_its_known_class_and_says_that_it_is_done(served: Served) -> None:
    pilot = served.studio.autopilot(served.project)
    rounds_off(served.project)

    pilot.start(FAST)
    flown(pilot)

    known = {k: v for k, v in served.project.store.images.known_classes().items() if k <= 60}
    assert labels_of(served.project) == known
    state = pilot.state()
    assert (state.phase, state.labels, state.mistakes) == (Phase.ENDED, 60, 0)
    assert state.sentence == "Every image whose class is known is labelled."
    stored = served.project.store.answers.all()
    assert {each.answer.annotator for each in stored} == {AUTOPILOT}
    assert {each.answer.mode for each in stored} == {AnswerMode.AUTOPILOT}
    assert all(each.answer.purpose is not None for each in stored)
    with pytest.raises(InputError, match="nothing is left to answer"):
        pilot.start(FAST)


def test_it_ends_after_as_many_labels_as_it_was_asked_for(served: Served) -> None:
    pilot = served.studio.autopilot(served.project)
    rounds_off(served.project)

    pilot.start(Plan(per_second=50, labels=7))
    flown(pilot)

    assert (pilot.state().phase, pilot.state().labels) == (Phase.ENDED, 7)
    pilot.start(Plan(per_second=50, labels=2))
    flown(pilot)
    assert pilot.state().labels == 9
    with pytest.raises(InputError, match="cannot give 0 labels"):
        Plan(labels=0)


def rounds_off(project: Project) -> None:
    project.store.settings.save(replace(project.settings, rounds_enabled=False))


def test_its_mistakes_depend_on_the_seed_and_the_image_alone(served: Served) -> None:
    classes = (1, 2, 3)
    plan = Plan(mistakes=0.3, seed=7)
    said = [said_class(image, 1, classes, plan) for image in range(1, 2_001)]
    wrong = sum(each != 1 for each in said) / len(said)

    assert said == [said_class(image, 1, classes, plan) for image in range(1, 2_001)]
    assert said != [said_class(image, 1, classes, Plan(mistakes=0.3, seed=8)) for image in range(1, 2_001)]
    assert 0.25 < wrong < 0.35
    assert {each for each in said if each != 1} == {2, 3}
    assert said_class(1, 2, (2,), Plan(mistakes=1)) == 2, "there is no other class to say"

    rounds_off(served.project)
    pilot = served.studio.autopilot(served.project)
    pilot.start(Plan(per_second=50, mistakes=0.3, seed=7))
    flown(pilot)
    known = served.project.store.images.known_classes()
    expected = {image: said_class(image, known[image], classes, plan) for image in range(1, 61)}
    assert labels_of(served.project) == expected
    state = pilot.state()
    assert state.mistakes == sum(expected[image] != known[image] for image in expected) > 0


def test_a_person_takes_over_by_answering_and_what_a_tab_has_is_left_to_it(served: Served) -> None:
    held = served.items(n=3)
    pilot = served.studio.autopilot(served.project)
    rounds_off(served.project)
    pilot.start(Plan(per_second=1))
    wait_for(lambda: served.project.store.answers.count() >= 1, "its first answer")

    served.answer(served.label(held[0], annotator="Anna"))
    flown(pilot)

    assert pilot.state().sentence == "Paused: Anna has taken over."
    count = served.project.store.answers.count()
    served.answer(served.label(held[1], annotator="Anna"))
    assert served.project.store.answers.count() == count + 1
    by_pilot = {each.answer.image_id for each in served.project.store.answers.history(AUTOPILOT)}
    assert not by_pilot & {item["image"] for item in held}

    pilot.start(FAST)  # on from there
    wait_for(lambda: pilot.state().labels > count, "more answers")
    pilot.pause()
    assert pilot.state().phase is Phase.PAUSED
    stands = served.project.store.answers.count()
    pilot.close(WAIT_SECONDS)
    assert served.project.store.answers.count() in (stands, stands + 10), "at most what was under way"
    assert not served.project.store.queue.held_by_others("nobody", range(1, 61)) - {item["image"] for item in held}


def test_an_answer_that_comes_while_it_answers_itself_takes_over_too(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = served.items(n=1)
    desk = desk_of(served.project)
    record = desk.record

    def record_after_a_person(answers: Sequence[Answer], tab: str | None = None) -> list[Outcome]:
        monkeypatch.undo()
        person = Answer("by-hand", AnswerKind.LABEL, held[0]["image"], class_id=1, annotator="Anna")
        return record([person]) and record(answers, tab)

    monkeypatch.setattr(desk, "record", record_after_a_person)
    rounds_off(served.project)
    pilot = served.studio.autopilot(served.project)
    pilot.start(FAST)
    flown(pilot)

    assert pilot.state().sentence == "Paused: Anna has taken over."
    assert pilot.state().labels == 6, "those that were under way"


def test_there_is_one_autopilot_however_many_start_it_and_the_last_says_how_fast(served: Served) -> None:
    rounds_off(served.project)
    one, two = served.studio.autopilot(served.project), served.studio.autopilot(served.project)
    one.start(Plan(per_second=1))
    two.start(FAST)

    assert one is two
    assert one.state().plan == FAST
    flown(one)
    assert served.project.store.answers.count(AnswerKind.LABEL) == 60, "no image was answered twice"


def test_tabs_get_one_image_at_a_time_while_it_flies(served: Served) -> None:
    rounds_off(served.project)
    assert served.post("open", {"tab": "tab-one", "n": 24}).json()["status"]["ahead"] == 24
    pilot = served.studio.autopilot(served.project)
    pilot.start(Plan(per_second=1))

    opened = served.post("open", {"tab": "tab-two", "n": 24}).json()

    assert opened["status"]["ahead"] == len(opened["items"]) == 1
    pilot.pause()
    assert served.post("status", {"tab": "tab-two"}).json()["ahead"] == 24


def test_images_without_a_known_class_are_left_to_people(served: Served) -> None:
    rounds_off(served.project)
    first = served.project.store.queue.items()[0].image_id
    served.project.store.classes.retire(3)  # a third of the images
    pilot = served.studio.autopilot(served.project)

    pilot.start(FAST)
    flown(pilot)

    assert pilot.state().sentence == "The images that are asked next have no known class: they are yours."
    assert set(labels_of(served.project).values()) == {1, 2}
    assert len(labels_of(served.project)) == 40
    assert {item["image"] for item in served.items(n=60)} == set(range(3, 61, 3)), first


def test_a_project_without_known_classes_says_why_it_cannot() -> None:
    create_project("empty", classes=("a", "b")).close()
    studio = Studio(with_worker=False)
    pilot = studio.autopilot(studio.project("empty"))

    with pytest.raises(InputError, match=r"no image to label in 'empty' came with one\. Import a folder"):
        pilot.start(FAST)

    assert pilot.state().phase is Phase.OFF
    studio.close()


@pytest.mark.parametrize(("plan", "message"), [
    ({"per_second": 0.5}, "0.5 answers a second; choose from 1 to 50"),
    ({"per_second": 51}, "51 answers a second"),
    ({"mistakes": 1.5}, "1.5 mistakes cannot be"),
])  # fmt: skip
def test_what_it_cannot_do_is_refused(plan: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Plan(**plan)  # type: ignore[arg-type]


@pytest.mark.usefixtures("short_rounds")
def test_up_to_the_next_round_it_gives_what_the_round_needs_and_ends_with_it(studio: Studio) -> None:
    tiny_project().close()
    project = studio.project("tiny")
    pilot = studio.autopilot(project)
    for number in (1, 2):
        pilot.start(Plan(per_second=None))
        flown(pilot)

        assert pilot.state().sentence == f"Round {number} has ended."
        assert project.store.rounds.latest(RoundState.DONE).id == number  # type: ignore[union-attr]
        assert pilot.state().labels == 6 * number, "as many as a round needs, and no more"


@pytest.mark.usefixtures("short_rounds")
def test_a_flight_that_waits_for_its_rounds_comes_out_the_same_when_it_is_repeated(studio: Studio) -> None:
    labelled = []
    for name in ("one", "two"):
        tiny_project(name=name).close()
        project = studio.project(name)
        pilot = studio.autopilot(project)
        pilot.start(Plan(per_second=50, mistakes=0.2, seed=3, wait_for_rounds=True))
        wait_for(lambda rounds=project.store.rounds: rounds.latest() and rounds.latest().id >= 3, "three rounds")
        pilot.close(WAIT_SECONDS)
        stored = project.store.answers.all()[:18]
        labelled.append([(each.answer.image_id, each.answer.class_id, each.answer.round_id) for each in stored])

    assert labelled[0] == labelled[1]
    assert {round_id for _, _, round_id in labelled[0]} == {None, 1, 2}


def test_speeds_go_on_while_a_round_trains(studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = RoundGate(tmp_path / "gate", epochs=1)
    gate.install(monkeypatch)
    tiny_project().close()
    project = studio.project("tiny")
    pilot = studio.autopilot(project)
    pilot.start(FAST)
    gate.wait_held(1)

    wait_for(lambda: pilot.state().labels >= 20, "answers beside the round")

    assert project.store.rounds.get(1).labels == 6, "a round takes its labels at any speed"
    pilot.pause()
    gate.release()


def test_a_studio_that_closes_stops_it_and_the_project_is_whole(studio: Studio) -> None:
    tiny_project().close()
    project = studio.project("tiny")
    rounds_off(project)
    studio.autopilot(project).start(FAST)
    wait_for(lambda: studio.autopilot(project).state().labels >= 5, "some answers")

    studio.close()

    project = open_project("tiny")
    stored = project.store.answers.all()
    assert [each.seq for each in stored] == list(range(1, len(stored) + 1))
    answered = {each.answer.image_id for each in stored}
    assert len(answered) == len(stored)
    assert not answered & {item.image_id for item in project.store.queue.items()}
    project.close()
