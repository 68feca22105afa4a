"""The pixels of a round, batch by batch, where they are needed, with a random draw of augmentation for each image.

Three places, chosen by what fits: all images on the device as one uint8 tensor (the rule); in pinned memory of the
machine; in the file, read while the step before is computed. All three give the same batches bit for bit.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Generator, Tensor

from tidal_core.config import TrainConfig
from tidal_core.engine.devices import free_bytes
from tidal_core.engine.features.store import Features
from tidal_core.errors import InputError
from tidal_core.images.pixels import AddressedPixels, PixelStore
from tidal_core.records import Int64

Place = Literal["device", "host", "file"]
PixelSource = PixelStore | AddressedPixels

# Of the free memory, so that weights, activations and the other processes keep room.
SHARE_OF_DEVICE = 0.4
SHARE_OF_HOST = 0.4


def open_pixels(path: Path) -> PixelStore:
    """The squares of a round, as they are now until it ends; InputError if the file is anything else."""
    return PixelStore(path).open()


def open_source(pixels: Path | str) -> PixelSource:
    """As ``open_pixels``, also of a copy at an address, which is text."""
    return AddressedPixels(pixels).open() if isinstance(pixels, str) else open_pixels(pixels)


def check_rows(pixels: PixelSource, rows: Int64) -> None:
    """InputError unless every row is one of the file's."""
    if len(rows) and not (rows.min() >= 0 and rows.max() < len(pixels)):
        raise InputError(
            f"image rows go from {rows.min()} to {rows.max()} and the pixel cache has {len(pixels)} rows; "
            "save another training size on the Project page, which processes all images again."
        )


def choose_place(n_bytes: int, device: torch.device) -> Place:
    """Where ``n_bytes`` of pixels are kept while a round trains on ``device``."""
    if n_bytes <= SHARE_OF_DEVICE * free_bytes(device):
        return "device"
    if device.type == "cuda" and n_bytes <= SHARE_OF_HOST * free_bytes(torch.device("cpu")):
        return "host"
    return "file"


class PixelBatches:
    """The images ``rows`` of a pixel file as batches on ``device``; close it when done."""

    def __init__(self, pixels: PixelSource, rows: Int64, device: torch.device, place: Place | None = None) -> None:
        check_rows(pixels, rows)
        self.side = pixels.side
        self.device = device
        self._pixels, self._rows = pixels, rows
        self._decodes = pixels.is_partly_beyond
        self.place = place or choose_place(len(rows) * self.side * self.side * 3, device)
        self._all: Tensor | None = None  # (N, H, W, 3) uint8
        self._ahead: tuple[bytes, Future[Tensor]] | None = None
        self._reader: ThreadPoolExecutor | None = None
        if self.place != "file":
            self._all = torch.from_numpy(pixels[rows])
        if self.place == "device" and self._all is not None:
            self._all = self._all.to(device)
        elif self.place == "host" and self._all is not None and device.type == "cuda":
            self._all = self._all.pin_memory()
        if self.place != "device":
            self._reader = ThreadPoolExecutor(1, thread_name_prefix="pixels")

    def take(self, index: Tensor, following: Tensor | None = None) -> Tensor:
        """Images ``index`` (B,) (positions 0..N-1, on the CPU) as uint8 (B, H, W, 3) on the device.

        ``following`` is what will be asked for next: it is read meanwhile where pixels are not on the device.
        """
        if self.place == "device":
            assert self._all is not None  # set above for this place
            return self._all.index_select(0, index.to(self.device))
        assert self._reader is not None
        ahead, self._ahead = self._ahead, None
        foreseen = ahead is not None and ahead[0] == index.numpy().tobytes()
        batch = ahead[1].result() if ahead is not None and foreseen else self._read(index)
        if following is not None:
            self._ahead = following.numpy().tobytes(), self._reader.submit(self._read, following)
        return batch.to(self.device, non_blocking=True)

    @property
    def worth_reading_ahead(self) -> bool:
        """Whether pixels can be fetched while the device computes: on a CPU only decoding is worth it."""
        return self.device.type != "cpu" or self._decodes

    def _read(self, index: Tensor) -> Tensor:
        if self._all is not None:
            batch = self._all.index_select(0, index)
        else:
            batch = torch.from_numpy(self._pixels[self._rows[index.numpy()]])
        return batch.pin_memory() if self.device.type == "cuda" else batch

    def moments(self, limit: int = 10_000) -> tuple[Tensor, Tensor]:
        """Mean and deviation (3,) float32 of the channels over the first ``limit`` images, pixels as 0..1.

        The deviation is at least 0.02, so that images of one colour can be divided by it.
        """
        total, squares, count = torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64), 0
        n = min(limit, len(self._rows))
        for start in range(0, n, 256):
            stop = min(start + 256, n)
            if self._all is not None and self._decodes:  # decoded already
                block = self._all[start:stop].cpu().numpy()
            else:
                block = self._pixels[self._rows[start:stop]]
            # Counts of the 256 values are exact and need no float image.
            values = np.arange(256, dtype=np.float64) / 255
            for channel in range(3):
                counts = np.bincount(block[..., channel].ravel(), minlength=256)
                total[channel] += float(counts @ values)
                squares[channel] += float(counts @ values**2)
            count += block.shape[0] * self.side * self.side
        mean = total / count
        std = (squares / count - mean**2).clamp_min(0).sqrt().clamp_min(0.02)
        return mean.float(), std.float()

    def close(self) -> None:
        """Stop reading ahead."""
        if self._reader is not None:
            self._reader.shutdown(wait=True, cancel_futures=True)


class Batches(Protocol):
    """What a training draws from. Pixels are one kind; the loop asks no more of any other."""

    @property
    def item(self) -> str:
        """One of them in words, for messages: "image of 32 pixels"."""

    def draw(self, index: Tensor, following: Tensor | None, generator: Generator) -> Tensor:
        """The items ``index`` (B,) (positions 0..N-1, on the CPU) as the model's ``forward`` takes them.

        ``following`` is what will be asked for next; chance comes from the CPU's ``generator`` only.
        """

    def close(self) -> None:
        """Let go of files and threads."""


class FeatureBatches:
    """``Batches`` of frozen features: float32 (B, D), all of them on the device (100,000 images are 0.35 GB)."""

    item = "row of features"

    def __init__(self, features: Features, rows: Int64, device: torch.device) -> None:
        """``rows`` (N,) are those of ``features``. Raises InputError where one has none yet."""
        self._all = torch.from_numpy(features.take(rows)).to(device)
        self.worth_reading_ahead = False  # they are all here

    def take(self, index: Tensor, following: Tensor | None = None) -> Tensor:
        """Features ``index`` (B,) (positions 0..N-1, on the CPU) as float32 (B, D) on the device."""
        return self._all.index_select(0, index.to(self._all.device)).float()

    def draw(self, index: Tensor, following: Tensor | None, generator: Generator) -> Tensor:
        """See ``Batches``; there is no chance in it."""
        return self.take(index)

    def close(self) -> None:
        """Let go of the features."""
        self._all = self._all[:0]


class AugmentedPixels:
    """``Batches`` of pixels as training sees them: uint8 (B, H, W, 3), each image with an augmentation of its own."""

    def __init__(self, pixels: PixelBatches, config: TrainConfig) -> None:
        self.pixels, self.config = pixels, config
        self.item = f"image of {pixels.side} pixels"

    def draw(self, index: Tensor, following: Tensor | None, generator: Generator) -> Tensor:
        """See ``Batches``."""
        return augment(self.pixels.take(index, following), self.config, generator)

    def close(self) -> None:
        """Stop reading ahead."""
        self.pixels.close()


def augment(images: Tensor, config: TrainConfig, generator: Generator) -> Tensor:
    """uint8 images (B, H, W, 3) shifted, and mirrored if ``flip-crop``, each by a draw of its own.

    A shift is up to ``crop_padding`` pixels at 32 pixels, in proportion for other sizes, in both directions; what moves
    in is the repeated edge, or black, as ``crop_fill`` says. Draws come from the CPU's ``generator`` on every device.
    """
    if config.augmentation == "none":
        return images
    B, H, W, _ = images.shape
    device = images.device
    reach = max(1, round(config.crop_padding * H / 32)) if config.crop_padding else 0
    shift = torch.randint(-reach, reach + 1, (2, B, 1), generator=generator)
    mirrored = torch.rand(B, 1, generator=generator) < (0.5 if config.augmentation == "flip-crop" else 0.0)
    along = torch.arange(H)
    y = along + shift[0]  # (B, H): the source row of each row
    x = torch.where(mirrored, along.flip(0), along) + shift[1]  # (B, W)
    inside_y, inside_x = (y >= 0) & (y < H), (x >= 0) & (x < W)
    y, x = y.clamp_(0, H - 1), x.clamp_(0, W - 1)
    first_pixel = torch.arange(B).view(B, 1) * H
    y, x = (((first_pixel + y) * W).to(device), x.to(device))  # (B, H), (B, W)
    index = y.unsqueeze(2) + x.unsqueeze(1)  # (B, H, W): places in the row of all pixels
    shifted = images.reshape(-1, 3).index_select(0, index.flatten()).view(B, H, W, 3)
    if config.crop_fill == "black":
        inside = inside_y.to(device).unsqueeze(2) & inside_x.to(device).unsqueeze(1)  # (B, H, W)
        shifted.mul_(inside.unsqueeze(3))
    return shifted
