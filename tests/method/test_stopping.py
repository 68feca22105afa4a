"""Gains, forecasts, stopping rules and the module's quality, on numbers with known answers."""

import math

import numpy as np
import pytest

from tidal_core.errors import InputError
from tidal_core.method import stopping

LABELS = np.array([20, 40, 60, 80, 120, 160, 200, 300])


def rounds_on(law: stopping.PowerLaw, tested: int) -> tuple[list[int], list[int], list[int]]:
    right = np.round(law.accuracy(LABELS)[0] * tested).astype(int)
    return LABELS.tolist(), right.tolist(), [tested] * len(LABELS)


LAW = stopping.PowerLaw(np.array([0.01]), np.array([4.0]), np.array([0.8]))


def test_a_power_law_is_found_again() -> None:
    found = stopping.fit_power_law(LABELS, LAW.accuracy(LABELS), np.ones(len(LABELS)))

    np.testing.assert_allclose([found.floor[0], found.scale[0], found.exponent[0]], [0.01, 4.0, 0.8], atol=1e-6)


def test_a_curve_that_falls_is_fitted_as_flat_and_never_reaches_more() -> None:
    found = stopping.fit_power_law([10, 20, 30], [0.9, 0.8, 0.7], np.ones(3))

    assert found.scale[0] == 0
    assert found.labels_for(0.95)[0] == math.inf


def test_two_rounds_are_too_few_for_a_fit() -> None:
    with pytest.raises(InputError, match="three"):
        stopping.fit_power_law([10, 20], [0.5, 0.6], np.ones(2))


def test_a_forecast_from_many_test_images_holds_the_true_number() -> None:
    true = float(LAW.labels_for(0.97)[0]) - 300

    found = stopping.forecast(*rounds_on(LAW, 20_000), target=0.97)

    assert found is not None
    assert found.more_labels is not None
    assert found.more_labels.low <= true <= found.more_labels.high
    assert abs(found.more_labels.value - true) < 0.25 * true


def test_a_forecast_from_few_test_images_is_withheld_with_its_reason() -> None:
    found = stopping.forecast(*rounds_on(LAW, 40), target=0.97)

    assert found is not None
    assert found.more_labels is None
    assert "uncertain" in found.withheld


def test_a_forecast_waits_for_enough_rounds() -> None:
    labels, right, tested = rounds_on(LAW, 1000)

    found = stopping.forecast(labels[:4], right[:4], tested[:4], target=0.97)

    assert found is not None
    assert "1 more round" in found.withheld
    assert stopping.forecast(labels[:2], right[:2], tested[:2], target=0.97) is None


def test_a_target_that_is_reached_says_so() -> None:
    found = stopping.forecast(*rounds_on(LAW, 1000), target=0.5)

    assert found is not None
    assert "already" in found.withheld


def test_a_difference_agrees_with_newcombes_example() -> None:
    # 56/70 against 48/80, Newcombe 1998, table II (a), method 10: 0.0524 to 0.3339
    found = stopping.difference(56, 70, 48, 80)

    np.testing.assert_allclose(found, (0.2, 0.0524, 0.3339), atol=1e-4)


def test_the_gain_is_counted_over_at_least_the_last_hundred_labels() -> None:
    found = stopping.gain_of_last([20, 60, 100, 150, 210], [50, 60, 70, 80, 85], [100] * 5)

    assert found is not None
    assert found.labels == 110
    assert found.accuracy.value == pytest.approx(0.15)


def test_one_round_has_no_gain() -> None:
    assert stopping.gain_of_last([20], [5], [10]) is None


@pytest.mark.parametrize(
    ("gained", "left", "changed", "verdict"),
    [(0.002, 0.05, 0.01, "you can stop"), (0.05, 0.05, 0.01, "nearly there"), (0.05, 0.6, 0.2, "go on")],
)
def test_advice_follows_its_three_rules(gained: float, left: float, changed: float, verdict: str) -> None:
    gain = stopping.Gain(100, stopping.Interval(gained, gained - 0.02, gained + 0.02))

    found = stopping.advise(gain, left, changed)

    assert found.verdict == verdict
    assert [rule.holds for rule in found.rules] == [gained < 0.01, left < 0.15, changed < 0.02]


def test_advice_without_numbers_is_too_early() -> None:
    assert stopping.advise(None, None, None).verdict == "too early"


def test_a_module_that_foresees_the_dynamics_beats_a_snapshot_that_is_too_sure() -> None:
    rng = np.random.default_rng(1)
    observed = rng.dirichlet(np.ones(5), 60)
    snapshot = np.eye(5)[observed.argmax(1)] * 0.96 + 0.008

    found = stopping.quality(observed, observed * 0.95 + 0.01, snapshot)

    assert found.module_kl.value < 0.01 < found.snapshot_kl.value
    assert found.module_rank > 0.99
    assert math.isnan(found.snapshot_rank) or found.snapshot_rank < found.module_rank


def test_the_divergence_of_two_coins_worked_by_hand() -> None:
    # 0.5 log(0.5 / 0.25) + 0.5 log(0.5 / 0.75)
    expected = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)

    np.testing.assert_allclose(stopping.divergence([[0.5, 0.5]], [[0.25, 0.75]]), [expected], rtol=1e-5)


def test_stored_vectors_become_rows_over_all_classes() -> None:
    found = stopping.dense([[0.7, 0.3], [0.6, 0.2, 0.0]], [None, [30, 10, -1]], [10, 20, 30])

    np.testing.assert_allclose(found, [[0.7, 0.3, 0.0], [0.2, 0.2, 0.6]])
