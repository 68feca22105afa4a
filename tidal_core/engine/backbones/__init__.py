"""Classifiers f that show their inside: each returns the logits and one feature tensor for every stage.

The seam: a ``Backbone`` names its ``stage_channels`` and returns ``(logits (B, C), features)``, where every stage but
the last is a map (B, channels, H, W) and the last is the pooled vector (B, channels) that the classifier's linear layer
reads: the TD module and the features for choosing share it. A new model is a file of its family here and one line in
``BACKBONES``; tests/engine/test_backbones.py holds what all must pass. Models of torchvision and timm are opened by
name, and other packages register theirs (``registered``); tests/engine/test_adapters.py holds what those must pass.
"""

from __future__ import annotations

import threading
from functools import cache

import torch
from torch import Generator

from tidal_core.engine.backbones.base import Backbone, initialise
from tidal_core.engine.backbones.efficientnet_lite import EfficientNetLite0
from tidal_core.engine.backbones.registered import problems, registered_backbone
from tidal_core.engine.backbones.resnet import ResNet18, ResNet18Thin
from tidal_core.engine.backbones.small import Small
from tidal_core.engine.backbones.timm_models import TimmBackbone, timm_stage_channels
from tidal_core.engine.backbones.torchvision_models import TorchvisionBackbone
from tidal_core.engine.published_weights import TIMM, describe
from tidal_core.engine.torchvision_facts import TORCHVISION

__all__ = ["BACKBONES", "Backbone", "build_backbone", "initialise", "open_backbone", "problems", "stage_channels"]

BACKBONES: dict[str, type[Backbone]] = {
    "small": Small,
    "resnet18": ResNet18,
    "resnet18-thin": ResNet18Thin,
    "efficientnet-lite0": EfficientNetLite0,
}

_GLOBAL_GENERATOR = threading.Lock()


def build_backbone(name: str, n_classes: int, generator: Generator) -> Backbone:
    """The backbone of this name with fresh weights drawn from ``generator``; InputError for an unknown name.

    One that is not ``drawn_by_initialise`` keeps the weights that its class gives it.
    """
    if name in BACKBONES and BACKBONES[name].drawn_by_initialise:
        backbone = BACKBONES[name](n_classes)
        initialise(backbone, generator)
        return backbone
    # Others draw their weights as their class says, from torch's global generator: it is lent for that.
    seed = int(torch.randint(2**62, (1,), generator=generator))
    with _GLOBAL_GENERATOR, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return open_backbone(name, n_classes)


def open_backbone(name: str, n_classes: int) -> Backbone:
    """The backbone of this name, ready to take weights; those that it has mean nothing.

    Raises InputError for an unknown name, and where the package that it comes from cannot be used.
    """
    describe(name)  # an unknown name ends here
    if name in BACKBONES:
        return BACKBONES[name](n_classes)
    if name in TORCHVISION:
        return TorchvisionBackbone(TORCHVISION[name], n_classes)
    if name.startswith(TIMM):
        return TimmBackbone(name, n_classes)
    return registered_backbone(name)(n_classes)


@cache
def stage_channels(name: str) -> tuple[int, ...]:
    """``Backbone.stage_channels`` by name, without building the network where they are known; InputError as there."""
    describe(name)
    if name in BACKBONES:
        return BACKBONES[name].stage_channels
    if name in TORCHVISION:
        return TORCHVISION[name].stage_channels
    if name.startswith(TIMM):
        return timm_stage_channels(name)
    return tuple(registered_backbone(name).stage_channels)
