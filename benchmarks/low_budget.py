"""Which strategy asks best with 1 to 20 labels a class: ``python -m benchmarks.low_budget [options] [--quick]``.

Every data set with every start and batch size is an experiment below ``--home`` (default: the studio's), and goes
on where it was; runs come ten at a time over all experiments, so that a comparison that is cut off is even. A run has a
pool and test images of its own (flowers: 150 of 350). The strategies share a run's first labels, as many as
there are classes. ``--prepare`` computes features and ends; ``experiments/data`` can then be carried
without its ``pixels.npy``.

For each experiment, in points of the mean accuracy over 1 to 7 labels a class, run by run: ``to_random`` and
``to_best_other`` of the default, each with the lower end of its 95 % interval (``_low``). Tables: ``low_budget.md``.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from pathlib import Path

from benchmarks.engine import say
from benchmarks.round_time import SHARED
from tidal_core import files
from tidal_core.config import FROZEN_STRATEGY
from tidal_core.experiments import datasets, low_budget
from tidal_core.experiments.datasets import Dataset
from tidal_core.experiments.files import Experiment, Spec, begin
from tidal_core.experiments.frozen import compute_features
from tidal_core.experiments.protocol import STARTS, Protocol
from tidal_core.experiments.report import write
from tidal_core.experiments.results import read_results
from tidal_core.experiments.running import execute_all
from tidal_core.projects import home, slugify

SETS = ("folder:flowers", "cifar10:3000,1000", "mnist:2000,1000", "digits")
HELD_OUT = {"folder:flowers": 150, "cifar10:3000,1000": 1_000, "mnist:2000,1000": 1_000, "digits": 500}
ARMS = ("random", "margin", FROZEN_STRATEGY, "maxherding", "typiclust")
AT_ONCE = 10  # runs of each configuration before the next experiment has its turn
FRESH = 10_000  # the first seed of what is compared; choices are made by others


def protocol_for(dataset: Dataset, start: str, batch: int, per_class: int, first_seed: int) -> Protocol:
    """From one label a class (a batch, if that is more) to ``per_class`` of them."""
    first = dataset.n_classes
    everything = len(dataset.pool_rows) + len(dataset.test_rows)
    held_out = min(HELD_OUT.get(dataset.name, everything), everything // 3 + everything // 10)
    most = min(per_class * first, everything - held_out)
    return low_budget.PROTOCOL.changed(
        first=first,
        per_round=batch,
        rounds=1 + max(1, (most - first) // batch),
        held_out=held_out,
        start=start,
        first_seed=first_seed,
    )


def play(options: argparse.Namespace, where: Path) -> list[tuple[str, Dataset, Experiment]]:
    """Every experiment, played as far as it was asked for."""
    begun: dict[str, tuple[Dataset, Protocol]] = {}
    for name in options.data:
        dataset = datasets.prepare(name, where / "experiments" / "data", Path(options.files))
        for start in options.start:
            for batch in options.batch:
                protocol = protocol_for(dataset, start, batch, options.per_class, options.first_seed)
                if options.quick:
                    short = dataclasses.replace(protocol.train, epochs=4, min_steps=0)
                    protocol = protocol.changed(train=short, enlarge_to=32)
                compute_features(dataset, protocol, say=print)
                begun[f"low {name} {start} by {batch} from {options.first_seed}"] = dataset, protocol
    if options.prepare:
        return []
    played = {}
    for runs in [*range(AT_ONCE, options.runs, AT_ONCE), options.runs]:
        for title, (dataset, protocol) in begun.items():
            spec = Spec(dataset.name, protocol, options.arms, runs=runs, title=title)
            experiment = begin(where, slugify(title), spec, dataset)
            if not options.report_only:
                execute_all(experiment, dataset, jobs=options.jobs, say=print)
            played[title] = dataset, experiment
    return [(title, dataset, experiment) for title, (dataset, experiment) in played.items()]


def main() -> None:
    """Play, write the tables, and print one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=SETS, help="as for the command experiment")
    parser.add_argument("--arms", nargs="+", default=ARMS, help="configurations, among them random; oracle, too")
    parser.add_argument("--against", default=FROZEN_STRATEGY, help="the default that the others are measured by")
    parser.add_argument("--batch", nargs="+", type=int, default=[10], help="labels a round")
    parser.add_argument("--start", nargs="+", choices=list(STARTS), default=["classes"])
    parser.add_argument("--per-class", type=int, default=20, help="labels a class at the end")
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--first-seed", type=int, default=FRESH)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--home", default=None, help="where experiments lie (default: the studio's home)")
    parser.add_argument("--files", default=str(SHARED), help="folder with the data sets' files")
    parser.add_argument("--prepare", action="store_true", help="compute the features and end")
    parser.add_argument("--report-only", action="store_true", help="run nothing; write the tables of what there is")
    parser.add_argument("--quick", action="store_true", help="a moment with small digits, to see that it runs")
    options = parser.parse_args()
    options.arms = tuple(options.arms)
    with tempfile.TemporaryDirectory(prefix="tidal-benchmark-") as folder:
        if options.quick:
            options.data, options.arms = ("digits:60,30",), ("random", FROZEN_STRATEGY)
            options.runs, options.jobs = 2, 1
            options.per_class = 2
        where = Path(folder if options.quick else options.home or home())
        compared = []
        for title, dataset, experiment in play(options, where):
            results = read_results(experiment)
            write(results, experiment.folder)
            compared.append(low_budget.Compared(title, results, dataset.n_classes, options.against))
        if compared:
            files.write(where / "low_budget.md", low_budget.markdown(compared))
        say("low_budget", options, experiments={each.title: low_budget.verdict(each) for each in compared})


if __name__ == "__main__":
    main()
