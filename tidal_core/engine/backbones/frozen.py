"""``FrozenHead``: what trains where the body does not, a cosine classifier on stored features.

A class is a direction w_c, and its logit is ``SCALE`` times the cosine between it and the image's features. Of the
heads that were compared (EXPERIMENTS.md) it is among the most accurate from 10 to 200 labels, and with up to 40 its
probabilities are among the nearest to what they say: no logit leaves -SCALE to SCALE, however long it trains.
Cosine classifiers: Gidaris and Komodakis, Dynamic Few-Shot Visual Learning without Forgetting, CVPR 2018.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tidal_core.engine.backbones.base import Backbone

SCALE = 10.0


class FrozenHead(Backbone):
    """Reads the pooled stages of a frozen body side by side; classifies by the direction of the last of them.

    Beside it the TD module and the strategies find what they find beside a body that trains: one vector a stage.
    """

    class_rows = ("classifier.weight",)

    def __init__(self, stage_channels: Sequence[int], n_classes: int) -> None:
        super().__init__()
        self.stage_channels = tuple(stage_channels)
        self.classifier = nn.Linear(self.stage_channels[-1], n_classes, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits (B, C) and the stages of features x (B, D)."""
        stages = list(torch.split(x, list(self.stage_channels), dim=1))
        return F.linear(self.read(stages[-1]), self.weight()), stages

    def read(self, last_stage: Tensor) -> Tensor:
        """What the linear layer reads (B, D) of the last stage's features (B, D): each row of length 1."""
        return F.normalize(last_stage, dim=1)

    def weight(self) -> Tensor:
        """The linear layer (C, D): each row of length ``SCALE``."""
        return SCALE * F.normalize(self.classifier.weight, dim=1)
