"""TiDAL: Training Dynamics for Active Learning (ICCV 2023, arXiv 2210.06788), the method and nothing else.

The training dynamics (TD) of an image are the path its predicted probabilities p^(t) took while the classifier f
trained. For labelled images the path is seen, and its mean p-bar (Eq. 5, the area under the curves) is kept by
``TDTracker``. For unlabelled ones a small module m, ``TDModule``, learns to predict p-bar beside f (Appendix C);
both train on one loss, ``tidal_loss``. What turns a predicted p-bar into a score is in ``method.estimators``, apart
from here because strategies and pages score without torch.

Everything is computed from log-probabilities in float32: p * log(p) is NaN at p = 0.

Symbols: N images, B of a batch, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tidal_core.errors import InputError


class TDTracker:
    """p-bar of N labelled images: the mean of the probabilities seen for each since the last ``reset``.

    Kept as a sum and a number of visits, so that batches may come in any order and an index that comes twice in one
    batch counts twice. Lives on ``device``; nothing here waits for it.
    """

    def __init__(self, n_images: int, n_classes: int, device: torch.device | None = None) -> None:
        self.total = torch.zeros(n_images, n_classes, dtype=torch.float32, device=device)  # (N, C) sum of p
        self.visits = torch.zeros(n_images, 1, dtype=torch.float32, device=device)  # (N, 1)

    def reset(self) -> None:
        """Forget everything: a round, or the window that is averaged over, begins."""
        self.total.zero_()
        self.visits.zero_()

    def update(self, index: Tensor, p: Tensor) -> Tensor:
        """Count one more visit of the images ``index`` (B,) with probabilities ``p`` (B, C); p-bar^(t) of them (B, C).

        The answer carries no gradient, whatever ``p`` carries.
        """
        p = p.detach().float()
        self.total.index_add_(0, index, p)
        self.visits.index_add_(0, index, p.new_ones(len(index), 1))
        return self.total.index_select(0, index).div_(self.visits.index_select(0, index))

    def withdraw(self, index: Tensor, p: Tensor) -> None:
        """Take one ``update`` back (to rounding), for a batch that is to be run again."""
        self.total.index_add_(0, index, p.detach().float(), alpha=-1)
        self.visits.index_add_(0, index, self.visits.new_ones(len(index), 1), alpha=-1)

    def mean(self) -> Tensor:
        """p-bar (N, C) float32 on the host; zeros for an image that was never visited."""
        return self.total.cpu() / self.visits.cpu().clamp_min(1)


class TDModule(nn.Module):
    """m: predicts p-bar of an image from what f computed on the way (Appendix C).

    Each stage's features are pooled over the image, mapped to ``width`` and rectified; one linear layer reads them all
    side by side. Stages may be feature maps (B, channels, H, W) or vectors (B, channels) that are pooled already.
    """

    # Parameters with one row for each class, for carrying them over to a round with other classes.
    class_rows = ("head.weight", "head.bias")

    def __init__(self, stage_channels: Sequence[int], n_classes: int, width: int = 128) -> None:
        super().__init__()
        self.reduce = nn.ModuleList(nn.Linear(channels, width) for channels in stage_channels)
        self.head = nn.Linear(width * len(stage_channels), n_classes)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Logits (B, C) of p-tilde; ``features`` holds one entry for each stage."""
        if len(features) != len(self.reduce):
            raise InputError(
                f"the TD module was built for {len(self.reduce)} stages and got {len(features)}; "
                "build it with the backbone's stage_channels."
            )
        levels = [F.relu(linear(pooled(x))) for linear, x in zip(self.reduce, features, strict=True)]  # (B, width) each
        logits: Tensor = self.head(torch.cat(levels, dim=1))  # (B, C)
        return logits


class GlobalAverage(torch.autograd.Function):
    """The mean over an image's places, (B, D, H, W) to (B, D).

    Every place gets the same gradient, so it is handed back as one number for each channel, repeated without a copy:
    torch's own mean and pooling write out a whole map first, which is most of what TD costs (EXPERIMENTS.md).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """The mean."""
        ctx.shape = x.shape
        return x.mean((2, 3))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """The gradient (B, D) spread over the places (B, D, H, W)."""
        B, D, H, W = ctx.shape
        per_position: Tensor = (gradient / (H * W)).view(B, D, 1, 1)
        return per_position.expand(B, D, H, W)


def pooled(x: Tensor) -> Tensor:
    """Global average pooling of (B, D, H, W) to (B, D); a vector (B, D) is left as it is."""
    if x.dim() == 2:
        return x
    mean: Tensor = GlobalAverage.apply(x)
    return mean


class TidalLoss(NamedTuple):
    """The loss of one batch, scalars, and its two parts before weighting."""

    total: Tensor
    class_loss: Tensor  # mean cross-entropy of f, of weighted images if they have weights
    td_loss: Tensor  # mean KL(p-bar || p-tilde)


def tidal_loss(
    logits: Tensor,
    labels: Tensor,
    td_logits: Tensor,
    p_bar: Tensor,
    weight: float = 1.0,
    image_weights: Tensor | None = None,
) -> TidalLoss:
    """Mean cross-entropy of f plus ``weight`` (lambda) times the mean KL(p-bar || softmax(m)).

    logits and td_logits (B, C), labels (B,) int64, p_bar (B, C) rows that sum to 1. p-bar is a target: it gets no
    gradient. f's body gets the gradient of both parts. ``image_weights``: see ``classification_loss``; every image's
    dynamics count alike.
    """
    class_loss = classification_loss(logits, labels, image_weights)
    td_loss = td_divergence(p_bar, td_logits)
    return TidalLoss(class_loss + weight * td_loss, class_loss, td_loss)


def classification_loss(logits: Tensor, labels: Tensor, image_weights: Tensor | None = None) -> Tensor:
    """Mean cross-entropy of logits (B, C), a scalar; each image counts by its weight (B,), which is 1 without them.

    The sum is divided by B, not by the weights that happen to be in the batch: over an epoch every image then counts
    for exactly its weight, however the batches fell.
    """
    if image_weights is None:
        return F.cross_entropy(logits.float(), labels)
    return (F.cross_entropy(logits.float(), labels, reduction="none") * image_weights).mean()


def td_divergence(p_bar: Tensor, td_logits: Tensor) -> Tensor:
    """Mean over the batch of KL(p-bar || softmax(td_logits)), a scalar; 0 log 0 counts 0, and so does 0 log (0 / 0)."""
    target = p_bar.detach().float()
    # Where both are 0 torch multiplies 0 by minus infinity. Such an entry has no gradient, masked or not.
    log_q = log_probabilities(td_logits).masked_fill(target == 0, 0.0)
    return F.kl_div(log_q, target, reduction="batchmean")


def log_probabilities(logits: Tensor) -> Tensor:
    """log softmax (B, C) in float32, whatever the precision of the logits."""
    return F.log_softmax(logits.float(), dim=-1)
