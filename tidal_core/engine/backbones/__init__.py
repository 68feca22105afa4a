"""Classifiers f that show their inside: each returns the logits and one feature tensor for every stage.

The seam: a ``Backbone`` names its ``stage_channels`` and returns ``(logits (B, C), features)``, where every stage but
the last is a map (B, channels, H, W) and the last is the pooled vector (B, channels) that the classifier's linear layer
reads: the TD module and the features for choosing share it. A new model is a file of its family here and one line in
``BACKBONES``; tests/engine/test_backbones.py holds what all must pass.
"""

from __future__ import annotations

from torch import Generator

from tidal_core.engine.backbones.base import Backbone, initialise
from tidal_core.engine.backbones.efficientnet_lite import EfficientNetLite0
from tidal_core.engine.backbones.resnet import ResNet18
from tidal_core.engine.backbones.small import Small
from tidal_core.errors import InputError

__all__ = ["BACKBONES", "Backbone", "build_backbone", "initialise"]

BACKBONES: dict[str, type[Backbone]] = {
    "small": Small,
    "resnet18": ResNet18,
    "efficientnet-lite0": EfficientNetLite0,
}


def build_backbone(name: str, n_classes: int, generator: Generator) -> Backbone:
    """The backbone of this name with fresh weights drawn from ``generator``; InputError for an unknown name."""
    if name not in BACKBONES:
        raise InputError(f"there is no backbone {name!r}; choose one of {', '.join(BACKBONES)}.")
    backbone = BACKBONES[name](n_classes)
    initialise(backbone, generator)
    return backbone
