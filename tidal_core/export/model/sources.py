"""Code that goes out with a model, put together from the studio's own source so that the two cannot drift apart."""

from __future__ import annotations

import ast
from collections.abc import Callable
from inspect import getsource
from types import ModuleType

from tidal_core.images import reading, squares

NETWORKS = ("small", "resnet18", "efficientnet-lite0")
"""Backbones whose code can go out (``model_source``)."""


def preprocessing_source() -> str:
    """The text of preprocessing.py: an image file as the square that the studio keeps of it."""
    upright = "".join(f"    {number}: Image.Transpose.{turn.name},\n" for number, turn in reading.UPRIGHT.items())
    functions: tuple[Callable[..., object], ...] = (reading.to_8_bits, reading.to_rgb, reading.orientation_of)
    functions += (squares.decoded_side, squares.fit_square, squares.fitted)
    return "\n\n\n".join(
        (
            _PREPROCESSING_HEAD.format(
                most=reading.MAX_HEADER_PIXELS,
                tag=reading.ORIENTATION_TAG,
                upright=upright,
                gap=squares.REDUCING_GAP,
            ).strip(),
            *(getsource(function).strip() for function in functions),
            _SQUARE.strip() + "\n",
        )
    )


def model_source(name: str, *, frozen: bool) -> str:
    """The text of model.py for the backbone ``name``, one of NETWORKS: trained whole, or the body of a trained head."""
    from tidal_core.engine.backbones import efficientnet_lite, small  # torch comes in here
    from tidal_core.engine.backbones import frozen as frozen_head
    from tidal_core.export.model import plain

    module, network = {
        "small": (small, small.Small.__name__),
        "resnet18": (plain, plain.ResNet18.__name__),
        "efficientnet-lite0": (efficientnet_lite, efficientnet_lite.EfficientNetLite0.__name__),
    }[name]
    parts = [_below_imports(module)]
    if frozen:
        parts.append(_below_imports(frozen_head))
    classifier = _ON_FROZEN_BODY if frozen else _CLASSIFIER
    text = "\n\n\n".join((*parts, classifier.replace("NETWORK", network).strip() + "\n"))
    imports = "\n".join(line for word, line in _IMPORTS.items() if word in text)
    return f"{_MODEL_HEAD.replace('IMPORTS', imports).strip()}\n\n\n{text}"


def _below_imports(module: ModuleType) -> str:
    """The source of a module from the end of its imports on."""
    source = getsource(module)
    imports = (node for node in ast.parse(source).body if isinstance(node, ast.Import | ast.ImportFrom))
    end = max(node.end_lineno or 0 for node in imports)
    return "\n".join(source.splitlines()[end:]).strip()


_PREPROCESSING_HEAD = '''
"""Image files as the squares that the model was trained on, exactly as TiDAL Studio makes them.

preprocessing.json holds the size, the fit and whether colours become grey. Needs pillow and numpy.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
from PIL import Image

SETTINGS = json.loads(Path(__file__).with_name("preprocessing.json").read_text(encoding="utf-8"))
Image.MAX_IMAGE_PIXELS = {most:_}
REDUCING_GAP = {gap}
ORIENTATION_TAG = {tag:#06x}
UPRIGHT = {{  # what undoes each EXIF orientation
{upright}}}
'''

_SQUARE = '''
def square(path: str | Path) -> np.ndarray:
    """One image file as the pixels that the model takes, uint8 (S, S, 3)."""
    size = SETTINGS["size"]
    with Image.open(path) as file:
        file.draft(None, (decoded_side(size), decoded_side(size)))
        image = to_rgb(file)
        orientation = orientation_of(file)
    if orientation != 1:
        image = image.transpose(UPRIGHT[orientation])
    return fit_square(image, size, SETTINGS["fit"], SETTINGS["grayscale"]).copy()  # torch warns of what is read-only
'''

_IMPORTS = {  # of the standard library, by a word that needs it
    "Sequence": "from collections.abc import Sequence",
    "Path": "from pathlib import Path",
    "NamedTuple": "from typing import NamedTuple",
}

_MODEL_HEAD = '''
"""The network of model.safetensors, as TiDAL Studio trained it. Needs torch and safetensors."""

from __future__ import annotations

IMPORTS

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

Backbone = nn.Module


def pooled(x: Tensor) -> Tensor:
    """The mean over an image's places, (B, D, H, W) to (B, D)."""
    return x.mean((2, 3))
'''

_CLASSIFIER = '''
class Classifier(nn.Module):
    """Pixels of 0 to 255 (B, S, S, 3) to probabilities (B, C); ``mean`` and ``std`` are of pixels in 0 to 1."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.backbone = NETWORK(n_classes)
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("std", torch.ones(3))

    def forward(self, pixels: Tensor) -> Tensor:
        x = (pixels.float() / 255 - self.mean) / self.std  # (B, S, S, 3)
        logits, _ = self.backbone(x.permute(0, 3, 1, 2))
        return logits.softmax(dim=1)


def load(path: str | Path) -> Classifier:
    """The trained classifier in evaluation mode."""
    tensors = load_file(path)
    model = Classifier(len(tensors[f"backbone.{NETWORK.class_rows[0]}"]))
    model.load_state_dict(tensors)
    return model.eval()
'''

_ON_FROZEN_BODY = '''
class Classifier(nn.Module):
    """Pixels of 0 to 255 (B, S, S, 3) to probabilities (B, C): a body as it was published, and a head on its features.

    ``pixel_mean`` and ``pixel_std`` are of pixels in 0 to 1, ``mean`` and ``std`` of the features.
    """

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.body = NETWORK(1)
        self.body.classifier = nn.Identity()
        channels = self.body.stage_channels
        self.backbone = FrozenHead(channels, n_classes)
        self.register_buffer("pixel_mean", torch.zeros(3))
        self.register_buffer("pixel_std", torch.ones(3))
        self.register_buffer("mean", torch.zeros(sum(channels)))
        self.register_buffer("std", torch.ones(sum(channels)))

    def features(self, pixels: Tensor) -> Tensor:
        """What the head reads (B, D): the means of all stages of the body, side by side."""
        x = (pixels.float() / 255 - self.pixel_mean) / self.pixel_std  # (B, S, S, 3)
        _, stages = self.body(x.permute(0, 3, 1, 2))
        return torch.cat([*(pooled(stage) for stage in stages[:-1]), stages[-1]], dim=1)

    def forward(self, pixels: Tensor) -> Tensor:
        logits, _ = self.backbone((self.features(pixels) - self.mean) / self.std)
        return logits.softmax(dim=1)


def load(path: str | Path) -> Classifier:
    """The classifier in evaluation mode."""
    tensors = load_file(path)
    model = Classifier(len(tensors[f"backbone.{FrozenHead.class_rows[0]}"]))
    model.load_state_dict(tensors)
    return model.eval()
'''
