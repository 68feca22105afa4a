"""Does every interval that is shown hold the truth as often as it says? Simulated people, curves and classifiers.

    python -m benchmarks.coverage [--projects 24] [--scale 1] [--ways WAY ...] [--jobs 2] [--quick]

Nothing trains. Prints tables, and one JSON line last:
  ways     for each of thirteen ways of working (``benchmarks.ways_of_working``): estimates of the audit sample, the
           images that they rest on (median), the bias in points, the share of 95 % intervals that hold the truth, and
           the share of estimates that name their population rightly
  balanced, gains, divergences, against_random   coverage of 95 % intervals of numbers alone
                 (``benchmarks.simulated_curves``)
  forecasts      of 80 % intervals of the labels needed, where they are shown, by the shape of the curve
  advice         of projects whose other signs say "stop" from the start: the share in which "nearly there" comes while
                 100 more labels still bring a point, how many labels after the best moment it comes (median), the
                 share in which it never does within 1,600 labels, and how often it changes
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
from typing import Any

import numpy as np

from benchmarks import simulated_curves
from benchmarks.ways_of_working import WAYS, Measurement, simulate

PROJECTS = 24


def of_way(way: str, projects: int, scale: int = 1) -> list[Measurement]:
    """All estimates of some projects, made in a folder of their own."""
    with tempfile.TemporaryDirectory(prefix="tidal-benchmark-") as home:
        before = os.environ.get("TIDAL_HOME")
        os.environ["TIDAL_HOME"] = home
        try:
            return [measurement for seed in range(projects) for measurement in simulate(way, seed, scale)]
        finally:
            if before is None:
                del os.environ["TIDAL_HOME"]
            else:
                os.environ["TIDAL_HOME"] = before


def summed_up(measurements: list[Measurement]) -> dict[str, Any]:
    """Size, bias in points and coverage."""
    images, value, truth, is_covered, is_population_right = np.array(measurements, dtype=np.float64).T
    return {
        "estimates": len(measurements),
        "images": round(float(np.median(images))),
        "bias": round(100 * float((value - truth).mean()), 1),
        "coverage": round(float(is_covered.mean()), 3),
        "named_rightly": round(float(is_population_right.mean()), 3),
    }


def audit_sample(ways: list[str], projects: int, processes: int, scale: int = 1) -> dict[str, dict[str, Any]]:
    """Each way of working, in processes of their own if there are several."""
    if processes == 1:
        return {way: summed_up(of_way(way, projects, scale)) for way in ways}
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes) as pool:
        found = pool.starmap(of_way, [(way, projects, scale) for way in ways], chunksize=1)
    return {way: summed_up(measurements) for way, measurements in zip(ways, found, strict=True)}


def of_numbers(projects: int) -> dict[str, Any]:
    """What is shown and does not come from the audit sample."""
    return {
        "balanced": simulated_curves.balanced(5 * projects),
        "gains": simulated_curves.gains(projects),
        "divergences": simulated_curves.divergences(5 * projects),
        "against_random": simulated_curves.against_random(10 * projects),
        "forecasts": {shape: simulated_curves.forecasts(3 * projects, shape) for shape in simulated_curves.SHAPES},
        "advice": {shape: simulated_curves.advice(projects, shape) for shape in simulated_curves.SHAPES},
    }


def main() -> None:
    """Simulate, print the tables, and one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--projects", type=int, default=PROJECTS, help="per way of working")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS), metavar="WAY")
    parser.add_argument("--scale", type=int, default=1, help="times as many images and answers a project")
    parser.add_argument("--jobs", type=int, default=2, help="ways of working simulated at the same time, a core each")
    parser.add_argument("--quick", action="store_true", help="one project of two ways: does it run?")
    options = parser.parse_args()
    if options.quick:
        ways = audit_sample(["label_everything", "changed_shares"], 1, processes=1)
    else:
        ways = audit_sample(options.ways, options.projects, options.jobs, options.scale)
    for way, figures in ways.items():
        print(f"{way:36} " + "  ".join(f"{name} {value}" for name, value in figures.items()))
    numbers = of_numbers(2 if options.quick else 200)
    for name, figures in numbers.items():
        print(f"{name:36} {figures}")
    print(json.dumps({"benchmark": "coverage", "ways": ways, **numbers}))


if __name__ == "__main__":
    main()
