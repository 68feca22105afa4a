"""Plays the runs of an experiment that are not finished, as many at once as wanted, here or on other machines.

Runs are executed run number by run number, so that all configurations have the same number of runs whenever one looks;
one job plays a round of each configuration in turn, so that they have the same number of rounds, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tidal_core.engine.backbones import stage_channels
from tidal_core.engine.executors import LOCAL, Executor, LocalExecutor, Memory, Watch
from tidal_core.engine.executors.base import PROCESS_BYTES, activation_bytes
from tidal_core.engine.scoring import block_size
from tidal_core.errors import InputError, TidalError
from tidal_core.experiments.datasets import Dataset
from tidal_core.experiments.files import Experiment, read
from tidal_core.experiments.frozen import Say, compute_features
from tidal_core.experiments.protocol import Configuration, Protocol
from tidal_core.experiments.runs import Run, execute
from tidal_core.ownership import UNKNOWN, Owner, announced, owner_of, owning


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


def execute_all(
    experiment: Experiment, dataset: Dataset, *, jobs: int = 1, say: Say = print, executor: Executor | None = None
) -> int:
    """Play every run that is not finished, also those that are added meanwhile; returns how many.

    ``executor``: where; default processes of this machine, ``jobs`` at once. The features that the runs train on, if
    they do, are computed first: once, for all of them.
    The processes that work for this one stop when it is killed: whoever goes on must not find them still writing.
    A run that cannot be executed holds up no other: InputError names it after all are done.
    """
    executor = executor or LocalExecutor(jobs)
    with owning(experiment.folder):
        started: set[str] = set()
        failed: list[str] = []
        if _unfinished(experiment, dataset):
            where = executor if executor.far else LOCAL
            compute_features(dataset, experiment.spec.protocol, say=say, executor=where)
        while unfinished := [run for run in _unfinished(experiment, dataset) if run.stem not in started]:
            started |= {run.stem for run in unfinished}
            if isinstance(executor, LocalExecutor) and (executor.processes == 1 or len(unfinished) < 2):
                failures = [failure for runs in _by_number(unfinished) for failure in _execute_in_turn(runs, say)]
            else:
                failures = _execute_beside(experiment, dataset, unfinished, executor, say)
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


@dataclass(frozen=True)
class Playing:
    """The work (``executors``) of playing runs; a task is a run, its result why it failed, or empty.

    A worker writes the run's file itself, in the experiment's folder, which all machines must share.
    """

    folder: Path  # the experiment's
    owner: Owner | None  # who holds the folder; None where it could not be written down
    dataset: Dataset
    protocol: Protocol
    say: Say | None  # None where nobody would see it
    ahead: int = 0

    @property
    def threads(self) -> int:
        """torch's."""
        return self.protocol.threads

    @property
    def folders(self) -> tuple[Path, ...]:
        """The experiment's, and that of the images."""
        return self.folder, self.dataset.features.parent

    def memory(self, n_images: int) -> Memory:
        """What a worker takes: the labelled images, and training keeps three times what a pass forward does."""
        train, protocol = self.protocol.train, self.protocol
        labels = min(n_images, protocol.first + protocol.per_round * protocol.rounds)
        if train.body == "frozen":
            rows = labels + block_size(frozen=True)
            return Memory(PROCESS_BYTES + rows * sum(stage_channels(train.backbone)) * 8, 2**10, 0)
        side = self.dataset.side
        pixels = labels * side * side * 3
        return Memory(PROCESS_BYTES + pixels + 3 * activation_bytes(train.batch_size, side), 2**10, 0)

    def open(self) -> Callable[[Run, Watch], str]:
        """See ``executors.Work``."""
        return self._play

    def _play(self, run: Run, watch: Watch) -> str:
        """As ``_execute``, for as long as the owner holds the experiment."""
        ended = False

        def forsaken() -> bool:
            nonlocal ended  # kept: another process that looks at the same moment holds the lock itself for an instant
            ended = ended or self._taken_over()
            return ended

        return _execute(run, self.say or (lambda _: None), forsaken)

    def _taken_over(self) -> bool:
        if self.say is None:  # on another machine: Ray ends it with its owner, and a lock may not reach so far
            now = announced(self.folder)
            return now is not None and self.owner is not None and now != self.owner
        # A damaged record takes it from nobody.
        return self.owner is not None and owner_of(self.folder) not in (self.owner.pid, UNKNOWN)


def _execute_beside(
    experiment: Experiment, dataset: Dataset, runs: list[Run], executor: Executor, say: Say
) -> list[str]:
    """As ``_execute`` of each, several at once."""
    followed = _Followed(runs)
    watch = Watch(say=say, meanwhile=lambda: followed.tell(say))
    work = Playing(
        experiment.folder,
        announced(experiment.folder),
        dataset,
        experiment.spec.protocol,
        None if executor.far else say,
    )
    n_images = len(dataset.pool_rows) + len(dataset.test_rows)
    failures = [""] * len(runs)
    for position, failure in executor.run(work, runs, n_images, watch):
        if executor.far and failure:
            say(failure)
        failures[position] = failure
    if executor.far:
        followed.tell(say)
    return failures


class _Followed:
    """Tells of rounds that other machines finish, by the runs' files."""

    def __init__(self, runs: list[Run]) -> None:
        self._seen = {run.stem: finished_rounds(run) for run in runs}
        self._sizes = {run.stem: _size(run) for run in runs}
        self._runs = runs

    def tell(self, say: Say) -> None:
        """Say what came since the last look."""
        for run in self._runs:
            size = _size(run)
            if size == self._sizes[run.stem]:
                continue
            self._sizes[run.stem] = size
            lines = read(run.file)
            rounds = [] if lines is None else lines.rounds
            for line in rounds[self._seen[run.stem] :]:
                say(_in_words(run, line))
            self._seen[run.stem] = len(rounds)


def _size(run: Run) -> int:
    return run.file.stat().st_size if run.file.exists() else 0


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
    try:
        for line in execute(run, should_stop=should_stop):
            say(_in_words(run, line))
            yield None
    except TidalError as error:
        failure = f"{_name_of(run)}: {error}"
        say(failure)
        yield failure


def _name_of(run: Run) -> str:
    tail = f"imbalance {run.imbalance:g}, " if run.imbalance != 1 else ""
    return f"{run.configuration.name}, {tail}run {run.number + 1}"


def _in_words(run: Run, line: dict[str, Any]) -> str:
    """A finished round."""
    return (
        f"{_name_of(run)}, round {line['round']} of {run.protocol.rounds}: {line['accuracy']:.1%} with "
        f"{line['labels']:,} labels, {sum(line['seconds'].values()):.1f} s"
    )
