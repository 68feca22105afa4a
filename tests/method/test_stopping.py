"""Gains, forecasts, stopping rules and the module's quality, on numbers with known answers."""

import math

import numpy as np
import pytest

from tidal_core.errors import InputError
from tidal_core.method import stopping
from tidal_core.method.dynamics import Interval

LABELS = np.array([20, 40, 60, 80, 120, 160, 200, 300])


def rounds_on(law: stopping.PowerLaw, tested: int) -> tuple[list[int], list[int], list[int]]:
    right = np.round(law.accuracy(LABELS)[0] * tested).astype(int)
    return LABELS.tolist(), right.tolist(), [tested] * len(LABELS)


LAW = stopping.PowerLaw(np.array([0.01]), np.array([4.0]), np.array([0.8]))


def test_a_power_law_is_found_again() -> None:
    law = stopping.fit_power_law(LABELS, LAW.accuracy(LABELS), np.ones(len(LABELS)))

    np.testing.assert_allclose([law.floor[0], law.scale[0], law.exponent[0]], [0.01, 4.0, 0.8], atol=1e-6)


def test_a_curve_that_falls_is_fitted_as_flat_and_never_reaches_more() -> None:
    law = stopping.fit_power_law([10, 20, 30], [0.9, 0.8, 0.7], np.ones(3))

    assert law.scale[0] == 0
    assert law.labels_for(0.95)[0] == math.inf


def test_two_rounds_are_too_few_for_a_fit() -> None:
    with pytest.raises(InputError, match="three"):
        stopping.fit_power_law([10, 20], [0.5, 0.6], np.ones(2))


def test_a_forecast_from_many_test_images_holds_the_true_number() -> None:
    true = float(LAW.labels_for(0.97)[0]) - 300

    forecast = stopping.forecast(*rounds_on(LAW, 20_000), target=0.97)

    assert forecast is not None
    assert forecast.more_labels is not None
    assert forecast.more_labels.low <= true <= forecast.more_labels.high
    assert abs(forecast.more_labels.value - true) < 0.25 * true


def test_a_forecast_from_few_test_images_is_withheld_with_its_reason() -> None:
    forecast = stopping.forecast(*rounds_on(LAW, 40), target=0.97)

    assert forecast is not None
    assert forecast.more_labels is None
    assert "uncertain" in forecast.withheld


def test_a_forecast_waits_for_enough_rounds() -> None:
    labels, right, tested = rounds_on(LAW, 1000)

    forecast = stopping.forecast(labels[:4], right[:4], tested[:4], target=0.97)

    assert forecast is not None
    assert "1 more round" in forecast.withheld
    assert stopping.forecast(labels[:2], right[:2], tested[:2], target=0.97) is None


def test_a_target_that_is_reached_says_so() -> None:
    forecast = stopping.forecast(*rounds_on(LAW, 1000), target=0.5)

    assert forecast is not None
    assert "already" in forecast.withheld


def test_a_difference_agrees_with_newcombes_example() -> None:
    # 56/70 against 48/80, Newcombe 1998, table II (a), method 10: 0.0524 to 0.3339
    interval = stopping.difference(56, 70, 48, 80)

    np.testing.assert_allclose(interval, (0.2, 0.0524, 0.3339), atol=1e-4)


def test_the_gain_is_counted_over_at_least_the_last_hundred_labels() -> None:
    gain = stopping.gain_of_last([20, 60, 100, 150, 210], [50, 60, 70, 80, 85], [100] * 5)

    assert gain is not None
    assert gain.labels == 110
    assert gain.accuracy.value == pytest.approx(0.15)


def test_one_round_has_no_gain() -> None:
    assert stopping.gain_of_last([20], [5], [10]) is None


@pytest.mark.parametrize(
    ("gained", "unsettled", "changed", "verdict"),
    [(0.002, 0.05, 0.01, "you can stop"), (0.05, 0.05, 0.01, "nearly there"), (0.05, 0.6, 0.2, "go on")],
)
def test_advice_follows_its_three_rules(gained: float, unsettled: float, changed: float, verdict: str) -> None:
    gain = stopping.Gain(100, stopping.Interval(gained, gained - 0.02, gained + 0.02))

    advice = stopping.advise(gain, unsettled, changed)

    assert advice.verdict == verdict
    assert [rule.holds for rule in advice.rules] == [gained < 0.01, unsettled < 0.15, changed < 0.02]


@pytest.mark.parametrize(("value", "half"), [(0.03, 0.2), (0.0, 0.2), (-0.05, 0.3)])
def test_a_gain_that_may_be_anything_is_no_advice(value: float, half: float) -> None:
    gain = stopping.Gain(100, stopping.Interval(value, value - half, value + half))

    advice = stopping.advise(gain, 0.6, 0.2)

    assert advice.rules[0].holds is None
    assert "cannot tell yet" in advice.rules[0].measured
    assert advice.sentence.startswith("Cannot tell yet")


def test_advice_without_numbers_is_too_early() -> None:
    assert stopping.advise(None, None, None).verdict == "too early"
    assert "no finished round" not in str(stopping.advise(None, None, None)), "a page asks once there is one"


def test_a_module_that_foresees_the_dynamics_beats_a_final_prediction_that_is_too_sure() -> None:
    rng = np.random.default_rng(1)
    observed = rng.dirichlet(np.ones(5), 60)
    final = np.eye(5)[observed.argmax(1)] * 0.96 + 0.008

    quality = stopping.quality(observed, observed * 0.95 + 0.01, final)

    assert quality.module_kl.value < 0.01 < quality.final_kl.value
    assert quality.module_rank > 0.99
    assert math.isnan(quality.final_rank) or quality.final_rank < quality.module_rank


def test_the_divergence_of_two_coins_worked_by_hand() -> None:
    # 0.5 log(0.5 / 0.25) + 0.5 log(0.5 / 0.75)
    expected = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)

    np.testing.assert_allclose(stopping.divergence([[0.5, 0.5]], [[0.25, 0.75]]), [expected], rtol=1e-5)


def test_stored_vectors_become_rows_over_all_classes() -> None:
    rows = stopping.dense([[0.7, 0.3], [0.6, 0.2, 0.0]], [None, [30, 10, -1]], [10, 20, 30])

    np.testing.assert_allclose(rows, [[0.7, 0.3, 0.0], [0.2, 0.2, 0.6]])


def test_a_sign_is_named_by_what_is_the_case() -> None:
    gain = stopping.Gain(100, Interval(0.08, 0.05, 0.11))
    names = [rule.name for rule in stopping.advise(gain, 0.6, 0.2).rules]
    met = [rule.name for rule in stopping.advise(stopping.Gain(100, Interval(0.001, -0.01, 0.01)), 0.05, 0.01).rules]
    unknown = [rule.name for rule in stopping.advise(None, None, None).rules]

    assert names == ["More labels still gain", "Many images are unsettled", "Predictions still change"]
    assert met == ["More labels gain little", "Few images are unsettled", "Predictions are stable"]
    assert all(name.endswith("not known yet") for name in unknown)
