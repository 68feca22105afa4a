"""Images through the trained network: log-probabilities of f and m in float32 and the features to choose by.

In evaluation mode, without augmentation. Large pools come in blocks that can be stored one by one, so that scoring
goes on where it stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from tidal_core.config import Precision
from tidal_core.engine.backbones import Backbone
from tidal_core.engine.batches import FeatureBatches, PixelBatches, open_pixels
from tidal_core.engine.companions import Companion, said_by
from tidal_core.engine.devices import use_threads
from tidal_core.engine.features.extract import Extractor
from tidal_core.engine.features.store import open_features
from tidal_core.engine.folding import folded
from tidal_core.engine.model import Model
from tidal_core.errors import InputError, Stopped
from tidal_core.method.tidal import log_probabilities
from tidal_core.records import Float32, Int64, PoolScores, Progress, UInt8

REPORT_SECONDS = 0.9  # between two progress reports
BLOCK = 8_192  # images: small enough to lose one, large enough to store one at a time


def best_batch_size(device: torch.device) -> int:
    """Images in a batch: on a CPU more are not faster, and a stop waits for one; elsewhere they fill the device."""
    return 64 if device.type == "cpu" else 512


class _ScoredBatch(NamedTuple):
    """What is said of B images, on the device."""

    log_p: torch.Tensor  # (B, C)
    td_log_p: torch.Tensor  # (B, C), or (B, 0) without the TD module
    features: torch.Tensor  # (B, D)
    said: dict[str, torch.Tensor]  # by companions that go through it batch by batch: (B,) each


class ScoredBlock(NamedTuple):
    """The scores of ``rows[start:stop]``."""

    start: int
    stop: int
    scores: PoolScores


def score(
    model: Model,
    pixels: Path,
    rows: Int64,
    *,
    batch_size: int | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
    threads: int = 1,
    features: Path | None = None,
    keep_features: bool = True,
) -> PoolScores:
    """The scores of the images ``rows`` (N,) of the pixel file, in their order.

    ``features``: rows.f16 of their features, for a model whose body is frozen; then pixels are not read. Of a million
    images those of the scores are 5 GB: without ``keep_features`` they are (0, D) there, unless a companion reads them
    all, and ``features_of`` gives those of some.

    ``batch_size`` decides nothing but speed (default: ``best_batch_size``). ``should_stop`` is asked before every
    batch; when it says yes, Stopped is raised.
    """
    N = len(rows)
    td = model.companions.get("td")
    log_p: Float32 = np.empty((N, model.n_classes), np.float32)
    td_log_p: Float32 | None = np.empty((N, model.n_classes), np.float32) if td is not None else None
    keep_features |= any(isinstance(companion, Companion) for companion in model.companions.values())
    pooled: Float32 = np.empty((N * keep_features, model.backbone.stage_channels[-1]), np.float32)
    extra: dict[str, Float32] = {}
    blocks = score_blocks(
        model,
        pixels,
        rows,
        batch_size=batch_size,
        progress=progress,
        should_stop=should_stop,
        threads=threads,
        features=features,
    )
    for start, stop, scores in blocks:
        log_p[start:stop] = scores.log_p
        if keep_features:
            pooled[start:stop] = scores.features
        if td_log_p is not None and scores.td_log_p is not None:
            td_log_p[start:stop] = scores.td_log_p
        for name, values in scores.extra.items():
            extra.setdefault(name, np.empty(N, np.float32))[start:stop] = values
    for companion in model.companions.values() if keep_features else ():
        if isinstance(companion, Companion):
            extras = companion.extra(torch.from_numpy(pooled).to(model.device))
            extra |= {name: value.cpu().numpy() for name, value in extras.items()}
    return PoolScores(log_p, td_log_p, pooled, extra, head=model.linear_head())


def features_of(model: Model, features: Path, rows: Int64) -> Float32:
    """What ``PoolScores.features`` holds (n, D) of the images at ``rows`` (n,), for a model whose body is frozen."""
    source = open_features(features)
    pooled: Float32 = np.empty((len(rows), model.backbone.stage_channels[-1]), np.float32)
    with torch.inference_mode():
        for start in range(0, len(rows), BLOCK):
            block = slice(start, start + BLOCK)
            inputs = model.normalise(torch.from_numpy(source.take(rows[block])).to(model.device))
            pooled[block] = inputs[:, -pooled.shape[1] :].float().cpu().numpy()
    return pooled


def score_blocks(
    model: Model,
    pixels: Path,
    rows: Int64,
    *,
    start: int = 0,
    block: int = BLOCK,
    batch_size: int | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
    threads: int = 1,
    features: Path | None = None,
) -> Iterator[ScoredBlock]:
    """Scores in blocks of ``block`` images from position ``start`` of ``rows`` on, which is where to go on again."""
    device = model.device
    use_threads(device, threads)
    model.eval()
    source = _open(model, pixels, features, rows)
    backbone = _for_scoring(model)
    batch_size = batch_size or (block if model.frozen else best_batch_size(device))
    reads_ahead = source.worth_reading_ahead
    reported = time.monotonic()
    try:
        for first in range(start, len(rows), block):
            last = min(first + block, len(rows))
            batches = torch.split(torch.arange(first, last), batch_size)
            parts = []
            for i, index in enumerate(batches):
                if should_stop is not None and should_stop():
                    raise Stopped(f"scoring was stopped after {first:,} of {len(rows):,} images.")
                following = batches[i + 1] if i + 1 < len(batches) and reads_ahead else None
                parts.append(_score_batch(model, backbone, source.take(index, following)))
                if progress is not None and time.monotonic() - reported >= REPORT_SECONDS:
                    progress(int(index[-1]) + 1, len(rows))
                    reported = time.monotonic()
            log_p = torch.cat([part.log_p for part in parts]).cpu().numpy()
            td = torch.cat([part.td_log_p for part in parts]).cpu().numpy() if "td" in model.companions else None
            pooled = torch.cat([part.features for part in parts]).cpu().numpy()
            extra = {name: torch.cat([part.said[name] for part in parts]).cpu().numpy() for name in parts[0].said}
            yield ScoredBlock(first, last, PoolScores(log_p, td, pooled, extra))
        if progress is not None:
            progress(len(rows), len(rows))
    finally:
        source.close()


def _open(model: Model, pixels: Path, features: Path | None, rows: Int64) -> PixelBatches | FeatureBatches:
    if not model.frozen:
        return PixelBatches(open_pixels(pixels), rows, model.device, "file")
    if features is None:
        raise InputError("a frozen body is scored on features and none were given; compute the images' features first.")
    return FeatureBatches(open_features(features), rows, model.device, as_asked=True)


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
