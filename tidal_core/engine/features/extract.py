"""Images through a body that does not train, to the features that are kept of them.

Each stage of the body is averaged over the image and the averages are laid side by side, so that head and TD module of
a round read the same as they would beside a body that trains. In evaluation mode, with batch norms folded into the
convolutions: the features are the same to rounding, in two thirds of the time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tidal_core.config import Precision
from tidal_core.engine.backbones.torchvision_models import resized
from tidal_core.engine.batches import open_source
from tidal_core.engine.devices import pick_device, use_threads
from tidal_core.engine.downloads import DownloadProgress
from tidal_core.engine.executors import LOCAL, Executor, Memory, Watch
from tidal_core.engine.executors.base import PROCESS_BYTES, activation_bytes
from tidal_core.engine.features.store import FeatureStore, Float16
from tidal_core.engine.folding import folded
from tidal_core.engine.preprocessing import Preprocessing
from tidal_core.engine.pretrained import build_pretrained, preprocessing_of
from tidal_core.errors import Stopped
from tidal_core.images.squares import squares_at
from tidal_core.method.tidal import pooled
from tidal_core.records import FeatureProgress, Int64, UInt8

BLOCK = 64  # images: what a kill costs, and how long a round that is due waits, is a block's time

Progress = Callable[[FeatureProgress], None]


class Extractor:
    """A pretrained body, ready to compute: uint8 squares (n, S, S, 3) to float16 features (n, D)."""

    def __init__(
        self,
        name: str,
        *,
        device: torch.device | None = None,
        threads: int = 1,
        precision: Precision = "float32",
        download: DownloadProgress | None = None,
    ) -> None:
        """``download`` hears of the weights if they are fetched: bytes so far, bytes in all.

        Raises InputError where the weights of ``name`` are not to be had.
        """
        self.name, self.precision = name, precision
        self.device, self.threads = device or pick_device(), threads
        self.preprocessing: Preprocessing = preprocessing_of(name)
        body = folded(build_pretrained(name, progress=download))
        self.stage_channels = tuple(body.stage_channels)
        self._kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
        self._body = body.to(self.device, self._kind).to(memory_format=torch.channels_last)
        std = torch.tensor(self.preprocessing.std, device=self.device)
        self._scale = (1 / (255 * std)).view(1, 3, 1, 1)
        self._shift = (torch.tensor(self.preprocessing.mean, device=self.device) / std).view(1, 3, 1, 1)

    @property
    def batch_size(self) -> int:
        """Images at once: on a CPU what stays in its cache, elsewhere what fills the device."""
        return 8 if self.device.type == "cpu" else 256

    def __reduce__(self) -> tuple[Callable[..., Extractor], tuple[str, int, Precision]]:
        """A copy in another process is built there, on that machine's fastest device, from the published weights."""
        return _extractor, (self.name, self.threads, self.precision)

    @property
    def n_weights(self) -> int:
        """Numbers that the body holds."""
        return sum(parameter.numel() for parameter in self._body.parameters())

    @torch.inference_mode()
    def __call__(self, squares: UInt8) -> Float16:
        """Features of the squares, in their order."""
        use_threads(self.device, self.threads)
        images = torch.from_numpy(np.ascontiguousarray(squares))
        parts = [self._batch(batch.to(self.device)) for batch in torch.split(images, self.batch_size)]
        return torch.cat(parts).cpu().numpy()

    def _batch(self, images: Tensor) -> Tensor:
        # (B, S, S, 3) as pixels lie in the file is (B, 3, S, S) channels last without a copy.
        x = images.permute(0, 3, 1, 2)
        if self.preprocessing.resizes:
            # Bicubic curves leave the range of pixels at sharp edges.
            x = resized(x.float(), self.preprocessing.side, self.preprocessing.interpolation).clamp(0, 255)
        x = torch.mul(x, self._scale).sub_(self._shift)
        _, stages = self._body(x.to(self._kind))
        return torch.cat([pooled(stage.float()) for stage in stages], dim=1).half()


def _extractor(name: str, threads: int, precision: Precision) -> Extractor:
    return Extractor(name, threads=threads, precision=precision)


_extractors: dict[tuple[str, Precision], Extractor] = {}
_making = threading.Lock()


def extractor_of(backbone: str, precision: Precision, download: DownloadProgress | None = None) -> Extractor:
    """The extractor of a backbone on the fastest device; the last one made is kept. Raises InputError.

    ``download`` hears of the weights if they are fetched: bytes so far, bytes in all.
    """
    with _making:
        key = backbone, precision
        if key not in _extractors:
            made = Extractor(backbone, precision=precision, download=download)
            _extractors.clear()
            _extractors[key] = made
        return _extractors[key]


def forget_extractors() -> None:
    """Make them anew when they are asked for next."""
    with _making:
        _extractors.clear()


@dataclass(frozen=True)
class Extraction:
    """The work (``executors``) of computing features; a task is the rows (n,) of at most ``BLOCK`` images."""

    extractor: Extractor
    pixels: Path | str  # the file of a pixel store, or the address of a copy
    side: int | None = None  # pixels that squares are brought to first; None for as they are
    ahead: int = 1

    @property
    def threads(self) -> int:
        """torch's."""
        return self.extractor.threads

    @property
    def folders(self) -> tuple[Path, ...]:
        """That of the pixels, unless they lie at an address."""
        return () if isinstance(self.pixels, str) else (self.pixels.parent,)

    def memory(self, n_images: int) -> Memory:
        """What a worker, a block's features and the collecting process take."""
        extractor, features = self.extractor, 2 * sum(self.extractor.stage_channels)
        side = extractor.preprocessing.side if extractor.preprocessing.resizes else self.side or self._side()
        worker = PROCESS_BYTES + 3 * 4 * extractor.n_weights + activation_bytes(extractor.batch_size, side)
        return Memory(worker + 2 * BLOCK * side * side * 3, BLOCK * features, 4 * BLOCK * features)

    def _side(self) -> int:
        return open_source(self.pixels).side

    def open(self) -> Callable[[Int64, Watch], Float16]:
        """See ``executors.Work``."""
        source = open_source(self.pixels)

        def features_at(rows: Int64, watch: Watch) -> Float16:
            squares = source[rows] if self.side in (None, source.side) else squares_at(source[rows], self.side)
            return self.extractor(squares)

        return features_at


def extract(
    extractor: Extractor,
    pixels: Path | str,
    store: FeatureStore,
    rows: Int64,
    *,
    side: int | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
    say: Callable[[str], None] = lambda _: None,
    executor: Executor = LOCAL,
) -> bool:
    """Compute the features of ``rows`` (N,) that have none yet, by blocks; True once all have them.

    ``pixels``: the project's pixel store, or the address of a copy. ``side``: pixels that its squares are brought to
    first, as an import would have; None for as they are. ``executor``: where they are computed, in this
    process in their order; it writes them. What is done stays done: a later call goes on where this one ended.
    ``should_stop`` is asked before each block.
    Raises OSError on a full disk and InputError where pixels are missing.
    """
    began, missing = time.monotonic(), store.missing(rows)
    if not len(missing):
        return True
    blocks = [missing[first : first + BLOCK] for first in range(0, len(missing), BLOCK)]
    watch = Watch(should_stop or (lambda: False), say=say)
    done = 0
    try:
        for position, features in executor.run(Extraction(extractor, pixels, side), blocks, len(missing), watch):
            store.write(blocks[position], features, extractor.stage_channels)
            done += len(blocks[position])
            if progress is not None:
                speed, n_left = done / max(time.monotonic() - began, 1e-9), len(missing) - done
                progress(FeatureProgress(len(rows) - n_left, len(rows), speed, n_left / speed))
    except Stopped:
        return False
    return True
