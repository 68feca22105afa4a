"""Taking back: configurations and runs of an experiment, or all of it. Nobody may be at work on it then."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Collection
from pathlib import Path

from tidal_core import files
from tidal_core.errors import InputError
from tidal_core.experiments.files import Experiment, file_stem
from tidal_core.experiments.results import forget
from tidal_core.ownership import owning


def shorten(experiment: Experiment, *, without: Collection[str] = (), runs: int | None = None) -> None:
    """Leave out configurations, and all runs but the first ``runs``, with what they measured.

    Raises InputError while another process works on it, for a configuration that it has not, and when nothing is left.
    """
    with owning(experiment.folder):
        before = experiment.spec
        unknown = sorted(set(without) - set(before.configurations))
        if unknown:
            raise InputError(
                f"The experiment {experiment.name!r} has no configuration {unknown[0]!r}; it has "
                f"{', '.join(before.configurations)}."
            )
        left = tuple(name for name in before.configurations if name not in without)
        n_runs = before.runs if runs is None else min(runs, before.runs)
        if not left or n_runs < 1:
            raise InputError(f"Nothing would be left of {experiment.name!r}; remove the whole experiment instead.")
        spec = dataclasses.replace(before, configurations=left, runs=n_runs)
        files.write(experiment.folder / "spec.json", spec.to_json(), durable=True)
        kept = {file_stem(name) for name in left}
        for file in _of_runs(experiment.folder / "runs"):
            match = re.fullmatch(r"(.+)--ir.+--run(\d+)\..+", file.name)
            if match is not None and (match[1] not in kept or int(match[2]) >= n_runs):
                file.unlink()


def remove(experiment: Experiment) -> None:
    """Delete an experiment with everything that it measured.

    Raises InputError while another process works on it, and where there is none of this name.
    """
    if not (experiment.folder / "spec.json").exists():
        raise InputError(f"There is no experiment {experiment.name!r} in {experiment.folder.parent}; check the name.")
    with owning(experiment.folder):
        (experiment.folder / "spec.json").unlink()  # first: what a crash leaves is no experiment any more
        shutil.rmtree(experiment.folder)
    forget(experiment)


def _of_runs(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*--run*") if path.is_file()]
