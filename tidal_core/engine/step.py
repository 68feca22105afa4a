"""One step of training: forward, p-bar, loss, backward, update.

The loss of a batch is that of the paper (``tidal.tidal_loss``) where the model has a TD module, cross-entropy where
not; other companions add their own. p-bar counts the probabilities of this very pass, before the update.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from tidal_core.config import TrainConfig
from tidal_core.engine.companions import Companion, SeenBatch
from tidal_core.engine.model import Model
from tidal_core.engine.optimizers import set_rate
from tidal_core.method.tidal import TDTracker, classification_loss, tidal_loss


@dataclass(frozen=True)
class StepResult:
    """What one step saw, all on the device."""

    p: Tensor  # (B, C) softmax of the classifier before the update, float32
    labels: Tensor  # (B,)
    losses: Tensor  # (4,): loss, class loss, TD loss, share of right answers; means over the batch


class Step:
    """Makes one step after the other on a model; ``undo`` takes back one that ran out of memory."""

    def __init__(
        self,
        config: TrainConfig,
        model: Model,
        labels: Tensor,
        tracker: TDTracker | None,
        optimizer: torch.optim.Optimizer,
        image_weights: Tensor | None = None,
    ) -> None:
        self.config, self.model, self.labels = config, model, labels  # labels (N,) on the device
        self.tracker, self.optimizer = tracker, optimizer
        self.image_weights = image_weights  # (N,) on the device; None: all alike
        self.td = model.companions.get("td")
        self.others = [module for module in model.companions.values() if isinstance(module, Companion)]
        self.norms = [m for m in model.backbone.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
        self._counted: tuple[Tensor, Tensor] | None = None  # what p-bar was last given, until the update is made

    def __call__(
        self, batch: Tensor, index: Tensor, rate: float, masks: Generator, epoch: int, epochs: int
    ) -> StepResult:
        """Train on ``batch`` (B, ...), the images at ``index`` (B,); companions draw from ``masks``."""
        device = self.model.device
        index = index.to(device, non_blocking=True)
        labels = self.labels.index_select(0, index)  # (B,)
        weights = self.image_weights.index_select(0, index) if self.image_weights is not None else None  # (B,)
        logits, features, td_logits = self._forward(batch)
        p = logits.detach().float().softmax(dim=1)  # (B, C)
        p_bar = None
        if self.tracker is not None:
            p_bar = self.tracker.update(index, p)  # (B, C)
            self._counted = index, p
        if td_logits is not None and p_bar is not None:
            loss, class_loss, td_loss = tidal_loss(logits, labels, td_logits, p_bar, self.config.td_weight, weights)
        else:
            loss = class_loss = classification_loss(logits, labels, weights)
            td_loss = torch.zeros_like(loss)
        seen = SeenBatch(features, logits, labels, epoch, epochs)
        for companion in self.others:
            loss = loss + companion.loss(seen, masks)
        loss.backward()  # type: ignore[no-untyped-call]
        set_rate(self.optimizer, rate)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self._counted = None
        right = (p.argmax(dim=1) == labels).float().mean()
        return StepResult(p, labels, torch.stack((loss.detach(), class_loss.detach(), td_loss.detach(), right)))

    def _forward(self, batch: Tensor) -> tuple[Tensor, list[Tensor], Tensor | None]:
        """Logits (B, C) of f, the features of its stages, logits (B, C) of m if there is one."""
        alone = len(batch) == 1  # one image has no deviation to divide by: use the running one
        for norm in self.norms if alone else ():
            norm.eval()
        # Of a frozen body the precision is that of computing its features; its head is small and trains in float32.
        half = self.config.precision == "bfloat16" and not self.model.frozen
        with torch.autocast(self.model.device.type, torch.bfloat16, enabled=half):
            logits, features = self.model.forward(batch)
            td_logits = self.td(features) if self.td is not None else None
        for norm in self.norms if alone else ():
            norm.train(self.model.backbone.training)  # not where the body stands still
        return logits, features, td_logits

    def undo(self) -> None:
        """After memory ran out: everything but BatchNorm's statistics is as it was before the step."""
        self.optimizer.zero_grad()
        if self._counted is not None and self.tracker is not None:
            self.tracker.withdraw(*self._counted)
        self._counted = None
        if self.model.device.type == "cuda":
            torch.cuda.empty_cache()
