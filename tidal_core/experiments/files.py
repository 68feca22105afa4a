"""What an experiment is on disk. No torch: pages read it while another process executes runs.

experiments/<name>/spec.json     what is compared
experiments/<name>/runs/*.jsonl  a file per run, written by whoever executes it: a header, then a line per round
experiments/<name>/owner.json    who executes it now, see ``ownership``; owner.lock is what proves it
experiments/experiments.duckdb   all of it in one file, merged from the runs' files whenever one looks
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidal_core import files, json_checks
from tidal_core.errors import InputError, reason_of
from tidal_core.experiments.datasets import Dataset
from tidal_core.experiments.protocol import Configuration, Protocol, asker, start_of
from tidal_core.experiments.starts import check_start
from tidal_core.ownership import owner_of


@dataclass(frozen=True)
class Spec:
    """What an experiment compares."""

    dataset: str
    protocol: Protocol
    configurations: tuple[str, ...]
    imbalances: tuple[float, ...] = (1.0,)
    runs: int = 5
    title: str = ""  # as a person typed it; the folder's name is made of it

    def to_json(self) -> str:
        """Readable JSON, equal for equal specifications."""
        return json.dumps(asdict(self), indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> Spec:
        """What ``to_json`` wrote, of this version or an earlier one. Raises InputError for anything else."""
        values = json_checks.decode(text, dict[str, Any])
        if "arms" in values:  # what earlier versions called them
            values["configurations"] = values.pop("arms")
        return json_checks.convert(values, cls, unknown="refuse")


@dataclass(frozen=True)
class Experiment:
    """A named comparison in its folder."""

    folder: Path

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def spec(self) -> Spec:
        """What it compares; InputError where nothing was begun, or what was written of it is damaged."""
        file = self.folder / "spec.json"
        try:
            return Spec.from_json(file.read_bytes())
        except FileNotFoundError as error:
            raise InputError(
                f"There is no experiment {self.name!r} in {self.folder.parent}; check the name, or start it first."
            ) from error
        except InputError as error:
            raise InputError(
                f"{file} cannot be read: {error} Correct the file, or delete it and start the experiment again "
                "under the same name: its finished runs are kept."
            ) from error

    @property
    def title(self) -> str:
        """What people call it; its folder's name where nobody gave another or the specification is damaged."""
        try:
            return self.spec.title or self.name
        except InputError:
            return self.name

    @property
    def owner(self) -> int | None:
        """The process that executes it now; None when nobody does."""
        return owner_of(self.folder)


def experiments(home: Path) -> list[Experiment]:
    """All experiments below ``home``, by name."""
    return [Experiment(path.parent) for path in sorted((home / "experiments").glob("*/spec.json"))]


def file_stem(configuration: str) -> str:
    """What the names of its runs' files begin with."""
    return configuration.replace("/", "-by-").replace("+", "-with-")


def begin(home: Path, name: str, spec: Spec, dataset: Dataset | None = None) -> Experiment:
    """The experiment of this name, made or extended: configurations, imbalance ratios and runs may be added later.

    Everything is checked before anything is written. Raises InputError for a name that is no folder's, for a
    configuration that is unknown or not trainable, when it was begun with another data set or protocol, and, where the
    ``dataset`` is at hand, for more labels than it has.
    """
    if not name.strip(".") or set(name) & set("/\\"):
        raise InputError(
            f"{name!r} cannot be the name of an experiment, because its folder gets that name; leave out / and \\."
        )
    for configuration in spec.configurations:
        Configuration.parse(configuration).check(spec.protocol)
    if not spec.configurations or spec.runs < 1 or not spec.imbalances:
        raise InputError("An experiment needs at least one strategy, one imbalance ratio and one run.")
    if min(spec.imbalances) < 1:
        raise InputError(
            f"The imbalance ratio is {min(spec.imbalances):g}; choose at least 1: 1 is balanced, 10 leaves the last "
            "class a tenth."
        )
    if dataset is not None:
        _check_size(spec, dataset)
    experiment = Experiment(home / "experiments" / name)
    file = experiment.folder / "spec.json"
    if file.exists():
        before = experiment.spec
        if (before.dataset, before.protocol) != (spec.dataset, spec.protocol):
            raise InputError(
                f"The experiment {name!r} exists with another data set or other settings; choose another name."
            )
        spec = Spec(
            spec.dataset,
            spec.protocol,
            tuple(dict.fromkeys(before.configurations + spec.configurations)),
            tuple(dict.fromkeys(before.imbalances + spec.imbalances)),
            max(before.runs, spec.runs),
            before.title or spec.title,
        )
    experiment.folder.mkdir(parents=True, exist_ok=True)
    files.tighten(experiment.folder.parent)
    files.sweep(experiment.folder)
    files.write(file, spec.to_json(), durable=True)
    return experiment


def _check_size(spec: Spec, dataset: Dataset) -> None:
    """Raises InputError where the data set has too few images or classes for what is asked."""
    for imbalance in spec.imbalances:
        start = start_of(
            dataset.labels, dataset.pool_rows, dataset.test_rows, spec.protocol, imbalance, spec.protocol.first_seed
        )
        check_start(start, dataset.n_classes, spec.protocol)
    for name in spec.configurations:
        least = asker(Configuration.parse(name).strategy).least_classes
        if dataset.n_classes < least:
            raise InputError(f"{name} needs {least} classes, and {spec.dataset} has {dataset.n_classes}; leave it out.")


def rounds_done(experiment: Experiment) -> tuple[int, int]:
    """Rounds that are finished, and all that the specification asks for."""
    spec = experiment.spec
    total = len(spec.configurations) * len(spec.imbalances) * spec.runs * spec.protocol.rounds
    runs = (experiment.folder / "runs").glob("*.jsonl")
    lines = sum(max(0, file.read_bytes().count(b"\n") - 1) for file in runs)
    return min(lines, total), total


def last_words(experiment: Experiment) -> str:
    """The last line that the process which executes it said; empty where it said nothing."""
    log = experiment.folder / "log.txt"
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1].strip()[:300] if lines else ""


def cut_off_tail(file: Path) -> None:
    """Drop what follows the last whole line, which would spoil the next one; whole lines are not written anew."""
    text = file.read_bytes()
    whole = text.rfind(b"\n") + 1
    if whole < len(text):
        with file.open("r+b") as out:
            out.truncate(whole)


def pack_right(right: NDArray[np.bool_]) -> str:
    """Which test images are right, (T,), as a round's line keeps it: eight in two hexadecimal digits, in order."""
    return np.packbits(right).tobytes().hex()


def unpack_right(packed: str, tested: int) -> NDArray[np.bool_]:
    """(T,) what ``pack_right`` packed of ``tested`` images. Raises InputError for what is none."""
    try:
        bits = np.frombuffer(bytes.fromhex(packed), np.uint8)
        return np.unpackbits(bits, count=tested).astype(bool)
    except ValueError as error:
        raise InputError(f"{packed[:20]!r} does not say which of {tested} test images are right.") from error


class Lines(NamedTuple):
    """A run's file as far as it goes."""

    header: dict[str, Any]
    rounds: list[dict[str, Any]]


def read(file: Path) -> Lines | None:
    """The file's whole lines; None where there is none. A last line that was cut off is left out.

    Raises InputError for a line that is damaged otherwise.
    """
    if not file.exists():
        return None
    whole = file.read_text(encoding="utf-8").split("\n")[:-1]  # what follows the last line end was cut off
    if not whole:
        return None
    decoded = []
    for number, line in enumerate(whole, start=1):
        try:
            decoded.append(json.loads(line))
        except ValueError as error:
            raise InputError(
                f"{file} is damaged in line {number} "
                f"({reason_of(error)}); delete the file from that line on: the run is "
                "repeated from there."
            ) from error
    header = decoded[0]
    if isinstance(header, dict) and "arm" in header:  # what earlier versions called it
        header["configuration"] = header.pop("arm")
    return Lines(header, decoded[1:])
