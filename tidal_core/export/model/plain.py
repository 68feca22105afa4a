"""ResNet-18 with torchvision's names for the weights and without torchvision: goes out with a safetensors file."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a way around them."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels_out:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, inside, H, W) to (B, outside, H / stride, W / stride)."""
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.downsample(x))


class ResNet18(nn.Module):
    """ResNet-18 (He et al. 2015) with a 3x3 stem of stride 1 and no max-pool: logits (B, C) and pooled features."""

    class_rows = ("net.fc.weight", "net.fc.bias")

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        widths = (64, 64, 128, 256, 512)
        layers: dict[str, nn.Module] = {"conv1": nn.Conv2d(3, 64, 3, 1, 1, bias=False), "bn1": nn.BatchNorm2d(64)}
        for i in range(1, 5):
            first_block = BasicBlock(widths[i - 1], widths[i], 1 if i == 1 else 2)
            layers[f"layer{i}"] = nn.Sequential(first_block, BasicBlock(widths[i], widths[i], 1))
        self.net = nn.ModuleDict({**layers, "fc": nn.Linear(512, n_classes)})

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, 3, H, W), normalised."""
        net = self.net
        x = F.relu(net["bn1"](net["conv1"](x)))
        for i in range(1, 5):
            x = net[f"layer{i}"](x)
        features = x.mean((2, 3))  # (B, 512)
        return net["fc"](features), features
