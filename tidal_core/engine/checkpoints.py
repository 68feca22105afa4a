"""A round in the middle of its training, in a file: weights, optimiser, tracker, and after which epoch.

Random states need no room: order and augmentation of an epoch are drawn from the round's seeds and the epoch's number
alone (``epoch_generator``), so that a round resumed after epoch 12 draws in epoch 13 what it would have drawn anyway.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Generator

from tidal_core.config import Seeds, TrainConfig
from tidal_core.engine.batches import check_rows, open_pixels
from tidal_core.engine.code_version import code_version
from tidal_core.engine.exact_dynamics import HeadHistory
from tidal_core.engine.features.store import open_features
from tidal_core.engine.model import Model, read_tensors, write_tensors
from tidal_core.engine.optimizers import load_optimizer_tensors, optimizer_tensors
from tidal_core.errors import InputError, reason_of
from tidal_core.method.tidal import TDTracker
from tidal_core.records import TrainImages

OPTIMIZER = "optimizer."
APART = "apart."  # of optimisers of companions that train apart: apart.vaal.discriminator.0.exp_avg
_HASHED_AT_ONCE = 256  # images
FORMAT = "2"  # how the tensors are named; a file of another format is not resumed


def epoch_generator(seed: int, epoch: int) -> Generator:
    """The source of one kind of chance in one epoch, on the CPU."""
    return Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63)


def fingerprint(config: TrainConfig, images: TrainImages, seeds: Seeds) -> str:
    """Equal for two trainings that must end with the same weights when they start from the same.

    It is made of the code, the settings, the seeds, and each image's label, row and content: the pixels that are
    trained on, or the features where the body is frozen; also of those that are seen without a label. Raises
    InputError where these cannot be read.
    """
    values = json.dumps(dataclasses.asdict(config), sort_keys=True)
    digest = hashlib.sha256(f"{code_version()} {values} {seeds} {images.n_classes}".encode())
    digest.update(images.rows.tobytes())
    digest.update(images.labels.tobytes())
    rows = images.rows
    if images.unlabelled is not None:
        digest.update(b"unlabelled" + images.unlabelled.tobytes())
        rows = np.concatenate([rows, images.unlabelled])
    if images.features is not None:
        digest.update(open_features(images.features).take(rows).tobytes())
    else:
        pixels = open_pixels(images.pixels)
        check_rows(pixels, rows)
        kept = rows[rows < pixels.cached_rows]  # those beyond would have to be decoded for it
        for start in range(0, len(kept), _HASHED_AT_ONCE):
            digest.update(pixels[kept[start : start + _HASHED_AT_ONCE]].tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Checkpoint:
    """Where a training is resumed, beside the tensors that ``CheckpointFile.restore`` puts in place."""

    epoch: int  # finished
    batch_size: int  # may be smaller than configured after an out of memory


@dataclass(frozen=True)
class TrainingState:
    """Everything that a training changes as it goes; a checkpoint is a copy of it."""

    model: Model
    optimizer: torch.optim.Optimizer
    tracker: TDTracker | None
    heads: HeadHistory | None = None
    apart: Mapping[str, Mapping[str, torch.optim.Optimizer]] = field(default_factory=dict)
    """Optimisers of companions that train apart, by companion and name."""

    def all_optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Every optimiser by what the names of its tensors begin with."""
        apart = {f"{APART}{c}.{name}.": one for c, optimizers in self.apart.items() for name, one in optimizers.items()}
        return {OPTIMIZER: self.optimizer, **apart}


def checkpoint_epoch(path: Path, mark: str | None = None) -> int:
    """The epoch after which a training can be resumed; 0 without a checkpoint, so that nothing recorded is kept.

    It is 0, too, for a file of another version of this program (half a training of each is a training of neither),
    and, if ``mark`` is given, of a training with another ``fingerprint``. Raises InputError where the file is damaged.
    """
    if not path.exists():
        return 0
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if (metadata.get("format"), metadata.get("code")) != (FORMAT, code_version()):
                return 0
            return int(metadata["epoch"]) if mark in {None, metadata.get("mark")} else 0
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise InputError(
            f"{path} is not a checkpoint ({reason_of(error)}); delete the file and train again."
        ) from error


class CheckpointFile:
    """The file that a training is written to at epoch boundaries, and resumed from."""

    def __init__(
        self,
        path: Path,
        mark: str,
        state: TrainingState,
        *,
        every_seconds: float,
        before: Callable[[], None] | None = None,
    ) -> None:
        """``mark`` is the training's ``fingerprint``; ``every_seconds``: see ``TrainOptions.checkpoint_seconds``.

        ``before`` is called before each writing.
        """
        self.path, self.mark, self.state, self.every_seconds, self.before = path, mark, state, every_seconds, before
        self._written, self._pause = time.monotonic(), every_seconds

    def restore(self) -> Checkpoint | None:
        """Put the file's tensors in place; None where there is nothing to resume.

        Raises InputError if it belongs to another training.
        """
        if checkpoint_epoch(self.path) == 0:
            return None
        tensors, metadata = read_tensors(self.path)
        if metadata.get("mark") != self.mark:
            raise InputError(
                f"{self.path} was written by a training with other images, labels, seeds or settings; "
                "delete the file and train again."
            )
        model, tracker = self.state.model, self.state.tracker
        model.load_state(tensors)
        for prefix, optimizer in self.state.all_optimizers().items():
            remembered = {key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)}
            load_optimizer_tensors(optimizer, remembered)
        if tracker is not None:
            tracker.total.copy_(tensors["tracker.total"])
            tracker.visits.copy_(tensors["tracker.visits"])
        if self.state.heads is not None:
            self.state.heads.load_tensors(tensors)
        return Checkpoint(int(metadata["epoch"]), int(metadata["batch_size"]))

    def after_epoch(self, epoch: int, batch_size: int, *, last: bool) -> None:
        """Write if it is time to, and after the last epoch."""
        began = time.monotonic()
        if not last and began - self._written < self._pause:
            return
        self.write(Checkpoint(epoch, batch_size))
        self._written = time.monotonic()
        slow = 10 * (self._written - began) if self.every_seconds else 0.0
        self._pause = max(slow, self.every_seconds)

    def write(self, checkpoint: Checkpoint) -> None:
        """Write everything that the rest of the round depends on."""
        if self.before is not None:
            self.before()
        tensors = self.state.model.state()
        for prefix, optimizer in self.state.all_optimizers().items():
            tensors |= {prefix + name: value for name, value in optimizer_tensors(optimizer).items()}
        if self.state.tracker is not None:
            tensors |= {"tracker.total": self.state.tracker.total, "tracker.visits": self.state.tracker.visits}
        if self.state.heads is not None:
            tensors |= self.state.heads.tensors()
        metadata = {"epoch": str(checkpoint.epoch), "batch_size": str(checkpoint.batch_size), "mark": self.mark}
        write_tensors(self.path, tensors, {**metadata, "format": FORMAT, "code": code_version()})
