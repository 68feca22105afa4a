"""Gains, forecasts, stopping rules and the module's quality, on numbers with known answers."""

import itertools
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


def test_a_target_is_reached_when_the_lower_end_of_the_interval_is() -> None:
    labels = [20, 40, 60]

    few = stopping.forecast(labels, [4, 5, 6], [6, 6, 6], target=0.95)
    many = stopping.forecast(labels, [1_900, 1_950, 1_980], [2_000] * 3, target=0.95)

    assert few is not None
    assert few.withheld.startswith("it may be reached already, but only 6 images")
    assert many is not None
    assert many.withheld == "the target is reached already"


def test_a_forecast_never_says_none_to_none() -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        right = rng.binomial(300, LAW.accuracy(LABELS)[0])
        forecast = stopping.forecast(LABELS.tolist(), right.tolist(), [300] * len(LABELS), 0.95)
        assert forecast is not None
        assert forecast.more_labels is None or forecast.more_labels.low >= 1


def test_a_forecast_holds_four_times_out_of_five_where_all_rounds_are_tested_on_the_same_images() -> None:
    labels = np.arange(20, 420, 20)
    true = float(LAW.labels_for(0.965)[0]) - 400
    inside, shown = 0, 0
    for seed in range(40):
        luck = np.random.default_rng(seed).random(10_000)  # the same images, as hard in each round
        right = [int((luck < accuracy).sum()) for accuracy in LAW.accuracy(labels)[0]]
        forecast = stopping.forecast(labels.tolist(), right, [10_000] * len(labels), 0.965)
        if forecast is not None and forecast.more_labels is not None:
            shown += 1
            inside += forecast.more_labels.low <= true <= forecast.more_labels.high

    assert shown >= 10
    assert inside / shown >= 0.75


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
    ("is_little", "unsettled", "changed", "verdict"),
    [
        (True, 0.05, 0.01, "you can stop"),
        (True, 0.05, 0.2, "nearly there"),
        (True, 0.6, 0.2, "go on"),
        (False, 0.05, 0.01, "go on"),  # a model that is too sure of itself, and still gains
        (None, 0.05, 0.01, "too early"),
    ],
)
def test_advice_follows_its_three_rules(is_little: bool | None, unsettled: float, changed: float, verdict: str) -> None:
    gain = stopping.Gain(100, stopping.Interval(0.0, -0.01, 0.01))

    advice = stopping.advise(gain, is_little, unsettled, changed)

    assert advice.verdict == verdict
    assert [rule.holds for rule in advice.rules] == [is_little, unsettled < 0.15, changed < 0.02]
    assert ("cannot tell yet" in advice.rules[0].measured) is (is_little is None)


def test_the_gain_counts_since_half_of_the_labels_and_at_least_a_hundred() -> None:
    labels, right = [20, 60, 120, 200, 400, 800], [50, 60, 70, 80, 85, 90]

    half = stopping.gain_of_half(labels, right, [100] * 6)
    early = stopping.gain_of_half(labels[:3], right[:3], [100] * 3)

    assert half is not None
    assert (half.labels, half.accuracy.value) == (400, pytest.approx(0.05))
    assert early is not None
    assert early.labels == 100
    assert stopping.gain_of_half(labels[:2], right[:2], [100] * 2) is None


def test_a_model_that_gains_1_7_points_per_100_labels_never_has_little_gain() -> None:
    labels = list(range(20, 1020, 40))
    for tested in (20, 200, 5_000):
        right = [round(tested * (0.6 + 0.017 * n / 100)) for n in labels]
        assert stopping.is_little_gain(labels, right, [tested] * len(labels)) is not True


def test_a_gain_measured_on_few_images_is_neither_little_nor_more() -> None:
    labels = list(range(20, 420, 40))

    assert stopping.is_little_gain(labels, [18] * len(labels), [20] * len(labels)) is None


def test_advice_does_not_flicker_once_the_gain_is_known_to_be_little() -> None:
    labels = list(range(100, 2_100, 100))
    right = [900 if number % 2 else 910 for number in range(len(labels))]

    said = [stopping.is_little_gain(labels[:end], right[:end], [1_000] * end) for end in range(1, len(labels) + 1)]

    assert said[-1] is True
    assert sum(now is not before for before, now in itertools.pairwise(said)) == 1


def test_advice_without_numbers_is_too_early() -> None:
    assert stopping.advise(None, None, None, None).verdict == "too early"
    assert "no finished round" not in str(stopping.advise(None, None, None, None)), "a page asks once there is one"


def test_a_module_that_foresees_the_dynamics_beats_a_final_prediction_that_is_too_sure() -> None:
    rng = np.random.default_rng(1)
    observed = rng.dirichlet(np.ones(5), 60)
    final = np.eye(5)[observed.argmax(1)] * 0.96 + 0.008

    quality = stopping.quality(observed, observed * 0.95 + 0.01, final)

    assert quality.module_kl.value < 0.01 < quality.final_kl.value
    assert quality.module_rank > 0.99
    assert math.isnan(quality.final_rank) or quality.final_rank < quality.module_rank


def test_the_interval_of_the_divergence_holds_its_mean_and_is_not_shown_for_few_images() -> None:
    rng = np.random.default_rng(0)

    def pairs(n: int) -> tuple[np.ndarray, np.ndarray]:
        observed = rng.dirichlet(np.full(4, 0.4), n)
        return observed, 0.5 * observed + 0.5 * rng.dirichlet(np.full(4, 0.3), n)

    true = float(stopping.divergence(*pairs(100_000)).mean())
    intervals = []
    for _ in range(400):
        observed, predicted = pairs(30)
        intervals.append(stopping.quality(observed, predicted, predicted).module_kl)

    assert np.mean([interval.low <= true <= interval.high for interval in intervals]) >= 0.93
    observed, predicted = pairs(29)
    few = stopping.quality(observed, predicted, predicted).module_kl
    assert math.isnan(few.low)
    assert math.isnan(few.high)
    assert few.value > 0


def test_the_divergence_of_two_coins_worked_by_hand() -> None:
    # 0.5 log(0.5 / 0.25) + 0.5 log(0.5 / 0.75)
    expected = 0.5 * math.log(2) + 0.5 * math.log(2 / 3)

    np.testing.assert_allclose(stopping.divergence([[0.5, 0.5]], [[0.25, 0.75]]), [expected], rtol=1e-5)


def test_stored_vectors_become_rows_over_all_classes() -> None:
    rows = stopping.dense([[0.7, 0.3], [0.6, 0.2, 0.0]], [None, [30, 10, -1]], [10, 20, 30])

    np.testing.assert_allclose(rows, [[0.7, 0.3, 0.0], [0.2, 0.2, 0.6]])


def test_a_sign_is_named_by_what_is_the_case() -> None:
    gain = stopping.Gain(100, Interval(0.08, 0.05, 0.11))
    names = [rule.name for rule in stopping.advise(gain, False, 0.6, 0.2).rules]
    met = [rule.name for rule in stopping.advise(gain, True, 0.05, 0.01).rules]
    unknown = [rule.name for rule in stopping.advise(None, None, None, None).rules]

    assert names == ["More labels still gain", "Many images are unsettled", "Predictions still change"]
    assert met == ["More labels gain little", "Few images are unsettled", "Predictions are stable"]
    assert all(name.endswith("not known yet") for name in unknown)


def test_the_band_of_a_forecast_holds_four_of_five_redrawn_curves() -> None:
    labels, right, tested = rounds_on(LAW, 20_000)
    forecast = stopping.forecast(labels, right, tested, target=0.97, seed=3)
    assert forecast is not None
    n, tests = np.array(labels, float), np.array(tested, float)
    share = np.array(right) / tests
    smoothed = (np.array(right) + 1) / (tests + 2)
    weights = tests / (smoothed * (1 - smoothed))
    expected = np.clip(stopping.fit_power_law(n, share, weights).accuracy(n)[0], 0, 1)
    refits = stopping.fit_power_law(n, stopping._redrawn(expected, share, tests, 3), weights)

    curves = refits.accuracy(forecast.labels)
    inside = ((curves >= forecast.low - 1e-12) & (curves <= forecast.high + 1e-12)).mean()
    needed = refits.labels_for(0.97) - 300

    assert 0.78 <= inside <= 0.83
    assert forecast.more_labels is not None
    held = (needed >= forecast.more_labels.low - 1e-9) & (needed <= forecast.more_labels.high + 1e-9)
    assert 0.78 <= held.mean() <= 0.83


def test_rounds_on_the_same_images_are_redrawn_together() -> None:
    expected, tests = np.array([0.6, 0.7, 0.8, 0.85]), np.full(4, 50.0)

    drawn = stopping._redrawn(expected, expected, tests, seed=0)

    assert np.corrcoef(drawn.T).min() > 0.9, "hard images are hard in each round"


def test_what_the_law_leaves_unexplained_is_redrawn_too() -> None:
    expected, tests = np.array([0.6, 0.7, 0.8, 0.85, 0.9]), np.full(5, 1e9)
    uneven = expected + np.array([0.03, -0.03, 0.03, -0.03, 0.03])

    assert stopping._redrawn(expected, expected, tests, seed=0).std(axis=0).max() < 1e-3
    assert stopping._redrawn(expected, uneven, tests, seed=0).std(axis=0).min() > 0.02


def test_kappa_is_agreement_beyond_chance_by_hand() -> None:
    # 100 images: 70 alike, by chance 0.6 * 0.5 + 0.4 * 0.5 = 0.5: (0.7 - 0.5) / 0.5 = 0.4
    both = stopping.agreement(np.array([[40, 20], [10, 30]]))
    assert (both.images, both.share) == (100, 0.7)
    assert both.kappa == pytest.approx(0.4)
    assert "much" in stopping.steadiness(both)
    assert "steady" in stopping.steadiness(stopping.agreement(np.diag([5, 5])))
    assert "one class" in stopping.steadiness(stopping.agreement(np.array([[9]])))
