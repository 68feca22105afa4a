"""MC dropout (Gal and Ghahramani, ICML 2016) as a head of its own: what BALD asks by.

A linear layer on the pooled features with half of them dropped, trained by cross-entropy beside the classifier. Its
gradient stops at the features, so that the classifier comes out as it would without it. Masks come from a generator of
their own: no draw of the augmentation moves.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

RATE = 0.5  # of the features dropped in each pass
PASSES = 20  # when the pool is scored


class MCDropout(nn.Module):
    """A linear classifier that never sees all of the features."""

    class_rows = ("head.weight", "head.bias")

    def __init__(self, stage_channels: Sequence[int], n_classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(stage_channels[-1], n_classes)

    def forward(self, features: Tensor, generator: Generator) -> Tensor:
        """Logits (B, C) of pooled features (B, D) with a fresh mask for each row."""
        keep = torch.rand(features.shape, generator=generator) >= RATE
        logits: Tensor = self.head(features.float() * keep.to(features.device) / (1 - RATE))
        return logits

    def loss(self, features: Sequence[Tensor], labels: Tensor, generator: Generator) -> Tensor:
        """Mean cross-entropy of a batch; features of all stages, the last (B, D)."""
        return F.cross_entropy(self(features[-1].detach(), generator), labels)

    @torch.inference_mode()
    def extra(self, features: Tensor) -> dict[str, Tensor]:
        """``mc_log_p`` (N, S, C), log-probabilities of S passes; the same masks whenever the same images are scored."""
        generator = Generator().manual_seed(0)
        passes = [F.log_softmax(self(features, generator), dim=1) for _ in range(PASSES)]
        return {"mc_log_p": torch.stack(passes, dim=1)}
