"""Calibration: numbers worked by hand, probabilities that are true, and some that are too sure."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from tidal_core.errors import InputError
from tidal_core.method.calibration import (
    COLDEST,
    HOTTEST,
    calibration_error,
    fitted_temperature,
    nll,
    reliability,
    scaled,
)

# Four images, two classes; confidences 0.6, 0.7, 0.8, 0.9, of which the second and the last are right.
LOG_P = np.log(np.array([[0.6, 0.4], [0.3, 0.7], [0.8, 0.2], [0.9, 0.1]], np.float32))
LABELS = np.array([1, 1, 1, 0])


def drawn(n: int, n_classes: int = 4, seed: int = 0, sharpness: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities, and labels that are drawn from them; then all logits times ``sharpness``."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(n, n_classes))
    p = scipy.special.softmax(logits, axis=1)
    labels = (p.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return scipy.special.log_softmax(sharpness * logits, axis=1).astype(np.float32), labels.astype(np.int64)


def test_bins_hold_equally_many_images_the_least_confident_first() -> None:
    of_bins = reliability(LOG_P, LABELS, bins=2)

    np.testing.assert_allclose(of_bins.confidence, [0.65, 0.85], atol=1e-6)
    np.testing.assert_array_equal(of_bins.accuracy, [0.5, 0.5])
    np.testing.assert_array_equal(of_bins.n_images, [2, 2])


def test_the_error_is_the_one_worked_by_hand() -> None:
    # |0.65 - 0.5| and |0.85 - 0.5|, each for half of the images; in one bin |0.75 - 0.5|.
    assert calibration_error(LOG_P, LABELS, bins=2) == pytest.approx(0.25)
    assert calibration_error(LOG_P, LABELS, bins=1) == pytest.approx(0.25)
    # Of each image alone: 0.6, 0.3, 0.8 and 0.1.
    assert calibration_error(LOG_P, LABELS, bins=15) == pytest.approx(0.45)


@pytest.mark.parametrize(("n", "bins"), [(10, 1), (100, 5), (299, 14), (5_000, 15)])
def test_a_bin_holds_at_least_twenty_images_where_there_are_so_many(n: int, bins: int) -> None:
    assert len(reliability(*drawn(n)).n_images) == bins


def test_bins_that_do_not_come_out_even_count_by_their_images() -> None:
    # Two least confident (0.65 against 0.5), then one each: (2 * 0.15 + 0.8 + 0.1) / 4.
    assert reliability(LOG_P, LABELS, bins=3).n_images.tolist() == [2, 1, 1]
    assert calibration_error(LOG_P, LABELS, bins=3) == pytest.approx(0.3)


def test_the_bins_are_those_of_scikit_learn() -> None:
    log_p, labels = drawn(600, n_classes=2)
    is_right = log_p.argmax(axis=1) == labels

    accuracy, confidence = calibration_curve(is_right, np.exp(log_p.max(axis=1)), n_bins=10, strategy="quantile")

    of_bins = reliability(log_p, labels, bins=10)
    np.testing.assert_allclose(of_bins.accuracy, accuracy)
    np.testing.assert_allclose(of_bins.confidence, confidence, atol=1e-6)


def test_probabilities_that_are_true_have_next_to_no_error_and_sharper_ones_have_one() -> None:
    assert calibration_error(*drawn(20_000)) < 0.02
    assert calibration_error(*drawn(20_000, sharpness=3)) > 0.1


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_the_temperature_takes_back_what_made_the_logits_sharper(sharpness: float) -> None:
    log_p, labels = drawn(20_000, sharpness=sharpness)

    temperature = fitted_temperature(log_p, labels)

    assert temperature == pytest.approx(sharpness, rel=0.05)
    assert calibration_error(scaled(log_p, temperature), labels) < 0.02


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 60), st.integers(2, 5), st.integers(0, 1_000), st.sampled_from([0.3, 1.0, 4.0]))
def test_no_temperature_of_a_fine_grid_is_more_likely(n: int, n_classes: int, seed: int, sharpness: float) -> None:
    log_p, labels = drawn(n, n_classes, seed, sharpness)
    grid = np.geomspace(COLDEST, HOTTEST, 200)

    temperature = fitted_temperature(log_p, labels)

    assert COLDEST <= temperature <= HOTTEST
    best = min(nll(scaled(log_p, t), labels) for t in grid)
    assert nll(scaled(log_p, temperature), labels) <= best + 1e-6


def test_if_all_are_right_the_coldest_is_taken_and_if_none_is_the_hottest() -> None:
    surest = np.log(np.array([[0.9, 0.1], [0.2, 0.8]]))

    assert fitted_temperature(surest, np.array([0, 1])) == pytest.approx(COLDEST)
    assert fitted_temperature(surest, np.array([1, 0])) == pytest.approx(HOTTEST)


def test_a_temperature_changes_no_prediction_and_one_changes_nothing() -> None:
    log_p, _ = drawn(100)

    np.testing.assert_array_equal(scaled(log_p, 5.0).argmax(axis=1), log_p.argmax(axis=1))
    np.testing.assert_allclose(scaled(log_p, 1.0), log_p, atol=1e-6)


def test_labels_that_were_impossible_leave_numbers() -> None:
    certain = np.array([[0.0, -np.inf], [0.0, -np.inf], [-np.inf, 0.0]])
    labels = np.array([0, 1, 1])

    temperature = fitted_temperature(certain, labels)

    assert COLDEST <= temperature <= HOTTEST
    assert np.isfinite(scaled(certain, temperature)).any(axis=1).all()
    assert not np.isnan(scaled(certain, temperature)).any()
    assert calibration_error(certain, labels, bins=1) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("log_p", "labels", "message"),
    [
        (np.zeros((0, 2)), np.zeros(0, np.int64), "no images"),
        (LOG_P, np.array([0, 1]), "2 labels"),
        (LOG_P, np.array([0, 1, 2, 0]), "0 to 2"),
    ],
)
def test_what_cannot_be_judged_is_refused(log_p: np.ndarray, labels: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        calibration_error(log_p, labels)
    with pytest.raises(InputError, match=message):
        fitted_temperature(log_p, labels)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_a_temperature_that_is_not_positive_is_refused(temperature: float) -> None:
    with pytest.raises(InputError, match="above 0"):
        scaled(LOG_P, temperature)


def test_less_than_one_bin_is_refused() -> None:
    with pytest.raises(InputError, match="at least 1"):
        reliability(LOG_P, LABELS, bins=0)
