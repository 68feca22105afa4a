"""Images through the trained network: log-probabilities of f and m in float32 and the features to choose by.

In evaluation mode, without augmentation. Large pools are scored in blocks, here or on the machines of a cluster
(``executors``).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from tidal_core.config import Precision
from tidal_core.engine.backbones import Backbone
from tidal_core.engine.batches import FeatureBatches, PixelBatches, open_source
from tidal_core.engine.companions import Companion, said_by
from tidal_core.engine.devices import use_threads
from tidal_core.engine.executors import LOCAL, Executor, Memory, Watch
from tidal_core.engine.executors.base import PROCESS_BYTES, activation_bytes
from tidal_core.engine.features.extract import Extractor
from tidal_core.engine.features.store import open_features
from tidal_core.engine.folding import folded
from tidal_core.engine.model import Model
from tidal_core.errors import InputError, Stopped
from tidal_core.method.tidal import log_probabilities
from tidal_core.records import Float32, Int64, PoolScores, Progress, UInt8

REPORT_SECONDS = 0.9  # between two progress reports


def best_batch_size(device: torch.device) -> int:
    """Images in a batch: on a CPU more are not faster, and a stop waits for one; elsewhere they fill the device."""
    return 64 if device.type == "cpu" else 512


class _ScoredBatch(NamedTuple):
    """What is said of B images, on the device."""

    log_p: torch.Tensor  # (B, C)
    td_log_p: torch.Tensor  # (B, C), or (B, 0) without the TD module
    features: torch.Tensor  # (B, D)
    said: dict[str, torch.Tensor]  # by companions that go through it batch by batch: (B,) each


@dataclass(frozen=True)
class PoolScoring:
    """The work (``executors``) of scoring; a task is the rows (n,) of at most ``block_size`` images.

    Sent to another process, the model is built there on that machine's fastest device.
    """

    model: Model
    pixels: Path | str  # the file of a pixel store, or the address of a copy
    features: Path | None  # rows.f16, for a model whose body is frozen
    batch_size: int | None  # None for ``best_batch_size``
    threads: int  # torch's
    ahead: int = 1

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where pixels or features lie, unless at an address."""
        read = self.features if self.model.frozen else self.pixels
        return (read.parent,) if isinstance(read, Path) else ()

    def memory(self, n_images: int) -> Memory:
        """What a worker, a block's scores and the collecting process take."""
        model, block = self.model, block_size(frozen=self.model.frozen)
        channels = model.backbone.stage_channels
        score_bytes = 4 * (model.n_classes * (1 + ("td" in model.companions)) + channels[-1] + len(model.companions))
        weights = 3 * 4 * sum(value.numel() for value in model.state().values())
        if model.frozen:
            inputs = block * sum(channels) * 8
        else:
            side = open_source(self.pixels).side
            inputs = activation_bytes(self.batch_size or best_batch_size(model.device), side)
        worker = PROCESS_BYTES + weights + inputs + 2 * block * score_bytes
        return Memory(worker, block * score_bytes, n_images * score_bytes + block * score_bytes)

    def open(self) -> Callable[[Int64, Watch], PoolScores]:
        """See ``executors.Work``. Raises InputError where pixels or features are missing."""
        return _Scorer(self)


class _Scorer:
    """Scores block after block; what they share is loaded once."""

    def __init__(self, work: PoolScoring) -> None:
        model = work.model
        use_threads(model.device, work.threads)
        self.model = model.eval()
        self.backbone = _for_scoring(model)
        self.batch_size = work.batch_size or (
            block_size(frozen=True) if model.frozen else best_batch_size(model.device)
        )
        self.pixels = self.features = None
        if not model.frozen:
            self.pixels = open_source(work.pixels)
        elif work.features is not None:
            self.features = open_features(work.features)
        else:
            raise InputError(
                "a frozen body is scored on features and none were given; compute the images' features first."
            )

    def __call__(self, rows: Int64, watch: Watch) -> PoolScores:
        source = self._source(rows)
        batches = torch.split(torch.arange(len(rows)), self.batch_size)
        parts = []
        try:
            for i, index in enumerate(batches):
                if watch.should_stop():
                    raise Stopped("scoring was stopped.")
                following = batches[i + 1] if i + 1 < len(batches) and source.worth_reading_ahead else None
                parts.append(_score_batch(self.model, self.backbone, source.take(index, following)))
                watch.progress(int(index[-1]) + 1)
        finally:
            source.close()
        log_p = torch.cat([part.log_p for part in parts]).cpu().numpy()
        td = torch.cat([part.td_log_p for part in parts]).cpu().numpy() if "td" in self.model.companions else None
        pooled = torch.cat([part.features for part in parts]).cpu().numpy()
        extra = {name: torch.cat([part.said[name] for part in parts]).cpu().numpy() for name in parts[0].said}
        return PoolScores(log_p, td, pooled, extra)

    def _source(self, rows: Int64) -> PixelBatches | FeatureBatches:
        if self.pixels is not None:
            return PixelBatches(self.pixels, rows, self.model.device, "file")
        assert self.features is not None  # one of the two, see above
        return FeatureBatches(self.features, rows, self.model.device)


def block_size(*, frozen: bool) -> int:
    """Images in a task: what is lost with a worker; a head on features is quicker with more at once."""
    return 8_192 if frozen else 1_024


def score(
    model: Model,
    pixels: Path | str,
    rows: Int64,
    *,
    batch_size: int | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
    say: Callable[[str], None] = lambda _: None,
    threads: int = 1,
    features: Path | None = None,
    executor: Executor = LOCAL,
    keep_features: bool = True,
) -> PoolScores:
    """The scores of the images ``rows`` (N,) of the pixel file, or of a copy at an address, in their order.

    ``features``: rows.f16 of their features, for a model whose body is frozen; then pixels are not read. Of a million
    images those of the scores are 5 GB: without ``keep_features`` they are (0, D) there, unless a companion reads them
    all, and ``features_of`` gives those of some.

    ``batch_size`` decides nothing but speed (default: ``best_batch_size``). ``should_stop`` is asked before every
    batch, and where another machine computes several times a second; when it says yes, Stopped is raised.
    ``executor``: where it is computed.
    """
    N, block = len(rows), block_size(frozen=model.frozen)
    td = model.companions.get("td")
    log_p: Float32 = np.empty((N, model.n_classes), np.float32)
    td_log_p: Float32 | None = np.empty((N, model.n_classes), np.float32) if td is not None else None
    keep_features |= any(isinstance(companion, Companion) for companion in model.companions.values())
    pooled: Float32 = np.empty((N * keep_features, model.backbone.stage_channels[-1]), np.float32)
    extra: dict[str, Float32] = {}
    tasks = [rows[first : first + block] for first in range(0, N, block)]
    done, reported = 0, time.monotonic()

    def report(n: int) -> None:
        nonlocal reported
        if progress is not None and time.monotonic() - reported >= REPORT_SECONDS:
            progress(done + n, N)
            reported = time.monotonic()

    watch = Watch(should_stop or (lambda: False), report, say)
    work = PoolScoring(model, pixels, features, batch_size, threads)
    try:
        for position, scores in executor.run(work, tasks, N, watch):
            at = slice(position * block, position * block + len(tasks[position]))
            log_p[at] = scores.log_p
            if keep_features:
                pooled[at] = scores.features
            if td_log_p is not None and scores.td_log_p is not None:
                td_log_p[at] = scores.td_log_p
            for name, values in scores.extra.items():
                extra.setdefault(name, np.empty(N, np.float32))[at] = values
            done += len(tasks[position])
            report(0)
    except Stopped as error:
        raise Stopped(f"scoring was stopped after {done:,} of {N:,} images.") from error
    if progress is not None:
        progress(N, N)
    for companion in model.companions.values() if keep_features else ():
        if isinstance(companion, Companion):
            extras = companion.extra(torch.from_numpy(pooled).to(model.device))
            extra |= {name: value.cpu().numpy() for name, value in extras.items()}
    return PoolScores(log_p, td_log_p, pooled, extra, head=model.linear_head())


def features_of(model: Model, features: Path, rows: Int64) -> Float32:
    """What ``PoolScores.features`` holds (n, D) of the images at ``rows`` (n,), for a model whose body is frozen."""
    source, step = open_features(features), block_size(frozen=True)
    pooled: Float32 = np.empty((len(rows), model.backbone.stage_channels[-1]), np.float32)
    with torch.inference_mode():
        for start in range(0, len(rows), step):
            block = slice(start, start + step)
            inputs = model.normalise(torch.from_numpy(source.take(rows[block])).to(model.device))
            pooled[block] = inputs[:, -pooled.shape[1] :].float().cpu().numpy()
    return pooled


def _for_scoring(model: Model) -> Backbone:
    return model.backbone if model.frozen else folded(model.backbone)


class SquareScorer:
    """Scores squares that are in no pixel file: new images. The network is folded once."""

    def __init__(self, model: Model, *, threads: int = 1, precision: Precision = "float32") -> None:
        """``precision``: what the features of a frozen body are computed with, as those that the model trained on."""
        use_threads(model.device, threads)
        self._model = model.eval()
        self._backbone = _for_scoring(model)
        self._extractor = None
        if model.frozen:
            name, device = model.backbone_name, model.device
            self._extractor = Extractor(name, device=device, threads=threads, precision=precision)

    def __call__(self, squares: UInt8) -> tuple[Float32, Float32 | None]:
        """log-probabilities (N, C) of f, and of m where the model has it, for uint8 squares (N, S, S, 3), N > 0."""
        inputs = squares if self._extractor is None else self._extractor(squares)
        batches = torch.split(torch.from_numpy(inputs), best_batch_size(self._model.device))
        parts = [_score_batch(self._model, self._backbone, batch.to(self._model.device)) for batch in batches]
        log_p = torch.cat([part.log_p for part in parts]).cpu().numpy()
        td_log_p = torch.cat([part.td_log_p for part in parts]).cpu().numpy()
        return log_p, td_log_p if "td" in self._model.companions else None


@torch.inference_mode()
def _score_batch(model: Model, backbone: Backbone, images: torch.Tensor) -> _ScoredBatch:
    inputs = model.normalise(images)
    logits, features = backbone(inputs)
    td = model.companions.get("td")
    td_logits = td(features) if td is not None else logits[:, :0]
    said = said_by(model.companions.values(), inputs, features)
    return _ScoredBatch(log_probabilities(logits), log_probabilities(td_logits), features[-1].float(), said)
