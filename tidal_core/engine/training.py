"""One round of training as an iterator over its epochs.

``train`` takes explicit inputs only (a configuration, paths and rows, a model, seeds) and yields one ``EpochRecord``
after each epoch; to cancel is to stop iterating. TD is recorded from the forward passes that training makes anyway:
the probabilities of an image in an epoch are those of its augmented view, in training mode, before the step.

Repeatable: the same inputs give the same weights on the same device, on a CPU bit for bit, also when the process was
killed in between and the round went on from its checkpoint.

What happens within an epoch is in ``loop.py``, within a step in ``step.py``; ``train_inputs.py`` has the options and
what is refused, ``schedule.py`` epochs and learning rates, ``memory.py`` what the dynamics need.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Self

import torch

from tidal_core.config import Seeds, TrainConfig
from tidal_core.engine.batches import AugmentedPixels, Batches, FeatureBatches, PixelBatches, open_pixels
from tidal_core.engine.checkpoints import CheckpointFile, TrainingState, fingerprint
from tidal_core.engine.class_weights import image_weights
from tidal_core.engine.devices import use_threads
from tidal_core.engine.exact_dynamics import HeadHistory
from tidal_core.engine.features.store import open_features
from tidal_core.engine.layer_rates import rate_scales
from tidal_core.engine.loop import Loop
from tidal_core.engine.memory import check_memory
from tidal_core.engine.model import Model
from tidal_core.engine.optimizers import build_optimizer
from tidal_core.engine.step import Step
from tidal_core.engine.train_inputs import TrainInputs, TrainOptions
from tidal_core.engine.unlabelled import UnlabelledSteps
from tidal_core.errors import InputError
from tidal_core.method.tidal import TDTracker
from tidal_core.records import EpochRecord, Float32, TrainImages

DEFAULT_OPTIONS = TrainOptions()


@dataclass(frozen=True)
class TrainResult:
    """What a finished training leaves beside the model's weights."""

    td_bar: Float32 | None  # (N, C) p-bar over the configured window; None where nothing was tracked
    epochs: int
    batch_size: int  # at the end; smaller than configured after an out of memory
    heads: HeadHistory | None  # the classifier at some of the epochs; None where the body trained, too
    apart_seconds: float = 0.0  # of the time since it was started or resumed: for companions that train apart


def train(
    config: TrainConfig, images: TrainImages, model: Model, seeds: Seeds, options: TrainOptions = DEFAULT_OPTIONS
) -> Training:
    """Train ``model`` in place on ``images``; iterate over the answer for one record an epoch.

    Raises InputError for inputs that do not fit together and OutOfMemory where the dynamics need more than is free.
    """
    return Training(TrainInputs(config, images, model, seeds, options))


class Training(Iterator[EpochRecord]):
    """A training under way. ``result`` is None until all epochs are done."""

    def __init__(self, inputs: TrainInputs) -> None:
        self.inputs = inputs
        self.device = inputs.model.device
        self.result: TrainResult | None = None
        self._epochs = self._run(memory_note=check_memory(inputs))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> EpochRecord:
        return next(self._epochs)

    def close(self) -> None:
        """Cancel: let go of files and memory; nothing is yielded any more."""
        self._epochs.close()

    def _run(self, memory_note: str | None) -> Generator[EpochRecord, None, None]:
        inputs = self.inputs
        use_threads(self.device, inputs.options.threads)
        batches = open_batches(inputs)
        unlabelled: Batches | None = None
        try:
            unlabelled = open_unlabelled(inputs)
            state = start(inputs)
            file = checkpoint_file(inputs, state)
            checkpoint = file.restore() if file is not None else None
            batch_size = checkpoint.batch_size if checkpoint is not None else inputs.config.batch_size
            labels = torch.from_numpy(inputs.images.labels).to(self.device)
            weights = image_weights(inputs.config, inputs.images.labels)
            weights_there = None if weights is None else torch.from_numpy(weights).to(self.device)
            step = Step(inputs.config, inputs.model, labels, state.tracker, state.optimizer, weights_there)
            apart = None if unlabelled is None else UnlabelledSteps(inputs, unlabelled, state.apart)
            loop = Loop(inputs, batches, step, batch_size=batch_size, note=memory_note, apart=apart)
            for epoch in range(checkpoint.epoch + 1 if checkpoint is not None else 1, inputs.epochs + 1):
                record = loop.epoch(epoch)
                if record is None:
                    return
                if state.heads is not None:
                    state.heads.note(epoch, inputs.model)
                yield record
                if file is not None:
                    file.after_epoch(epoch, loop.batch_size, last=epoch == inputs.epochs)
            td_bar = None if state.tracker is None else state.tracker.mean().numpy()
            apart_seconds = 0.0 if apart is None else apart.seconds
            self.result = TrainResult(td_bar, inputs.epochs, loop.batch_size, state.heads, apart_seconds)
        finally:
            inputs.model.hold_body(False)
            inputs.model.eval()
            batches.close()
            if unlabelled is not None:
                unlabelled.close()


def open_batches(inputs: TrainInputs) -> Batches:
    """What the loop trains on; the model takes its mean and deviation, unless published weights have theirs.

    The images' pixels, augmented; or, where the body is frozen, the features that it gave of them once.
    """
    config, images, model = inputs.config, inputs.images, inputs.model
    if model.frozen:
        return _open_features(inputs)
    pixels = PixelBatches(open_pixels(images.pixels), images.rows, model.device, inputs.options.place)
    if config.pretrained:  # as its weights want them, whatever these images are like
        return AugmentedPixels(pixels, config)
    try:
        mean, std = pixels.moments()
    except BaseException:
        pixels.close()
        raise
    model.mean, model.std = mean.to(model.device), std.to(model.device)
    return AugmentedPixels(pixels, config)


def _open_features(inputs: TrainInputs) -> FeatureBatches:
    images, model = inputs.images, inputs.model
    if images.features is None:
        raise InputError("a frozen body trains on features and the images came without; compute their features first.")
    features = open_features(images.features)
    mean, std = features.moments()
    model.mean, model.std = torch.from_numpy(mean).to(model.device), torch.from_numpy(std).to(model.device)
    return FeatureBatches(features, images.rows, model.device)


def open_unlabelled(inputs: TrainInputs) -> Batches | None:
    """The images that companions see without a label, augmented as the others; None where no companion looks."""
    images, model = inputs.images, inputs.model
    if not model.apart() or images.unlabelled is None:
        return None
    if images.features is not None and model.frozen:
        return FeatureBatches(open_features(images.features), images.unlabelled, model.device)
    pixels = PixelBatches(open_pixels(images.pixels), images.unlabelled, model.device, inputs.options.place)
    return AugmentedPixels(pixels, inputs.config)


def start(inputs: TrainInputs) -> TrainingState:
    """The model in training mode, laid out as configured, with a fresh optimiser and tracker."""
    config, model = inputs.config, inputs.model
    model.channels_last = config.channels_last
    model.backbone.to(memory_format=torch.channels_last if config.channels_last else torch.contiguous_format)
    scales = rate_scales(model, config.layer_decay)  # before compiling, which would compile for the look at it
    if config.compile:
        model.backbone.compile()
    model.train()
    tracker = TDTracker(inputs.n_images, model.n_classes, model.device) if inputs.tracks_dynamics else None
    heads = HeadHistory(inputs.epochs) if model.frozen else None
    apart = {name: companion.optimizers() for name, companion in model.apart().items()}
    return TrainingState(model, build_optimizer(config, model.parameters(), scales), tracker, heads, apart)


def checkpoint_file(inputs: TrainInputs, state: TrainingState) -> CheckpointFile | None:
    """Where this training is written to and gone on from, if it was asked for."""
    options = inputs.options
    if options.checkpoint is None:
        return None
    mark = fingerprint(inputs.config, inputs.images, inputs.seeds)
    return CheckpointFile(
        options.checkpoint, mark, state, every_seconds=options.checkpoint_seconds, before=options.before_checkpoint
    )
