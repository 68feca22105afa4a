"""What is trained beside the classifier for asking: torch modules that read its features.

A companion is built for a backbone, adds a loss of its own to each batch, and is passed through when the pool is
scored. ``td``, the paper's module, is the first and the only one so far: its loss is part of ``tidal_loss``. Others
are added here by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Generator, nn

from tidal_core.backbones import initialise
from tidal_core.errors import InputError
from tidal_core.tidal import TDModule

COMPANIONS: dict[str, Callable[[Sequence[int], int], nn.Module]] = {"td": TDModule}


def build_companion(name: str, stage_channels: Sequence[int], n_classes: int, generator: Generator) -> nn.Module:
    """The companion of this name with fresh weights drawn from ``generator``; InputError for an unknown name."""
    if name not in COMPANIONS:
        raise InputError(f"there is no companion {name!r}; choose one of {', '.join(COMPANIONS)}.")
    companion = COMPANIONS[name](stage_channels, n_classes)
    initialise(companion, generator)
    return companion
