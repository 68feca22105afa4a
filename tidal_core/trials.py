"""Which precision and layout are fastest here: a trial of seconds that proposes them for a new project.

The proposal is stored with the project's rounds and never made again for them: repeats, resumed rounds and experiments
take what their configuration says, because another precision gives other weights.
"""

from __future__ import annotations

import dataclasses
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from tidal_core.config import Precision, Seeds, TrainConfig
from tidal_core.devices import synchronize
from tidal_core.records import TrainImages
from tidal_core.training import Training, build_model, train

WORTH = 1.1  # so many times as fast, or the given configuration stays


def propose_speed(
    config: TrainConfig, side: int, n_classes: int, *, threads: int = 1, rounds: int = 3
) -> tuple[TrainConfig, dict[str, float]]:
    """``config`` with the fastest precision and layout, and images per second of each that was tried.

    ``side``: pixels of the training images. Each way trains two batches of made-up images ``rounds`` times, in turns.
    bfloat16 and the other layout are proposed only where they are at least ``WORTH`` times as fast.
    """
    precisions: tuple[Precision, ...] = ("float32", "bfloat16")
    ways = {
        f"{precision}{', channels last' if last else ''}": dataclasses.replace(
            config, precision=precision, channels_last=last
        )
        for precision in precisions
        for last in (False, True)
    }
    n = 2 * config.batch_size
    with tempfile.TemporaryDirectory(prefix="tidal-trial-") as folder:
        path = Path(folder) / "pixels.npy"
        np.save(path, np.random.default_rng(0).integers(0, 256, (n, side, side, 3), dtype=np.uint8))
        images = TrainImages(path, np.arange(n), np.arange(n) % n_classes, n_classes)
        trials = {name: _started(way, images, threads, rounds) for name, way in ways.items()}
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, trial in trials.items():
                began = time.perf_counter()
                next(trial)
                synchronize(trial.device)
                seconds[name].append(time.perf_counter() - began)
    speed = {name: n / statistics.median(times) for name, times in seconds.items()}
    own = next(name for name, way in ways.items() if way == config)
    best = max(speed, key=lambda name: speed[name])
    return (ways[best] if speed[best] >= WORTH * speed[own] else config), speed


def _started(config: TrainConfig, images: TrainImages, threads: int, rounds: int) -> Training:
    config = dataclasses.replace(config, epochs=rounds + 1, min_steps=0)
    trial = train(config, images, build_model(config, images.n_classes, Seeds()), Seeds(), threads=threads)
    next(trial)  # loads pixels, chooses kernels
    return trial
