"""``small``: this project's own network, for tiny images and CPUs."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from tidal_core.engine.backbones.base import Backbone
from tidal_core.method.tidal import pooled


class Block(nn.Module):
    """Two 3x3 convolutions and a way around them (a basic residual block)."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outside)
        self.around: nn.Module = nn.Identity()
        if stride != 1 or inside != outside:
            self.around = nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))

    def forward(self, x: Tensor) -> Tensor:
        """(B, inside, H, W) to (B, outside, H / stride, W / stride)."""
        y = F.relu(self.norm1(self.conv1(x)), inplace=True)
        y = self.norm2(self.conv2(y)) + self.around(x)
        return F.relu(y, inplace=True)


class Stem(nn.Conv2d):
    """A 3x3 convolution that halves images of 32 pixels and more."""

    def __init__(self, channels: int) -> None:
        super().__init__(3, channels, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, channels, H, W) below 32 pixels, to half the side from there on."""
        return F.conv2d(x, self.weight, self.bias, stride=2 if x.shape[-1] >= 32 else 1, padding=1)


def stage_features(stages: nn.ModuleList, x: Tensor) -> list[Tensor]:
    """What each stage gives, one after the other: maps (B, channels, H, W), the last pooled to (B, channels)."""
    features = []
    for stage in stages:
        x = stage(x)
        features.append(x)
    features[-1] = pooled(x)
    return features


class Small(Backbone):
    """Four stages of one block each, 24-48-96-128 channels: 0.45 million parameters.

    The first stage works on 8 to 31 pixels whatever the image: small images pass at their own size, 32 to 63 pixels are
    halved by the stem, larger ones are averaged down to about 40 before. Half the channels cost two points of accuracy
    on CIFAR-10 with 300 labels, the whole resolution in the first stage three times the time (EXPERIMENTS.md).
    """

    stage_channels = (24, 48, 96, 128)
    drawn_by_initialise = True
    class_rows = ("classifier.weight", "classifier.bias")

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        widths = (self.stage_channels[0], *self.stage_channels)
        self.stem = Stem(widths[0])
        self.norm = nn.BatchNorm2d(widths[0])
        self.stages = nn.ModuleList(
            Block(widths[i], widths[i + 1], stride=1 if i == 0 else 2) for i in range(len(self.stage_channels))
        )
        self.classifier = nn.Linear(self.stage_channels[-1], n_classes)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """As ``Backbone.forward``."""
        side = x.shape[-1]
        if side >= 64:
            x = F.avg_pool2d(x, round(side / 40))
        x = F.relu(self.norm(self.stem(x)), inplace=True)
        features = stage_features(self.stages, x)
        return self.classifier(features[-1]), features
