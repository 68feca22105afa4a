"""Learning loss (Yoo and Kweon, Learning Loss for Active Learning, CVPR 2019): a module that predicts the loss.

Beside the classifier a module learns which of two images has the larger loss; images of high predicted loss are asked.
It has the layers of the TD module, whose authors took them from here, with one output: each stage pooled, mapped to
128 and rectified; one linear layer reads them side by side.

After ``STOPS_AFTER`` of the epochs its gradient no longer reaches the classifier's body, which then trains by the
labels alone. Where the body is frozen there is no body to reach: the module then reads stored features, and the
classifier comes out as it would without it. That is a variant, not the published method.

``LearningLoss`` is the paper's, with a hinge. ``Ranker`` has in its place the cross-entropy of sigmoid differences
that the codes of TiDAL and TA-VAAL (Kim et al., CVPR 2021) use under the same name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from tidal_core.engine.companions.base import Companion, SeenBatch
from tidal_core.method.tidal import TDModule, pooled

MARGIN = 1.0
STOPS_AFTER = 0.6  # of the epochs of a round: 120 of 200


def paired(values: Tensor) -> Tensor:
    """The first of (B,) minus the last, the second minus the last but one, and so on: (B // 2,).

    An odd batch drops its last image.
    """
    even = values[: len(values) // 2 * 2]
    return (even - even.flip(0))[: len(even) // 2]


def hinge_loss(predicted: Tensor, losses: Tensor, margin: float = MARGIN) -> Tensor:
    """Mean over pairs of max(0, margin - sign(l_i - l_j) (l^_i - l^_j)), Eq. 2 of the paper, a scalar.

    predicted (B,) l^, losses (B,) l, which get no gradient. Pairs of equal losses count zero; so does a batch of one.
    """
    direction = paired(losses.detach()).sign()
    per_pair = F.relu(margin - direction * paired(predicted)) * (direction != 0)
    return per_pair.sum() / max(1, len(per_pair))


def ranking_loss(predicted: Tensor, losses: Tensor) -> Tensor:
    """Mean over pairs of the cross-entropy between sigmoid(l^_i - l^_j) and 1 where l_i > l_j, 0 where it is smaller.

    As ``hinge_loss`` otherwise: Eq. 4 of TA-VAAL.
    """
    direction = paired(losses.detach()).sign()
    per_pair = F.softplus(-direction * paired(predicted)) * (direction != 0)
    return per_pair.sum() / max(1, len(per_pair))


class LearningLoss(Companion):
    """Predicts which images the classifier has a large loss on."""

    says = "predicted_loss"

    def __init__(self, stage_channels: Sequence[int], n_classes: int) -> None:
        super().__init__()
        self.net = TDModule(stage_channels, 1)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Predicted losses (B,), on a scale of their own; ``features`` of all stages."""
        predicted: Tensor = self.net([pooled(x).float() for x in features])
        return predicted.squeeze(1)

    def loss(self, seen: SeenBatch, generator: Generator) -> Tensor:
        """See ``Companion``; weight 1 as published."""
        reaches_body = seen.epoch <= round(STOPS_AFTER * seen.epochs)
        predicted = self(seen.features if reaches_body else [x.detach() for x in seen.features])
        losses = F.cross_entropy(seen.logits.detach().float(), seen.labels, reduction="none")
        return self.between(predicted, losses)

    def between(self, predicted: Tensor, losses: Tensor) -> Tensor:
        """How far predicted losses (B,) are from the order of the losses (B,)."""
        return hinge_loss(predicted, losses)

    @torch.no_grad()
    def of_batch(self, inputs: Tensor, features: Sequence[Tensor], said: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """``predicted_loss``, or what the class says in its place: (B,), any number; higher where more is to learn."""
        return {self.says: self(features)}


class Ranker(LearningLoss):
    """The same module, trained by cross-entropy: what TA-VAAL reads."""

    says = "predicted_rank"

    def between(self, predicted: Tensor, losses: Tensor) -> Tensor:
        """As ``ranking_loss``."""
        return ranking_loss(predicted, losses)
