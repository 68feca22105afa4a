"""Plays the runs of an experiment that are not finished, as many processes at once as wanted.

Runs are executed run number by run number, so that all configurations have the same number of runs whenever one looks;
one job plays a round of each configuration in turn, so that they have the same number of rounds, too.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator

from tidal_core.errors import InputError, TidalError
from tidal_core.experiments.datasets import Dataset
from tidal_core.experiments.files import Experiment, read
from tidal_core.experiments.frozen import Say, compute_features
from tidal_core.experiments.protocol import Configuration
from tidal_core.experiments.runs import Run, execute
from tidal_core.ownership import UNKNOWN, owner_of, owning

_LOOK_SECONDS = 0.2  # between two looks at whether the process that it works for is still there


def runs_of(experiment: Experiment, dataset: Dataset) -> list[Run]:
    """All its runs, finished or not, in the order to execute them; none of ``unknown_configurations``."""
    spec = experiment.spec
    unknown = unknown_configurations(experiment)
    return [
        Run(dataset, spec.protocol, Configuration.parse(configuration), imbalance, number, experiment.folder / "runs")
        for number in range(spec.runs)
        for imbalance in spec.imbalances
        for configuration in spec.configurations
        if configuration not in unknown
    ]


def unknown_configurations(experiment: Experiment) -> dict[str, str]:
    """Configurations that cannot be played here, with the reason: of a package that is not installed any more."""
    reasons = {}
    for configuration in experiment.spec.configurations:
        try:
            Configuration.parse(configuration)
        except InputError as error:
            reasons[configuration] = str(error)
    return reasons


def finished_rounds(run: Run) -> int:
    """How many rounds the run's file holds."""
    lines = read(run.file)
    return len(lines.rounds) if lines else 0


def execute_all(experiment: Experiment, dataset: Dataset, *, jobs: int = 1, say: Say = print) -> int:
    """Play every run that is not finished, ``jobs`` at once, also those that are added meanwhile; returns how many.

    The features that the runs train on, if they do, are computed first: once, for all of them.
    The processes that work for this one stop when it is killed: whoever goes on must not find them still writing.
    A run that cannot be executed holds up no other: InputError names it after all are done.
    """
    with owning(experiment.folder):
        started: set[str] = set()
        failed: list[str] = []
        if _unfinished(experiment, dataset):
            compute_features(dataset, experiment.spec.protocol, say=say)
        while unfinished := [run for run in _unfinished(experiment, dataset) if run.stem not in started]:
            started |= {run.stem for run in unfinished}
            if jobs == 1 or len(unfinished) < 2:
                failures = [failure for runs in _by_number(unfinished) for failure in _execute_in_turn(runs, say)]
            else:
                from joblib import Parallel, delayed

                workers = Parallel(n_jobs=jobs, initializer=_end_with, initargs=(os.getpid(),))
                failures = workers(delayed(_play_for)(os.getpid(), experiment, run, say) for run in unfinished)
            failed += filter(None, failures)
        for configuration, reason in unknown_configurations(experiment).items():
            raise InputError(
                f"{len(started) - len(failed)} runs finished. The configuration {configuration!r} cannot be played: "
                f"{reason} Or remove it from the experiment."
            )
        if failed:
            raise InputError(f"{len(failed)} of {len(started)} runs failed. The first: {failed[0]}")
        return len(started)


def _unfinished(experiment: Experiment, dataset: Dataset) -> list[Run]:
    rounds = experiment.spec.protocol.rounds
    return [run for run in runs_of(experiment, dataset) if finished_rounds(run) < rounds]


def _play_for(owner: int, experiment: Experiment, run: Run, say: Say) -> str:
    """As ``_execute``, in a process of its own, for as long as ``owner`` holds the experiment."""

    ended = False

    def forsaken() -> bool:
        nonlocal ended  # kept: another process that looks at the same moment holds the lock itself for an instant
        ended = ended or owner_of(experiment.folder) not in (owner, UNKNOWN)  # a damaged record takes it from nobody
        return ended

    return _execute(run, say, forsaken)


def _end_with(owner: int) -> None:
    """In a process that executes runs: end when ``owner``, which started it, is gone, whatever is under way.

    Also one that was given nothing to execute yet: joblib would keep it, and its memory, for minutes.
    """

    def watch() -> None:
        while os.getppid() == owner:
            time.sleep(_LOOK_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="tidal-owner-watch", daemon=True).start()


def _by_number(runs: list[Run]) -> list[list[Run]]:
    """The runs of each number and imbalance ratio together: those that begin with the same labels."""
    together: dict[tuple[int, float], list[Run]] = {}
    for run in runs:
        together.setdefault((run.number, run.imbalance), []).append(run)
    return list(together.values())


def _execute_in_turn(runs: list[Run], say: Say) -> list[str]:
    """As ``_execute`` of each, a round of every one in turn: who looks on sees them side by side. The one that has the
    fewest labels goes first, so that those that were stopped catch up."""
    left = {run.stem: (finished_rounds(run), _rounds(run, say)) for run in runs}
    failures = []
    while left:
        stem = min(left, key=lambda each: left[each][0])
        done, rounds = left[stem]
        failure = next(rounds, "")
        if failure is None:
            left[stem] = done + 1, rounds
        else:
            failures.append(failure)
            del left[stem]
    return failures


def _execute(run: Run, say: Say, should_stop: Callable[[], bool] | None = None) -> str:
    """Why it could not be executed to its end; empty when it was, or was stopped."""
    return next((failure for failure in _rounds(run, say, should_stop) if failure is not None), "")


def _rounds(run: Run, say: Say, should_stop: Callable[[], bool] | None = None) -> Iterator[str | None]:
    """None after each round; why it could not be executed to its end, last, where that was so."""
    tail = f"imbalance {run.imbalance:g}, " if run.imbalance != 1 else ""
    which = f"{run.configuration.name}, {tail}run {run.number + 1}"
    try:
        for line in execute(run, should_stop=should_stop):
            took = sum(line["seconds"].values())
            say(
                f"{which}, round {line['round']} of {run.protocol.rounds}: "
                f"{line['accuracy']:.1%} with {line['labels']:,} labels, {took:.1f} s"
            )
            yield None
    except TidalError as error:
        say(f"{which}: {error}")
        yield f"{which}: {error}"
