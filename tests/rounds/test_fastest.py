"""A new project computes in the fastest way of its machine; the speeds are given here, not measured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.helpers.gates import WAIT_SECONDS, wait_for
from tests.helpers.tiny import label_next
from tidal_core.config import RoundConfig
from tidal_core.engine.speed_trial import Speeds
from tidal_core.errors import OutOfMemory, Stopped
from tidal_core.projects import Project
from tidal_core.records import RoundState
from tidal_core.rounds import fastest
from tidal_core.rounds.due import claim_round, end_round
from tidal_core.rounds.fastest import settle_speed
from tidal_core.rounds.worker import Worker

CUDA = Speeds("cuda", {"float32, channels last": 100.0, "bfloat16, channels last": 210.0, "bfloat16": 150.0})
CPU = Speeds("cpu", {"float32, channels last": 100.0, "float32": 120.0})


class Trials:
    """Short trials that answer at once with given speeds, or fail."""

    def __init__(self, outcome: Speeds | Exception) -> None:
        self.outcome, self.n = outcome, 0

    def __call__(self, *_: object, **__: object) -> Speeds:
        self.n += 1
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def trials(monkeypatch: pytest.MonkeyPatch, outcome: Speeds | Exception) -> Trials:
    given = Trials(outcome)
    monkeypatch.setattr(fastest, "quick_speeds", given)
    return given


@pytest.fixture
def new(project: Project) -> Project:
    """A project that has not found its fastest way yet."""
    project.store.settings.save(replace(project.settings, find_fastest=True))
    return project


def way(project: Project) -> tuple[str, bool]:
    return project.settings.precision, project.settings.channels_last


def logged(project: Project) -> str:
    return project.store.log.last()[0].message


def test_the_fastest_way_is_kept_and_said_once(new: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    given = trials(monkeypatch, CUDA)

    assert settle_speed(new)
    assert settle_speed(new)

    assert given.n == 1
    assert way(new) == ("bfloat16", True)
    assert logged(new) == (
        "Rounds compute in bfloat16, channels last: on the graphics card 2.1 times as fast as float32, channels last."
    )


def test_what_is_hardly_faster_changes_nothing(new: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    trials(monkeypatch, CPU)

    assert settle_speed(new)

    assert way(new) == ("float32", True)
    assert not new.settings.find_fastest
    assert "on the processor nothing was found to be clearly faster" in logged(new)


def test_a_project_of_before_is_left_as_it_is(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    given = trials(monkeypatch, CUDA)

    assert settle_speed(project)

    assert given.n == 0
    assert way(project) == ("float32", True)


def test_paper_parity_trains_as_published(new: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    given = trials(monkeypatch, CUDA)
    new.store.settings.save(replace(new.settings, preset="paper"))

    assert settle_speed(new)

    assert given.n == 0
    assert way(new) == ("float32", True)


def test_what_the_first_round_began_with_stays(new: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    given = trials(monkeypatch, CUDA)
    label_next(new, 6)
    end_round(new, claim_round(new, started_by="person").id, RoundState.CANCELLED)

    assert settle_speed(new)

    assert given.n == 0
    assert way(new) == ("float32", True)
    assert not new.settings.find_fastest


def test_a_trial_that_fails_is_logged_and_keeps_nobody_from_a_round(
    new: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials(monkeypatch, OutOfMemory("not even one image fits"))

    assert settle_speed(new)

    assert way(new) == ("float32", True)
    assert not new.settings.find_fastest
    assert "failed: not even one image fits" in logged(new)


def test_a_trial_that_was_stopped_is_still_to_be_made(new: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    trials(monkeypatch, Stopped("closing"))

    assert not settle_speed(new)

    assert new.settings.find_fastest


def test_what_a_person_chose_during_the_trial_stands(new: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def chosen_meanwhile(*_: object, **__: object) -> Speeds:
        new.store.settings.save(replace(new.settings, channels_last=False, labels_per_round=9))
        return CUDA

    monkeypatch.setattr(fastest, "quick_speeds", chosen_meanwhile)

    assert settle_speed(new)

    assert way(new) == ("float32", False)
    assert (new.settings.labels_per_round, new.settings.find_fastest) == (9, False)


@pytest.mark.usefixtures("short_rounds")
def test_the_first_round_of_a_new_project_computes_so_and_later_ones_try_nothing(
    new: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = trials(monkeypatch, Speeds("cpu", {"float32, channels last": 100.0, "float32": 220.0}))
    worker = Worker(lambda: [new])
    worker.start()
    for number in (1, 2):
        label_next(new, 6)
        worker.wake()
        wait_for(lambda: len(new.store.rounds.all()) == number and new.store.rounds.active() is None)  # noqa: B023
    assert worker.stop(WAIT_SECONDS)

    configs = [RoundConfig.from_json(record.config).train for record in new.store.rounds.all()]
    assert [(config.precision, config.channels_last) for config in configs] == [("float32", False)] * 2
    assert given.n == 1
