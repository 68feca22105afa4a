"""Classifiers f that show their inside: each returns the logits and one feature tensor for every stage.

The seam: a ``Backbone`` names its ``stage_channels`` and returns ``(logits (B, C), features)``, where every stage but
the last is a map (B, channels, H, W) and the last is the pooled vector (B, channels) that the classifier's linear layer
reads: the TD module and the features for choosing share it. A new model is one adapter and one line in ``BACKBONES``;
tests/test_backbones.py holds what all must pass.

``small`` is this project's own, for tiny images and CPUs. ``resnet18`` is torchvision's (He et al. 2015) with the 3x3
stem and without the max-pool, as in the paper; meant for images up to 64 pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch.nn.functional as F
from torch import Generator, Tensor, nn

from tidal_core.errors import InputError
from tidal_core.tidal import pooled


class Backbone(nn.Module):
    """A classifier that returns ``(logits, stage features)``."""

    stage_channels: tuple[int, ...]  # of each stage's features; the last is the pooled vector's length
    class_rows: tuple[str, ...]  # parameters with one row for each class

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits (B, C) and features of images x (B, 3, H, W), normalised."""
        raise NotImplementedError


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


class Small(Backbone):
    """Four stages of one block each, 24-48-96-128 channels: 0.45 million parameters.

    The first stage works on 8 to 31 pixels whatever the image: small images pass at their own size, 32 to 63 pixels are
    halved by the stem, larger ones are averaged down to about 40 before. Half the channels cost two points of accuracy
    on CIFAR-10 with 300 labels, the whole resolution in the first stage three times the time (EXPERIMENTS.md).
    """

    stage_channels = (24, 48, 96, 128)
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
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        features[-1] = pooled(x)
        return self.classifier(features[-1]), features


class ResNet18(Backbone):
    """torchvision's ResNet-18 with a 3x3 stem of stride 1 and no max-pool: 11.2 million parameters."""

    stage_channels = (64, 128, 256, 512)
    class_rows = ("net.fc.weight", "net.fc.bias")

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        from torchvision.models import resnet18  # here, because its import takes a second that `small` does not need

        self.net = resnet18(weights=None, num_classes=n_classes)
        self.net.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        self.net.maxpool = nn.Identity()

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """As ``Backbone.forward``."""
        net = self.net
        x = net.relu(net.bn1(net.conv1(x)))
        features = []
        for stage in (net.layer1, net.layer2, net.layer3, net.layer4):
            x = stage(x)
            features.append(x)
        features[-1] = pooled(x)
        return net.fc(features[-1]), features


BACKBONES: dict[str, Callable[[int], Backbone]] = {"small": Small, "resnet18": ResNet18}


def build_backbone(name: str, n_classes: int, generator: Generator) -> Backbone:
    """The backbone of this name with fresh weights drawn from ``generator``; InputError for an unknown name."""
    if name not in BACKBONES:
        raise InputError(f"there is no backbone {name!r}; choose one of {', '.join(BACKBONES)}.")
    backbone = BACKBONES[name](n_classes)
    initialise(backbone, generator)
    return backbone


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
            nn.init.uniform_(layer.bias, -bound, bound, generator=generator)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()
