"""``resnet18``: torchvision's (He et al. 2015) with the 3x3 stem and without the max-pool, as in the paper.

Meant for images up to 64 pixels.
"""

from __future__ import annotations

from torch import Tensor, nn

from tidal_core.engine.backbones.base import Backbone
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
