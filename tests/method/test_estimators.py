"""The estimators against an independent reference (numpy and scipy), numbers worked by hand, and at their edges."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tidal_core.errors import InputError, TooFewClasses
from tidal_core.estimator_facts import COMPARED_ESTIMATORS, ESTIMATORS
from tidal_core.method.estimators import (
    all_estimators,
    confidence,
    entropy,
    lead,
    log_of,
    margin,
    td_confidence,
    td_confidence_naive,
    td_entropy,
    td_margin,
    td_margin_naive,
)
from tidal_core.method.tidal import log_probabilities

# Two images, three classes. p-tilde says class 0 for the first and class 1 for the second; f says class 1 for both.
TD = np.log(np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]], np.float32))
F_LOG_P = np.log(np.array([[0.2, 0.7, 0.1], [0.3, 0.6, 0.1]], np.float32))

every_estimator = pytest.mark.parametrize("name", ESTIMATORS)
NEAR = {"abs": 1e-6}


def random_log_p(n: int, n_classes: int, seed: int, spread: float = 3.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return scipy.special.log_softmax(rng.normal(0, spread, (n, n_classes)), axis=1).astype(np.float32)


def reference(name: str, log_p: np.ndarray, td_log_p: np.ndarray) -> np.ndarray:
    """The estimators once more, one image at a time, from the definitions."""
    values = []
    of_module = name.startswith(("td_", "exact_"))
    for f_row, td_row in zip(np.exp(log_p.astype(np.float64)), np.exp(td_log_p.astype(np.float64)), strict=True):
        row = td_row if of_module else f_row
        chosen = int(np.argmax(f_row if name in ("td_margin", "td_confidence", "exact_margin") else row))
        if "entropy" in name:
            values.append(scipy.stats.entropy(row))
        elif "margin" in name:
            values.append(row[chosen] - max(p for c, p in enumerate(row) if c != chosen))
        else:
            values.append(row[chosen])
    return np.array(values)


def test_every_estimator_has_a_name_and_every_name_an_estimator() -> None:
    assert list(all_estimators(F_LOG_P, TD, TD)) == list(ESTIMATORS)
    assert set(COMPARED_ESTIMATORS) <= ESTIMATORS.keys()


def test_the_estimators_of_a_classifier_alone_leave_td_out() -> None:
    assert list(all_estimators(F_LOG_P, None)) == ["entropy", "margin", "confidence"]


def test_entropy_of_the_example() -> None:
    # -(0.5 ln 0.5 + 0.3 ln 0.3 + 0.2 ln 0.2) = 1.02965; -(0.2 ln 0.1 + 0.8 ln 0.8) = 0.63903
    assert td_entropy(TD).tolist() == [pytest.approx(1.02965, abs=1e-5), pytest.approx(0.63903, abs=1e-5)]


def test_margin_of_the_example_asks_f_which_class_is_meant() -> None:
    # y-hat = 1 for both: 0.3 - 0.5 = -0.2 and 0.8 - 0.1 = 0.7
    assert td_margin(F_LOG_P, TD).tolist() == [pytest.approx(-0.2, **NEAR), pytest.approx(0.7, **NEAR)]


def test_naive_margin_of_the_example_asks_the_module_itself() -> None:
    # y-tilde = 0 and 1: 0.5 - 0.3 = 0.2 and 0.8 - 0.1 = 0.7
    assert td_margin_naive(TD).tolist() == [pytest.approx(0.2, **NEAR), pytest.approx(0.7, **NEAR)]


def test_confidence_of_the_example() -> None:
    assert td_confidence(F_LOG_P, TD).tolist() == [pytest.approx(0.3), pytest.approx(0.8)]


def test_naive_confidence_of_the_example() -> None:
    assert td_confidence_naive(TD).tolist() == [pytest.approx(0.5), pytest.approx(0.8)]


def test_the_final_predictions_estimators_of_the_example() -> None:
    # 0.7 - 0.2 and 0.6 - 0.3; -(0.2 ln 0.2 + 0.7 ln 0.7 + 0.1 ln 0.1) = 0.80182
    assert margin(F_LOG_P).tolist() == [pytest.approx(0.5, **NEAR), pytest.approx(0.3, **NEAR)]
    assert confidence(F_LOG_P).tolist() == [pytest.approx(0.7), pytest.approx(0.6)]
    assert entropy(F_LOG_P)[0] == pytest.approx(0.80182, abs=1e-5)


def test_the_lead_is_of_the_class_that_is_named_and_may_be_negative() -> None:
    row = log_of([[0.2, 0.5, 0.3]])

    np.testing.assert_allclose(lead(row, np.array([0])), [-0.3])
    np.testing.assert_allclose(lead(row, np.array([1])), [0.2])


@every_estimator
@pytest.mark.parametrize("n_classes", [2, 10, 8_142])
def test_the_estimators_agree_with_the_reference(name: str, n_classes: int) -> None:
    log_p, td_log_p = random_log_p(60, n_classes, 4), random_log_p(60, n_classes, 3)

    values = all_estimators(log_p, td_log_p, td_log_p)[name]

    np.testing.assert_allclose(values, reference(name, log_p, td_log_p), atol=1e-6, rtol=1e-6)


@every_estimator
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_precision_of_what_comes_in_is_kept(name: str, dtype: type) -> None:
    log_p, td_log_p = (random_log_p(5, 4, seed).astype(dtype) for seed in (1, 2))

    assert all_estimators(log_p, td_log_p, td_log_p)[name].dtype == dtype


@every_estimator
def test_permuting_the_pool_permutes_the_scores(name: str) -> None:
    log_p, td_log_p, order = random_log_p(30, 5, 6), random_log_p(30, 5, 5), np.random.default_rng(0).permutation(30)

    np.testing.assert_array_equal(
        all_estimators(log_p, td_log_p, td_log_p)[name][order],
        all_estimators(log_p[order], td_log_p[order], td_log_p[order])[name],
    )


@every_estimator
def test_what_comes_in_is_not_changed(name: str) -> None:
    log_p, td_log_p = random_log_p(30, 5, 6), random_log_p(30, 5, 5)
    before = log_p.copy(), td_log_p.copy()

    all_estimators(log_p, td_log_p, td_log_p)[name][:] = 7

    np.testing.assert_array_equal(log_p, before[0])
    np.testing.assert_array_equal(td_log_p, before[1])


@every_estimator
def test_the_undecided_are_asked_before_the_certain(name: str) -> None:
    certain_and_undecided = log_of(np.array([[0.0, 1.0, 0.0], [0.4, 0.3, 0.3]]))

    values = all_estimators(certain_and_undecided, certain_and_undecided, certain_and_undecided)[name]

    assert np.argmax(ESTIMATORS[name].urgency(values)) == 1


@every_estimator
@pytest.mark.parametrize("gap", [20.0, 200.0])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_large_logit_gaps_of_the_network_give_finite_scores(name: str, gap: float, dtype: torch.dtype) -> None:
    logits = torch.tensor([[gap, 0.0, 0.0], [0.0, gap, gap]], dtype=dtype)
    log_p, td_log_p = log_probabilities(logits.flip(1)).numpy(), log_probabilities(logits).numpy()

    values = all_estimators(log_p, td_log_p, td_log_p)[name]

    assert np.isfinite(values).all()
    assert values.dtype == np.float32


@every_estimator
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_one_hot_rows_are_the_most_certain_and_never_nan(name: str, dtype: type) -> None:
    one_hot = log_of(np.eye(3, dtype=dtype))

    values = all_estimators(one_hot, one_hot, one_hot)[name]

    assert values.tolist() == [0.0 if "entropy" in name else 1.0] * 3


@every_estimator
def test_half_precision_is_widened_before_it_is_summed(name: str) -> None:
    # A logit gap of 18 is log p = -18, and p = 0 in float16.
    log_p = np.array([[0.0, -18.0], [-0.6931, -0.6931]], np.float16)

    values = all_estimators(log_p, log_p, log_p)[name]

    assert values.dtype == np.float32
    np.testing.assert_array_equal(
        values, all_estimators(log_p.astype(np.float32), log_p.astype(np.float32), log_p.astype(np.float32))[name]
    )


def test_between_equal_classes_the_margin_is_zero() -> None:
    even = log_of(np.full((1, 4), 0.25))

    assert margin(even).tolist() == td_margin(even, even).tolist() == td_margin_naive(even).tolist() == [0.0]


def test_where_f_is_undecided_its_first_class_is_meant() -> None:
    undecided = log_of(np.array([[0.4, 0.4, 0.2]]))

    assert td_margin(undecided, TD[:1])[0] == pytest.approx(0.2)
    assert td_confidence(undecided, TD[:1])[0] == pytest.approx(0.5)


@pytest.mark.parametrize("refused", [margin, td_margin_naive, lambda log_p: td_margin(log_p, log_p)])
def test_a_margin_of_one_class_is_refused(refused: type[margin]) -> None:
    with pytest.raises(TooFewClasses, match="at least two classes"):
        refused(np.zeros((2, 1)))


def test_all_estimators_of_one_class_are_refused_for_their_margins() -> None:
    with pytest.raises(TooFewClasses, match="at least two classes"):
        all_estimators(np.zeros((3, 1)), None)


def test_entropy_and_confidence_of_one_class_are_certain() -> None:
    assert entropy(np.zeros((2, 1))).tolist() == td_entropy(np.zeros((2, 1))).tolist() == [0, 0]
    assert td_confidence(np.zeros((2, 1)), np.zeros((2, 1))).tolist() == [1, 1]


def test_shapes_that_do_not_fit_are_named() -> None:
    with pytest.raises(InputError, match=r"shape \(3,\)"):
        entropy(np.zeros(3))
    for compared in (td_margin, td_confidence):
        with pytest.raises(InputError, match=r"\(2, 3\).*\(2, 4\)"):
            compared(np.zeros((2, 3)), np.zeros((2, 4)))


@given(
    arrays(np.float64, st.tuples(st.integers(1, 8), st.integers(2, 6)), elements=st.floats(-200, 200)),
    st.sampled_from([np.float32, np.float64]),
)
def test_estimators_stay_within_their_bounds(logits: np.ndarray, dtype: type) -> None:
    log_p = scipy.special.log_softmax(logits, axis=1).astype(dtype)

    for name, values in all_estimators(log_p, log_p[::-1], log_p[::-1]).items():
        low, high = ESTIMATORS[name].bounds(log_p.shape[1])
        assert values.min() >= low - 1e-6, name
        assert values.max() <= high + 1e-5, name


@given(st.integers(2, 20), st.integers(0, 10_000), st.floats(0, 50))
@settings(deadline=None, max_examples=60)
def test_the_margin_never_exceeds_the_naive_margin(n_classes: int, seed: int, spread: float) -> None:
    td_log_p = random_log_p(5, n_classes, seed, spread)

    assert (td_margin(random_log_p(5, n_classes, seed + 1), td_log_p) <= td_margin_naive(td_log_p) + 1e-6).all()


@every_estimator
def test_an_estimator_says_what_it_means_words_before_the_symbol(name: str) -> None:
    estimator = ESTIMATORS[name]

    assert estimator.name == name
    assert estimator.meaning.endswith(".")
    assert estimator.source in estimator.help
    assert estimator.title.lower().startswith(estimator.words)
    assert bool(estimator.symbol) == name.startswith("td_")
