"""Which labels look wrong: signals by hand and against cleanlab, rankings on simulated curves."""

from __future__ import annotations

import numpy as np
import pytest
from cleanlab.count import num_label_issues
from cleanlab.rank import get_label_quality_scores

from tidal_core.method import dynamics, suspicion
from tidal_core.records import Float64, Int64

P = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.2, 0.5, 0.3]])
LABELS = np.array([0, 1, 0])


def noisy(n: int = 300, wrong: int = 30) -> tuple[Float64, Int64, Int64]:
    """p (n, 4) of a model that is mostly right, labels of which the first ``wrong`` are flipped, the truth."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, n)
    believed = np.where(rng.random(n) < 0.9, truth, rng.integers(0, 4, n))
    p = rng.dirichlet(np.full(4, 0.5), n) + 2.5 * np.eye(4)[believed]
    labels = truth.copy()
    labels[:wrong] = (labels[:wrong] + rng.integers(1, 4, wrong)) % 4
    return p / p.sum(axis=1, keepdims=True), labels, truth


def test_probability_and_margin_of_a_label_by_hand() -> None:
    np.testing.assert_allclose(suspicion.label_probability(P, LABELS), [0.7, 0.3, 0.2])
    np.testing.assert_allclose(suspicion.label_margin(P, LABELS), [(0.5 + 1) / 2, (-0.3 + 1) / 2, (-0.3 + 1) / 2])
    assert suspicion.label_margin(np.ones((2, 1)), np.zeros(2, np.int64)).tolist() == [1, 1]


def test_probability_and_margin_are_those_of_cleanlab() -> None:
    p, labels, _ = noisy()

    np.testing.assert_allclose(
        suspicion.label_probability(p, labels), get_label_quality_scores(labels, p, method="self_confidence")
    )
    np.testing.assert_allclose(
        suspicion.label_margin(p, labels), get_label_quality_scores(labels, p, method="normalized_margin")
    )


def test_the_expected_mistakes_are_those_of_cleanlab_and_near_those_planted() -> None:
    p, labels, _ = noisy()

    mistakes = suspicion.confident_mistakes(p, labels)

    assert mistakes.sum() == num_label_issues(labels, p, estimation_method="off_diagonal")
    assert mistakes[:30].sum() >= 25
    assert 25 <= mistakes.sum() <= 70


def test_images_of_which_nothing_is_known_are_no_mistakes_and_come_last() -> None:
    p, labels, _ = noisy()
    p[:5] = np.nan

    assert not suspicion.confident_mistakes(p, labels)[:5].any()
    ranked = suspicion.by_suspicion(suspicion.suspicion({"margin": suspicion.label_margin(p, labels)}))
    assert set(ranked[-5:].tolist()) == {0, 1, 2, 3, 4}
    assert not suspicion.confident_mistakes(np.full((3, 2), np.nan), np.zeros(3, np.int64)).any()


@pytest.mark.parametrize("ranking", ["margin_area", "p_bar", "default"])
def test_labels_that_were_never_learnt_come_first(ranking: str) -> None:
    """Curves of 12 epochs: the probability of a right label rises, that of the first four labels falls."""
    rise = np.linspace(0.3, 0.9, 12)[:, None]
    p_label = np.where(np.arange(40) < 4, 1 - rise - 0.05, rise - 0.001 * np.arange(40))  # (T, N)
    signals = {"margin_area": dynamics.margin_area(p_label, 1 - p_label), "p_bar": dynamics.area(p_label)}

    suspicions = suspicion.suspicion(signals, suspicion.DEFAULT if ranking == "default" else ranking)

    assert set(suspicion.by_suspicion(suspicions)[:4].tolist()) == {0, 1, 2, 3}


def test_a_label_that_no_neighbour_shares_looks_wrong() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    x = np.eye(6)[labels] + rng.normal(0, 0.1, (60, 6))
    x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
    labels[7] = 2

    share = suspicion.neighbour_share(x, labels)

    assert share[7] == 0
    assert share[[0, 1, 2]].min() > 0.8
    assert np.isnan(suspicion.neighbour_share(x[:1], labels[:1])).all()


def test_a_ranking_by_what_is_not_there_is_refused_and_the_default_takes_what_there_is() -> None:
    signals = {"p_bar": np.array([0.9, 0.1, 0.5])}

    with pytest.raises(KeyError):
        suspicion.suspicion(signals, "margin")
    with pytest.raises(KeyError):
        suspicion.suspicion({})
    assert suspicion.by_suspicion(suspicion.suspicion(signals)).tolist() == [1, 2, 0]


def test_equals_are_ordered_by_the_tie_break_then_as_they_come() -> None:
    assert suspicion.by_suspicion(np.array([0.5, 0.5, 0.9, 0.5]), np.array([0.3, 0.2, 0.9, np.nan])).tolist() == [
        2, 1, 0, 3,
    ]  # fmt: skip
