"""Code that goes out with a model, put together from the studio's own source so that the two cannot drift apart."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from inspect import getsource
from types import ModuleType

from tidal_core import errors
from tidal_core.images import reading, squares
from tidal_core.images.importers import folder
from tidal_core.images.sources import file

NETWORKS = ("small", "resnet18", "efficientnet-lite0")
"""Backbones whose code can go out (``model_source``)."""


def preprocessing_source() -> str:
    """The text of preprocessing.py: an image file as the square that the studio keeps of it, or refused as there.

    The whole text of ``images.reading``, but for what decodes in another process, and what reads files and makes
    squares.
    """
    parts = (
        _PREPROCESSING_HEAD.format(gap=squares.REDUCING_GAP).strip(),
        *_segments(errors, "_CLASSES", "ImageUnreadable", "reason_of"),
        _without(_below_imports(reading), "open_image"),
        *_segments(file, "MAX_FILE_BYTES", "PUT_BACK", "read_file"),
        *_segments(folder, "_LEFT_OUT", "is_left_out"),
        *_segments(squares, "decoded_side", "fit_square", "fitted"),
        _SQUARE.strip() + "\n",
    )
    return "\n\n\n".join(parts)


def _segments(module: ModuleType, *names: str) -> Iterator[str]:
    """The source of definitions and constants of a module."""
    source = getsource(module)
    for node in ast.parse(source).body:
        if _name_of(node) in names:
            yield _lines(source, node).strip()


def _without(source: str, name: str) -> str:
    """A module's source but for one definition."""
    (node,) = (node for node in ast.parse(source).body if _name_of(node) == name)
    return re.sub(r"\n{4,}", "\n\n\n", source.replace(_lines(source, node), ""))


def _name_of(node: ast.stmt) -> str | None:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return node.name
    target = node.targets[0] if isinstance(node, ast.Assign) else None
    return target.id if isinstance(target, ast.Name) else None


def _lines(source: str, node: ast.stmt) -> str:
    """The whole lines of a statement, with what stands beside it."""
    return "\n".join(source.splitlines()[node.lineno - 1 : node.end_lineno])


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
"""Image files as the squares that the model was trained on, opened and refused exactly as TiDAL Studio does.

preprocessing.json holds the size, the fit and whether colours become grey. Needs pillow and numpy; for HEIC photos
also pillow-heif.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import math
import os
import re
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from PIL import Image, UnidentifiedImageError

SETTINGS = json.loads(Path(__file__).with_name("preprocessing.json").read_text(encoding="utf-8"))
REDUCING_GAP = {gap}
Fit = Literal["crop", "letterbox", "stretch"]
UInt8 = np.ndarray
InputError = ValueError
'''

_SQUARE = '''
def is_image_file(path: str | Path) -> bool:
    """Whether a file of a folder is taken for an image: by its suffix, else by its first bytes."""
    if os.path.splitext(path)[1].lower() in SUFFIXES:
        return True
    try:
        with open(path, "rb") as file:
            return os.path.isfile(path) and looks_like_an_image(file.read(16))
    except OSError:
        return False


def square(path: str | Path) -> np.ndarray:
    """One image file as the pixels that the model takes, uint8 (S, S, 3). Raises ImageUnreadable."""
    size = SETTINGS["size"]
    image, _ = open_here(read_file(Path(path), str(path)), str(path), at_least=decoded_side(size))
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
