"""One round of training as an iterator over its epochs.

``train`` takes explicit inputs only (a configuration, paths and rows, a model, seeds) and yields one ``EpochRecord``
after each epoch; to cancel is to stop iterating. The loss of a batch is that of the paper (``tidal.tidal_loss``) where
the model has a TD module, cross-entropy where not. TD is recorded from the forward passes that training makes anyway:
the probabilities of an image in an epoch are those of its augmented view, in training mode, before the step.

Repeatable: the same inputs give the same weights on the same device, on a CPU bit for bit, also when the process was
killed in between and the round went on from its checkpoint. The host waits for the device once an epoch, and once a
second for the progress report.

Refused: no images, labels outside the classes, a checkpoint of another training (InputError). A loss that is not a
number ends with TrainingDiverged; a batch that does not fit in memory is halved, down to one image, then OutOfMemory.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tidal_core.config import Seeds, TrainConfig
from tidal_core.engine.batches import PixelBatches, Place, augment, open_pixels
from tidal_core.engine.checkpoints import (
    Checkpoint,
    checkpoint_epoch,
    epoch_generator,
    fingerprint,
    restore,
    write_checkpoint,
)
from tidal_core.engine.companions import Companion
from tidal_core.engine.curve_recorder import CurveRecorder
from tidal_core.engine.devices import free_bytes, use_threads
from tidal_core.engine.model import Model, build_model, load_weights
from tidal_core.engine.optimizers import Optimizer
from tidal_core.errors import InputError, OutOfMemory, TrainingDiverged
from tidal_core.method.tidal import TDTracker, tidal_loss
from tidal_core.records import EpochRecord, Float32, TrainImages, TrainProgress

__all__ = [
    "Model",
    "TrainResult",
    "Training",
    "build_model",
    "checkpoint_epoch",
    "load_weights",
    "planned_epochs",
    "td_bytes",
    "train",
]

REPORT_SECONDS = 0.9  # between two progress reports: at least once a second is promised


@dataclass(frozen=True)
class TrainResult:
    """What a finished training leaves beside the model's weights."""

    td_bar: Float32 | None  # (N, C) p-bar over the configured window; None where nothing was tracked
    epochs: int
    batch_size: int  # at the end; smaller than configured after an out of memory


def planned_epochs(config: TrainConfig, n_images: int) -> int:
    """Epochs of a round: the configured number, or more until ``min_steps`` batches have been made."""
    return max(config.epochs, math.ceil(config.min_steps / batches_of(n_images, config.batch_size)))


def batches_of(n_images: int, batch_size: int) -> int:
    """Batches of an epoch."""
    return math.ceil(n_images / batch_size)


def td_bytes(config: TrainConfig, n_images: int, n_classes: int, *, curves: bool = True) -> int:
    """Memory that TD needs on the device through a round, in bytes: p-bar and one epoch of curves."""
    tracker = n_images * (n_classes + 1) * 4
    per_image = n_classes * 4 if n_classes <= config.full_curve_classes else (config.sparse_top_k + 1) * 12
    batch = min(config.batch_size, n_images) * n_classes * 4 * 8  # p, log p and their gradients on the way
    return tracker + (n_images * per_image if curves else 0) + batch


def learning_rate(config: TrainConfig, epoch: int, progress: float) -> float:
    """The rate of a step in ``epoch`` (from 1) at ``progress`` (0 to 1) of the whole round."""
    peak = config.learning_rate
    if config.schedule == "step":
        return peak * config.gamma ** sum(epoch > milestone for milestone in config.milestones)
    if config.schedule == "cosine":
        if progress < config.warmup_fraction:
            return peak * progress / config.warmup_fraction
        return peak * _half_cosine((progress - config.warmup_fraction) / (1 - config.warmup_fraction))
    if config.schedule == "one-cycle":  # up from a 25th in three tenths of the round, then down to nothing
        if progress < 0.3:
            return peak * (0.04 + 0.96 * _half_cosine(1 - progress / 0.3))
        return peak * _half_cosine((progress - 0.3) / 0.7)
    return peak


def _half_cosine(x: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * min(x, 1.0)))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch says that memory ran out; on a CPU and on MPS it does so with a plain RuntimeError."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)


def train(
    config: TrainConfig,
    images: TrainImages,
    model: Model,
    seeds: Seeds,
    *,
    checkpoint: Path | None = None,
    checkpoint_seconds: float = 2.0,
    curves: bool = True,
    progress: Callable[[TrainProgress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    threads: int = 1,
    place: Place | None = None,
) -> Training:
    """Train ``model`` in place on ``images``; iterate over the answer for one record an epoch.

    ``checkpoint``: a file that is written at epoch boundaries *after* the epoch's record was consumed, and gone on
    from if it is there; finished epochs do not come again, records beyond ``checkpoint_epoch`` do. One is written when
    ``checkpoint_seconds`` (and ten times what the last one took) have passed, and after the last epoch; 0: after each.
    ``curves``: record p^(t) of every image. ``should_stop`` is asked before every batch: when it says yes, iteration
    ends and ``result`` stays None. ``threads``: torch's, on a CPU. ``place``: where pixels are kept
    (default: what fits).
    """
    return Training(
        config, images, model, seeds, checkpoint, checkpoint_seconds, curves, progress, should_stop, threads, place
    )


class Training(Iterator[EpochRecord]):
    """A training under way. ``result`` is None until all epochs are done."""

    def __init__(
        self,
        config: TrainConfig,
        images: TrainImages,
        model: Model,
        seeds: Seeds,
        checkpoint: Path | None,
        checkpoint_seconds: float,
        curves: bool,
        progress: Callable[[TrainProgress], None] | None,
        should_stop: Callable[[], bool] | None,
        threads: int,
        place: Place | None,
    ) -> None:
        _check(images, model)
        self.config, self.images, self.model, self.seeds = config, images, model, seeds
        self.checkpoint, self.checkpoint_seconds = checkpoint, checkpoint_seconds
        self.curves, self.threads, self.place = curves, threads, place
        self.device = model.device
        self.n_images = len(images.rows)
        self.epochs = planned_epochs(config, self.n_images)
        self.batch_size = config.batch_size
        self.result: TrainResult | None = None
        self._report = progress or (lambda _: None)
        self._should_stop = should_stop or (lambda: False)
        self._notes: list[str] = []
        self._check_memory()
        self._run = self._all_epochs()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> EpochRecord:
        return next(self._run)

    def close(self) -> None:
        """Cancel: let go of files and memory; nothing is yielded any more."""
        self._run.close()

    def _check_memory(self) -> None:
        if not self._tracks:
            return
        need, free = (
            td_bytes(self.config, self.n_images, self.model.n_classes, curves=self.curves),
            free_bytes(self.device),
        )
        text = (
            f"training dynamics of {self.n_images:,} images in {self.model.n_classes:,} classes need "
            f"{need / 2**30:.1f} GiB on {self.device.type}"
        )
        if need > free:
            raise OutOfMemory(f"{text} and {free / 2**30:.1f} GiB are free; train on fewer images or free memory.")
        if need > 2**30:
            self._notes.append(text)

    @property
    def _tracks(self) -> bool:
        return self.curves or "td" in self.model.companions

    def _all_epochs(self) -> Generator[EpochRecord, None, None]:
        use_threads(self.device, self.threads)
        config, model = self.config, self.model
        pixels = PixelBatches(open_pixels(self.images.pixels), self.images.rows, self.device, self.place)
        try:
            mean, std = pixels.moments()
            model.mean, model.std = mean.to(self.device), std.to(self.device)
            model.channels_last = config.channels_last
            model.backbone.to(memory_format=torch.channels_last if config.channels_last else torch.contiguous_format)
            model.train()
            tracker = TDTracker(self.n_images, model.n_classes, self.device) if self._tracks else None
            optimizer = Optimizer(config, model.parameters())
            mark = fingerprint(config, self.images, self.seeds)
            first = 1
            if self.checkpoint is not None and self.checkpoint.exists():
                state = restore(self.checkpoint, mark, model, optimizer, tracker)
                first, self.batch_size = state.epoch + 1, state.batch_size
            loop = _Loop(self, pixels, tracker, optimizer)
            written, pause = time.monotonic(), self.checkpoint_seconds
            for epoch in range(first, self.epochs + 1):
                record = loop.epoch(epoch)
                if record is None:
                    return
                yield record
                if self.checkpoint is None or (epoch < self.epochs and time.monotonic() - written < pause):
                    continue
                began = time.monotonic()
                write_checkpoint(self.checkpoint, Checkpoint(epoch, self.batch_size), mark, model, optimizer, tracker)
                written = time.monotonic()
                pause = 10 * (written - began) if self.checkpoint_seconds else 0.0
                pause = max(pause, self.checkpoint_seconds)
            td_bar = None if tracker is None else tracker.mean().numpy()
            self.result = TrainResult(td_bar, self.epochs, self.batch_size)
        finally:
            model.eval()
            pixels.close()


class _Loop:
    """The batches of a training; apart from ``Training`` so that one screen holds what happens in a step."""

    def __init__(
        self, training: Training, pixels: PixelBatches, tracker: TDTracker | None, optimizer: Optimizer
    ) -> None:
        self.t, self.pixels, self.tracker, self.optimizer = training, pixels, tracker, optimizer
        model = training.model
        self.forward = torch.compile(model.backbone) if training.config.compile else model.backbone
        self.td = model.companions.get("td")
        self.others = [one for one in model.companions.values() if isinstance(one, Companion)]
        self.masks = torch.Generator()  # what they draw from; an epoch's own
        self.norms = [m for m in model.backbone.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        self.labels = torch.from_numpy(training.images.labels).to(training.device)
        self.counted: tuple[Tensor, Tensor] | None = None  # what the tracker was last given, until its step is made
        self.began, self.images_done, self.reported = time.monotonic(), 0, 0.0

    def epoch(self, epoch: int) -> EpochRecord | None:
        """One epoch; None if it was asked to stop."""
        t, config, n = self.t, self.t.config, self.t.n_images
        began = time.monotonic()
        if self.tracker is not None and config.td_window == "second-half" and epoch == t.epochs // 2 + 1:
            self.tracker.reset()
        order = torch.randperm(n, generator=epoch_generator(t.seeds.order, epoch))
        draws = epoch_generator(t.seeds.augmentation, epoch)
        self.masks = epoch_generator(t.seeds.weights, epoch)
        curves = CurveRecorder(n, t.model.n_classes, config, t.device) if t.curves else None
        sums = torch.zeros(4, device=t.device)  # loss, class loss, TD loss, right answers; each times images
        chunks = list(order.chunk(batches_of(n, t.batch_size)))
        rate, done, batch = 0.0, 0, 0
        while batch < len(chunks):
            if t._should_stop():
                return None
            index = chunks[batch]
            following = chunks[batch + 1] if batch + 1 < len(chunks) else None
            rate = learning_rate(config, epoch, (epoch - 1 + (done + len(index) / 2) / n) / t.epochs)
            if not self.fits(index, following, draws, rate, curves, sums):
                self.halve(len(index))
                chunks[batch:] = order[done:].chunk(batches_of(n - done, t.batch_size))
                continue
            done, batch = done + len(index), batch + 1
            self.report(epoch, batch, len(chunks), len(index), sums, rate)
        loss, class_loss, td_loss, right = (sums / n).tolist()  # the epoch's one wait for the device
        self.refuse_nan(loss, epoch, rate)
        seconds = time.monotonic() - began
        note = "; ".join(t._notes) or None
        t._notes.clear()
        return EpochRecord(
            epoch=epoch,
            epochs=t.epochs,
            loss=loss,
            class_loss=class_loss,
            td_loss=td_loss if self.td is not None else None,
            train_accuracy=right,
            learning_rate=rate,
            seconds=seconds,
            images_per_second=n / seconds,
            batch_size=t.batch_size,
            curves=curves.finish() if curves is not None else None,
            note=note,
        )

    def fits(
        self,
        index: Tensor,
        following: Tensor | None,
        draws: torch.Generator,
        rate: float,
        curves: CurveRecorder | None,
        sums: Tensor,
    ) -> bool:
        """Make one step; False if memory ran out, with everything but BatchNorm's statistics as it was before."""
        try:
            self.step(index, following, draws, rate, curves, sums)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        else:
            return True
        # Outside the except clause: until it ends, the error's frames hold the tensors that are in the way.
        self.optimizer.zero_grad()
        if self.counted is not None and self.tracker is not None:
            self.tracker.withdraw(*self.counted)
        self.counted = None
        if self.t.device.type == "cuda":
            torch.cuda.empty_cache()
        return False

    def step(
        self,
        index: Tensor,
        following: Tensor | None,
        draws: torch.Generator,
        rate: float,
        curves: CurveRecorder | None,
        sums: Tensor,
    ) -> None:
        """Forward, p-bar, loss, backward, update, for the images at ``index`` (B,)."""
        t = self.t
        x = t.model.normalise(augment(self.pixels.take(index, following), t.config, draws))  # (B, 3, H, W)
        index = index.to(t.device, non_blocking=True)
        labels = self.labels.index_select(0, index)
        for norm in self.norms if len(index) == 1 else ():
            norm.eval()  # one image has no deviation to divide by: use the running one
        with torch.autocast(t.device.type, torch.bfloat16, enabled=t.config.precision == "bfloat16"):
            logits, features = self.forward(x)
            td_logits = self.td(features) if self.td is not None else None
        for norm in self.norms if len(index) == 1 else ():
            norm.train()
        p = logits.detach().float().softmax(dim=1)  # (B, C)
        p_bar = None
        if self.tracker is not None:
            p_bar = self.tracker.update(index, p)  # (B, C)
            self.counted = index, p
        if td_logits is not None and p_bar is not None:
            loss, class_loss, td_loss = tidal_loss(logits, labels, td_logits, p_bar, t.config.td_weight)
        else:
            loss = class_loss = F.cross_entropy(logits.float(), labels)
            td_loss = torch.zeros_like(loss)
        for other in self.others:
            loss = loss + other.loss(features, labels, self.masks)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step(rate)
        self.optimizer.zero_grad()
        self.counted = None
        if curves is not None:
            curves.add(index, p, labels)
        right = (p.argmax(dim=1) == labels).float().mean()
        sums.add_(torch.stack((loss.detach(), class_loss.detach(), td_loss.detach(), right)), alpha=len(index))

    def halve(self, batch_size: int) -> None:
        """Go on with half as many images, and say so in the epoch's record."""
        if batch_size == 1:
            raise OutOfMemory(
                f"not even one image of {self.pixels.side} pixels fits in the memory of {self.t.device.type}; choose a "
                "smaller training size or a smaller backbone."
            )
        self.t.batch_size = math.ceil(batch_size / 2)
        self.t._notes.append(f"out of memory at {batch_size} images: went on with {self.t.batch_size}")

    def report(self, epoch: int, batch: int, batches: int, images: int, sums: Tensor, rate: float) -> None:
        """Say where the training stands, about once a second; only then wait for the device."""
        t, now = self.t, time.monotonic()
        self.images_done += images
        if now - self.reported < REPORT_SECONDS:
            return
        self.refuse_nan(float(sums[0]), epoch, rate)
        speed = self.images_done / max(time.monotonic() - self.began, 1e-9)
        left = t.n_images * (t.epochs - epoch + (1 - batch / batches))
        t._report(TrainProgress(epoch, t.epochs, batch, batches, speed, left / speed))
        self.reported = time.monotonic()

    def refuse_nan(self, loss: float, epoch: int, rate: float) -> None:
        """TrainingDiverged if the loss is not a finite number."""
        if not math.isfinite(loss):
            raise TrainingDiverged(
                f"the loss is {loss} in epoch {epoch} at learning rate {rate:.3g}; try a learning rate of "
                f"{self.t.config.learning_rate / 10:.3g}"
                + (" or float32 precision." if self.t.config.precision != "float32" else ".")
            )


def _check(images: TrainImages, model: Model) -> None:
    if len(images.rows) == 0:
        raise InputError("there is nothing to train on: no labelled images; label some first.")
    if len(images.rows) != len(images.labels):
        raise InputError(f"{len(images.rows)} images came with {len(images.labels)} labels; give one label for each.")
    if images.n_classes != model.n_classes:
        raise InputError(
            f"the images have {images.n_classes} classes and the model {model.n_classes}; "
            "build the model for the round."
        )
    if images.labels.min() < 0 or images.labels.max() >= model.n_classes:
        raise InputError(
            f"labels go from {images.labels.min()} to {images.labels.max()} and there are {model.n_classes} classes; "
            "labels are positions from 0."
        )
