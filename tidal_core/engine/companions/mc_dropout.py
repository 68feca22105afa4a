"""MC dropout (Gal and Ghahramani, ICML 2016) as a head of its own: what BALD queries by.

A linear layer on the pooled features with half of them dropped, trained by cross-entropy beside the classifier. Its
gradient stops at the features, so that the classifier comes out as it would without it. Masks come from a generator of
their own: no draw of the augmentation moves.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from tidal_core.engine.companions.base import Companion, SeenBatch

PASSES = 20  # when the pool is scored
BLOCK = 1_024  # images passed at once; it decides which masks they meet, so it is not the caller's to choose

# Row i holds the bits of the byte i: 2 for a feature that is kept, 0 for one that is dropped.
_BITS = 2.0 * ((torch.arange(256)[:, None] >> torch.arange(8)) & 1)  # (256, 8)


def half_of(rows: int, width: int, generator: Generator, device: torch.device) -> Tensor:
    """Which features are kept, each with a chance of one half, and doubled: (rows, width) of 0 and 2, float32.

    One random byte serves eight features: a number for each takes four times as long.
    """
    drawn = torch.randint(0, 256, (rows, -(-width // 8)), generator=generator, dtype=torch.uint8)
    return F.embedding(drawn.to(device).int(), _BITS.to(device)).flatten(1)[:, :width]


class MCDropout(Companion):
    """A linear classifier that never sees all of the features."""

    class_rows = ("head.weight", "head.bias")

    def __init__(self, stage_channels: Sequence[int], n_classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(stage_channels[-1], n_classes)

    def forward(self, features: Tensor, generator: Generator) -> Tensor:
        """Logits (B, C) of pooled features (B, D) with a fresh mask for each row."""
        mask = half_of(len(features), features.shape[1], generator, features.device)
        logits: Tensor = self.head(features.float() * mask)
        return logits

    def loss(self, seen: SeenBatch, generator: Generator) -> Tensor:
        """Mean cross-entropy of a batch."""
        return F.cross_entropy(self(seen.features[-1].detach(), generator), seen.labels)

    @torch.inference_mode()
    def extra(self, features: Tensor) -> dict[str, Tensor]:
        """``mc_information`` (N,), float32: H(mean p) - mean H(p) over S passes in nats, 0 to log C.

        Never more than (block, C) at a time: sums of p and of H(p) run along. The same masks whenever the same images
        are scored.
        """
        generator = Generator().manual_seed(0)
        information = [self._information(block, generator) for block in torch.split(features, BLOCK)]
        return {"mc_information": torch.cat(information)}

    def _information(self, features: Tensor, generator: Generator) -> Tensor:
        """(B, D) -> (B,). ``entr`` is 0 at p = 0, where p log p is not a number."""
        precise = torch.float32 if features.device.type == "mps" else torch.float64
        mean_p = torch.zeros(len(features), self.head.out_features, dtype=precise, device=features.device)
        mean_entropy = torch.zeros(len(features), dtype=precise, device=features.device)
        for _ in range(PASSES):
            p = F.softmax(self(features, generator).to(precise), dim=1)
            mean_p += p / PASSES
            mean_entropy += torch.special.entr(p).sum(dim=1) / PASSES
        # Passes that agree differ by rounding only, which may fall below 0.
        information: Tensor = torch.special.entr(mean_p).sum(dim=1) - mean_entropy
        return information.clamp(min=0).float()
