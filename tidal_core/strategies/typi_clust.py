"""TypiClust: with few labels, query the most typical image of each group that has no label yet."""

from heapq import heapify, heappop, heappush

import numpy as np

from tidal_core.records import Float32, Int64, PoolView
from tidal_core.strategies.base import Strategy
from tidal_core.strategies.clusters import k_means
from tidal_core.strategies.distances import mean_distance_within, unit_length

MOST_CLUSTERS = 500  # as in the authors' experiments
NEIGHBOURS = 20  # typicality is the inverse mean distance to this many nearest of the cluster
SMALL = 5  # clusters below this size are queried last: they are outliers


class TypiClust(Strategy):
    """k-means into L + n clusters; of the largest with the fewest labels, the image in the densest place.

    Where there are fewer clusters than images to query, a cluster has several turns: typicality is then computed among
    its remaining images, without those that have a label or were chosen (Algorithm 1 of the paper, and the authors'
    code), so that the next one is not the neighbour of the last.
    """

    name = "typiclust"
    title = "TypiClust"
    explanation = "The most typical image of each group without a label; meant for the first few dozen labels."
    because = "it is the most typical image of a group with few labels"
    paper = "Hacohen, Dekel and Weinshall, Active Learning on a Budget, ICML 2022"
    cost = (
        "Time N k D for k-means into k = L + n clusters, at most 500, and for each image queried the square of its "
        "cluster's size times D; memory N D: a copy of the features at unit length."
    )
    needs = frozenset({"features", "labelled_features"})
    represents = True

    def choose(self, pool: PoolView, n: int, rng: np.random.Generator) -> Int64:
        """One image per cluster in turn, until there are n. Distances are between features of unit length."""
        labelled = len(pool.labelled_features)
        points = unit_length(np.concatenate([pool.labelled_features, pool.features]))
        # In random order, so that equal images and equal clusters are taken in an order drawn from rng.
        order = rng.permutation(len(points))
        cluster = np.empty(len(points), np.int64)
        cluster[order] = k_means(points[order], min(labelled + n, MOST_CLUSTERS, len(points)), rng).of_point

        shuffled = order[order >= labelled]
        by_cluster = shuffled[np.argsort(cluster[shuffled], kind="stable")]
        members = dict(_groups(by_cluster, cluster))
        sizes = np.bincount(cluster)
        known = np.bincount(cluster[:labelled], minlength=len(sizes))
        turns = [
            (bool(sizes[c] < SMALL), int(known[c]), -int(sizes[c]), order_drawn, c)
            for order_drawn, c in enumerate(rng.permutation(list(members)).tolist())
        ]
        heapify(turns)
        chosen: list[int] = []
        while len(chosen) < n:
            small, count, size, order_drawn, c = heappop(turns)
            row = most_typical(points[members[c]])
            chosen.append(int(members[c][row]) - labelled)
            members[c] = np.delete(members[c], row)
            if len(members[c]):
                heappush(turns, (small, count + 1, size, order_drawn, c))
        return np.asarray(chosen, np.int64)


def most_typical(points: Float32) -> int:
    """The row with the smallest mean distance to its min(20, half) nearest neighbours, the first of several; N > 0."""
    if len(points) < 2:
        return 0
    k = min(NEIGHBOURS, max(1, len(points) // 2))
    return int(mean_distance_within(points, k).argmin())


def _groups(rows: Int64, cluster: Int64) -> list[tuple[int, Int64]]:
    """Rows that are sorted by cluster, as (cluster, its rows)."""
    cluster_of_row = cluster[rows]
    starts = np.flatnonzero(np.concatenate([[True], cluster_of_row[1:] != cluster_of_row[:-1]]))
    parts = np.split(rows, starts[1:])
    return [(int(cluster_of_row[start]), members) for start, members in zip(starts, parts, strict=True)]
