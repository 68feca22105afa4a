"""``efficientnet-lite0``: mobile inverted bottlenecks without squeeze-and-excitation, 4.7 million parameters.

Layers after Tan and Le 2019 (EfficientNet) and the "lite" variant that Google published in 2020: ReLU6 in place of
swish, stem and head not scaled, batch norm with eps 1e-3, and TensorFlow's "same" padding, which pads right and bottom
more than left and top where a stride does not fit. Weights of ImageNet come with a package (``engine.pretrained``).
"""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from tidal_core.engine.backbones.base import Backbone
from tidal_core.method.tidal import pooled

EPSILON = 1e-3  # of every batch norm
MOMENTUM = 0.01  # of its running statistics, as published


class Stage(NamedTuple):
    """A run of equal blocks; the first has the stride."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
SHOWN = (1, 2, 4, 6)  # stages whose features are given out: the last before each stride, and the last of all


class SameConv(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding: the output has ceil(side / stride) pixels a side."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        # Without a stride "same" is symmetric, and the convolution pads by itself, which is faster.
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(inside, outside, kernel, stride, padding, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inside, H, W) to (B, outside, ceil(H / stride), ceil(W / stride))."""
        step, kernel = self.stride[0], self.kernel_size[0]
        if step > 1:
            missing = [max((-(-side // step) - 1) * step + kernel - side, 0) for side in x.shape[-2:]]
            down, right = missing
            x = F.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2))
        return super().forward(x)


def norm(channels: int) -> nn.BatchNorm2d:
    """The batch norm of this family."""
    return nn.BatchNorm2d(channels, eps=EPSILON, momentum=MOMENTUM)


class InvertedBottleneck(nn.Module):
    """Expand by a 1x1 convolution, filter each channel by itself, project back; a way around where shapes agree."""

    def __init__(self, inside: int, outside: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inside * expansion
        self.expand: nn.Module = nn.Identity()
        self.expand_norm: nn.Module = nn.Identity()
        if expansion != 1:
            self.expand, self.expand_norm = SameConv(inside, wide, 1), norm(wide)
        self.depthwise, self.depthwise_norm = SameConv(wide, wide, kernel, stride, groups=wide), norm(wide)
        self.project, self.project_norm = SameConv(wide, outside, 1), norm(outside)
        self.expands, self.has_way_around = expansion != 1, stride == 1 and inside == outside

    def forward(self, x: Tensor) -> Tensor:
        """(B, inside, H, W) to (B, outside, ceil(H / stride), ceil(W / stride))."""
        y = x
        if self.expands:
            y = F.relu6(self.expand_norm(self.expand(y)), inplace=True)
        y = F.relu6(self.depthwise_norm(self.depthwise(y)), inplace=True)
        y = self.project_norm(self.project(y))
        out: Tensor = x + y if self.has_way_around else y
        return out


class EfficientNetLite0(Backbone):
    """Seven stages of inverted bottlenecks between a 3x3 stem and a 1x1 head of 1,280 channels.

    Works at any side of 8 pixels and more; its published weights were trained at 224.
    """

    stage_channels = (*(STAGES[i].channels for i in SHOWN), 1280)
    drawn_by_initialise = True
    class_rows = ("classifier.weight", "classifier.bias")

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.stem, self.stem_norm = SameConv(3, 32, 3, 2), norm(32)
        inside, stages = 32, []
        for stage in STAGES:
            blocks: list[nn.Module] = []
            for number in range(stage.blocks):
                stride = stage.stride if number == 0 else 1
                blocks.append(InvertedBottleneck(inside, stage.channels, stage.kernel, stride, stage.expansion))
                inside = stage.channels
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        self.head, self.head_norm = SameConv(inside, self.stage_channels[-1], 1), norm(self.stage_channels[-1])
        self.classifier = nn.Linear(self.stage_channels[-1], n_classes)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """As ``Backbone.forward``."""
        x = F.relu6(self.stem_norm(self.stem(x)), inplace=True)
        features = []
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number in SHOWN:
                features.append(x)
        x = F.relu6(self.head_norm(self.head(x)), inplace=True)
        features.append(pooled(x))
        return self.classifier(features[-1]), features
