"""Strategies that choose whole batches, against plain loops that follow the papers word by word."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import rel_entr
from sklearn.cluster import KMeans
from sklearn.neighbors import NearestNeighbors

from tests.strategies.pools import make_pool
from tidal_core import strategies
from tidal_core.records import Float32, PoolView
from tidal_core.strategies import clusters, distances, diversity, typi_clust
from tidal_core.strategies.badge import gradient_factor
from tidal_core.strategies.clusters import k_means
from tidal_core.strategies.prob_cover import cover, pure_radius
from tidal_core.strategies.typi_clust import most_typical


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def distance(point: Float32, other_point: Float32) -> float:
    return float(np.linalg.norm(np.float64(point) - np.float64(other_point)))


def test_k_centre_takes_the_farthest_from_everything_before_it() -> None:
    pool = make_pool()
    known = list(pool.labelled_features)
    expected = []
    for _ in range(10):
        free = [row for row in range(40) if row not in expected]
        row = max(free, key=lambda row: min(distance(pool.features[row], centre) for centre in known))
        expected.append(row)
        known.append(pool.features[row])

    assert strategies.get("coreset").select(pool, 10, rng()).tolist() == expected


def test_k_centre_without_labels_starts_anywhere_and_goes_on_farthest_first() -> None:
    line = np.array([[0.0], [1], [2], [10]], np.float32)

    first_rows = {int(diversity.k_centre(line, 1, rng(seed), line[:0])[0]) for seed in range(30)}
    later = diversity.k_centre(line, 4, rng(), line[:1])

    assert first_rows == {0, 1, 2, 3}
    assert later[0] == 3
    assert later[-1] == 0, "the image that equals a labelled one comes last"


@pytest.mark.parametrize("block", [7, 100, 100_000])
def test_distances_do_not_depend_on_the_blocks_they_are_computed_in(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distances, "BLOCK", block)
    pool = make_pool()
    points, others = pool.features, pool.labelled_features
    plain = np.array([[distance(a, b) for b in others] for a in points])

    np.testing.assert_allclose(distances.nearest(points, others), plain.min(axis=1) ** 2, rtol=1e-4)
    rows = np.sort(distances.neighbours(points, others, 3), axis=1)
    np.testing.assert_array_equal(rows, np.sort(np.argsort(plain, axis=1)[:, :3], axis=1))
    library = NearestNeighbors(n_neighbors=6).fit(points).kneighbors(points)[0][:, 1:].mean(axis=1)
    np.testing.assert_allclose(distances.mean_distance_within(points, 5), library, rtol=1e-4)


def test_cal_is_the_mean_divergence_from_the_nearest_labelled() -> None:
    pool = make_pool(labelled=25)
    expected = []
    for row in range(40):
        order = np.argsort([distance(pool.features[row], labelled) for labelled in pool.labelled_features])[:10]
        p, q = np.exp(pool.log_p[row]), np.exp(pool.labelled_log_p[order])
        expected.append(rel_entr(q, p).sum(axis=1).mean())

    np.testing.assert_allclose(strategies.get("cal").scores(pool), expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "said"), [("learning-loss", "predicted_loss"), ("learning-loss-ranked", "predicted_rank")]
)
def test_learning_loss_asks_where_it_predicts_most(name: str, said: str) -> None:
    pool = make_pool()

    rows = strategies.get(name).select(pool, 5, rng())

    assert rows.tolist() == np.argsort(-pool.extra[said])[:5].tolist()


def test_bald_asks_where_the_passes_disagree_most() -> None:
    pool = make_pool()

    rows = strategies.get("bald").select(pool, 5, rng())

    assert rows.tolist() == np.argsort(-pool.extra["mc_information"])[:5].tolist()


def embeddings(pool: PoolView) -> np.ndarray:
    factor = gradient_factor(np.exp(pool.log_p))
    return np.einsum("nc,nd->ncd", factor, pool.features).reshape(len(factor), -1)


def test_badge_draws_as_k_means_pp_on_the_written_out_gradients_would() -> None:
    pool, n = make_pool(size=30), 12
    gradients, draws = embeddings(pool), rng(4)
    row = int(np.argmax((gradients**2).sum(axis=1)))
    expected = [row]
    to_nearest = ((gradients - gradients[row]) ** 2).sum(axis=1)
    while len(expected) < n:
        to_nearest[expected] = 0
        bounds = np.cumsum(to_nearest, dtype=np.float64)
        row = int(np.searchsorted(bounds, draws.random() * bounds[-1], side="right"))
        expected.append(row)
        to_nearest = np.minimum(to_nearest, ((gradients - gradients[row]) ** 2).sum(axis=1))

    assert strategies.get("badge").select(pool, n, rng(4)).tolist() == expected


def test_badge_asks_the_second_of_two_equal_images_only_when_nothing_else_is_left() -> None:
    pool = make_pool(size=20)
    twice = np.concatenate([np.arange(20), np.arange(20)])
    doubled = replace(
        pool, ids=np.arange(40), log_p=pool.log_p[twice], td_log_p=pool.log_p[twice], features=pool.features[twice]
    )

    for name in ("badge", "tidal-badge"):
        rows = strategies.get(name).select(doubled, 20, rng(1))
        assert sorted(rows % 20) == list(range(20)), name


def test_badge_has_no_ghost_of_the_origin() -> None:
    """A certain image has a gradient of 0; nothing lies there beforehand, so that it may be drawn as well."""
    log_p = np.log(np.array([[0.6, 0.4], [1 - 1e-12, 1e-12]])).astype(np.float32)

    assert sorted(diversity.k_means_pp(gradient_factor(np.exp(log_p)), np.ones((2, 3), np.float32), 2, rng())) == [0, 1]


def test_badge_never_writes_the_gradients_out() -> None:
    """Written out they were 6 GB."""
    size, classes, width = 20_000, 100, 768

    tracemalloc.start()
    pool = make_pool(size=size, classes=classes, dimensions=width)
    whole = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    strategies.get("badge").select(pool, 20, rng())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 200e6, "the pool with it"
    assert peak - whole < 4 * 4 * size * classes, "a few arrays of (N, C)"


def test_the_spread_strategies_ask_within_the_best_ten_n() -> None:
    pool = make_pool(size=400)
    for name, score in (("margin-diverse", "margin"), ("tidal-margin-diverse", "tidal-margin")):
        candidates = set(strategies.get(score).select(pool, 50, rng()))
        rows = strategies.get(name).select(pool, 5, rng())
        assert set(rows) <= candidates, name


def groups(sizes: tuple[int, ...], spread: float = 0.02, width: int = 8) -> Float32:
    """Tight groups in different directions."""
    draws = rng(7)
    centres = np.eye(width)[: len(sizes)]
    points = [
        centre + spread * draws.standard_normal((size, width)) for centre, size in zip(centres, sizes, strict=True)
    ]
    return np.concatenate(points).astype(np.float32)


def grouped_pool(sizes: tuple[int, ...], labelled: Float32) -> PoolView:
    features = groups(sizes)
    return replace(
        make_pool(size=len(features), classes=4),
        features=features,
        labelled_features=labelled,
        labelled_log_p=np.zeros((len(labelled), 4), np.float32),
    )


@pytest.mark.parametrize("name", ["typiclust", "probcover"])
def test_low_budget_strategies_ask_one_image_of_each_group_largest_first(name: str) -> None:
    pool = grouped_pool((40, 30, 20, 10), np.empty((0, 8), np.float32))
    group = np.repeat(np.arange(4), (40, 30, 20, 10))

    rows = strategies.get(name).select(pool, 4, rng())

    assert group[rows].tolist() == [0, 1, 2, 3]


def test_typiclust_leaves_groups_that_have_a_label() -> None:
    pool = grouped_pool((40, 30, 20), groups((1, 0, 1)))
    group = np.repeat(np.arange(3), (40, 30, 20))

    assert group[strategies.get("typiclust").select(pool, 1, rng())] == [1]


@pytest.mark.parametrize("labelled", [0, 5])
def test_typiclust_follows_the_paper_cluster_by_cluster(labelled: int) -> None:
    pool, n = make_pool(size=300, labelled=labelled, dimensions=4), 6
    points = distances.unit_length(np.concatenate([pool.labelled_features, pool.features]))
    draws = rng(3)
    order = draws.permutation(len(points))
    cluster = np.empty(len(points), np.int64)
    cluster[order] = k_means(points[order], labelled + n, draws).of_point
    sizes = np.bincount(cluster)
    uncovered = sorted(set(cluster.tolist()) - set(cluster[:labelled].tolist()), key=lambda c: -sizes[c])
    assert min(sizes) >= 5, "no outliers here"

    rows = strategies.get("typiclust").select(pool, n, rng(3)) + labelled

    assert sizes[cluster[rows]].tolist() == sizes[uncovered[:n]].tolist(), "the largest without a label"
    assert len(set(cluster[rows])) == n
    for row in rows:
        members = np.flatnonzero(cluster == cluster[row])
        k = min(20, len(members) // 2)
        near = [np.sort([distance(points[a], points[b]) for b in members if b != a])[:k].mean() for a in members]
        assert row == members[np.argmin(near)], "the densest place"


def test_the_most_typical_has_the_nearest_neighbours() -> None:
    points = make_pool().features
    plain = NearestNeighbors(n_neighbors=21).fit(points).kneighbors(points)[0][:, 1:].mean(axis=1)

    assert most_typical(points) == np.argmin(plain)


def test_typiclust_that_comes_back_to_a_cluster_counts_among_what_is_left_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(typi_clust, "MOST_CLUSTERS", 3)
    pool, n = make_pool(size=120, labelled=4, dimensions=4), 30
    points = distances.unit_length(np.concatenate([pool.labelled_features, pool.features]))
    draws = rng(3)
    order = draws.permutation(len(points))
    cluster = np.empty(len(points), np.int64)
    cluster[order] = k_means(points[order], 3, draws).of_point
    sizes, labels = np.bincount(cluster), np.bincount(cluster[:4], minlength=3)
    unqueried = {c: [row for row in range(4, len(points)) if cluster[row] == c] for c in range(3)}
    expected = []
    for _ in range(n):
        c = min(range(3), key=lambda c: (labels[c], -sizes[c]))
        k = min(20, len(unqueried[c]) // 2)
        near = {
            a: np.sort([distance(points[a], points[b]) for b in unqueried[c] if b != a])[:k].mean()
            for a in unqueried[c]
        }
        row = min(near, key=near.__getitem__)
        expected.append(row - 4)
        unqueried[c].remove(row)
        labels[c] += 1
    assert len(set(sizes)) == 3, "no two clusters are equally large: chance decides nothing"

    assert strategies.get("typiclust").select(pool, n, rng(3)).tolist() == expected


def test_clusters_are_the_same_for_the_same_seed_and_use_every_point() -> None:
    points = groups((40, 30, 20))

    partition, partition_again = (k_means(points, 3, rng(3)).of_point for _ in range(2))

    assert partition.tolist() == partition_again.tolist()
    assert sorted(np.bincount(partition)) == [20, 30, 40]


def test_clusters_are_where_the_librarys_would_stay() -> None:
    points = make_pool(size=200).features
    partition = k_means(points, 4, rng(3))
    means = np.stack([points[partition.of_point == c].mean(axis=0) for c in range(4)])

    library = KMeans(4, init=means, n_init=1).fit(points)

    assert library.labels_.tolist() == partition.of_point.tolist()
    np.testing.assert_allclose(partition.centres, means, atol=1e-5)
    np.testing.assert_allclose(partition.squared, library.transform(points).min(axis=1) ** 2, atol=1e-4)


def test_clusters_of_far_groups_have_their_centres_in_the_groups_means() -> None:
    points = groups((60, 60, 60, 60, 60))

    partition = k_means(points, 5, rng(3))

    means = points.reshape(5, 60, 8).mean(axis=1)
    assert distances.squared_distances(means, partition.centres).min(axis=1).max() < 1e-3


def test_a_cluster_that_runs_empty_takes_the_farthest_point(monkeypatch: pytest.MonkeyPatch) -> None:
    line = np.array([[0.0], [0.1], [0.2], [5.0], [9.0]], np.float32)
    start = np.array([0, 3, 0])  # two equal centres: the second of them is nearest to no point
    monkeypatch.setattr(clusters, "k_means_pp", lambda *_: start)

    partition = k_means(line, 3, rng())

    assert partition.of_point[3] != partition.of_point[4]
    assert len(set(partition.of_point.tolist())) == 3


def test_cover_takes_the_ball_with_the_most_uncovered_points() -> None:
    points = make_pool(size=60, seed=10).features
    near = np.array([[distance(a, b) ** 2 <= 4.0 for b in points] for a in points])
    covered = near[[0, 1]].any(axis=0)  # two centres
    expected: list[int] = []
    for _ in range(6):
        gains = [(near[row] & ~covered).sum() if row not in expected else -1 for row in range(60)]
        best = [row for row in range(60) if gains[row] == max(gains)]
        if len(best) > 1:
            break  # from a tie on, chance decides
        expected.append(best[0])
        covered |= near[best[0]]

    assert len(expected) >= 2
    assert cover(points, len(expected), 4.0, rng(), points[:2]).tolist() == expected


@pytest.mark.parametrize("size", [19, 20, 39, 40, 80, 110, 120, 200])
def test_the_radius_is_the_largest_at_which_19_of_20_balls_are_pure(size: int) -> None:
    points = distances.unit_length(make_pool(size=size).features)
    squared = pure_radius(points, 3, rng(2))
    cluster = k_means(points, 3, rng(2)).of_point
    apart = np.array([[distance(a, b) ** 2 for b in points] for a in points])

    def pure(radius: float) -> int:
        return sum(len(set(cluster[apart[row] < radius])) == 1 for row in range(size))

    assert 20 * pure(squared * (1 - 1e-5)) >= 19 * size
    assert 20 * pure(squared * (1 + 1e-5)) < 19 * size


def test_badges_gradient_is_that_of_the_predicted_class() -> None:
    p = np.array([[0.2, 0.5, 0.3], [0.9, 0.05, 0.05]], np.float32)

    np.testing.assert_allclose(gradient_factor(p), [[0.2, -0.5, 0.3], [-0.1, 0.05, 0.05]], atol=1e-6)
