"""Code that goes out with a model, put together from the studio's own source so that the two cannot drift apart."""

from __future__ import annotations

from collections.abc import Callable
from inspect import getsource

from tidal_core.images import reading, squares

NETWORKS = ("small", "resnet18")
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


def model_source(name: str) -> str:
    """The text of model.py for the backbone ``name``, one of NETWORKS."""
    from tidal_core.engine.backbones import small  # torch comes in here
    from tidal_core.export.model import plain

    parts: dict[str, tuple[type, ...]] = {
        "small": (small.Block, small.Stem, small.Small),
        "resnet18": (plain.BasicBlock, plain.ResNet18),
    }
    network = parts[name][-1].__name__
    return "\n\n\n".join(
        (
            _MODEL_HEAD.strip(),
            *(getsource(part).strip() for part in parts[name]),
            _CLASSIFIER.replace("NETWORK", network).strip() + "\n",
        )
    )


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

_MODEL_HEAD = '''
"""The network of model.safetensors, as TiDAL Studio trained it. Needs torch and safetensors."""

from __future__ import annotations

from pathlib import Path

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
