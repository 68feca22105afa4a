"""Seconds, processor seconds and peak memory of each strategy.

    python -m benchmarks.strategies [--features 1280] [--quick]

A pool of 100,000 images with 512 features (or as many as are wanted) and 10 classes, 1,000 of them labelled, asking
100. Each strategy runs in a process of its own, whose peak memory includes the pool (0.4 GB) and the libraries.
``slowest_s``, ``slowest_cpu_s`` (what its threads computed together: on a busy machine the fairer figure) and
``peak_gb`` are over all but ProbCover, whose time grows with the square of the pool; it is measured on a tenth of it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import resource
import time
from typing import Any

import numpy as np

from tidal_core import strategies
from tidal_core.records import Float32, LinearHead, PoolView
from tidal_core.strategies.base import SAID_BY

SQUARE = "probcover"


def made_up_pool(size: int, labelled: int, dimensions: int, classes: int) -> PoolView:
    """Features in groups around one centre per class, as a half-trained network gives them."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((classes, dimensions), np.float32)
    group = rng.integers(0, classes, size + labelled)
    features = centres[group]
    features += rng.standard_normal(features.shape, np.float32)
    np.maximum(features, 0, out=features)

    def log_p(rows: int) -> Float32:
        logits = 2 * rng.standard_normal((rows, classes), np.float32)
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))

    return PoolView(
        ids=np.arange(size),
        log_p=log_p(size),
        td_log_p=log_p(size),
        features=features[labelled:],
        labelled_features=features[:labelled],
        labelled_log_p=log_p(labelled),
        labelled_classes=group[:labelled],
        class_counts=np.bincount(group[:labelled], minlength=classes),
        exact_log_p=log_p(size),
        head=LinearHead(centres / np.float32(dimensions), np.zeros(classes, np.float32)),
    )


def passes_of(pool: PoolView) -> dict[str, Float32]:
    """What MC dropout says of the pool: it is all that BALD costs."""
    import torch

    from tidal_core.engine.companions.mc_dropout import MCDropout

    torch.set_num_threads(1)  # as in a round; two that wait for each other on a busy machine take five times as much
    companion = MCDropout((pool.features.shape[1],), pool.log_p.shape[1])
    return {key: value.numpy() for key, value in companion.extra(torch.from_numpy(pool.features)).items()}


def measure(name: str, size: int, labelled: int, dimensions: int, n: int) -> dict[str, Any]:
    """One strategy, in this process."""
    pool = made_up_pool(size, labelled, dimensions, classes=10)
    started, worked = time.perf_counter(), time.process_time()
    needs = strategies.get(name).needs
    if "mc_information" in needs:
        pool = dataclasses.replace(pool, extra=passes_of(pool))
    elif said := needs & set(SAID_BY):  # a number for each image, which costs the round and not the choice
        drawn = np.random.default_rng(1).random(size).astype(np.float32)
        pool = dataclasses.replace(pool, extra=dict.fromkeys(said, drawn))
    strategies.get(name).select(pool, n, np.random.default_rng(0))
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - worked
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return {"seconds": round(seconds, 3), "cpu_s": round(cpu_s, 3), "peak_gb": round(peak_gb, 2), "pool": size}


def main() -> None:
    """Measure all and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a pool of 500, for a test")
    parser.add_argument("--strategies", default=",".join(strategies.names()), help="names with commas between them")
    parser.add_argument("--features", type=int, default=512, help="of each image, in the whole run")
    options = parser.parse_args()
    size, labelled, dimensions, n = (500, 50, 16, 10) if options.quick else (100_000, 1_000, options.features, 100)

    results: dict[str, dict[str, Any]] = {}
    # A process each; in the quick run one for all, since starting them is what takes long.
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=None if options.quick else 1) as workers:
        for name in options.strategies.split(","):
            part = size // 10 if name == SQUARE else size
            results[name] = workers.apply(measure, (name, part, labelled, dimensions, n))
            result = results[name]
            print(
                f"{name:24} {result['seconds']:8.2f} s {result['cpu_s']:8.2f} s CPU {result['peak_gb']:6.2f} GB",
                flush=True,
            )
    counted = [value for name, value in results.items() if name != SQUARE]
    print(
        json.dumps(
            {
                "slowest_s": max((value["seconds"] for value in counted), default=None),
                "slowest_cpu_s": max((value["cpu_s"] for value in counted), default=None),
                "peak_gb": max((value["peak_gb"] for value in counted), default=None),
                "asked": n,
                "strategies": results,
            }
        )
    )


if __name__ == "__main__":
    main()
