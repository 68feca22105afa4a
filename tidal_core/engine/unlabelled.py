"""Companions that train apart, on the classifier's batches and as many unlabelled images, step by step beside it.

Which unlabelled images come in an epoch, how they are augmented and what the companions draw depends on the round's
seeds and the epoch's number alone, as of the labelled ones, and on none of their draws: the classifier comes out as it
would without.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.optim import Optimizer

from tidal_core.engine.batches import Batches
from tidal_core.engine.checkpoints import epoch_generator
from tidal_core.engine.companions import said_by
from tidal_core.engine.companions.base import Side
from tidal_core.engine.train_inputs import TrainInputs

APART = 2**31  # added to the round's seeds: other draws than the classifier's


class UnlabelledSteps:
    """``begin`` an epoch, then ``step`` with each batch of the classifier."""

    def __init__(
        self, inputs: TrainInputs, unlabelled: Batches, optimizers: Mapping[str, Mapping[str, Optimizer]]
    ) -> None:
        """``unlabelled``: batches of ``inputs.images.unlabelled``; ``optimizers`` by companion and name."""
        self.inputs, self.unlabelled, self.optimizers = inputs, unlabelled, optimizers
        rows = inputs.images.unlabelled
        self.n_unlabelled = 0 if rows is None else len(rows)
        self.seconds = 0.0  # spent here
        self._apart = inputs.model.apart()
        self._joint = [module for name, module in inputs.model.companions.items() if name not in self._apart]
        self._is_read = any(companion.reads for companion in self._apart.values())
        self.begin(1)

    def begin(self, epoch: int) -> None:
        """The sources of chance of an epoch, from 1."""
        seeds = self.inputs.seeds
        self._order = torch.randperm(self.n_unlabelled, generator=epoch_generator(seeds.order + APART, epoch))  # (U,)
        self._draws = epoch_generator(seeds.augmentation + APART, epoch)
        self._chance = epoch_generator(seeds.weights + APART, epoch)
        self._position = 0

    def step(self, batch: Tensor) -> None:
        """Train every companion once: on ``batch`` (B, ...) of the classifier and B unlabelled images.

        Fewer where there are fewer; nothing trains where there is none. Each epoch has a new order, in which all come
        before one comes again.
        """
        if not self.n_unlabelled:
            return
        began = time.perf_counter()
        n = min(len(batch), self.n_unlabelled)
        index = self._order[torch.arange(self._position, self._position + n) % self.n_unlabelled]
        self._position += n
        labelled, unlabelled = self._side(batch), self._side(self.unlabelled.draw(index, None, self._draws))
        for name, companion in self._apart.items():
            companion.step(labelled, unlabelled, self.optimizers[name], self._chance)
        self.seconds += time.perf_counter() - began

    def _side(self, batch: Tensor) -> Side:
        """The images as companions see them; the classifier looks at them only if one reads what others say."""
        model = self.inputs.model
        inputs = model.normalise(batch)
        if not self._is_read:
            return Side(inputs, {})
        mode = model.backbone.training
        model.backbone.eval()
        half = self.inputs.config.precision == "bfloat16" and not model.frozen
        with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16, enabled=half):
            _, features = model.backbone(inputs)
        model.backbone.train(mode)
        return Side(inputs, said_by(self._joint, inputs, features))

    @property
    def cost(self) -> str:
        """What these companions cost beside the classifier, a sentence without its full stop."""
        weights = sum(parameter.numel() for companion in self._apart.values() for parameter in companion.parameters())
        each = "; the classifier looks at both once more to rank them" if self._is_read else ""
        return (
            f"{' and '.join(self._apart)} trains {weights / 1e6:.1f} million weights beside the classifier, on "
            f"{self.n_unlabelled:,} unlabelled images too: every step passes its batch and as many of them{each}"
        )
