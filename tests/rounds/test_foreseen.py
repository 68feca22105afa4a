"""How long things take is said before anybody waits for them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.helpers.gates import WAIT_SECONDS, wait_for
from tidal_core.config import FROZEN, QUICK, TrainConfig
from tidal_core.engine.speed_trial import STEPS, first_round_seconds
from tidal_core.engine.training import Training
from tidal_core.errors import OutOfMemory
from tidal_core.projects import Project
from tidal_core.rounds import foreseen
from tidal_core.rounds.features import SPEED
from tidal_core.rounds.foreseen import foresee_first_round, sentences
from tidal_core.rounds.worker import Worker


def test_nothing_is_said_that_nobody_measured(project: Project) -> None:
    assert sentences(project) == []


def test_the_first_round_is_timed_once_for_each_training(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(
        foreseen, "first_round_seconds", lambda config, side, *_, **__: asked.append(side) or 7.3 * len(asked)
    )

    foresee_first_round(project)
    foresee_first_round(project)
    assert sentences(project) == ["The first round trains for about 7.3 s."]

    project.store.settings.save(replace(project.settings, training_size=40))
    assert sentences(project) == []
    foresee_first_round(project)

    assert asked[1:] == [40]
    assert sentences(project) == ["The first round trains for about 15 s."]


def test_features_are_foreseen_where_the_body_is_frozen(project: Project) -> None:
    project.store.settings.set(SPEED, "2")
    assert sentences(project) == []

    project.store.settings.save(replace(project.settings, preset="frozen"))

    n = project.store.images.count()
    assert sentences(project) == [f"Looking at all {n} images once takes about {n / 2:.0f} s here."]


def test_a_trial_that_fails_is_not_made_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def fail(*_: object, **__: object) -> float:
        asked.append(1)
        raise OutOfMemory("the images do not fit")

    monkeypatch.setattr(foreseen, "first_round_seconds", fail)

    foresee_first_round(project)
    foresee_first_round(project)

    assert asked == [1]
    assert sentences(project) == []


@pytest.mark.parametrize("config", [FROZEN, QUICK])
def test_a_round_is_timed_by_some_of_its_steps(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    epochs: list[int] = []
    step = Training.__next__
    monkeypatch.setattr(Training, "__next__", lambda training: epochs.append(1) or step(training))

    assert first_round_seconds(config, 16, 3, 10) > 0

    assert len(epochs) == 1 + STEPS


def test_the_worker_foresees_the_first_round(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreseen, "first_round_seconds", lambda *_, **__: 3.0)
    worker = Worker(lambda: [project])
    worker.start()
    try:
        assert sentences(project) == []  # nobody has looked at an image yet
        worker.expect_rounds()
        worker.wake()
        wait_for(lambda: sentences(project) == ["The first round trains for about 3.0 s."])
    finally:
        assert worker.stop(WAIT_SECONDS)
