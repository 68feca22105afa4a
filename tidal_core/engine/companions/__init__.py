"""Companions: torch modules trained beside the classifier that some strategies choose by; they read its features.

A companion is built for a backbone, adds a loss of its own to each batch, and is passed through when the pool is
scored. ``td``, the paper's module, is the first: its loss is part of ``tidal_loss``. The others are subclasses of
``Companion`` and are added here by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Generator, nn

from tidal_core.engine.backbones import initialise
from tidal_core.engine.companions.base import Companion, SeenBatch, said_by
from tidal_core.engine.companions.learning_loss import LearningLoss, Ranker
from tidal_core.engine.companions.mc_dropout import MCDropout
from tidal_core.errors import InputError
from tidal_core.method.tidal import TDModule

__all__ = ["COMPANIONS", "Companion", "SeenBatch", "build_companion", "said_by"]

COMPANIONS: dict[str, Callable[[Sequence[int], int], nn.Module]] = {
    "td": TDModule,
    "mc-dropout": MCDropout,
    "learning-loss": LearningLoss,
    "ranker": Ranker,
}


def build_companion(name: str, stage_channels: Sequence[int], n_classes: int, generator: Generator) -> nn.Module:
    """The companion of this name with fresh weights drawn from ``generator``; InputError for an unknown name."""
    if name not in COMPANIONS:
        raise InputError(f"there is no companion {name!r}; choose one of {', '.join(COMPANIONS)}.")
    companion = COMPANIONS[name](stage_channels, n_classes)
    initialise(companion, generator)
    return companion
