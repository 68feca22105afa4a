"""Companions: torch modules trained beside the classifier that some strategies choose by; they read its features.

A companion is built for a backbone, adds a loss of its own to each batch, and is passed through when the pool is
scored. ``td``, the paper's module, is the first: its loss is part of ``tidal_loss``. The others keep to ``Companion``
and are added here by name; learning loss and VAAL will be.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from torch import Generator, Tensor, nn

from tidal_core.engine.backbones import initialise
from tidal_core.engine.companions.mc_dropout import MCDropout
from tidal_core.errors import InputError
from tidal_core.method.tidal import TDModule

COMPANIONS: dict[str, Callable[[Sequence[int], int], nn.Module]] = {"td": TDModule, "mc-dropout": MCDropout}


@runtime_checkable
class Companion(Protocol):
    """What training and scoring ask of a companion beside ``td``."""

    def loss(self, features: Sequence[Tensor], labels: Tensor, generator: Generator) -> Tensor:
        """What it adds to a batch's loss; ``features`` of all stages, draws from ``generator`` (on the CPU) only."""

    def extra(self, features: Tensor) -> dict[str, Tensor]:
        """What strategies read of N images, by name, row-aligned; ``features`` (N, D) are the pooled ones."""


def build_companion(name: str, stage_channels: Sequence[int], n_classes: int, generator: Generator) -> nn.Module:
    """The companion of this name with fresh weights drawn from ``generator``; InputError for an unknown name."""
    if name not in COMPANIONS:
        raise InputError(f"there is no companion {name!r}; choose one of {', '.join(COMPANIONS)}.")
    companion = COMPANIONS[name](stage_channels, n_classes)
    initialise(companion, generator)
    return companion
