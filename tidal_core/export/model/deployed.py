"""The network as it is used: pixels in, probabilities out, nothing to get wrong in between."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tidal_core.engine.backbones import Backbone
from tidal_core.engine.folding import folded
from tidal_core.engine.model import Model
from tidal_core.engine.preprocessing import Preprocessing
from tidal_core.engine.pretrained import build_pretrained, preprocessing_of


class Deployed(nn.Module):
    """uint8 pixels (B, S, S, 3) to probabilities (B, C): normalisation, the network and softmax, for evaluation only.

    BatchNorms are folded into the convolutions, as in the studio's own scoring.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, mean: Tensor, std: Tensor, resize: nn.Module | None = None) -> None:
        """``network``: normalised images (B, 3, side, side) to logits (B, C); ``mean`` and ``std`` (3,): of 0..1."""
        super().__init__()
        self.network = network
        self.resize = resize if resize is not None else nn.Identity()
        self.register_buffer("scale", (1 / (255 * std)).view(1, 3, 1, 1))
        self.register_buffer("shift", (mean / std).view(1, 3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """As the class says."""
        x = self.resize(pixels.permute(0, 3, 1, 2).float()) * self.scale - self.shift  # (B, 3, side, side)
        return torch.softmax(self.network(x), dim=1)


class Resize(nn.Module):
    """Square images (B, 3, S, S) to (B, 3, side, side), pixels of 0 to 255: what ``torchvision_models.resized`` gives.

    As a product with a matrix from both sides, which is what it is: runtimes disagree on how they filter and round.
    """

    rows: Tensor

    def __init__(self, size: int, preprocessing: Preprocessing) -> None:
        super().__init__()
        side = preprocessing.side
        rows = F.interpolate(
            torch.eye(size)[None, None], (side, size), mode=preprocessing.interpolation, antialias=True
        )
        self.register_buffer("rows", rows[0, 0])  # (side, S)

    def forward(self, x: Tensor) -> Tensor:
        """As the class says; bicubic curves leave the range of pixels at sharp edges."""
        return (self.rows @ x @ self.rows.T).clamp(0, 255)


class Trained(nn.Module):
    """The logits of a backbone that was trained whole."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = folded(backbone)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, 3, H, W), normalised, to logits (B, C) float32."""
        logits: Tensor = self.backbone(x)[0]
        return logits.float()


class OnFrozenBody(nn.Module):
    """The body that did not train, and the head that did: it reads the last stage of the body.

    In float32 all through, where the studio keeps features in 16 bits: probabilities differ by about 1e-4 at most.
    """

    mean: Tensor
    std: Tensor
    weight: Tensor

    def __init__(self, body: Backbone, model: Model) -> None:
        super().__init__()
        self.body = folded(body)
        for name in {parameter.rpartition(".")[0] for parameter in body.class_rows}:
            self.body.set_submodule(name, nn.Identity())  # the classes of ImageNet
        D = model.backbone.stage_channels[-1]
        self.register_buffer("mean", model.mean[-D:].clone())
        self.register_buffer("std", model.std[-D:].clone())
        self.register_buffer("weight", model.head()[0].detach())

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, 3, H, W), normalised for the body's weights, to logits (B, C)."""
        _, stages = self.body(x)
        return F.linear(F.normalize((stages[-1] - self.mean) / self.std, dim=1), self.weight)


def deployed(model: Model, size: int) -> Deployed:
    """The model for squares of ``size`` pixels. Raises InputError where the weights of a frozen body are missing."""
    if not model.frozen:
        return Deployed(Trained(model.backbone), model.mean, model.std).eval()
    preprocessing = preprocessing_of(model.backbone_name)
    network = OnFrozenBody(build_pretrained(model.backbone_name), model)
    mean, std = torch.tensor(preprocessing.mean), torch.tensor(preprocessing.std)
    return Deployed(network, mean, std, Resize(size, preprocessing) if preprocessing.resizes else None).eval()


def program(weights: Path, size: int) -> torch.export.ExportedProgram:
    """The traced model of a round's file, for any number of images, on the CPU."""
    torch.set_num_threads(1)
    network = deployed(Model.load(weights, torch.device("cpu")), size)
    pixels = torch.zeros(4, size, size, 3, dtype=torch.uint8)
    with torch.no_grad():
        traced = torch.export.export(network, (pixels,), dynamic_shapes={"pixels": {0: torch.export.Dim("images")}})
    for node in traced.graph.nodes:
        node.meta.pop("stack_trace", None)  # names the folders of the machine that exported
    return traced
