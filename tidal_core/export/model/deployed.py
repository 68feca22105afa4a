"""The network as it is used: pixels in, probabilities out, nothing to get wrong in between."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from tidal_core.engine.folding import folded
from tidal_core.engine.model import Model


class Deployed(nn.Module):
    """uint8 pixels (B, S, S, 3) to probabilities (B, C): normalisation, the network and softmax, for evaluation only.

    BatchNorms are folded into the convolutions, as in the studio's own scoring.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.backbone = folded(model.backbone)
        self.register_buffer("scale", (1 / (255 * model.std)).view(1, 3, 1, 1))
        self.register_buffer("shift", (model.mean / model.std).view(1, 3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """As the class says."""
        x = pixels.permute(0, 3, 1, 2).float() * self.scale - self.shift  # (B, 3, S, S)
        logits, _ = self.backbone(x)
        return torch.softmax(logits.float(), dim=1)


def program(weights: Path, size: int) -> torch.export.ExportedProgram:
    """The traced model of a round's file, for any number of images, on the CPU."""
    torch.set_num_threads(1)
    deployed = Deployed(Model.load(weights, torch.device("cpu"))).eval()
    pixels = torch.zeros(4, size, size, 3, dtype=torch.uint8)
    with torch.no_grad():
        traced = torch.export.export(deployed, (pixels,), dynamic_shapes={"pixels": {0: torch.export.Dim("images")}})
    for node in traced.graph.nodes:
        node.meta.pop("stack_trace", None)  # names the folders of the machine that exported
    return traced
