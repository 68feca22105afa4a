"""``FrozenHead``: what trains where the body does not, a linear classifier on stored features."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tidal_core.engine.backbones.base import Backbone


class FrozenHead(Backbone):
    """Reads the pooled stages of a frozen body side by side; classifies by the last of them.

    Beside it the TD module and the strategies find what they find beside a body that trains: one vector a stage.
    """

    class_rows = ("classifier.weight", "classifier.bias")

    def __init__(self, stage_channels: Sequence[int], n_classes: int) -> None:
        super().__init__()
        self.stage_channels = tuple(stage_channels)
        self.classifier = nn.Linear(self.stage_channels[-1], n_classes)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits (B, C) and the stages of features x (B, D)."""
        stages = list(torch.split(x, list(self.stage_channels), dim=1))
        return self.classifier(stages[-1]), stages
