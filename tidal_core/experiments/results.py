"""What the runs of an experiment came to: arrays per configuration and imbalance ratio.

Runs append to a file each; whoever looks merges what is new into ``experiments.duckdb`` and reads it from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tidal_core.experiments.files import Experiment, read
from tidal_core.experiments.statistics import check_same_labels
from tidal_core.records import Float64, Int64
from tidal_core.store.experiments import RunFile, Stamp, opened

DATABASE = "experiments.duckdb"

Metric = Literal["accuracy", "balanced_accuracy", "validation_accuracy"]


@dataclass(frozen=True)
class Results:
    """Everything measured so far."""

    name: str
    dataset: str
    labels: Int64  # (P,) of each round
    configurations: tuple[str, ...]  # in the order of the specification, those that have at least one round
    imbalances: tuple[float, ...]
    rounds: Mapping[tuple[str, float], tuple[tuple[dict[str, Any], ...], ...]]  # by run, by round
    machines: tuple[Mapping[str, Any], ...]  # on which rounds were executed, in the order of the runs
    codes: tuple[str | None, ...]  # versions of the code that executed them; None for one that did not note it

    def values(self, configuration: str, imbalance: float, metric: Metric = "accuracy") -> Float64:
        """(R, P), NaN where a run has not come that far; runs keep their number: rows pair between configurations."""
        runs = self.rounds.get((configuration, imbalance), ())
        measured = np.full((len(runs), len(self.labels)), np.nan)
        for row, rounds in enumerate(runs):
            for position, line in enumerate(rounds):
                measured[row, position] = line.get(metric, np.nan)
        return measured

    def setting(self, imbalance: float, metric: Metric = "accuracy") -> dict[str, Float64]:
        """Every configuration's values at one imbalance ratio."""
        return {
            configuration: self.values(configuration, imbalance, metric)
            for configuration in self.configurations
            if (configuration, imbalance) in self.rounds
        }

    def finished(self, configuration: str, imbalance: float) -> int:
        """Runs that have all their rounds."""
        return sum(len(rounds) == len(self.labels) for rounds in self.rounds.get((configuration, imbalance), ()))

    def seconds(self, configuration: str, imbalance: float, part: str) -> float:
        """Median seconds a round for "train", "score", "choose" or "test"; NaN where it was not done."""
        durations = [
            line["seconds"][part]
            for rounds in self.rounds.get((configuration, imbalance), ())
            for line in rounds
            if part in line["seconds"]
        ]
        return float(np.median(durations)) if durations else float("nan")


def forget(experiment: Experiment) -> None:
    """Drop everything of an experiment from ``experiments.duckdb``."""
    if not (experiment.folder.parent / DATABASE).exists():
        return
    with opened(experiment.folder.parent / DATABASE) as stored:
        stored.forget(experiment.name, list(stored.stamps(experiment.name)))


def merged(experiment: Experiment) -> list[RunFile]:
    """Take what is new in the runs' files into ``experiments.duckdb``, and give back all that it has of them.

    What a file holds replaces what was merged of it before, so that merging twice changes nothing; a merge that was
    killed is made up for by the next. The last line of a run that was killed is left out until it is whole.
    """
    with opened(experiment.folder.parent / DATABASE) as stored:
        known = stored.stamps(experiment.name)
        files = {file.name: file for file in sorted((experiment.folder / "runs").glob("*.jsonl"))}
        for name, file in files.items():
            status = file.stat()  # before it is read: what is written meanwhile is merged the next time
            stamp = Stamp(status.st_size, status.st_mtime_ns)
            if known.get(name) == stamp:
                continue
            lines = read(file)
            if lines is not None:
                stored.merge(experiment.name, name, stamp, RunFile(lines.header, tuple(lines.rounds)))
        gone = sorted(known.keys() - files.keys())
        if gone:
            stored.forget(experiment.name, gone)
        return stored.of(experiment.name)


def read_results(experiment: Experiment) -> Results:
    """What is there now, finished or not. Runs that have not begun are empty."""
    spec = experiment.spec
    runs_by_setting: dict[tuple[str, float], list[tuple[dict[str, Any], ...]]] = {}
    machines: list[dict[str, Any]] = []
    codes: list[str | None] = []
    for header, rounds in merged(experiment):
        for line in rounds:
            machine_source = line.get("machine", header)
            machine = {key: machine_source.get(key) for key in ("device", "hardware", "cores", "versions")}
            if machine not in machines:
                machines.append(machine)
        if rounds and header.get("code") not in codes:
            codes.append(header.get("code"))
        runs = runs_by_setting.setdefault((header["configuration"], header["imbalance"]), [])
        number = header["run"]
        runs.extend([()] * (number + 1 - len(runs)))
        runs[number] = rounds
    labels = [
        np.array([line["labels"] for line in rounds], np.int64)
        for runs in runs_by_setting.values()
        for rounds in runs
        if rounds
    ]
    begun = {key: tuple(runs) for key, runs in runs_by_setting.items() if any(runs)}
    return Results(
        experiment.name,
        spec.dataset,
        check_same_labels(labels) if labels else np.empty(0, np.int64),
        tuple(configuration for configuration in spec.configurations if any(key[0] == configuration for key in begun)),
        tuple(ratio for ratio in spec.imbalances if any(key[1] == ratio for key in begun)),
        begun,
        tuple(machines),
        tuple(codes),
    )
