"""The seam between a classifier f and everything that reads its inside, and how fresh weights are drawn."""

from __future__ import annotations

import math

from torch import Generator, Tensor, nn


class Backbone(nn.Module):
    """A classifier that returns ``(logits, stage features)``."""

    stage_channels: tuple[int, ...]  # of each stage's features; the last is the pooled vector's length
    class_rows: tuple[str, ...]  # parameters with one row for each class
    smallest_side: int = 8  # pixels: of the smallest images that pass
    # Whether ``initialise`` draws its weights. If not, it keeps those that its class gives it, pretrained ones too.
    drawn_by_initialise: bool = False

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits (B, C) and features of images x (B, 3, H, W), normalised."""
        # Not an abstract class: its source would have to go out with an exported model (export/model/sources.py).
        raise NotImplementedError


def initialise(module: nn.Module, generator: Generator) -> None:
    """Draw all weights from ``generator``, in the order of the layers (torch's own start uses a global seed).

    Convolutions as in He et al. 2015 (normal, fan out), linear layers as torch does (uniform within 1 / sqrt(fan in)),
    norms the identity.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu", generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.Linear):
            bound = 1 / math.sqrt(layer.in_features)
            nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
            if layer.bias is not None:
                nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()
