"""Frozen features of images whose classes are known: what the accuracy of heads and strategies is measured on.

The shared photos of flowers and CIFAR-10. Where they are not there, made-up squares, one colour a class: accuracies of
these mean nothing, and the benchmark's line says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import torch

from benchmarks.round_time import SHARED
from tidal_core.config import FROZEN, PixelSpec, Seeds
from tidal_core.engine.features.extract import Extractor, extract
from tidal_core.engine.features.store import FeatureStore
from tidal_core.engine.model import build_model
from tidal_core.engine.published_weights import EFFICIENTNET_LITE0, feature_key
from tidal_core.images.squares import square_of
from tidal_core.records import Int64, UInt8

BODY = EFFICIENTNET_LITE0.backbone


@dataclass(frozen=True)
class KnownFeatures:
    """Features in a file, with the class of each row."""

    data: str  # what the images were
    path: Path  # rows.f16
    labels: Int64  # (N,) positions from 0
    n_classes: int
    part: Int64  # (N,) 0 where an image may be asked; 1 where it belongs to a test part; 0 everywhere if there is none


def flowers(folder: Path, side: int = 224, of_each: int | None = None) -> KnownFeatures:
    """The photos, five classes; ``of_each`` class so many (default: all 70)."""
    photos = SHARED / "flowers"
    if not photos.is_dir():
        return made_up(folder, side, 5, of_each or 70)
    squares, labels = [], []
    for position, of_class in enumerate(sorted(path for path in photos.iterdir() if path.is_dir())):
        for path in sorted(of_class.glob("*.jpg"))[:of_each]:
            squares.append(square_of(path.read_bytes(), path.name, side, "stretch"))
            labels.append(position)
    n = len(labels)
    return _computed(folder, "flowers", np.stack(squares), np.array(labels), np.zeros(n, np.int64))


def cifar10(folder: Path, pool: int, test: int, side: int = 64, seed: int = 0) -> KnownFeatures:
    """So many images of the training part and of the test part, the same number of each class.

    Drawn, not the first: the shared files are sorted by class.
    """
    paths = [SHARED / "cifar10" / f"{name}.parquet" for name in ("train", "test")]
    if not all(path.exists() for path in paths):
        return made_up(folder, side, 10, (pool + test) // 10)
    rng = np.random.default_rng(seed)
    squares, labels, parts = [], [], []
    for part, (path, wanted) in enumerate(zip(paths, (pool, test), strict=True)):
        table = parquet.read_table(path)
        classes = table["label"].to_numpy()
        rows = np.concatenate(
            [rng.choice(np.flatnonzero(classes == c), wanted // 10, replace=False) for c in range(10)]
        )
        images = table["image"].take(rows).to_pylist()
        squares += [square_of(image["bytes"], str(path), side) for image in images]
        labels.append(classes[rows])
        parts.append(np.full(len(rows), part))
    return _computed(folder, "CIFAR-10", np.stack(squares), np.concatenate(labels), np.concatenate(parts))


def mnist(folder: Path, n: int, side: int = 64, seed: int = 0) -> KnownFeatures:
    """So many handwritten digits of the test part, the same number of each."""
    path = SHARED / "mnist" / "test.parquet"
    if not path.exists():
        return made_up(folder, side, 10, n // 10)
    table, rng = parquet.read_table(path), np.random.default_rng(seed)
    classes = table["label"].to_numpy()
    rows = np.concatenate([rng.choice(np.flatnonzero(classes == c), n // 10, replace=False) for c in range(10)])
    squares = [square_of(image["bytes"], str(path), side) for image in table["image"].take(rows).to_pylist()]
    return _computed(folder, "MNIST", np.stack(squares), classes[rows], np.zeros(n, np.int64))


def made_up(folder: Path, side: int, n_classes: int, of_each: int) -> KnownFeatures:
    """Squares of one colour a class, with noise."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(n_classes), of_each)
    colours = rng.integers(40, 216, (n_classes, 1, 1, 3))
    squares = (colours[labels] + rng.integers(-40, 40, (len(labels), side, side, 3))).astype(np.uint8)
    return _computed(folder, "made up", squares, labels, np.zeros(len(labels), np.int64))


def drawn(folder: Path, n_classes: int, of_each: int) -> KnownFeatures:
    """No images at all: points around the centre of each class, as long as the body's features."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(n_classes), of_each)
    channels = build_model(FROZEN, n_classes, Seeds(), torch.device("cpu")).backbone.stage_channels
    centres = rng.normal(size=(n_classes, sum(channels)))
    points = centres[labels] + rng.normal(size=(len(labels), sum(channels)))
    store = FeatureStore(folder / "drawn", feature_key(BODY, PixelSpec(32)))
    store.write(np.arange(len(labels)), points.astype(np.float16), channels)
    return KnownFeatures("drawn", store.path, labels, n_classes, np.zeros(len(labels), np.int64))


def _computed(folder: Path, data: str, squares: UInt8, labels: Int64, part: Int64) -> KnownFeatures:
    pixels = folder / f"{data}.npy"
    np.save(pixels, squares)
    store = FeatureStore(folder / data, feature_key(BODY, PixelSpec(squares.shape[1])))
    extract(Extractor(BODY, device=torch.device("cpu"), threads=2), pixels, store, np.arange(len(labels)))
    return KnownFeatures(data, store.path, labels.astype(np.int64), int(labels.max()) + 1, part)
