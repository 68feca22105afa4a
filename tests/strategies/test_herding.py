"""Herding against the plain loop that its definition is, and what it must do on pools that are easy to judge."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from tests.strategies.pools import log_softmax, make_pool
from tidal_core import strategies
from tidal_core.method.calibration import calibration_error, scaled
from tidal_core.records import Float32, Floats, Int64
from tidal_core.strategies import herding
from tidal_core.strategies.competent_herding import competence
from tidal_core.strategies.distances import unit_length
from tidal_core.strategies.herding import herd


def plain(
    points: Float32,
    n: int,
    before: Float32,
    weights: Floats,
    sigma: float,
    alike: Floats | None = None,
    alike_before: Floats | None = None,
) -> list[int]:
    """The definition, in float64, without a shortcut."""
    x, b = points.astype(np.float64), before.astype(np.float64)
    kernel = np.exp(-((x[:, None] - x[None]) ** 2).sum(-1) / sigma**2)
    with_before = np.exp(-((x[:, None] - b[None]) ** 2).sum(-1) / sigma**2)
    if alike is not None and alike_before is not None:
        kernel, with_before = kernel * alike, with_before * alike_before
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


def test_exact_and_mean_herding_weigh_by_their_own_probabilities() -> None:
    pool = make_pool(size=60)
    assert pool.td_log_p is not None
    assert pool.exact_log_p is not None
    points, before = unit_length(pool.features), unit_length(pool.labelled_features)

    exact, mean = (
        strategies.get(name).select(pool, 10, np.random.default_rng(0)) for name in ("exact-herding", "mean-herding")
    )

    width = 0.7 * smallest_distance(before)
    assert exact.tolist() == plain(points, 10, before, one_minus_margin(np.exp(pool.exact_log_p)), width)
    both = (np.exp(pool.log_p) + np.exp(pool.td_log_p)) / 2
    assert mean.tolist() == plain(points, 10, before, one_minus_margin(both), width)


def test_in_purity_herding_an_image_stands_for_those_that_were_learnt_alike() -> None:
    pool = make_pool(size=60)
    assert pool.exact_log_p is not None
    p_bar = np.exp(pool.exact_log_p.astype(np.float64))
    alike = np.array([[np.sqrt(a * b).sum() for b in p_bar] for a in p_bar])
    before = np.array([[np.sqrt(a[c]) for c in pool.labelled_classes] for a in p_bar])

    rows = strategies.get("purity-herding").select(pool, 10, np.random.default_rng(0))

    points = unit_length(pool.features), unit_length(pool.labelled_features)
    assert rows.tolist() == plain(
        points[0], 10, points[1], np.ones(60), 0.7 * smallest_distance(points[1]), alike, before
    )


def plain_competence(points: Float32, u: Floats, labelled: Float32, classes: Int64) -> float:
    def near(a: Float32, b: Float32) -> float:
        return float(np.exp(-((np.float64(a) - np.float64(b)) ** 2).sum()))

    predicted, observed = [], []
    for i, image in enumerate(labelled):
        k = [near(image, point) for point in points]
        predicted.append(np.average(u, weights=k))
        others = [j for j in range(len(labelled)) if j != i]
        k = [near(image, labelled[j]) for j in others]
        observed.append(1 - np.average(classes[others] == classes[i], weights=k))
    L = len(labelled)
    return max(0.0, float(spearmanr(predicted, observed).statistic)) * L / (L + 20)


@pytest.mark.parametrize("seed", [0, 2, 7])
def test_competent_herding_trusts_dynamics_as_far_as_labels_bear_them_out(seed: int) -> None:
    pool = make_pool(size=60, labelled=25, seed=seed)
    assert pool.exact_log_p is not None
    points, before = unit_length(pool.features), unit_length(pool.labelled_features)
    u = one_minus_margin(np.exp(pool.exact_log_p))
    c = plain_competence(points, u, before, pool.labelled_classes)

    rows = strategies.get("competent-herding").select(pool, 10, np.random.default_rng(0))

    assert rows.tolist() == plain(points, 10, before, 1 - c + c * u, 0.7 * smallest_distance(before))
    assert competence(points, u.astype(np.float32), before, pool.labelled_classes) == pytest.approx(c)
    assert c > 0.05


def test_dynamics_that_tell_which_labels_surprise_earn_trust_and_a_few_labels_earn_none() -> None:
    rng = np.random.default_rng(0)
    centres = np.eye(2, 6, dtype=np.float32)
    group = np.repeat([0, 1], 30)
    points = unit_length((centres[group] + 0.05 * rng.normal(size=(60, 6))).astype(np.float32))
    u = np.where(group == 0, 0.05, 0.9).astype(np.float32)  # the second group is unsettled ...
    classes = np.where(group == 0, 0, rng.integers(0, 3, 60))  # ... and its labels are mixed

    told, misled = competence(points, u, points, classes), competence(points, 1 - u, points, classes)

    assert told > 0.4
    assert misled == 0
    assert competence(points, u, points[28:32], classes[28:32]) == 0
    assert competence(points, np.full(60, 0.5, np.float32), points, classes * 0) == 0, "nothing varies"


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
