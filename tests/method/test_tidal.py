"""The method against an independent reference (numpy and scipy), numbers worked by hand, and mutations of itself."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tidal_core.errors import InputError, TooFewClasses
from tidal_core.method import tidal
from tidal_core.method.tidal import (
    TDModule,
    TDTracker,
    log_probabilities,
    pooled,
    td_confidence,
    td_confidence_naive,
    td_divergence,
    td_entropy,
    td_margin,
    td_margin_naive,
    tidal_loss,
)

# Two images, three classes. p-tilde says class 0 for the first and class 1 for the second; f says class 1 for both.
TD = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]]).log()
F_LOG_P = torch.tensor([[0.2, 0.7, 0.1], [0.3, 0.6, 0.1]]).log()

ESTIMATORS = {
    "entropy": lambda td, _: td_entropy(td),
    "margin": td_margin,
    "margin-naive": lambda td, _: td_margin_naive(td),
    "confidence": td_confidence,
    "confidence-naive": lambda td, _: td_confidence_naive(td),
}
every_estimator = pytest.mark.parametrize("name", ESTIMATORS)


def random_log_p(n: int, n_classes: int, seed: int, spread: float = 3.0) -> Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(scipy.special.log_softmax(rng.normal(0, spread, (n, n_classes)), axis=1)).float()


def reference(name: str, td_log_p: np.ndarray, log_p: np.ndarray) -> np.ndarray:
    """The estimators once more, one image at a time, from the definitions."""
    found = []
    for td_row, f_row in zip(np.exp(td_log_p.astype(np.float64)), log_p, strict=True):
        chosen = int(np.argmax(td_row if name.endswith("naive") else f_row))
        if name == "entropy":
            found.append(scipy.stats.entropy(td_row))
        elif name.startswith("margin"):
            found.append(td_row[chosen] - max(p for c, p in enumerate(td_row) if c != chosen))
        else:
            found.append(td_row[chosen])
    return np.array(found)


def test_the_tracker_keeps_the_plain_mean_over_epochs_in_any_batch_order() -> None:
    rng = np.random.default_rng(1)
    p = scipy.special.softmax(rng.normal(0, 4, (200, 50, 7)), axis=2).astype(np.float32)  # (T, N, C)
    tracker = TDTracker(50, 7)

    for epoch in p:
        for index in np.array_split(rng.permutation(50), 6):
            tracker.update(torch.from_numpy(index), torch.from_numpy(epoch[index]))

    assert np.allclose(tracker.mean(), p.astype(np.float64).mean(0), atol=1e-6)


def test_an_update_answers_with_the_mean_so_far_of_its_own_images() -> None:
    tracker = TDTracker(3, 2)
    tracker.update(torch.tensor([2, 0]), torch.tensor([[0.8, 0.2], [0.5, 0.5]]))

    now = tracker.update(torch.tensor([2]), torch.tensor([[0.4, 0.6]]))

    # (0.8 + 0.4) / 2 and (0.2 + 0.6) / 2
    assert torch.allclose(now, torch.tensor([[0.6, 0.4]]))


def test_an_index_twice_in_one_batch_counts_twice() -> None:
    tracker = TDTracker(2, 2)

    tracker.update(torch.tensor([1, 1]), torch.tensor([[0.9, 0.1], [0.3, 0.7]]))

    assert tracker.visits.flatten().tolist() == [0, 2]
    assert torch.allclose(tracker.mean()[1], torch.tensor([0.6, 0.4]))


def test_after_a_reset_nothing_of_the_round_before_is_left() -> None:
    tracker = TDTracker(1, 2)
    tracker.update(torch.tensor([0]), torch.tensor([[1.0, 0.0]]))
    tracker.reset()

    now = tracker.update(torch.tensor([0]), torch.tensor([[0.2, 0.8]]))

    assert torch.equal(now, torch.tensor([[0.2, 0.8]]))


def test_a_withdrawn_update_leaves_the_mean_as_it_was() -> None:
    tracker, p = TDTracker(2, 2), torch.tensor([[0.25, 0.75]])
    tracker.update(torch.tensor([0]), p)
    tracker.update(torch.tensor([0]), p)
    tracker.withdraw(torch.tensor([0]), p)

    assert torch.equal(tracker.mean()[0], p[0])


def test_an_image_never_visited_has_no_dynamics_and_no_nan() -> None:
    assert TDTracker(2, 3).mean().tolist() == [[0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_probabilities_of_low_precision_are_averaged_in_float32(dtype: torch.dtype) -> None:
    tracker, p = TDTracker(1, 2), torch.tensor([[0.9, 0.1]], dtype=dtype)
    for _ in range(300):
        tracker.update(torch.tensor([0]), p)

    assert tracker.mean().dtype == torch.float32
    assert torch.allclose(tracker.mean(), p.float(), atol=1e-5)


def test_the_divergence_agrees_with_scipy() -> None:
    p_bar, logits = random_log_p(40, 9, 1).exp(), torch.randn(40, 9, generator=torch.Generator().manual_seed(2))
    q = scipy.special.softmax(logits.double().numpy(), axis=1)

    expected = scipy.special.rel_entr(p_bar.double().numpy(), q).sum(axis=1).mean()

    assert td_divergence(p_bar, logits).item() == pytest.approx(expected, abs=1e-6)


def test_the_divergence_has_its_arguments_in_the_papers_order() -> None:
    # KL((0.9, 0.1) || (0.5, 0.5)) = 0.9 ln 1.8 + 0.1 ln 0.2 = 0.36806; the other way round it is 0.51083.
    assert td_divergence(torch.tensor([[0.9, 0.1]]), torch.zeros(1, 2)).item() == pytest.approx(0.36806, abs=1e-5)


def test_the_divergence_of_a_certain_target_is_the_cross_entropy() -> None:
    one_hot, logits = torch.tensor([[0.0, 1.0, 0.0]]), torch.tensor([[1.0, 2.0, 3.0]])

    assert td_divergence(one_hot, logits).item() == pytest.approx(-math.log(math.e / (1 + math.e + math.e**2)))


def test_the_loss_is_cross_entropy_plus_lambda_times_divergence() -> None:
    logits, labels = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0])
    loss = tidal_loss(logits, labels, torch.zeros(2, 2), torch.tensor([[0.9, 0.1], [0.5, 0.5]]), weight=0.5)

    # cross-entropies ln(1 + e^-2) = 0.12693 and ln(1 + e) = 1.31326; divergences 0.36806 and 0
    assert loss.class_loss.item() == pytest.approx((0.12693 + 1.31326) / 2, abs=1e-5)
    assert loss.td_loss.item() == pytest.approx(0.36806 / 2, abs=1e-5)
    assert loss.total.item() == pytest.approx(0.72010 + 0.5 * 0.18403, abs=1e-4)


def test_the_loss_of_the_module_reaches_the_body_and_not_p_bar() -> None:
    body, p_bar = nn.Conv2d(3, 4, 3), torch.tensor([[0.7, 0.3]], requires_grad=True)
    module = TDModule([4], 2)

    td_logits = module([body(torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(1)))])
    td_divergence(p_bar, td_logits).backward()

    assert body.weight.grad is not None
    assert body.weight.grad.abs().sum() > 0
    assert p_bar.grad is None


def test_an_update_answers_without_gradient() -> None:
    p = torch.tensor([[0.7, 0.3]], requires_grad=True)

    assert not TDTracker(1, 2).update(torch.tensor([0]), p).requires_grad


@pytest.mark.parametrize("channels", [[5], [4, 8], [16, 32, 64, 128]])
def test_the_module_takes_any_stages_as_maps_or_vectors(channels: list[int]) -> None:
    maps = [torch.randn(3, c, 7 - i, 7 - i) for i, c in enumerate(channels)]
    module = TDModule(channels, 6)

    logits = module(maps)

    assert logits.shape == (3, 6)
    assert torch.allclose(module([x.mean((2, 3)) for x in maps]), logits, atol=1e-6)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_pooling_is_the_mean_with_the_means_gradient(layout: torch.memory_format) -> None:
    x = torch.randn(3, 4, 5, 6, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    toward = torch.randn(3, 4, dtype=torch.float64)

    ours, theirs = (torch.autograd.grad((f(x) * toward).sum(), x)[0] for f in (pooled, lambda y: y.mean((2, 3))))

    assert torch.equal(pooled(x), x.mean((2, 3)))
    assert torch.allclose(ours, theirs, atol=1e-12)


def test_the_module_refuses_features_of_another_backbone() -> None:
    with pytest.raises(InputError, match="built for 2 stages and got 1"):
        TDModule([4, 8], 3)([torch.zeros(1, 4)])


def test_entropy_of_the_example() -> None:
    # -(0.5 ln 0.5 + 0.3 ln 0.3 + 0.2 ln 0.2) = 1.02965; -(0.2 ln 0.1 + 0.8 ln 0.8) = 0.63903
    assert td_entropy(TD).tolist() == [pytest.approx(1.02965, abs=1e-5), pytest.approx(0.63903, abs=1e-5)]


def test_margin_of_the_example_asks_f_which_class_is_meant() -> None:
    # y-hat = 1 for both: 0.3 - 0.5 = -0.2 and 0.8 - 0.1 = 0.7
    assert td_margin(TD, F_LOG_P).tolist() == [pytest.approx(-0.2, abs=1e-6), pytest.approx(0.7, abs=1e-6)]


def test_naive_margin_of_the_example_asks_the_module_itself() -> None:
    # y-tilde = 0 and 1: 0.5 - 0.3 = 0.2 and 0.8 - 0.1 = 0.7
    assert td_margin_naive(TD).tolist() == [pytest.approx(0.2, abs=1e-6), pytest.approx(0.7, abs=1e-6)]


def test_confidence_of_the_example() -> None:
    assert td_confidence(TD, F_LOG_P).tolist() == [pytest.approx(0.3), pytest.approx(0.8)]


def test_naive_confidence_of_the_example() -> None:
    assert td_confidence_naive(TD).tolist() == [pytest.approx(0.5), pytest.approx(0.8)]


@every_estimator
@pytest.mark.parametrize("n_classes", [2, 10, 8_142])
def test_the_estimators_agree_with_the_reference(name: str, n_classes: int) -> None:
    td_log_p, log_p = random_log_p(60, n_classes, 3), random_log_p(60, n_classes, 4)

    found = ESTIMATORS[name](td_log_p, log_p)

    assert np.allclose(found, reference(name, td_log_p.numpy(), log_p.numpy()), atol=1e-6, rtol=1e-6)


@every_estimator
def test_permuting_the_pool_permutes_the_scores(name: str) -> None:
    td_log_p, log_p, order = random_log_p(30, 5, 5), random_log_p(30, 5, 6), torch.randperm(30)

    assert torch.equal(ESTIMATORS[name](td_log_p, log_p)[order], ESTIMATORS[name](td_log_p[order], log_p[order]))


@every_estimator
@pytest.mark.parametrize("gap", [20.0, 200.0])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_large_logit_gaps_give_finite_scores(name: str, gap: float, dtype: torch.dtype) -> None:
    logits = torch.tensor([[gap, 0.0, 0.0], [0.0, gap, gap]], dtype=dtype)

    scores = ESTIMATORS[name](log_probabilities(logits), log_probabilities(logits.flip(1)))

    assert torch.isfinite(scores).all()
    assert scores.dtype == torch.float32


@every_estimator
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_one_hot_rows_are_the_most_certain_and_never_nan(name: str, dtype: torch.dtype) -> None:
    one_hot = torch.eye(3, dtype=dtype).log()

    scores = ESTIMATORS[name](one_hot, one_hot)

    assert scores.tolist() == [0.0 if name == "entropy" else 1.0] * 3


def test_between_equal_classes_the_margin_is_zero() -> None:
    even = torch.full((1, 4), 0.25).log()

    assert td_margin(even, even).tolist() == [0.0]
    assert td_margin_naive(even).tolist() == [0.0]


def test_where_f_is_undecided_its_first_class_is_meant() -> None:
    assert td_margin(TD[:1], torch.tensor([[0.4, 0.4, 0.2]]).log()).item() == pytest.approx(0.2)


@pytest.mark.parametrize("name", ["margin", "margin-naive"])
def test_a_margin_of_one_class_is_refused(name: str) -> None:
    with pytest.raises(TooFewClasses, match="at least two classes"):
        ESTIMATORS[name](torch.zeros(2, 1), torch.zeros(2, 1))


def test_entropy_and_confidence_of_one_class_are_certain() -> None:
    assert td_entropy(torch.zeros(2, 1)).tolist() == [0, 0]
    assert td_confidence(torch.zeros(2, 1), torch.zeros(2, 1)).tolist() == [1, 1]


@given(st.integers(2, 20), st.integers(0, 10_000), st.floats(0, 50))
@settings(deadline=None, max_examples=60)
def test_entropy_lies_between_nothing_and_log_c(n_classes: int, seed: int, spread: float) -> None:
    entropy = td_entropy(random_log_p(5, n_classes, seed, spread))

    assert (entropy >= 0).all()
    assert (entropy <= math.log(n_classes) + 1e-5).all()


@given(st.integers(2, 20), st.integers(0, 10_000), st.floats(0, 50))
@settings(deadline=None, max_examples=60)
def test_the_margin_never_exceeds_the_naive_margin(n_classes: int, seed: int, spread: float) -> None:
    td_log_p = random_log_p(5, n_classes, seed, spread)

    assert (td_margin(td_log_p, random_log_p(5, n_classes, seed + 1)) <= td_margin_naive(td_log_p) + 1e-6).all()


def test_the_method_knows_nothing_of_its_surroundings() -> None:
    source = Path(tidal.__file__).read_text(encoding="utf-8")

    assert len(source.splitlines()) <= 300
    assert not any(word in source for word in ("cuda", '"cpu"', "SELECT", "logging", "tidal-entropy"))
