"""What a round makes of files that are damaged or gone, and of a disk that is full: it goes on, or says what helps."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.helpers.disks import SmallDisk
from tests.helpers.gates import WAIT_SECONDS, wait_for
from tests.helpers.tiny import label_next, tiny_project
from tidal_core.engine.model import read_tensors, write_tensors
from tidal_core.errors import Stopped
from tidal_core.projects import Project
from tidal_core.records import RoundState
from tidal_core.rounds.due import claim_round
from tidal_core.rounds.queue_plan import fill_queue
from tidal_core.rounds.run import RoundRun
from tidal_core.rounds.worker import Worker

pytestmark = pytest.mark.usefixtures("short_rounds")


def begun(project: Project) -> RoundRun:
    label_next(project, 6)
    record = claim_round(project, started_by="person")
    return RoundRun(project, record, report=lambda _: None, should_stop=lambda: False)


def notes(project: Project) -> list[str]:
    return [line.message for line in project.store.log.last()]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1_000])


def no_numbers(path: Path) -> None:
    tensors, metadata = read_tensors(path)
    write_tensors(path, {name: torch.full_like(value.float(), torch.nan) for name, value in tensors.items()}, metadata)


@pytest.mark.parametrize("damage", [cut, no_numbers])
def test_damaged_weights_of_the_last_round_cost_the_next_one_only_its_start(project: Project, damage: object) -> None:
    first = begun(project)
    first.run()
    damage(first.weights)  # type: ignore[operator]

    begun(project).run()

    assert project.store.rounds.get(2).state is RoundState.DONE
    assert any(
        "Round 2 starts from fresh weights, because those of round 1 are damaged" in note for note in notes(project)
    )


def test_a_round_whose_weights_are_damaged_before_it_has_scored_trains_again(project: Project) -> None:
    work = begun(project)
    work.should_stop = lambda: work.record.state is RoundState.SCORING
    with pytest.raises(Stopped):
        work.run()
    cut(work.weights)

    RoundRun(project, project.store.rounds.get(1), report=lambda _: None, should_stop=lambda: False).run()

    assert project.store.rounds.get(1).state is RoundState.DONE
    assert any("Round 1 trains again, because its weights were lost" in note for note in notes(project))


def test_a_round_whose_checkpoint_is_damaged_starts_again_and_says_so(project: Project) -> None:
    work = begun(project)
    work.resume_file.write_bytes(b"no checkpoint")

    work.run()

    assert project.store.rounds.get(1).state is RoundState.DONE
    assert any("Round 1 starts again from its first epoch" in note for note in notes(project))


def test_a_folder_of_checkpoints_that_is_gone_is_made_again(project: Project) -> None:
    shutil.rmtree(project.checkpoints)

    begun(project).run()

    assert project.store.rounds.get(1).state is RoundState.DONE


def test_a_round_that_is_done_says_so_whatever_cannot_be_tidied_up(project: Project) -> None:
    project.store.settings.save(replace(project.settings, curve_rounds=1))
    (project.checkpoints / "round-0000.safetensors").mkdir()  # which no unlink removes

    begun(project).run()

    assert project.store.rounds.get(1).state is RoundState.DONE
    assert any(note.startswith("Round 1 finished with 6 labels") for note in notes(project))


@pytest.mark.parametrize("leaving", [0, 200_000])
def test_a_round_on_a_full_disk_says_what_helps_and_the_next_one_is_done(disk: SmallDisk, leaving: int) -> None:
    project = tiny_project()
    fill_queue(project)
    label_next(project, 6)
    claim_round(project, started_by="person")
    disk.fill(leaving)
    worker = Worker(lambda: [project])
    worker.start()
    try:
        if leaving:
            wait_for(lambda: project.store.rounds.get(1).state is RoundState.FAILED)
        else:
            wait_for(lambda: worker._unended or worker._told)
        disk.free()
        wait_for(lambda: project.store.rounds.get(1).state.is_active is False)
        record = project.store.rounds.get(1)
        assert record.state is RoundState.FAILED
        assert record.error is not None
        assert "no room left on the disk" in record.error
        assert "Free some space there" in record.error
        assert "press “Train now” on the Training page" in record.error
        worker.ask(project.slug)
        wait_for(lambda: project.store.rounds.latest(RoundState.DONE) is not None)
    finally:
        assert worker.stop(WAIT_SECONDS)
        project.close()
