"""What the motivating experiment came to, in a file. No torch: the Theory page shows it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from msgspec import Meta

from tidal_core import files, json_checks
from tidal_core.errors import InputError
from tidal_core.experiments import owner
from tidal_core.ownership import owner_of
from tidal_core.records import Float64, Int64

PUBLISHED = {"td_entropy": 0.964, "td_margin": 0.968, "entropy": 0.571, "margin": 0.558}
"""AUROC over 27,500 training images of CIFAR-10 with ResNet-18, as published."""


RESULT = "result.npz"
EPOCHS = 30
_PROGRESS = "progress.json"


def folder_of(home: Path, dataset: str) -> Path:
    """Where the experiment on this data set is kept."""
    return home / "experiments" / "motivating" / "".join(c if c.isalnum() else "-" for c in dataset)


def begin(folder: Path, dataset: str, per_class: int) -> None:
    """Train in a process of its own; InputError while another one works in the folder."""
    if owner_of(folder) is None:
        folder.mkdir(parents=True, exist_ok=True)
        files.sweep(folder)
        (folder / "log.txt").unlink(missing_ok=True)
        note(folder, 0, EPOCHS, "starting")
    owner.start(["separability", dataset, "--per-class", str(per_class)], folder)


def cancel(folder: Path) -> bool:
    """End it; whether there was anything to end. An earlier result stays."""
    ended = owner.stop(folder)
    if ended:
        (folder / _PROGRESS).unlink(missing_ok=True)
    return ended


def note(folder: Path, epoch: int, epochs: int, said: str) -> None:
    """Keep how far it has come, for ``state_of``."""
    files.write(folder / _PROGRESS, json.dumps({"epoch": epoch, "epochs": epochs, "said": said}))


def state_of(folder: Path) -> tuple[float, str] | None:
    """How far the running experiment is, 0 to 1, and in words; None when none is running."""
    if owner_of(folder) is None:
        return None
    noted = _noted(folder)
    if noted is None:
        return 0.0, "starting"
    return noted.epoch / noted.epochs, f"epoch {noted.epoch} of {noted.epochs}: {noted.said}"


def broke_off(folder: Path) -> str | None:
    """Why the last one ended before its end, in its own last words; None when it did not, or was cancelled."""
    noted = _noted(folder)
    if noted is None or noted.epoch >= noted.epochs or owner_of(folder) is not None:
        return None
    log = folder / "log.txt"
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.exists() else []
    last = f" Its last message: {lines[-1].strip()[:300]}" if lines else ""
    return f"The last training stopped unexpectedly in epoch {noted.epoch} of {noted.epochs}.{last}"


@dataclass(frozen=True)
class _Noted:
    epoch: Annotated[int, Meta(ge=0)]
    epochs: Annotated[int, Meta(ge=1)]
    said: str


def _noted(folder: Path) -> _Noted | None:
    try:
        return json_checks.decode((folder / _PROGRESS).read_bytes(), _Noted)
    except (OSError, InputError):
        return None


@dataclass(frozen=True)
class Separation:
    """What came out."""

    dataset: str
    minor: Int64  # (N,) 1 for images of minor classes, 0 for major
    counts: Int64  # (C,)
    class_names: tuple[str, ...]
    accuracy: Float64  # (E, 2) major, minor
    scores: dict[str, Float64]  # (N,) for the training images
    auroc: dict[str, float]  # training images
    held_out: dict[str, float]  # AUROC on test images, TD by the module's prediction
    train_accuracy: float

    def save(self, file: Path) -> None:
        """One .npz file."""
        about = {
            "dataset": self.dataset,
            "class_names": self.class_names,
            "auroc": self.auroc,
            "held_out": self.held_out,
            "train_accuracy": self.train_accuracy,
        }
        file.parent.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, Any] = {f"score_{name}": values for name, values in self.scores.items()}
        arrays |= {"minor": self.minor, "counts": self.counts, "accuracy": self.accuracy}
        with files.atomic_file(file) as out:
            np.savez_compressed(out, about=np.array(json.dumps(about)), **arrays)

    @classmethod
    def load(cls, file: Path) -> Separation:
        """What ``save`` wrote."""
        with np.load(file) as stored:
            about = json.loads(str(stored["about"]))
            scores = {
                name.removeprefix("score_"): stored[name].astype(np.float64)
                for name in stored.files
                if name.startswith("score_")
            }
            return cls(
                about["dataset"],
                stored["minor"],
                stored["counts"],
                tuple(about["class_names"]),
                stored["accuracy"],
                scores,
                about["auroc"],
                about["held_out"],
                about["train_accuracy"],
            )
