"""Companions: torch modules trained beside the classifier that some strategies choose by; they read its features.

A companion is built for a backbone, adds a loss of its own to each batch, and is passed through when the pool is
scored. ``td``, the paper's module, is the first: its loss is part of ``tidal_loss``. The others are subclasses of
``Companion`` and are added here by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import Generator, nn

from tidal_core.engine.backbones import initialise
from tidal_core.engine.companions.base import Companion, SeenBatch, TrainsApart, said_by
from tidal_core.engine.companions.learning_loss import LearningLoss, Ranker
from tidal_core.engine.companions.mc_dropout import MCDropout
from tidal_core.engine.companions.vaal import TaVaal, Vaal
from tidal_core.errors import InputError
from tidal_core.method.tidal import TDModule

__all__ = ["COMPANIONS", "Companion", "SeenBatch", "TrainsApart", "build_companion", "said_by"]

COMPANIONS: dict[str, Callable[[Sequence[int], int], nn.Module]] = {
    "td": TDModule,
    "mc-dropout": MCDropout,
    "learning-loss": LearningLoss,
    "ranker": Ranker,
    "vaal": Vaal,
    "ta-vaal": TaVaal,
}


ON_FEATURES: dict[str, Callable[[Sequence[int], int], nn.Module]] = {
    "vaal": partial(Vaal, on_features=True),
    "ta-vaal": partial(TaVaal, on_features=True),
}
"""Those that are others where the body is frozen: there they see features and no pixels."""


def build_companion(
    name: str, stage_channels: Sequence[int], n_classes: int, generator: Generator, *, frozen: bool = False
) -> nn.Module:
    """The companion of this name with fresh weights drawn from ``generator``, for a body that is ``frozen`` or not.

    Raises InputError for an unknown name.
    """
    if name not in COMPANIONS:
        raise InputError(f"there is no companion {name!r}; choose one of {', '.join(COMPANIONS)}.")
    kinds = COMPANIONS | ON_FEATURES if frozen else COMPANIONS
    companion = kinds[name](stage_channels, n_classes)
    initialise(companion, generator)
    return companion
