"""What the engine's benchmarks share: images to work on, the clock, medians of interleaved pairs."""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tidal_core.config import PAPER, QUICK, Seeds, TrainConfig
from tidal_core.engine.devices import pick_device, synchronize
from tidal_core.engine.model import build_model
from tidal_core.engine.train_inputs import TrainOptions
from tidal_core.engine.training import Training, train
from tidal_core.records import TrainImages

N_CLASSES = 10


PRECISIONS = ("float32", "bfloat16")


def arguments(summary: str, *, backbone: bool = True, precision: str = "") -> argparse.Namespace:
    """The options that the engine's benchmarks have in common; ``precision``: its default, "both" for a comparison."""
    parser = argparse.ArgumentParser(description=summary)
    if backbone:
        parser.add_argument("--backbone", choices=("small", "resnet18"), default="small")
    if precision:
        choices = (*PRECISIONS, precision) if precision not in PRECISIONS else PRECISIONS
        parser.add_argument("--precision", choices=choices, default=precision)
    parser.add_argument("--threads", type=int, default=1, help="torch's, on a CPU")
    parser.add_argument("--pairs", type=int, default=0, help="interleaved pairs (default: what fits in some minutes)")
    parser.add_argument("--quick", action="store_true", help="a few seconds, to see that it runs")
    return parser.parse_args()


def folder() -> tempfile.TemporaryDirectory[str]:
    """A place for pixels that is gone afterwards."""
    return tempfile.TemporaryDirectory(prefix="tidal-benchmark-")


def made_up_images(folder: Path, n: int, side: int = 32) -> TrainImages:
    """n random images in ten classes; what is in them changes no timing."""
    rng = np.random.default_rng(0)
    path = folder / "pixels.npy"
    np.save(path, rng.integers(0, 256, (n, side, side, 3), dtype=np.uint8))
    return TrainImages(path, np.arange(n), np.arange(n) % N_CLASSES, N_CLASSES)


def configuration(backbone: str, **changes: Any) -> TrainConfig:
    """The preset that this backbone is meant for, with enough epochs to take as many as wanted."""
    preset = PAPER if backbone == "resnet18" else QUICK
    return dataclasses.replace(preset, backbone=backbone, epochs=10_000, min_steps=0, **changes)


def start(config: TrainConfig, images: TrainImages, *, curves: bool, threads: int) -> Training:
    """A training with fresh weights that has made its first epoch, which loads the pixels and warms caches."""
    options = TrainOptions(curves=curves, threads=threads)
    training = train(config, images, build_model(config, N_CLASSES, Seeds()), Seeds(), options)
    next(training)
    return training


def clock(threads: int) -> Callable[[], float]:
    """Seconds: on one CPU thread those that the process computed, so that others count less, else those that passed."""
    device = pick_device()
    if device.type == "cpu" and threads == 1:
        return time.process_time

    def now() -> float:
        synchronize(device)
        return time.perf_counter()

    return now


def interleaved(
    first: Callable[[], object], second: Callable[[], object], pairs: int, clock: Callable[[], float]
) -> tuple[list[float], list[float]]:
    """Seconds of both, taken in turns, and in turns first."""
    times: tuple[list[float], list[float]] = [], []
    for pair in range(pairs):
        order = ((0, first), (1, second)) if pair % 2 == 0 else ((1, second), (0, first))
        for which, work in order:
            began = clock()
            work()
            times[which].append(clock() - began)
    return times


def median_ratio(numerator: list[float], denominator: list[float]) -> tuple[float, float, float]:
    """The median of the pairs' ratios, with the quartiles around it."""
    ratios = [a / b for a, b in zip(numerator, denominator, strict=True)]
    if len(ratios) < 2:
        return ratios[0], ratios[0], ratios[0]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return middle, low, high


def say(benchmark: str, options: argparse.Namespace, **figures: Any) -> None:
    """The last line: one JSON object."""
    device = pick_device()
    arguments = {key: value for key, value in vars(options).items() if key != "pairs"}
    print(
        json.dumps({"benchmark": benchmark, **arguments, "device": device.type, "torch": torch.__version__, **figures})
    )
