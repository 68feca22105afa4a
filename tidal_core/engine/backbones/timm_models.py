"""``timm/<model>``: any classifier of timm that gives out its intermediate features, such as DINOv2 and CLIP towers.

timm is an extra (requirements-timm.txt): it is imported when a model is asked for, and a message says how to install
it.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tidal_core.engine.backbones.base import Backbone
from tidal_core.engine.backbones.torchvision_models import resized
from tidal_core.engine.preprocessing import Interpolation, Preprocessing
from tidal_core.engine.published_weights import DEFAULT, TIMM, describe
from tidal_core.errors import InputError

STAGES = 4  # of which the last is the pooled vector
SMALLEST_SIDE = 32  # pixels: most networks of timm divide the side by 32


class TimmBackbone(Backbone):
    """A classifier of timm with fresh weights, drawn from torch's global generator as the model draws them.

    Its stages are three layers spread over its depth, and what its last linear layer reads; that layer is ours. A model
    that takes one size of images only resizes them.
    """

    class_rows = ("classifier.weight", "classifier.bias")

    def __init__(self, name: str, n_classes: int, *, weights: Path | None = None) -> None:
        """``weights``: a file of them, as timm publishes it.

        Raises InputError where timm, the model, or its intermediate features are missing.
        """
        super().__init__()
        self.body: Any = _create(name, weights)
        config = self.body.pretrained_cfg
        self.preprocessing, self.fixed = preprocessing_of_config(config), bool(config.get("fixed_input_size"))
        channels = [int(stage["num_chs"]) for stage in self.body.feature_info]
        self.shown = spread(len(channels))
        self.smallest_side = self.preprocessing.side if self.fixed else SMALLEST_SIDE
        width = int(getattr(self.body, "head_hidden_size", None) or self.body.num_features)
        self.stage_channels = (*(channels[number] for number in self.shown), width)
        self.classifier = nn.Linear(width, n_classes)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """As ``Backbone.forward``."""
        if self.fixed:
            x = resized(x, self.preprocessing.side, self.preprocessing.interpolation)
        last, stages = self.body.forward_intermediates(x, indices=self.shown, output_fmt="NCHW")
        vector: Tensor = self.body.forward_head(last)
        return self.classifier(vector), [*stages, vector]


def spread(depth: int) -> list[int]:
    """Which of ``depth`` layers are given out: three, the last of all left to the vector."""
    if depth <= STAGES + 1:  # a pyramid of 4 or 5 resolutions
        return list(range(max(depth - STAGES, 0), depth - 1))
    return [depth * quarter // STAGES - 1 for quarter in range(1, STAGES)]


def timm_stage_channels(name: str) -> tuple[int, ...]:
    """``stage_channels`` of ``timm/<model>`` without room for its weights; InputError as for ``TimmBackbone``."""
    with torch.device("meta"):
        return TimmBackbone(name, 1).stage_channels


def timm_config(name: str) -> Any:
    """timm's description of the weights of ``timm/<model>``, None where it has none; InputError as there."""
    timm, model = _timm(name), name.removeprefix(TIMM)
    _check_name(timm, model)
    return timm.get_pretrained_cfg(model)


def preprocessing_of_config(config: Any) -> Preprocessing:
    """What timm says of the images that a model takes. ``config``: its ``pretrained_cfg``."""
    values: dict[str, Any] = config if isinstance(config, dict) else config.to_dict()
    interpolation: Interpolation = "bilinear" if values.get("interpolation") == "bilinear" else "bicubic"
    return Preprocessing(values["input_size"][-1], values["mean"], values["std"], interpolation, resizes=True)


def _timm(name: str) -> Any:
    describe(name)  # says so where timm is not installed
    import timm

    return timm


def _check_name(timm: Any, model: str) -> None:
    architecture, _, tag = model.partition(".")
    if not timm.is_model(architecture):
        near = difflib.get_close_matches(architecture, timm.list_models(), 3)
        alike = f"; its names that come nearest are {', '.join(TIMM + name for name in near)}" if near else ""
        raise InputError(f"timm has no model {architecture!r}{alike}.")
    tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{architecture}.*")]
    if tag and tag not in tags:
        known = f"choose one of {', '.join(tags)}" if tags else "it has none; leave it out"
        raise InputError(f"timm has no weights {tag!r} of {architecture}; {known}.")


def _create(name: str, weights: Path | None) -> Any:
    timm, model = _timm(name), name.removeprefix(TIMM)
    _check_name(timm, model)
    file = {"file": str(weights)} if weights is not None else None
    body = timm.create_model(model, pretrained=weights is not None, pretrained_cfg_overlay=file, num_classes=0)
    if not hasattr(body, "forward_intermediates") or not hasattr(body, "feature_info"):
        raise InputError(f"{name} does not give out what its layers compute; choose another, such as {DEFAULT}.")
    return body
