"""Plays the runs of an experiment that are not finished, as many processes at once as wanted.

Runs are played run number by run number, so that all arms have the same number of runs whenever one looks.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from tidal_core.experiments.datasets import Dataset
from tidal_core.experiments.files import Experiment, read
from tidal_core.experiments.owner import owner_of, owning
from tidal_core.experiments.protocol import Arm
from tidal_core.experiments.runs import Run, play

Say = Callable[[str], None]


def runs_of(experiment: Experiment, dataset: Dataset) -> list[Run]:
    """All its runs, finished or not, in the order to play them."""
    spec = experiment.spec
    return [
        Run(dataset, spec.protocol, Arm.parse(arm), imbalance, number, experiment.folder / "runs")
        for number in range(spec.runs)
        for imbalance in spec.imbalances
        for arm in spec.arms
    ]


def finished_rounds(run: Run) -> int:
    """How many rounds the run's file holds."""
    lines = read(run.file)
    return len(lines.rounds) if lines else 0


def play_all(experiment: Experiment, dataset: Dataset, *, jobs: int = 1, say: Say = print) -> int:
    """Play every run that is not finished, ``jobs`` at once, also those that are added meanwhile; how many were played.

    The processes that play for this one stop when it is killed: whoever goes on must not find them still writing.
    """
    with owning(experiment.folder):
        played: set[str] = set()
        while left := [run for run in _unfinished(experiment, dataset) if run.stem not in played]:
            played |= {run.stem for run in left}
            if jobs == 1 or len(left) < 2:
                for run in left:
                    _play(run, say)
            else:
                from joblib import Parallel, delayed

                Parallel(n_jobs=jobs)(delayed(_play_for)(os.getpid(), experiment, run, say) for run in left)
        return len(played)


def _unfinished(experiment: Experiment, dataset: Dataset) -> list[Run]:
    rounds = experiment.spec.protocol.rounds
    return [run for run in runs_of(experiment, dataset) if finished_rounds(run) < rounds]


def _play_for(owner: int, experiment: Experiment, run: Run, say: Say) -> None:
    """As ``_play``, in a process of its own, for as long as ``owner`` holds the experiment."""

    def forsaken() -> bool:
        return owner_of(experiment.folder) != owner

    _play(run, say, forsaken)
    if forsaken():
        os._exit(1)  # nobody waits for an answer; joblib would keep the process, and its memory, for minutes


def _play(run: Run, say: Say, should_stop: Callable[[], bool] | None = None) -> None:
    for line in play(run, should_stop=should_stop):
        took = sum(line["seconds"].values())
        tail = f"imbalance {run.imbalance:g}, " if run.imbalance != 1 else ""
        say(
            f"{run.arm.name}, {tail}run {run.number + 1}, round {line['round']} of {run.protocol.rounds}: "
            f"{line['accuracy']:.1%} with {line['labels']:,} labels, {took:.1f} s"
        )
