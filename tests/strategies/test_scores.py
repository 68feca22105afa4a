"""The estimators: by hand, against scipy, and at the edges where a log is infinite."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import entropy as scipy_entropy

from tests.strategies.pools import log_softmax
from tidal_core.errors import InputError, TooFewClasses
from tidal_core.strategies import scores

P = np.array([[0.7, 0.2, 0.1], [0.4, 0.35, 0.25]])  # the classifier: class 0, class 0
TD = np.array([[0.5, 0.3, 0.2], [0.3, 0.6, 0.1]])  # m agrees on the first image and prefers class 1 on the second


def test_estimators_worked_by_hand() -> None:
    found = scores.estimators(np.log(P), np.log(TD))

    np.testing.assert_allclose(found["margin"], [0.5, 0.05])
    np.testing.assert_allclose(found["confidence"], [0.7, 0.4])
    np.testing.assert_allclose(found["td_margin"], [0.2, 0.3 - 0.6])  # against the classifier's class 0
    np.testing.assert_allclose(found["td_margin_naive"], [0.2, 0.6 - 0.3])
    np.testing.assert_allclose(found["td_confidence"], [0.5, 0.3])
    np.testing.assert_allclose(found["td_confidence_naive"], [0.5, 0.6])
    # -(0.5 ln 0.5 + 0.3 ln 0.3 + 0.2 ln 0.2) = 0.3466 + 0.3612 + 0.3219
    np.testing.assert_allclose(found["td_entropy"][0], 1.0297, atol=1e-4)


def test_the_estimators_of_a_classifier_alone_leave_td_out() -> None:
    assert sorted(scores.estimators(np.log(P), None)) == ["confidence", "entropy", "margin"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_entropy_equals_scipy(dtype: type) -> None:
    log_p = log_softmax(np.random.default_rng(0), 50, 7).astype(dtype)

    np.testing.assert_allclose(scores.entropy(log_p), scipy_entropy(np.exp(log_p), axis=1), rtol=1e-4)
    assert scores.entropy(log_p).dtype == dtype


@given(
    arrays(np.float64, st.tuples(st.integers(1, 8), st.integers(2, 6)), elements=st.floats(-200, 200)),
    st.sampled_from([np.float32, np.float64]),
)
def test_estimators_stay_in_their_ranges_and_are_numbers(logits: np.ndarray, dtype: type) -> None:
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = (shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))).astype(dtype)
    classes = log_p.shape[1]

    found = scores.estimators(log_p, log_p[::-1])

    for name, values in found.items():
        low, high = (0, np.log(classes)) if "entropy" in name else (-1, 1)
        assert values.min() >= low - 1e-6, name
        assert values.max() <= high + 1e-5, name


def test_an_impossible_class_has_no_entropy() -> None:
    one_hot = np.array([[0.0, -np.inf], [-np.inf, 0.0], [np.log(0.5), np.log(0.5)]], np.float32)

    np.testing.assert_allclose(scores.entropy(one_hot), [0, 0, np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(scores.margin(one_hot), [1, 1, 0])


def test_half_precision_is_widened_before_it_is_summed() -> None:
    # A logit gap of 18 is log p = -18 and p = 0 in float16.
    assert scores.entropy(np.array([[0.0, -18.0]], np.float16)).dtype == np.float32


def test_a_margin_of_one_class_is_refused() -> None:
    with pytest.raises(TooFewClasses, match="compares two classes"):
        scores.estimators(np.zeros((3, 1)), None)
    assert scores.entropy(np.zeros((3, 1))).tolist() == [0, 0, 0]


def test_shapes_that_do_not_fit_are_named() -> None:
    with pytest.raises(InputError, match=r"shape \(3,\)"):
        scores.entropy(np.zeros(3))
    with pytest.raises(InputError, match=r"\(2, 3\).*\(2, 4\)"):
        scores.td_margin(np.zeros((2, 3)), np.zeros((2, 4)))
