"""``resnet18``: torchvision's (He et al. 2015) with the 3x3 stem and without the max-pool, as in the paper.

``resnet18-thin``: the same layers with a quarter of the channels, for a CPU. Both are meant for images up to 64 pixels.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from tidal_core.engine.backbones.base import Backbone
from tidal_core.engine.backbones.small import Block, stage_features
from tidal_core.method.tidal import pooled


class ResNet18(Backbone):
    """torchvision's ResNet-18 with a 3x3 stem of stride 1 and no max-pool: 11.2 million parameters."""

    stage_channels = (64, 128, 256, 512)
    drawn_by_initialise = True
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


class ResNet18Thin(Backbone):
    """ResNet-18 with 16 to 128 channels in place of 64 to 512: 0.70 million parameters, a sixteenth of the work."""

    stage_channels = (16, 32, 64, 128)
    drawn_by_initialise = True
    class_rows = ("classifier.weight", "classifier.bias")

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        first, last = self.stage_channels[0], self.stage_channels[-1]
        self.conv = nn.Conv2d(3, first, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(first)
        inside = (first, *self.stage_channels)
        self.stages = nn.ModuleList(
            nn.Sequential(Block(inside[i], outside, stride=1 if i == 0 else 2), Block(outside, outside, stride=1))
            for i, outside in enumerate(self.stage_channels)
        )
        self.classifier = nn.Linear(last, n_classes)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """As ``Backbone.forward``."""
        x = F.relu(self.norm(self.conv(x)), inplace=True)
        features = stage_features(self.stages, x)
        return self.classifier(features[-1]), features
