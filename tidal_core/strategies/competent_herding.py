"""Competent herding: herding that trusts the training dynamics as far as they have been right. An experiment.

"Earned competence" is meant to compare what was predicted of images when they were asked with what was seen once they
had a label. A strategy remembers nothing, so that a stand-in is computed from the labelled images alone:

- *predicted* of a labelled image: how unsettled the pool images around it are, the mean of 1 - margin of their exact
  p-bar, weighted by the kernel of herding;
- *observed*: how far the other labels are from its own label, 1 minus the share that its class has among the other
  labelled images, weighted by the same kernel.

The competence c is Spearman's rank correlation of the two over the L labelled images, 0 where it is negative, times
L / (L + 20): with few labels it is hardly known. Nothing in this is the history of rounds: it is what a look back over
today's labels can tell of it.
"""

import numpy as np
from scipy.stats import spearmanr

from tidal_core.records import Float32, Float64, PoolView
from tidal_core.strategies.base import exact_of
from tidal_core.strategies.distances import blocks, unit_length
from tidal_core.strategies.herding import STAND_FOR, DynamicsHerding, unsettled

SHRUNK_BY = 20  # labels: of so many the correlation counts by half
LEAST = 5  # labels: of fewer a correlation of ranks is chance
MOST = 2_000  # labelled images that the correlation is computed of: the last of them


class CompetentHerding(DynamicsHerding):
    """Weights (1 - c) + c u, with u = 1 - margin of the exact p-bar: MaxHerding at c = 0, Exact herding at c = 1."""

    name = "competent-herding"
    title = "Competent herding (an experiment)"
    explanation = (
        "Images that represent the most others; unsettled ones count more, the better unsettledness has told which "
        "labels would surprise."
    )
    because = (
        "it represents many images that no label represents yet, and unsettled ones count as far as the labels so far "
        "bear it out"
    )
    paper = "This project's (TiDAL Studio), of Bae et al., ECCV 2024 and ICLR 2025, and Kye et al., ICCV 2023"
    cost = (
        "Time N T D and L (T + L) D, memory 4 N T bytes, for N = 8,000 and T = 4,000 images of the pool and L = 2,000 "
        "labelled ones at most: 128 MB."
    )
    needs = frozenset({"exact_log_p", "features", "labelled_features"})

    def weights(self, pool: PoolView) -> Float32:
        """(N,) (1 - c) + c u, above 0 for c < 1."""
        u = unsettled(exact_of(pool))
        # The part is drawn evenly and not from the generator: c does not depend on the seed of a query.
        some = np.unique(np.linspace(0, len(u) - 1, min(STAND_FOR, len(u))).round().astype(np.int64))
        labelled = unit_length(pool.labelled_features[-MOST:])
        c = competence(unit_length(pool.features[some]), u[some], labelled, pool.labelled_classes[-MOST:])
        return (1 - c + c * u).astype(np.float32)


def competence(points: Float32, u: Float32, labelled: Float32, classes: np.ndarray) -> float:
    """c, 0 to 1, of ``points`` (N, D) unsettled by ``u`` (N,), and ``labelled`` (L, D) with their ``classes`` (L,)."""
    L = len(labelled)
    if L < LEAST:
        return 0.0
    predicted: Float64 = np.empty(L)
    observed: Float64 = np.empty(L)
    for rows, squared in blocks(labelled, points):
        kernel = np.exp(-squared)
        predicted[rows] = (kernel @ u) / kernel.sum(axis=1)
    for rows, squared in blocks(labelled, labelled):
        kernel = np.exp(-squared)
        others = np.arange(len(kernel))
        kernel[others, rows.start + others] = 0  # itself says nothing of its own label
        same = classes[rows][:, None] == classes[None]
        observed[rows] = 1 - (kernel * same).sum(axis=1) / kernel.sum(axis=1)
    if np.ptp(predicted) == 0 or np.ptp(observed) == 0:
        return 0.0
    return max(0.0, float(spearmanr(predicted, observed).statistic)) * L / (L + SHRUNK_BY)
