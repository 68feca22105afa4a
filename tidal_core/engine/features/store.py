"""The features of a project's images in a file: float16 rows as long as the body's pooled stages side by side.

Row r belongs to row r of the pixel store. Rows may be computed in any order, those that are wanted first, first: a byte
for each row says whether it is whole, set once the row is on the disk, so that a process that was killed loses at most
a block. Which body, weights and squares they are of is noted, too: features of anything else are others, and lie in a
folder of their own.

    features/<key>/rows.f16     float16 (R, D), no header
    features/<key>/whole.u8     uint8 (R,), 1 where the row is whole
    features/<key>/about.json   what they are of
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tidal_core.config import Precision
from tidal_core.errors import InputError, reason_of
from tidal_core.records import Float32, Int64

Float16 = NDArray[np.float16]

logger = logging.getLogger(__name__)

ROWS, WHOLE, ABOUT = "rows.f16", "whole.u8", "about.json"


@dataclass(frozen=True)
class FeatureKey:
    """What decides how features come out."""

    backbone: str
    weights: str  # SHA-256 of the body's weights
    side: int  # pixels of the squares
    fit: str
    grayscale: bool
    precision: Precision = "float32"  # that the body computes with

    @property
    def name(self) -> str:
        """A folder name: readable, and different for different features."""
        values = asdict(self)
        if self.precision == "float32":  # features of a version that knew no other keep their folder
            del values["precision"]
        digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
        return f"{self.backbone.replace('/', '-')}-{self.side}-{digest[:10]}"


@dataclass(frozen=True)
class Features:
    """The content of a feature file."""

    rows: Float16  # (R, D), read from the disk as it is used; rows that are not whole mean nothing
    whole: NDArray[np.bool_]  # (R,)
    stage_channels: tuple[int, ...] = ()  # how many of the D numbers each stage has, side by side; () before the first
    file: tuple[Path, tuple[int, ...]] | None = None  # that they are of, and what tells its content from any other

    def moments(self, most: int = 20_000) -> tuple[Float32, Float32]:
        """Mean and deviation (D,) float32 of each feature over the pool, labelled or not: at most ``most`` rows of it.

        A deviation is at least a thousandth of the largest, so that a feature that never changes can be divided by it.
        While their file stays as it is they are computed once: a round trains several heads on the same features.
        """
        if self.file is None:
            return _moments(self.rows, self.whole, most)
        mean, std = _moments_of_file(*self.file, self.whole.tobytes(), most)
        return mean.copy(), std.copy()

    def has(self, rows: Int64) -> NDArray[np.bool_]:
        """(N,) whether the images at ``rows`` (N,) have features."""
        inside = (rows >= 0) & (rows < len(self.whole))
        known = np.zeros(len(rows), bool)
        known[inside] = self.whole[rows[inside]]
        return known

    def last_stage(self, rows: Int64) -> Float32:
        """(N, D of the last stage) float32 of images that have features: what a classifier reads, to compare images."""
        self.check(rows)
        return np.asarray(self.rows[rows, -self.stage_channels[-1] :], np.float32)

    def standardised(self, rows: Int64) -> Float32:
        """``last_stage`` (N, D) with mean 0 and deviation 1 over the pool: what images are compared by.

        As they are, features of small or enlarged images are all much alike: what a collection has in common outweighs
        what tells its images apart (docs/results/low_budget.md).
        """
        mean, std = self.moments()
        points = self.last_stage(rows)
        points -= mean[-points.shape[1] :]
        points /= std[-points.shape[1] :]
        return points

    def take(self, rows: Int64) -> Float16:
        """Features (N, D) of the images at ``rows`` (N,). Raises InputError where one has none yet."""
        self.check(rows)
        return np.asarray(self.rows[rows])

    def check(self, rows: Int64) -> None:
        """Raises InputError where one of ``rows`` (N,) has no features yet."""
        missing = int(len(rows) - self.has(rows).sum())
        if missing:
            raise InputError(f"{missing:,} of {len(rows):,} images have no features yet; wait until they are computed.")


def _moments(rows: Float16, whole: NDArray[np.bool_], most: int) -> tuple[Float32, Float32]:
    known = np.flatnonzero(whole)
    values = np.asarray(rows[known[:: max(1, -(-len(known) // most))]], dtype=np.float32)
    std = values.std(axis=0)
    return values.mean(axis=0), np.maximum(std, max(float(std.max()) * 1e-3, 1e-6))


@lru_cache(maxsize=4)
def _moments_of_file(path: Path, stamp: tuple[int, ...], whole: bytes, most: int) -> tuple[Float32, Float32]:
    """``stamp`` and ``whole`` are part of what is remembered: the file as it was."""
    features = open_features(path)
    return _moments(features.rows, np.frombuffer(whole, bool), most)


def open_features(path: Path) -> Features:
    """The features of a ``rows.f16``, as they are now. Raises InputError where there are none to read."""
    try:
        description = json.loads((path.parent / ABOUT).read_text(encoding="utf-8"))
        stage_channels = tuple(int(channels) for channels in description["stage_channels"])
        length = sum(stage_channels)
        whole = np.fromfile(path.parent / WHOLE, dtype=np.uint8).astype(bool)
        state = path.stat()
        n_rows = min(len(whole), state.st_size // (2 * length))
        rows: Float16 = np.empty((0, length), np.float16)
        if n_rows:
            rows = np.memmap(path, dtype="<f2", mode="r", shape=(n_rows, length))
        stamp = (state.st_dev, state.st_ino, state.st_mtime_ns, state.st_size)
        return Features(rows, whole[:n_rows], stage_channels, (path, stamp))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"the features in {path.parent.name} cannot be read "
            f"({reason_of(error)}); delete that folder to compute them again."
        ) from error


def _runs(rows: Int64) -> Iterator[tuple[int, slice]]:
    """Rows (N,), sorted, in pieces that lie side by side: the first row of each, and its place among them."""
    edges = [0, *(np.flatnonzero(np.diff(rows) != 1) + 1).tolist(), len(rows)]
    for start, stop in pairwise(edges):
        if stop > start:
            yield int(rows[start]), slice(start, stop)


class FeatureStore:
    """The features of one key below a project's folder. Reading needs no lock; one thread writes at a time."""

    def __init__(self, folder: Path, key: FeatureKey) -> None:
        self.folder, self.key = folder / key.name, key
        self.path = self.folder / ROWS

    def read(self) -> Features:
        """What is there now; no rows where nothing was computed yet, or what was is damaged: it is computed again."""
        if self.path.exists():
            try:
                return open_features(self.path)
            except InputError as error:
                logger.warning("%s; they are computed again", error)
        return Features(np.empty((0, 0), np.float16), np.empty(0, bool))

    def missing(self, rows: Int64) -> Int64:
        """Those of ``rows`` (N,) that have no features yet, in their order."""
        return rows[~self.read().has(rows)]

    @classmethod
    def named(cls, folder: Path, name: str) -> Self | None:
        """The store of the folder ``name`` below ``folder``; None where nothing can be read of it."""
        try:
            about = json.loads((folder / name / ABOUT).read_text(encoding="utf-8"))
            key = FeatureKey(**{field.name: about[field.name] for field in fields(FeatureKey)})
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return cls(folder, key) if key.name == name else None

    def write(self, rows: Int64, features: Float16, stage_channels: Sequence[int]) -> None:
        """Keep the features (n, D) of the images at ``rows`` (n,): stages of so many channels side by side.

        Raises InputError for features of another length; OSError where they cannot be written (a full disk): what was
        there before still counts.
        """
        length = sum(self.read().stage_channels) or self._begin(stage_channels)
        if features.shape != (len(rows), length):
            raise InputError(
                f"features of {self.key.backbone} are {length} numbers an image; those of {len(rows)} images came as "
                f"{features.shape}."
            )
        bytes_of_row = 2 * length
        order = np.argsort(rows)
        # A file that was cut off grows again below: what it lost must not count as whole then.
        rows_there = self.path.stat().st_size // bytes_of_row
        if (self.folder / WHOLE).stat().st_size > rows_there:
            os.truncate(self.folder / WHOLE, rows_there)
        with self.path.open("r+b") as file:
            values = np.asarray(features[order], dtype="<f2")
            for first, run in _runs(rows[order]):
                file.seek(first * bytes_of_row)
                file.write(values[run].tobytes())
            file.flush()
            os.fsync(file.fileno())
        # Only now: a row that is said to be whole is on the disk.
        with (self.folder / WHOLE).open("r+b") as file:
            for first, run in _runs(rows[order]):
                file.seek(first)
                file.write(b"\x01" * (run.stop - run.start))

    def _begin(self, stage_channels: Sequence[int]) -> int:
        self.folder.mkdir(parents=True, exist_ok=True)
        about = {**asdict(self.key), "stage_channels": list(stage_channels)}
        (self.folder / ABOUT).write_text(json.dumps(about, indent=1), encoding="utf-8")
        (self.folder / WHOLE).write_bytes(b"")
        self.path.write_bytes(b"")  # last: it says that the others are there
        return sum(stage_channels)
