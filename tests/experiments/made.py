"""A tiny data set with colours for classes, and protocols that train for a moment."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from tidal_core.experiments.datasets import Dataset
from tidal_core.experiments.protocol import PRESETS, Protocol
from tidal_core.experiments.runs import TIMES
from tidal_core.records import Int64

TINY = PRESETS["quick"].changed(first=6, per_round=4, rounds=3, subset=20, validation=5, test_limit=12)
TINY = replace(TINY, train=replace(TINY.train, epochs=1, batch_size=8))
FROZEN = TINY.changed(enlarge_to=32, train=replace(PRESETS["frozen"].train, epochs=4, min_steps=0, batch_size=8))
WARM = replace(TINY, train=replace(TINY.train, warm_start=True))


def make_dataset(folder: Path, size: int = 80, classes: int = 3) -> Dataset:
    rng = np.random.default_rng(0)
    labels: Int64 = np.arange(size) % classes
    pixels = rng.integers(0, 80, (size, 8, 8, 3), np.uint8)
    pixels[np.arange(size), :, :, labels % 3] += 120
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "pixels.npy", pixels)
    rows = np.arange(size)
    return Dataset(
        "made", folder / "pixels.npy", labels, rows[20:], rows[:20], tuple("abcdefgh"[:classes]), folder / "features"
    )


def lasting(lines: list[dict]) -> list[dict]:
    """The lines of a run without what another run of the same differs by: its times."""
    return [{key: value for key, value in line.items() if key not in TIMES} for line in lines]


__all__ = ["FROZEN", "TINY", "WARM", "Protocol", "lasting", "make_dataset"]
