"""How images are prepared for pretrained weights. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Interpolation = Literal["bilinear", "bicubic"]


@dataclass(frozen=True)
class Preprocessing:
    """How images are prepared for pretrained weights; pixels count from 0 to 1."""

    side: int  # pixels: the side that the weights were trained at
    mean: tuple[float, float, float]  # of each channel, subtracted
    std: tuple[float, float, float]  # of each channel, divided by
    interpolation: Interpolation = "bilinear"
    resizes: bool = False  # whether squares of another side are brought to ``side``, or pass as they are
