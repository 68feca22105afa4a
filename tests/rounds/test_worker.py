"""The background thread runs rounds when they are due, and lets go when it is told to."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.gates import WAIT_SECONDS, RoundGate, wait_for
from tests.helpers.tiny import label_next
from tidal_core.projects import Project
from tidal_core.records import RoundState
from tidal_core.rounds.worker import Worker

pytestmark = pytest.mark.usefixtures("short_rounds")


class Visited(Worker):
    """A worker that counts how often it has looked at its project."""

    def __init__(self, project: Project) -> None:
        self.visits = 0
        super().__init__(lambda: self._counted(project))

    def _counted(self, project: Project) -> list[Project]:
        self.visits += 1
        return [project]


@pytest.fixture
def worker(project: Project) -> Iterator[Visited]:
    visited = Visited(project)
    visited.start()
    yield visited
    assert visited.stop(WAIT_SECONDS)


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RoundGate:
    """Holds rounds after their second epoch."""
    gate = RoundGate(tmp_path / "gate", epochs=2)
    gate.install(monkeypatch)
    return gate


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


def test_a_cancelled_round_ends_and_does_not_start_again(project: Project, gate: RoundGate, worker: Visited) -> None:
    label_next(project, 6)
    worker.wake()
    gate.wait_held(2)
    worker.cancel(project.slug)
    wait_for(lambda: project.store.rounds.active() is None)
    assert project.store.rounds.get(1).state is RoundState.CANCELLED
    before = worker.visits
    worker.wake()
    wait_for(lambda: worker.visits >= before + 2)  # one look at the project began and ended after the call
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


def test_a_stopped_worker_leaves_the_round_to_be_taken_up_again(
    project: Project, gate: RoundGate, worker: Visited
) -> None:
    label_next(project, 6)
    worker.wake()
    gate.wait_held(2)

    assert worker.stop(WAIT_SECONDS)
    assert project.store.rounds.get(1).state is RoundState.TRAINING
    gate.release()
    restarted = Worker(lambda: [project])
    restarted.start()
    wait_for(lambda: project.store.rounds.get(1).state is RoundState.DONE)
    assert restarted.stop(WAIT_SECONDS)

    assert len(project.store.rounds.all()) == 1
    assert [epoch.record.epoch for epoch in project.store.epochs.of(1)] == list(range(1, 41))


IDLE = """
import sys, threading
import tidal_core.rounds.worker as module
module.POLL_SECONDS = 0.01
looks = threading.Semaphore(0)
def projects():
    looks.release()
    return []
def three_looks():
    for _ in range(3):
        looks.acquire()
worker = module.Worker(projects)
worker.start()
three_looks()
early = "torch" in sys.modules
worker.expect_rounds()
while looks.acquire(blocking=False):  # those from before
    pass
three_looks()
late = {"torch", "tidal_core.rounds.run"} <= sys.modules.keys()
import torch
before = set(sys.modules)
parameter = torch.nn.Parameter(torch.ones(2))
optimizer = torch.optim.AdamW([parameter], fused=True)
parameter.grad = torch.ones(2)
optimizer.step()
worker.stop()
print(early, late, len(set(sys.modules) - before))
"""


def test_what_a_round_needs_is_loaded_in_a_quiet_moment_once_images_are_looked_at() -> None:
    ended = subprocess.run([sys.executable, "-c", IDLE], capture_output=True, text=True, check=True)

    assert ended.stdout.split() == ["False", "True", "0"]
