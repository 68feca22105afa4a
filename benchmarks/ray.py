"""What a Ray cluster brings and costs: ``python -m benchmarks.ray [--images N] [--side N] [--pairs N] [--quick]``.

Frozen features of made-up images (EfficientNet-Lite0, one thread of torch a worker) by the local executor, and by a Ray
of one and of two workers on this machine, in turns, in turns first. ``local``, ``one``, ``two``: images per second from
the moment when all workers have opened the work, medians; ``one_ratio`` and ``two_ratio``: medians of the pairs with
local, with quartiles. ``begin_s``: from the call until all workers have opened; the rest leaves it out.
``task_ms``: what a task that does nothing costs, one worker; ``ray_start_s``: until Ray itself runs. ``same_bytes``:
whether all runs gave the same features. ``load``: of the machine, before and after.

``--quick`` computes two blocks here, twice, by the work as it is and by a copy that was pickled as for a worker, and
lets one worker do empty tasks where Ray is installed. Ray's own start takes 5 seconds of it, more on a busy machine.
"""

from __future__ import annotations

import argparse
import os
import pickle
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.engine import folder, made_up_images, median_ratio, say
from tidal_core.engine.executors import LOCAL, Executor, Memory, Watch
from tidal_core.engine.executors.ray_cluster import RayExecutor
from tidal_core.engine.features.extract import BLOCK, Extraction, Extractor
from tidal_core.engine.published_weights import EFFICIENTNET_LITE0

EMPTY_TASKS = 1_000


@dataclass(frozen=True)
class Nothing:
    """A work whose tasks do nothing."""

    threads: int = 1
    ahead: int = 1
    folders: tuple[Path, ...] = ()

    def memory(self, n_images: int) -> Memory:
        """Next to none."""
        return Memory(2**20, 2**10, 2**10)

    def open(self) -> Callable[[int, Watch], int]:
        """See ``executors.Work``."""
        return lambda number, watch: number


class Measured(NamedTuple):
    """One run of a way to compute."""

    per_second: float
    begin_s: float
    features: bytes


def measured(executor: Executor, work: Extraction, rows: np.ndarray, workers: int) -> Measured:
    """Compute the features of ``rows`` and time it."""
    blocks = [rows[first : first + BLOCK] for first in range(0, len(rows), BLOCK)]
    began, opened, after, features = time.perf_counter(), 0.0, 0, {}
    for position, result in executor.run(work, blocks, len(rows)):
        features[position] = result
        if opened:
            after += len(blocks[position])
        elif not isinstance(executor, RayExecutor) or len(executor.places) == workers:
            opened = time.perf_counter()  # what came until now was begun before
    seconds = time.perf_counter() - opened
    whole = b"".join(features[position].tobytes() for position in range(len(blocks)))
    return Measured(after / seconds, opened - began, whole)


def empty_task_ms(ray: RayExecutor) -> float:
    """Milliseconds of a task that does nothing, from the first one's end on; one worker."""
    ray.workers, began = 1, 0.0
    for number, _ in enumerate(ray.run(Nothing(), list(range(EMPTY_TASKS)), EMPTY_TASKS)):
        if not number:
            began = time.perf_counter()
    return 1_000 * (time.perf_counter() - began) / (EMPTY_TASKS - 1)


def main() -> None:
    """Measure and print one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1_024)
    parser.add_argument("--side", type=int, default=96, help="pixels of the squares")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a few seconds, to see that it runs")
    options = parser.parse_args()
    has_ray, load_before = find_spec("ray") is not None, os.getloadavg()[0]
    found: dict[str, Any] = {"has_ray": has_ray}
    with folder() as scratch, ExitStack() as stack:
        n = 2 * BLOCK if options.quick else options.images
        images = made_up_images(Path(scratch), n, 32 if options.quick else options.side)
        work = Extraction(Extractor(EFFICIENTNET_LITE0.backbone), images.pixels)
        ray = None
        if has_ray:
            began = time.perf_counter()
            ray = stack.enter_context(RayExecutor(workers=2))
            found["ray_start_s"] = round(time.perf_counter() - began, 1)
        if options.quick:
            here, copy = (measured(LOCAL, each, images.rows, 1) for each in (work, pickle.loads(pickle.dumps(work))))
            found |= {"local": round(here.per_second, 1), "same_bytes": here.features == copy.features}
        else:
            found |= _compare(ray, work, images.rows, options.pairs)
        if ray is not None:
            found["task_ms"] = round(empty_task_ms(ray), 2)
    say("ray", options, **found, load=[round(load_before, 1), round(os.getloadavg()[0], 1)], cores=os.cpu_count())


def _compare(ray: RayExecutor | None, work: Extraction, rows: np.ndarray, pairs: int) -> dict[str, Any]:
    ways: dict[str, tuple[Executor, int]] = {"local": (LOCAL, 1)}
    if ray is not None:
        ways |= {"one": (ray, 1), "two": (ray, 2)}
    runs: dict[str, list[Measured]] = {name: [] for name in ways}
    for pair in range(pairs):
        names = list(ways)[pair % len(ways) :] + list(ways)[: pair % len(ways)]
        for name in names:
            executor, workers = ways[name]
            if isinstance(executor, RayExecutor):
                executor.workers = workers
            runs[name].append(measured(executor, work, rows, workers))
            print(f"{name}: {runs[name][-1].per_second:.1f} images per second", flush=True)
    found: dict[str, Any] = {
        "n": pairs,
        "same_bytes": len({run.features for each in runs.values() for run in each}) == 1,
    }
    for name, each in runs.items():
        found[name] = round(statistics.median(run.per_second for run in each), 1)
        if name != "local":
            here = [run.per_second for run in runs["local"]]
            ratio = median_ratio([run.per_second for run in each], here)
            found[f"{name}_ratio"] = [round(value, 3) for value in ratio]
            found[f"{name}_begin_s"] = round(statistics.median(run.begin_s for run in each), 1)
    return found


if __name__ == "__main__":
    main()
