"""One epoch of curves on the device, brought to the host once.

Up to ``full_curve_classes`` classes every probability is kept. Above, the label's and the ``sparse_top_k`` largest (the
prediction's is the first of these): at 8,142 classes and 100,000 images 7 MB an epoch instead of 3.3 GB.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tidal_core.config import TrainConfig
from tidal_core.records import Curves


class CurveRecorder:
    """Collects p of N images over one epoch, each image once."""

    def __init__(self, n_images: int, n_classes: int, config: TrainConfig, device: torch.device) -> None:
        self.top_k = None if n_classes <= config.full_curve_classes else min(config.sparse_top_k, n_classes)
        width = n_classes if self.top_k is None else 1 + self.top_k
        self.p = torch.zeros(n_images, width, device=device)
        self.classes = None if self.top_k is None else torch.full((n_images, width), -1, device=device)

    def add(self, index: Tensor, p: Tensor, labels: Tensor) -> None:
        """Record p (B, C) float32 of the images ``index`` (B,) with these labels (B,)."""
        if self.top_k is None or self.classes is None:
            self.p.index_copy_(0, index, p)
            return
        labels = labels.unsqueeze(1)  # (B, 1)
        top, classes = p.topk(self.top_k, dim=1)  # (B, K), the largest first
        again = classes == labels  # the label has the first place already
        top, classes = top.masked_fill(again, 0.0), classes.masked_fill(again, -1)
        self.p.index_copy_(0, index, torch.cat((p.gather(1, labels), top), dim=1))
        self.classes.index_copy_(0, index, torch.cat((labels, classes), dim=1))

    def finish(self) -> Curves:
        """The epoch's curves on the host; the recorder is done."""
        classes = None if self.classes is None else self.classes.cpu().numpy()
        return Curves(self.p.cpu().numpy(), classes)
