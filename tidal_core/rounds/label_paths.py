"""The paths that a round's training images took over its epochs, as far as the statistics of curves need them.

Three numbers an image and epoch (p of its label, the largest other p, whether right) instead of p of all classes. No
store, no torch: arrays in, columns out.
"""

from __future__ import annotations

from tidal_core.method import dynamics
from tidal_core.records import Float32, Int64, class_positions


class LabelPaths:
    """The label's view of each image's curve, gathered epoch by epoch."""

    def __init__(self, labels: Int64) -> None:
        """``labels`` (N,) are positions in the round's class order."""
        self._labels = labels
        self._epochs: list[dynamics.LabelView] = []

    def add(self, p: Float32, index: Int64 | None, class_ids: Int64 | None = None) -> None:
        """One epoch: p (N, C), or (N, K) with ``index`` (N, K) of positions, or of class ids if those are given."""
        if index is not None and class_ids is not None:
            index = class_positions(index, class_ids)
        self._epochs.append(dynamics.label_view(p[None], self._labels, None if index is None else index[None]))

    def statistics(self) -> dict[str, Float32 | Int64]:
        """Columns of ``round_images``, each (N,)."""
        if not self._epochs:
            return {}
        return dynamics.curve_statistics(dynamics.joined(self._epochs)).columns()
