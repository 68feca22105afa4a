"""The background thread runs rounds when they are due, and lets go when it is told to."""

import time
from collections.abc import Callable, Iterator

import pytest

from tests.helpers.tiny import label_next, tiny_project
from tidal_core.projects import Project
from tidal_core.records import RoundState
from tidal_core.rounds.queue_plan import fill_queue
from tidal_core.rounds.worker import Worker

pytestmark = pytest.mark.usefixtures("short_rounds")


@pytest.fixture
def project() -> Iterator[Project]:
    made = tiny_project()
    fill_queue(made)
    yield made
    made.close()


@pytest.fixture
def worker(project: Project) -> Iterator[Worker]:
    made = Worker(lambda: [project])
    made.start()
    yield made
    made.stop()


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_a_round_starts_by_itself_after_enough_labels(project: Project, worker: Worker) -> None:
    label_next(project, 6)
    worker.wake()
    wait_for(lambda: project.store.rounds.latest(RoundState.DONE) is not None)
    assert project.store.rounds.get(1).started_by == "labels"
    wait_for(lambda: worker.progress(project.slug) is None)


def test_a_person_may_start_one_earlier(project: Project, worker: Worker) -> None:
    label_next(project, 3)
    worker.ask(project.slug)
    wait_for(lambda: project.store.rounds.latest(RoundState.DONE) is not None)
    assert project.store.rounds.get(1).started_by == "person"


def test_a_cancelled_round_ends_and_does_not_start_again(project: Project, worker: Worker) -> None:
    label_next(project, 6)
    worker.wake()
    wait_for(lambda: project.store.rounds.active() is not None)
    worker.cancel(project.slug)
    wait_for(lambda: project.store.rounds.active() is None)
    assert project.store.rounds.get(1).state is RoundState.CANCELLED
    worker.wake()
    time.sleep(0.3)
    assert len(project.store.rounds.all()) == 1


def test_a_round_that_fails_says_why_and_the_worker_lives(project: Project, worker: Worker) -> None:
    project.pixels.unlink()
    label_next(project, 6)
    worker.wake()
    wait_for(lambda: project.store.rounds.latest(RoundState.FAILED) is not None)
    error = project.store.rounds.get(1).error
    assert error is not None
    assert "pixels" in error
    assert worker.alive


def test_a_stopped_worker_leaves_the_round_to_be_taken_up_again(project: Project, worker: Worker) -> None:
    label_next(project, 6)
    worker.wake()
    wait_for(lambda: len(project.store.epochs.of(1)) >= 1)
    began = time.monotonic()
    assert worker.stop()
    assert time.monotonic() - began < 5
    if project.store.rounds.get(1).state is not RoundState.DONE:
        second = Worker(lambda: [project])
        second.start()
        wait_for(lambda: project.store.rounds.get(1).state is RoundState.DONE)
        second.stop()
    assert len(project.store.rounds.all()) == 1
