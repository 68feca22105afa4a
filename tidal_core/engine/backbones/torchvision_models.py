"""``torchvision/<model>``: torchvision's classifiers, opened by its own feature extraction.

``create_feature_extractor`` traces a network and gives out what its layers compute. Of each family it is told the ends
of the stages before each halving of the resolution, and what the last linear layer reads; that layer itself is ours, so
that any number of classes has the same place in every model. Which models there are, and what is known of their weights
without torch: ``engine.torchvision_facts``.

Dropout and stochastic depth are off: they draw from torch's global generator, and a round must repeat from its seeds.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from tidal_core.engine.backbones.base import Backbone
from tidal_core.engine.torchvision_facts import TorchvisionFacts

HEADS = {
    "resnet": "fc",
    "regnet": "fc",
    "convnext": "classifier.2",
    "efficientnet": "classifier.1",
    "mobilenet_v2": "classifier.1",
    "mobilenet_v3": "classifier.3",
    "swin": "head",
    "vit": "heads.head",
}
"""The last linear layer of each family, by its name in torchvision."""

FIXED_SIDE = frozenset({"vit"})
"""Families whose networks take images of one side only."""

N_MAPS = 4  # at most, of a network whose stages are found by their strides


class TorchvisionBackbone(Backbone):
    """A classifier of torchvision with fresh weights, drawn from torch's global generator as the family draws them.

    Works at any side from ``smallest_side``; a ViT resizes its images to the side that its weights were trained at.
    """

    class_rows = ("classifier.weight", "classifier.bias")

    def __init__(self, facts: TorchvisionFacts, n_classes: int, *, weights: Mapping[str, Tensor] | None = None) -> None:
        """``weights``: of all layers, as torchvision publishes them; KeyError or RuntimeError where they do not fit."""
        super().__init__()
        from torchvision.models import get_model  # here, because its import takes a second that `small` does not need
        from torchvision.models.feature_extraction import create_feature_extractor

        self.stage_channels, self.smallest_side, self.facts = facts.stage_channels, facts.smallest_side, facts
        sizes = {"image_size": facts.preprocessing.side} if facts.family in FIXED_SIDE else {}
        net = get_model(facts.model, weights=None, num_classes=n_classes, **sizes)
        if weights is not None:
            net.load_state_dict(weights)  # before tracing, which loses how a layer reads the names of older versions
        without_chance(net)
        head = HEADS[facts.family]
        self.classifier: nn.Module = net.get_submodule(head)
        net.set_submodule(head, nn.Identity())
        nodes = {name: f"stage{number}" for number, name in enumerate(stage_ends(net, facts.family))}
        self.body: nn.Module = create_feature_extractor(net, {**nodes, head: "vector"})

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """As ``Backbone.forward``."""
        if self.facts.family in FIXED_SIDE:
            x = resized(x, self.facts.preprocessing.side, self.facts.preprocessing.interpolation)
        outputs = self.body(x)
        vector: Tensor = outputs.pop("vector")
        return self.classifier(vector), [*(as_map(stage, self.facts.family) for stage in outputs.values()), vector]


def without_chance(net: nn.Module) -> None:
    """Turn dropout and stochastic depth off."""
    from torchvision.ops import StochasticDepth

    for module in net.modules():
        if isinstance(module, nn.Dropout | StochasticDepth):
            module.p = 0.0


def stage_ends(net: nn.Module, family: str) -> list[str]:
    """The layers whose outputs are given out as maps; the last stage is left out where its mean is the vector."""
    match family:
        case "resnet":
            return ["layer1", "layer2", "layer3"]
        case "regnet":
            return ["trunk_output.block1", "trunk_output.block2", "trunk_output.block3"]
        case "convnext" | "swin":
            return ["features.1", "features.3", "features.5"]
        case "vit":
            depth = len(net.get_submodule("encoder.layers")._modules)
            return [f"encoder.layers.encoder_layer_{depth * quarter // 4 - 1}" for quarter in (1, 2, 3)]
    # EfficientNet and MobileNet: a run of blocks, then a convolution that widens for the classifier.
    *blocks, _ = net.get_submodule("features").children()
    halves = [any(isinstance(m, nn.Conv2d) and m.stride[0] > 1 for m in block.modules()) for block in blocks]
    ends = [number for number in range(len(blocks)) if number + 1 == len(blocks) or halves[number + 1]]
    return [f"features.{number}" for number in ends[-N_MAPS:]]


def as_map(stage: Tensor, family: str) -> Tensor:
    """What a stage gives as a map (B, channels, H, W)."""
    if family == "swin":  # (B, H, W, channels)
        return stage.permute(0, 3, 1, 2)
    if family == "vit":  # (B, 1 + H W, channels), the first token stands for the class
        side = int((stage.shape[1] - 1) ** 0.5)
        # Not len(): it would fix the number of images when a model is traced for export.
        return stage[:, 1:].transpose(1, 2).reshape(stage.shape[0], -1, side, side)
    return stage


def resized(x: Tensor, side: int, interpolation: str) -> Tensor:
    """Square images (B, 3, S, S) at another side, as the weights want them."""
    if x.shape[-1] == side:
        return x
    return F.interpolate(x, size=(side, side), mode=interpolation, align_corners=False, antialias=True)
