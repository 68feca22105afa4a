"""A round in the middle of its training, in a file: weights, optimiser, tracker, and after which epoch.

Random states need no room: order and augmentation of an epoch are drawn from the round's seeds and the epoch's number
alone (``epoch_generator``), so that a round resumed after epoch 12 draws in epoch 13 what it would have drawn anyway.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Generator

from tidal_core.config import Seeds, TrainConfig
from tidal_core.engine.model import Model, read_tensors, write_tensors
from tidal_core.engine.optimizers import Optimizer
from tidal_core.errors import InputError
from tidal_core.method.tidal import TDTracker
from tidal_core.records import TrainImages

OPTIMIZER = "optimizer."


def epoch_generator(seed: int, epoch: int) -> Generator:
    """The source of one kind of chance in one epoch, on the CPU."""
    return Generator().manual_seed((seed * 1_000_003 + epoch) % 2**63)


def fingerprint(config: TrainConfig, images: TrainImages, seeds: Seeds) -> str:
    """Equal for two trainings that must end with the same weights when they start from the same."""
    digest = hashlib.sha256(f"{config.to_json()} {seeds} {images.n_classes}".encode())
    digest.update(images.rows.tobytes())
    digest.update(images.labels.tobytes())
    return digest.hexdigest()


@dataclass
class Checkpoint:
    """What a training goes on from, beside the tensors that ``restore`` puts in place."""

    epoch: int  # finished
    batch_size: int  # may be smaller than configured after an out of memory


def checkpoint_epoch(path: Path) -> int:
    """The last epoch that the checkpoint has finished; 0 if there is none, so nothing recorded is kept."""
    if not path.exists():
        return 0
    try:
        with safe_open(path, framework="pt") as file:
            return int((file.metadata() or {})["epoch"])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise InputError(f"{path.name} is not a checkpoint ({error}); delete it and train again.") from error


def write_checkpoint(
    path: Path, state: Checkpoint, mark: str, model: Model, optimizer: Optimizer, tracker: TDTracker | None
) -> None:
    """Write everything that the rest of the round depends on; ``mark`` is the training's ``fingerprint``."""
    tensors = model.state()
    tensors |= {OPTIMIZER + name: value for name, value in optimizer.state().items()}
    if tracker is not None:
        tensors |= {"tracker.total": tracker.total, "tracker.visits": tracker.visits}
    write_tensors(path, tensors, {"epoch": str(state.epoch), "batch_size": str(state.batch_size), "mark": mark})


def restore(path: Path, mark: str, model: Model, optimizer: Optimizer, tracker: TDTracker | None) -> Checkpoint:
    """Put a checkpoint's tensors in place; InputError if it belongs to another training."""
    tensors, metadata = read_tensors(path)
    if metadata.get("mark") != mark:
        raise InputError(
            f"{path.name} was written by a training with other images, labels, seeds or settings; "
            "delete it and train again."
        )
    model.load_state(tensors)
    optimizer.load_state({k.removeprefix(OPTIMIZER): v for k, v in tensors.items() if k.startswith(OPTIMIZER)})
    if tracker is not None:
        tracker.total.copy_(tensors["tracker.total"])
        tracker.visits.copy_(tensors["tracker.visits"])
    return Checkpoint(int(metadata["epoch"]), int(metadata["batch_size"]))
