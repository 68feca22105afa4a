"""The method against an independent reference (numpy and scipy), numbers worked by hand, and mutations of itself."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch
from torch import Tensor, nn

from tidal_core.errors import InputError
from tidal_core.method import tidal
from tidal_core.method.tidal import (
    TDModule,
    TDTracker,
    pooled,
    td_divergence,
    tidal_loss,
)


def random_log_p(n: int, n_classes: int, seed: int, spread: float = 3.0) -> Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(scipy.special.log_softmax(rng.normal(0, spread, (n, n_classes)), axis=1)).float()


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

    p_bar = tracker.update(torch.tensor([2]), torch.tensor([[0.4, 0.6]]))

    # (0.8 + 0.4) / 2 and (0.2 + 0.6) / 2
    assert torch.allclose(p_bar, torch.tensor([[0.6, 0.4]]))


def test_an_index_twice_in_one_batch_counts_twice() -> None:
    tracker = TDTracker(2, 2)

    tracker.update(torch.tensor([1, 1]), torch.tensor([[0.9, 0.1], [0.3, 0.7]]))

    assert tracker.visits.flatten().tolist() == [0, 2]
    assert torch.allclose(tracker.mean()[1], torch.tensor([0.6, 0.4]))


def test_after_a_reset_nothing_of_the_round_before_is_left() -> None:
    tracker = TDTracker(1, 2)
    tracker.update(torch.tensor([0]), torch.tensor([[1.0, 0.0]]))
    tracker.reset()

    p_bar = tracker.update(torch.tensor([0]), torch.tensor([[0.2, 0.8]]))

    assert torch.equal(p_bar, torch.tensor([[0.2, 0.8]]))


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


def test_a_class_that_is_impossible_for_both_adds_nothing_to_the_divergence() -> None:
    p_bar = torch.tensor([[0.9, 0.1, 0.0]])
    logits = torch.tensor([[0.0, 0.0, -torch.inf]], requires_grad=True)

    divergence = td_divergence(p_bar, logits)
    divergence.backward()

    # KL((0.9, 0.1) || (0.5, 0.5)) as above; the gradient is softmax - p-bar.
    assert divergence.item() == pytest.approx(0.36806, abs=1e-5)
    assert logits.grad is not None
    assert torch.allclose(logits.grad, torch.tensor([[-0.4, 0.4, 0.0]]), atol=1e-6)


def test_a_class_that_the_module_rules_out_and_training_saw_is_infinitely_wrong() -> None:
    assert td_divergence(torch.tensor([[0.9, 0.1]]), torch.tensor([[0.0, -torch.inf]])).item() == math.inf


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


def test_the_method_knows_nothing_of_its_surroundings() -> None:
    source = Path(tidal.__file__).read_text(encoding="utf-8")

    assert len(source.splitlines()) <= 300
    assert not any(word in source for word in ("cuda", '"cpu"', "SELECT", "logging", "tidal-entropy"))


def test_the_module_reads_each_stage_through_a_rectified_layer() -> None:
    torch.manual_seed(0)
    module = TDModule([5, 7], n_classes=3, width=4)
    maps, vector = torch.randn(6, 5, 2, 3), torch.randn(6, 7)

    logits = module([maps, vector]).detach().numpy()

    weights = {name: value.detach().numpy() for name, value in module.named_parameters()}
    stages = [maps.mean((2, 3)).numpy(), vector.numpy()]
    levels = [
        np.maximum(x @ weights[f"reduce.{i}.weight"].T + weights[f"reduce.{i}.bias"], 0) for i, x in enumerate(stages)
    ]
    assert all((level == 0).any() for level in levels), "rectified somewhere"
    expected = np.concatenate(levels, axis=1) @ weights["head.weight"].T + weights["head.bias"]
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


def test_an_image_counts_by_its_weight_whatever_the_others_of_its_batch_weigh() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    labels, weights = torch.tensor([0, 0, 1]), torch.tensor([3.0, 0.5, 0.25])
    one_by_one = [tidal.classification_loss(logits[[i]], labels[[i]]).item() for i in range(3)]

    loss = tidal.classification_loss(logits, labels, weights).item()

    assert loss == pytest.approx(sum(w * own for w, own in zip(weights.tolist(), one_by_one, strict=True)) / 3)


def test_log_probabilities_of_half_precision_are_computed_in_float32() -> None:
    logits = torch.tensor([[7.0, 6.96875, 0.0]], dtype=torch.bfloat16)

    log_p = tidal.log_probabilities(logits)

    assert log_p.dtype == torch.float32
    np.testing.assert_allclose(log_p.numpy(), scipy.special.log_softmax(logits.float().numpy(), axis=1), rtol=1e-6)
