"""The epochs of a training, batch by batch: order, learning rate, what is recorded, what happens when memory runs out.

The loop knows neither pixels nor networks: it draws from ``Batches`` and hands what it gets to a ``Step``. The host
waits for the device once an epoch, and once a second for the progress report.

A loss that is not a number ends with TrainingDiverged; a batch that does not fit in memory is halved, down to one
image, then OutOfMemory.
"""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor

from tidal_core.engine.batches import Batches
from tidal_core.engine.checkpoints import epoch_generator
from tidal_core.engine.curve_recorder import CurveRecorder
from tidal_core.engine.schedule import batches_of, learning_rate, still_epochs
from tidal_core.engine.step import Step
from tidal_core.engine.torch_internals import is_out_of_memory
from tidal_core.engine.train_inputs import TrainInputs
from tidal_core.engine.unlabelled import UnlabelledSteps
from tidal_core.errors import OutOfMemory, TrainingDiverged
from tidal_core.records import EpochRecord, TrainProgress

REPORT_SECONDS = 0.9  # between two progress reports: at least once a second is promised


class EpochUnderWay:
    """One epoch while it runs: the batches that are left, its sources of chance, what is added up."""

    def __init__(self, inputs: TrainInputs, number: int, batch_size: int) -> None:
        seeds, device = inputs.seeds, inputs.model.device
        self.number, self.began = number, time.monotonic()  # number counts from 1
        self.order = torch.randperm(inputs.n_images, generator=epoch_generator(seeds.order, number))  # (N,)
        self.draws = epoch_generator(seeds.augmentation, number)
        self.masks = epoch_generator(seeds.weights, number)  # what companions draw from
        self.curves: CurveRecorder | None = None
        if inputs.options.curves:
            self.curves = CurveRecorder(inputs.n_images, inputs.model.n_classes, inputs.config, device)
        self.sums = torch.zeros(4, device=device)  # loss, class loss, TD loss, right answers; each times images
        self.rate = 0.0  # of the last step
        self.images_done, self.batch = 0, 0  # batch: the position in ``chunks`` of the next one
        self.chunks: list[Tensor] = []  # the images of each batch, positions in 0..N-1
        self.split(batch_size)

    def split(self, batch_size: int) -> None:
        """Deal the remaining images into batches of at most this many, as even as they get."""
        remaining = self.order[self.images_done :]
        self.chunks[self.batch :] = remaining.chunk(batches_of(len(remaining), batch_size))

    @property
    def index(self) -> Tensor | None:
        """The next batch (B,); None when the epoch is over."""
        return self.chunks[self.batch] if self.batch < len(self.chunks) else None

    @property
    def following(self) -> Tensor | None:
        """The batch after the next, to be read meanwhile."""
        return self.chunks[self.batch + 1] if self.batch + 1 < len(self.chunks) else None

    def advance(self) -> None:
        """The next batch is done."""
        self.images_done += len(self.chunks[self.batch])
        self.batch += 1


class Loop:
    """Runs one epoch after the other; ``batch_size`` shrinks when memory runs out."""

    def __init__(
        self,
        inputs: TrainInputs,
        batches: Batches,
        step: Step,
        *,
        batch_size: int,
        note: str | None = None,
        apart: UnlabelledSteps | None = None,
    ) -> None:
        self.inputs, self.batches, self.step, self.batch_size = inputs, batches, step, batch_size
        self.apart = apart  # what trains on unlabelled images as well
        self.epochs = inputs.epochs
        self.still_epochs = still_epochs(inputs.config, inputs.n_images)
        self.notes = [text for text in (note, apart and apart.cost) if text]  # for the record of the epoch under way
        self.began, self.images_done, self.reported = time.monotonic(), 0, 0.0

    def epoch(self, number: int) -> EpochRecord | None:
        """One epoch; None if it was asked to stop."""
        inputs = self.inputs
        self._start_window(number)
        inputs.model.hold_body(number <= self.still_epochs)
        epoch = EpochUnderWay(inputs, number, self.batch_size)
        if self.apart is not None:
            self.apart.begin(number)
        while (index := epoch.index) is not None:
            if inputs.options.asked_to_stop():
                return None
            rounds_done = (number - 1 + (epoch.images_done + len(index) / 2) / inputs.n_images) / self.epochs
            epoch.rate = learning_rate(inputs.config, number, rounds_done)
            if self._fits(epoch, index):
                epoch.advance()
                self.images_done += len(index)
                self._report(epoch)
            else:
                self._halve(len(index))
                epoch.split(self.batch_size)
        return self._record(epoch)

    def _start_window(self, number: int) -> None:
        """Forget p-bar where the window that it is averaged over begins."""
        tracker = self.step.tracker
        if tracker is not None and self.inputs.config.td_window == "second-half" and number == self.epochs // 2 + 1:
            tracker.reset()

    def _fits(self, epoch: EpochUnderWay, index: Tensor) -> bool:
        """Make one step; False if memory ran out, with everything but BatchNorm's statistics as it was before.

        What trains apart comes first and may then have made its step: it makes another with the halves.
        """
        try:
            self._train_on(epoch, index)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        else:
            return True
        # Outside the except clause: until it ends, the error's frames hold the tensors that are in the way.
        self.step.undo()
        return False

    def _train_on(self, epoch: EpochUnderWay, index: Tensor) -> None:
        batch = self.batches.draw(index, epoch.following, epoch.draws)
        if self.apart is not None:
            self.apart.step(batch)
        result = self.step(batch, index, epoch.rate, epoch.masks, epoch.number, self.epochs)
        if epoch.curves is not None:
            epoch.curves.add(index.to(result.p.device, non_blocking=True), result.p, result.labels)
        epoch.sums.add_(result.losses, alpha=len(index))

    def _halve(self, batch_size: int) -> None:
        """Continue with batches half as large, and say so in the epoch's record."""
        if batch_size == 1:
            raise OutOfMemory(
                f"not even one {self.batches.item} fits in the memory of {self.inputs.model.device.type}; choose a "
                "smaller training size or the quick training on the Project page."
            )
        self.batch_size = math.ceil(batch_size / 2)
        self.notes.append(f"out of memory with batches of {batch_size} images: continued with {self.batch_size}")

    def _report(self, epoch: EpochUnderWay) -> None:
        """Say where the training stands, about once a second; only then wait for the device."""
        if time.monotonic() - self.reported < REPORT_SECONDS:
            return
        self._refuse_nan(float(epoch.sums[0]), epoch)
        speed = self.images_done / max(time.monotonic() - self.began, 1e-9)
        batches = len(epoch.chunks)
        images_left = self.inputs.n_images * (self.epochs - epoch.number + (1 - epoch.batch / batches))
        self.inputs.options.report(
            TrainProgress(epoch.number, self.epochs, epoch.batch, batches, speed, images_left / speed)
        )
        self.reported = time.monotonic()

    def _refuse_nan(self, loss: float, epoch: EpochUnderWay) -> None:
        """TrainingDiverged if the loss is not a finite number."""
        if not math.isfinite(loss):
            raise TrainingDiverged(
                f"the training diverged: the loss is {loss} in epoch {epoch.number} at learning rate {epoch.rate:.3g}; "
                "train again with other random numbers (Train now on the Training page), or choose another training on "
                "the Project page."
            )

    def _record(self, epoch: EpochUnderWay) -> EpochRecord:
        n = self.inputs.n_images
        loss, class_loss, td_loss, right = (epoch.sums / n).tolist()  # the epoch's one wait for the device
        self._refuse_nan(loss, epoch)
        seconds = time.monotonic() - epoch.began
        note = "; ".join(self.notes) or None
        self.notes.clear()
        return EpochRecord(
            epoch=epoch.number,
            epochs=self.epochs,
            loss=loss,
            class_loss=class_loss,
            td_loss=td_loss if self.step.td is not None else None,
            train_accuracy=right,
            learning_rate=epoch.rate,
            seconds=seconds,
            images_per_second=n / seconds,
            batch_size=self.batch_size,
            curves=epoch.curves.finish() if epoch.curves is not None else None,
            note=note,
        )
