"""Tiny images, quick settings and whole rounds of training for the tests of the engine."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch

from tidal_core.config import QUICK, Seeds, TrainConfig
from tidal_core.engine.model import Model, build_model
from tidal_core.engine.train_inputs import TrainOptions
from tidal_core.engine.training import train
from tidal_core.records import EpochRecord, TrainImages, UInt8

CPU = torch.device("cpu")


def stripes(n: int, n_classes: int, side: int = 8, seed: int = 0) -> tuple[UInt8, np.ndarray]:
    """n noisy images whose class is the row that is bright, with their labels 0, 1, ... in turn."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n, dtype=np.int64) % n_classes
    pixels = rng.integers(0, 90, (n, side, side, 3), dtype=np.uint8)
    pixels[np.arange(n), (3 * labels) % side] += 150  # rows apart, so that a shift by one is no other class
    return pixels, labels


def training_images(folder: Path, n: int = 24, n_classes: int = 3, side: int = 8, seed: int = 0) -> TrainImages:
    """``stripes`` as a pixel file in ``folder``."""
    pixels, labels = stripes(n, n_classes, side, seed)
    path = folder / "pixels.npy"
    np.save(path, pixels)
    return TrainImages(path, np.arange(n, dtype=np.int64), labels, n_classes)


def brief(**changes: object) -> TrainConfig:
    """QUICK with three epochs of batches of eight, and what the test changes."""
    return dataclasses.replace(QUICK, **{"epochs": 3, "min_steps": 0, "batch_size": 8, **changes})  # type: ignore[arg-type]


def fresh(config: TrainConfig, images: TrainImages, seeds: Seeds = Seeds()) -> Model:  # noqa: B008 (frozen)
    """A model for these images, on the CPU, before its first step."""
    return build_model(config, images.n_classes, seeds, CPU)


def run(config: TrainConfig, images: TrainImages, **options: object) -> tuple[Model, list[EpochRecord]]:
    """A fresh model trained to the end, and what each epoch said; ``options`` of ``TrainOptions``."""
    model = fresh(config, images)
    return model, list(train(config, images, model, Seeds(), TrainOptions(**options)))  # type: ignore[arg-type]


def fitted(images: TrainImages, config: TrainConfig, options: TrainOptions | None = None) -> Model:
    """A model trained to the end that keeps no curves, unless ``options`` say otherwise."""
    model = fresh(config, images)
    list(train(config, images, model, Seeds(), options or TrainOptions(curves=False)))
    return model
