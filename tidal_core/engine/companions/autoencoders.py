"""The auto-encoders of VAAL: of images, as published, and of feature vectors where the body is frozen.

An encoder gives the mean and the log-variance of q(z | x), a Gaussian of ``LATENT`` independent dimensions; a decoder
gives x back from a draw of z and what is told beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

LATENT = 32
SIDE = 32  # pixels of the images that the published network takes; others are brought to it
WIDEST = 128  # channels of its first layer as published, doubled by each of the three after it


class Coded(NamedTuple):
    """What an auto-encoder makes of B inputs."""

    target: Tensor  # (B, ...) what is to be given back: the input at the network's size
    rebuilt: Tensor  # the same shape
    mean: Tensor  # (B, LATENT) of q(z | x)
    log_variance: Tensor  # (B, LATENT)


class AutoEncoder(nn.Module):
    """``encoder``, ``decoder`` and the two layers that give q; subclasses make them."""

    encoder: nn.Module  # (B, ...) to (B, width)
    decoder: nn.Module  # (B, LATENT + beside) to the shape of the target
    to_mean: nn.Linear
    to_log_variance: nn.Linear

    def target(self, inputs: Tensor) -> Tensor:
        """The inputs as the network takes them."""
        return inputs

    def encode(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z | x), (B, LATENT) each."""
        hidden = self.encoder(self.target(inputs))
        return self.to_mean(hidden), self.to_log_variance(hidden)

    def forward(self, inputs: Tensor, beside: Tensor, generator: Generator) -> Coded:
        """``beside`` (B, E) is told to the decoder with z; draws come from the CPU's ``generator``."""
        mean, log_variance = self.encode(inputs)
        noise = torch.randn(mean.shape, generator=generator).to(mean.device)
        z = mean + noise * (0.5 * log_variance).exp()
        return Coded(self.target(inputs), self.decoder(torch.cat([z, beside], dim=1)), mean, log_variance)


def _widths(stage_channels: Sequence[int]) -> list[int]:
    """As published beside ResNet-18, whose last stage has 512 channels; thinner beside a thinner classifier."""
    first = max(8, min(WIDEST, stage_channels[-1] // 4))
    return [first, 2 * first, 4 * first, 8 * first]


class ImageAutoEncoder(AutoEncoder):
    """Four convolutions of 4 x 4 and stride 2 down to 2 x 2 pixels, and as many back: VAAL's for 32 pixels."""

    def __init__(self, stage_channels: Sequence[int], beside: int) -> None:
        super().__init__()
        a, b, c, d = _widths(stage_channels)
        self.encoder = nn.Sequential(*_down(3, a), *_down(a, b), *_down(b, c), *_down(c, d), nn.Flatten())
        self.to_mean, self.to_log_variance = nn.Linear(4 * d, LATENT), nn.Linear(4 * d, LATENT)
        self.decoder = nn.Sequential(
            nn.Linear(LATENT + beside, 16 * d),
            nn.Unflatten(1, (d, 4, 4)),
            *_up(d, c),
            *_up(c, b),
            *_up(b, a),
            nn.Conv2d(a, 3, 1),
        )

    def target(self, inputs: Tensor) -> Tensor:
        """Images (B, 3, H, W) at 32 pixels: averaged, or between pixels if they are smaller."""
        if inputs.shape[-1] == SIDE:
            return inputs
        if inputs.shape[-1] > SIDE:
            return F.adaptive_avg_pool2d(inputs, SIDE)
        return F.interpolate(inputs, size=(SIDE, SIDE), mode="bilinear", align_corners=False)


class FeatureAutoEncoder(AutoEncoder):
    """Two linear layers of ``WIDTH`` in and two out, on standardised feature vectors: a variant, in no paper."""

    WIDTH = 256

    def __init__(self, stage_channels: Sequence[int], beside: int) -> None:
        super().__init__()
        size, width = sum(stage_channels), self.WIDTH
        self.encoder = nn.Sequential(nn.Linear(size, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.to_mean, self.to_log_variance = nn.Linear(width, LATENT), nn.Linear(width, LATENT)
        self.decoder = nn.Sequential(
            nn.Linear(LATENT + beside, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, size)
        )


class Upsample(nn.Module):
    """A convolution of 4 x 4 that doubles the side: transposed, as published, its weights laid out as a convolution's.

    ``initialise`` draws them so as it draws every other layer.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weights_of = nn.Conv2d(outputs, inputs, 4, bias=False)  # weight (inputs, outputs, 4, 4)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, 2 H, 2 W)."""
        return F.conv_transpose2d(x, self.weights_of.weight, stride=2, padding=1)


def _down(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


def _up(inputs: int, outputs: int) -> list[nn.Module]:
    return [Upsample(inputs, outputs), nn.BatchNorm2d(outputs), nn.ReLU()]
