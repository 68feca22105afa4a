"""The exact training dynamics of unlabelled images, computed instead of predicted.

Where the body is frozen only a linear head trains. Its weights at some epochs, applied to the features of the whole
pool, are the classifier of these epochs: p^(t)(c | x) of every image, and by their mean p-bar (TiDAL, Eq. 5), which the
TD module only predicts. The images are not augmented, and the head is the one after the epoch's last step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from tidal_core.config import TDWindow
from tidal_core.engine.features.store import Features
from tidal_core.engine.model import Model, read_tensors
from tidal_core.records import Float32, Int64

KEPT = 20  # epochs at most: a curve needs no more points, and 100,000 images take seconds
BLOCK = 8_192  # images at once
WEIGHT, BIAS, EPOCHS = "heads.weight", "heads.bias", "heads.epochs"


class HeadHistory:
    """The head at ``KEPT`` epochs of a round or fewer, evenly spread, the last one among them."""

    def __init__(self, epochs: int) -> None:
        """``epochs`` of the whole round."""
        n_kept = min(KEPT, epochs)
        self.wanted = frozenset(np.linspace(1, epochs, n_kept).round().astype(int).tolist()) if n_kept > 1 else {epochs}
        self._heads: dict[int, tuple[Tensor, Tensor]] = {}  # by epoch: weight (C, D) and bias (C,)

    def note(self, epoch: int, model: Model) -> None:
        """Keep the model's head as it is after ``epoch``, if it is one of those that are kept."""
        if epoch in self.wanted:
            weight, bias = model.head()
            self._heads[epoch] = weight.detach().float().cpu().clone(), bias.detach().float().cpu().clone()

    @property
    def epochs(self) -> Int64:
        """(E,) epochs whose heads are here, from 1, in their order."""
        return np.array(sorted(self._heads), dtype=np.int64)

    def first_epoch(self, window: TDWindow) -> int:
        """The first epoch of the window that p-bar is the mean over, as for the TD module (``loop``)."""
        return int(self.epochs[-1]) // 2 + 1 if window == "second-half" else 1

    def tensors(self) -> dict[str, Tensor]:
        """For a checkpoint."""
        if not self._heads:
            return {}
        weights, biases = zip(*(self._heads[epoch] for epoch in self.epochs.tolist()), strict=True)
        return {EPOCHS: torch.from_numpy(self.epochs), WEIGHT: torch.stack(weights), BIAS: torch.stack(biases)}

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The heads that lie beside the weights in a round's file; None where there are none. Raises InputError."""
        tensors, _ = read_tensors(path)
        if EPOCHS not in tensors:
            return None
        history = cls(int(tensors[EPOCHS].max()))
        history.load_tensors(tensors)
        return history

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what ``tensors`` gave."""
        self._heads.clear()
        if EPOCHS in tensors:
            heads = zip(tensors[WEIGHT], tensors[BIAS], strict=True)
            self._heads = {int(e): (w, b) for e, (w, b) in zip(tensors[EPOCHS], heads, strict=True)}


def exact_curves(
    heads: HeadHistory, model: Model, features: Features, rows: Int64, block: int = BLOCK
) -> Iterator[tuple[slice, Float32]]:
    """p^(t)(c | x) of the images at ``rows`` (N,) of ``features``: blocks of rows, each (n, E, C).

    Computed on the model's device: one matrix product for all epochs of a block.
    """
    device = model.device
    tensors = heads.tensors()
    weight, bias = tensors[WEIGHT].to(device), tensors[BIAS].to(device)  # (E, C, D), (E, C)
    E, C, D = weight.shape
    flat = weight.reshape(E * C, D).T.contiguous()  # (D, E * C)
    for start in range(0, len(rows), block):
        block_rows = slice(start, min(start + block, len(rows)))
        with torch.inference_mode():
            x = model.head_input(torch.from_numpy(features.take(rows[block_rows])).to(device))  # (n, D)
            logits = (x @ flat).view(-1, E, C).add_(bias)
            yield block_rows, logits.softmax(dim=2).cpu().numpy()


def exact_p_bar(heads: HeadHistory, model: Model, features: Features, rows: Int64, first_epoch: int = 1) -> Float32:
    """p-bar (N, C) of the images at ``rows``: the mean of ``exact_curves`` from ``first_epoch`` on."""
    inside = heads.epochs >= first_epoch
    p_bar = np.empty((len(rows), model.n_classes), np.float32)
    for block_rows, curves in exact_curves(heads, model, features, rows):
        p_bar[block_rows] = curves[:, inside].mean(axis=1)
    return p_bar
