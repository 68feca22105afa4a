"""All that a training depends on, as values: what is trained, on what, from which seeds, and how it is watched.

Refused: no images, labels outside the classes, a model with other classes than the images (InputError).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tidal_core.config import Seeds, TrainConfig
from tidal_core.engine.batches import Place
from tidal_core.engine.model import Model
from tidal_core.engine.schedule import planned_epochs
from tidal_core.errors import InputError
from tidal_core.records import TrainImages, TrainProgress


@dataclass(frozen=True)
class TrainOptions:
    """How a training is run and watched. Nothing here changes the weights that come out."""

    checkpoint: Path | None = None
    """A file written at epoch boundaries *after* the epoch's record was consumed, and resumed from if it is there.

    Finished epochs are not repeated, but records beyond ``checkpoint_epoch`` are.
    """

    checkpoint_seconds: float = 2.0
    """Seconds between two checkpoints, and at least ten times what the last one took to write; one is always written
    after the last epoch. 0: after each epoch."""

    before_checkpoint: Callable[[], None] | None = None
    """Called before a checkpoint is written: whoever keeps records back stores them now, they will not come again."""

    curves: bool = True
    """Record p^(t) of every image."""

    progress: Callable[[TrainProgress], None] | None = None
    """Called about once a second with the state of the training."""

    should_stop: Callable[[], bool] | None = None
    """Asked before every batch: when it says yes, iteration ends and ``result`` stays None."""

    threads: int = 1
    """torch's, on a CPU."""

    place: Place | None = None
    """Where pixels are kept; None: what fits."""

    def asked_to_stop(self) -> bool:
        """Whether to stop before the next batch."""
        return self.should_stop is not None and self.should_stop()

    def report(self, progress: TrainProgress) -> None:
        """Tell whoever watches."""
        if self.progress is not None:
            self.progress(progress)


@dataclass(frozen=True)
class TrainInputs:
    """What ``train`` was given. Raises InputError where it does not fit together."""

    config: TrainConfig
    images: TrainImages
    model: Model  # trained in place
    seeds: Seeds
    options: TrainOptions

    def __post_init__(self) -> None:
        images, n_classes = self.images, self.model.n_classes
        if len(images.rows) == 0:
            raise InputError("there are no labelled images to train on; label some first.")
        if len(images.rows) != len(images.labels):
            raise InputError(
                f"{len(images.rows)} images came with {len(images.labels)} labels; give one label for each."
            )
        if images.n_classes != n_classes:
            raise InputError(
                f"the images have {images.n_classes} classes and the model {n_classes}; build it for the images."
            )
        if images.labels.min() < 0 or images.labels.max() >= n_classes:
            raise InputError(
                f"labels go from {images.labels.min()} to {images.labels.max()} and there are {n_classes} classes; "
                "labels are positions from 0."
            )
        if self.model.apart() and images.unlabelled is None:
            raise InputError(
                f"{' and '.join(self.model.apart())} trains on unlabelled images, too, and none came with the labelled "
                "ones; give their rows, or choose another strategy."
            )
        lacking = {need for companion in self.model.apart().values() for need in companion.reads}
        for companion in self.model.companions.values():
            lacking.discard(getattr(companion, "says", ""))
        if lacking:
            raise InputError(
                f"{' and '.join(self.model.apart())} reads {' and '.join(sorted(lacking))}, which no companion here "
                "says; add the companion ranker, or choose another strategy."
            )

    @property
    def n_images(self) -> int:
        """N."""
        return len(self.images.rows)

    @property
    def epochs(self) -> int:
        """Epochs of the whole round."""
        return planned_epochs(self.config, self.n_images)

    @property
    def tracks_dynamics(self) -> bool:
        """Whether p-bar is kept: for the TD module to learn, or with the curves."""
        return self.options.curves or "td" in self.model.companions
