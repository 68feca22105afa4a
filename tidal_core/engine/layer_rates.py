"""Layer-wise learning rates: the nearer a part of the body is to the pixels, the slower it learns.

Edges and textures of published weights serve any photo, what comes late is of the classes that they were trained for.
The parts are the backbone's own stages, those whose features it gives out. Which parameters a stage rests on is seen in
one pass of a small image, so that it holds for any backbone.
"""

from __future__ import annotations

import torch

from tidal_core.engine.backbones import Backbone
from tidal_core.engine.model import Model

LOOKED_AT = 8  # pixels: the smallest side that every backbone takes


def stages_of(backbone: Backbone) -> dict[str, int]:
    """Each parameter's stage by its name, 0 for the first; what only the logits rest on has one more than the last."""
    mode = backbone.training
    backbone.eval()  # running statistics stay as they are
    names, parameters = zip(*backbone.named_parameters(), strict=True)
    with torch.enable_grad():
        _, features = backbone(torch.zeros(1, 3, LOOKED_AT, LOOKED_AT, device=parameters[0].device))
        reached = [
            torch.autograd.grad(stage.sum(), parameters, retain_graph=True, allow_unused=True) for stage in features
        ]
    backbone.train(mode)
    return {
        name: next((stage for stage, gradients in enumerate(reached) if gradients[i] is not None), len(features))
        for i, name in enumerate(names)
    }


def rate_scales(model: Model, decay: float) -> list[float]:
    """The part of the learning rate for each of ``model.parameters()``, in their order.

    1 for the rows of the classes and the companions, ``decay`` for the last stage of the body, ``decay`` times that for
    the one before, and so on.
    """
    n_parameters = len(model.parameters())
    if decay == 1 or model.frozen:
        return [1.0] * n_parameters
    head = len(model.backbone.stage_channels)
    body = [decay ** (head - stage) for stage in stages_of(model.backbone).values()]
    return body + [1.0] * (n_parameters - len(body))
