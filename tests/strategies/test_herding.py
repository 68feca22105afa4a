"""Herding against the plain loop that its definition is, and what it must do on pools that are easy to judge."""

from dataclasses import replace

import numpy as np
import pytest

from tests.strategies.pools import log_softmax, make_pool
from tidal_core import strategies
from tidal_core.method.calibration import calibration_error, scaled
from tidal_core.records import Float32, Floats, Int64
from tidal_core.strategies import herding
from tidal_core.strategies.distances import unit_length
from tidal_core.strategies.herding import herd


def plain(
    points: Float32,
    n: int,
    before: Float32,
    weights: Floats,
    sigma: float,
) -> list[int]:
    """The definition, in float64, without a shortcut."""
    x, b = points.astype(np.float64), before.astype(np.float64)
    kernel = np.exp(-((x[:, None] - x[None]) ** 2).sum(-1) / sigma**2)
    with_before = np.exp(-((x[:, None] - b[None]) ** 2).sum(-1) / sigma**2)
    covered = with_before.max(axis=1) if len(b) else np.zeros(len(x))
    chosen: list[int] = []
    for _ in range(n):
        gains = (np.maximum(kernel - covered[None], 0) * weights[None]).sum(axis=1)
        gains[chosen] = -1
        chosen.append(int(gains.argmax()))
        covered = np.maximum(covered, kernel[chosen[-1]])
    return chosen


@pytest.mark.parametrize("labelled", [0, 3])
@pytest.mark.parametrize("sigma", [1.0, 0.4])
@pytest.mark.parametrize("seed", range(4))
def test_the_choice_is_that_of_the_definition(labelled: int, sigma: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = unit_length(rng.normal(size=(60, 5)).astype(np.float32))
    before = unit_length(rng.normal(size=(labelled, 5)).astype(np.float32))
    weights = rng.random(60).astype(np.float32)

    rows = herd(points, 12, rng, before, weights, sigma)

    assert rows.tolist() == plain(points, 12, before, weights, sigma)


def test_one_of_each_group_comes_first_the_largest_group_before_the_others() -> None:
    rng = np.random.default_rng(0)
    centres = unit_length(rng.normal(size=(3, 30)).astype(np.float32))
    groups = np.repeat([0, 1, 2], [60, 25, 10])
    points = unit_length(centres[groups] + 0.01 * rng.normal(size=(95, 30)).astype(np.float32))

    rows = herd(points, 3, rng, np.empty((0, 30), np.float32), sigma=0.5)

    assert groups[rows].tolist() == [0, 1, 2]


def test_what_a_labelled_image_stands_for_is_not_asked_again() -> None:
    rng = np.random.default_rng(0)
    centres = unit_length(rng.normal(size=(2, 30)).astype(np.float32))
    groups = np.repeat([0, 1], [80, 20])
    points = unit_length(centres[groups] + 0.01 * rng.normal(size=(100, 30)).astype(np.float32))

    (row,) = herd(points, 1, rng, points[:1], sigma=0.5)

    assert groups[row] == 1


def test_an_image_of_no_weight_needs_nobody_to_stand_for_it() -> None:
    rng = np.random.default_rng(0)
    centres = unit_length(rng.normal(size=(2, 30)).astype(np.float32))
    groups = np.repeat([0, 1], [80, 20])
    points = unit_length(centres[groups] + 0.01 * rng.normal(size=(100, 30)).astype(np.float32))

    (row,) = herd(points, 1, rng, np.empty((0, 30), np.float32), (groups == 1).astype(np.float32), sigma=0.5)

    assert groups[row] == 1


def test_equal_images_are_asked_in_an_order_of_the_seed_and_only_as_often_as_they_are_there() -> None:
    points: Float32 = np.ones((6, 4), np.float32) / 2

    def order(seed: int) -> Int64:
        return herd(points, 6, np.random.default_rng(seed), np.empty((0, 4), np.float32))

    assert sorted(order(0)) == list(range(6))
    assert order(1).tolist() == order(1).tolist()
    assert len({tuple(order(seed)) for seed in range(8)}) > 1


def test_of_a_large_pool_a_part_is_stood_for_and_all_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidal_core.strategies.herding.STAND_FOR", 50)
    rng = np.random.default_rng(3)
    points = unit_length(rng.normal(size=(400, 8)).astype(np.float32))

    rows = herd(points, 400, rng, np.empty((0, 8), np.float32))

    assert sorted(rows) == list(range(400))


def one_minus_margin(p: Floats) -> Floats:
    ranked = np.sort(p.astype(np.float64), axis=1)
    difference: Floats = 1 - (ranked[:, -1] - ranked[:, -2])
    return difference


def smallest_distance(points: Float32) -> float:
    apart = [np.linalg.norm(a - b) for i, a in enumerate(points) for b in points[:i]]
    return float(min(distance for distance in apart if distance > 0.01))


@pytest.mark.parametrize("seed", range(3))
def test_uherding_is_weighted_by_the_lead_of_the_prediction_and_as_wide_as_labels_are_apart(seed: int) -> None:
    pool = make_pool(size=60, seed=seed)
    before = unit_length(np.concatenate([pool.labelled_features, pool.labelled_features[:1]]))  # one image twice
    pool = replace(pool, labelled_features=before)

    rows = strategies.get("uherding").select(pool, 10, np.random.default_rng(0))

    u, sigma = one_minus_margin(np.exp(pool.log_p)), smallest_distance(before)
    assert rows.tolist() == plain(unit_length(pool.features), 10, before, u, sigma)


def test_uherding_softens_by_the_temperature_that_fits_what_was_held_out() -> None:
    pool = make_pool(size=60, labelled=40)
    pool = replace(pool, held_out_log_p=log_softmax(np.random.default_rng(5), 40, 5, sharpness=4.0))
    assert pool.held_out_log_p is not None
    errors = {
        tenth / 10: calibration_error(scaled(pool.held_out_log_p, tenth / 10), pool.labelled_classes)
        for tenth in range(10, 201)
    }
    T = min(errors, key=errors.__getitem__)
    assert T > 2, "sharp and wrong"

    rows = strategies.get("uherding").select(pool, 10, np.random.default_rng(0))

    z = pool.log_p.astype(np.float64) / T
    u = one_minus_margin(np.exp(z) / np.exp(z).sum(axis=1, keepdims=True))
    before = unit_length(pool.labelled_features)
    assert rows.tolist() == plain(unit_length(pool.features), 10, before, u, smallest_distance(before))


def test_exact_herding_weighs_by_the_exact_dynamics_in_a_kernel_a_little_narrower_than_labels_are_apart() -> None:
    pool = make_pool(size=60)
    assert pool.exact_log_p is not None
    points, before = unit_length(pool.features), unit_length(pool.labelled_features)

    rows = strategies.get("exact-herding").select(pool, 10, np.random.default_rng(0))

    width = 0.7 * smallest_distance(before)
    assert rows.tolist() == plain(points, 10, before, one_minus_margin(np.exp(pool.exact_log_p)), width)


def test_td_herding_is_herding_weighted_by_the_lead_of_the_predicted_dynamics() -> None:
    pool = make_pool(size=60)
    assert pool.td_log_p is not None
    p_tilde = np.sort(np.exp(pool.td_log_p.astype(np.float64)), axis=1)
    points, before = unit_length(pool.features), unit_length(pool.labelled_features)

    rows = strategies.get("td-herding").select(pool, 10, np.random.default_rng(0))

    width = 0.7 * smallest_distance(before)
    assert rows.tolist() == plain(points, 10, before, 1 - (p_tilde[:, -1] - p_tilde[:, -2]), width)


def test_td_herding_passes_by_a_large_group_whose_dynamics_are_settled() -> None:
    rng = np.random.default_rng(0)
    centres = unit_length(rng.normal(size=(2, 6)).astype(np.float32))
    groups = np.repeat([0, 1], [30, 10])
    settled, unsettled = np.array([0.99, 0.0025, 0.0025, 0.0025, 0.0025]), np.full(5, 0.2)
    pool = make_pool(size=40, labelled=0)
    pool = replace(
        pool,
        features=(centres[groups] + 0.01 * rng.normal(size=(40, 6))).astype(np.float32),
        td_log_p=np.log(np.where(groups[:, None] == 0, settled, unsettled)).astype(np.float32),
    )

    by_number, by_dynamics = (strategies.get(name).select(pool, 1, rng) for name in ("maxherding", "td-herding"))

    assert groups[by_number].tolist() == [0]
    assert groups[by_dynamics].tolist() == [1]


def test_of_a_pool_that_is_too_large_a_random_part_is_chosen_among(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(herding, "CHOSEN_AMONG", 50)
    points = unit_length(np.random.default_rng(0).normal(size=(400, 6)).astype(np.float32))
    weights = np.where(np.arange(400) < 200, 1.0, 0.0).astype(np.float32)

    rows = herd(points, 40, np.random.default_rng(1), points[:0], weights)
    again = herd(points, 40, np.random.default_rng(1), points[:0], weights)

    assert len(set(rows.tolist())) == 40
    np.testing.assert_array_equal(rows, again)
    assert len(herd(points, 120, np.random.default_rng(1), points[:0])) == 120, "as many as are wanted"
