"""Learning loss: its formulas against plain loops, where its gradient goes, and what it finds."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.experiments.made import FROZEN, WARM, make_dataset
from tests.helpers.training import brief, fitted, training_images
from tidal_core import strategies
from tidal_core.config import Seeds
from tidal_core.engine.companions import SeenBatch, build_companion
from tidal_core.engine.companions.learning_loss import LearningLoss, hinge_loss, ranking_loss
from tidal_core.engine.model import build_model
from tidal_core.engine.scoring import score
from tidal_core.engine.train_inputs import TrainOptions
from tidal_core.engine.training import train
from tidal_core.experiments.protocol import Configuration, Protocol
from tidal_core.experiments.runs import Run, execute, repeat
from tidal_core.records import PoolView, TrainImages

CPU = torch.device("cpu")
NAMES = ("learning-loss", "ranker")

every_size = pytest.mark.parametrize("size", [1, 2, 3, 8, 9])


def drawn(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Predicted losses, and losses with some ties."""
    generator = torch.Generator().manual_seed(size)
    predicted = 2 * torch.randn(size, generator=generator)
    return predicted, torch.randint(0, 3, (size,), generator=generator).float()


def by_loop(predicted: torch.Tensor, losses: torch.Tensor, of_pair: object) -> float:
    """Image i with image 2B - i, counted from 1, of a batch of 2B; equal losses count zero."""
    B = len(losses) // 2
    total = 0.0
    for i in range(B):
        j = 2 * B - 1 - i
        if losses[i] != losses[j]:
            sign = 1 if losses[i] > losses[j] else -1
            total += of_pair(sign, float(predicted[i] - predicted[j]))  # type: ignore[operator]
    return total / max(B, 1)


@every_size
def test_the_hinge_agrees_with_a_plain_loop(size: int) -> None:
    predicted, losses = drawn(size)

    expected = by_loop(predicted, losses, lambda sign, lead: max(0.0, 1 - sign * lead))

    assert float(hinge_loss(predicted, losses)) == pytest.approx(expected, abs=1e-6)


@every_size
def test_the_cross_entropy_agrees_with_a_plain_loop(size: int) -> None:
    predicted, losses = drawn(size)

    def cross_entropy(sign: int, lead: float) -> float:
        p = 1 / (1 + math.exp(-lead))
        return -math.log(p if sign > 0 else 1 - p)

    expected = by_loop(predicted, losses, cross_entropy)

    assert float(ranking_loss(predicted, losses)) == pytest.approx(expected, abs=1e-5)


def seen_at(epoch: int, size: int = 6) -> tuple[SeenBatch, list[torch.Tensor]]:
    """A batch with its features, which carry a gradient, in an epoch of ten."""
    generator = torch.Generator().manual_seed(1)
    features = [torch.randn(size, 4, 2, 2, generator=generator), torch.randn(size, 8, generator=generator)]
    logits = torch.randn(size, 3, generator=generator).requires_grad_()
    leaves = [x.requires_grad_() for x in features]
    return SeenBatch(leaves, logits, torch.arange(size) % 3, epoch, 10), leaves


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("epoch", "reaches"), [(1, True), (6, True), (7, False), (10, False)])
def test_its_gradient_reaches_the_body_for_six_tenths_of_the_epochs_and_never_the_logits(
    name: str, epoch: int, reaches: bool
) -> None:
    companion = build_companion(name, (4, 8), 3, torch.Generator().manual_seed(0))
    assert isinstance(companion, LearningLoss)
    seen, features = seen_at(epoch)

    companion.loss(seen, torch.Generator()).backward()

    assert [x.grad is not None for x in features] == [reaches, reaches]
    assert seen.logits.grad is None
    assert all(parameter.grad is not None for parameter in companion.parameters())


@pytest.mark.parametrize(("name", "loss"), [("learning-loss", hinge_loss), ("ranker", ranking_loss)])
def test_each_trains_by_the_order_of_the_cross_entropies(name: str, loss: object) -> None:
    companion = build_companion(name, (4, 8), 3, torch.Generator().manual_seed(0))
    assert isinstance(companion, LearningLoss)
    seen, _ = seen_at(1)
    rows = seen.logits.detach().softmax(dim=1)
    losses = -torch.stack([rows[i, int(label)].log() for i, label in enumerate(seen.labels)])

    expected = loss(companion(seen.features), losses)  # type: ignore[operator]

    torch.testing.assert_close(companion.loss(seen, torch.Generator()), expected)


def noisy(folder: Path, n: int = 256) -> tuple[TrainImages, np.ndarray]:
    """Images whose class is the side that is bright; those of a blue hue have labels drawn at random. And who has."""
    rng = np.random.default_rng(0)
    is_noisy = rng.random(n) < 0.3
    classes = np.arange(n) % 2
    pixels = rng.integers(0, 60, (n, 8, 8, 3), np.uint8)
    for i in range(n):
        pixels[i, :, 4 * classes[i] : 4 * classes[i] + 4, :2] += 120
    pixels[is_noisy, :, :, 2] += 150
    labels = np.where(is_noisy, rng.integers(0, 2, n), classes)
    np.save(folder / "pixels.npy", pixels)
    return TrainImages(folder / "pixels.npy", np.arange(n // 2), labels[: n // 2], 2), is_noisy


NOISE = brief(epochs=8, batch_size=16, augmentation="none", learning_rate=3e-3)


@pytest.mark.parametrize(
    ("name", "companion"), [("learning-loss", "learning-loss"), ("learning-loss-ranked", "ranker")]
)
def test_images_with_noisy_labels_are_asked_far_more_often_than_at_random(
    name: str, companion: str, tmp_path: Path
) -> None:
    images, is_noisy = noisy(tmp_path)
    model = fitted(images, replace(NOISE, companions=(companion,)))
    rows = np.arange(128, 256)
    scores = score(model, images.pixels, rows)
    view = PoolView.from_scores(rows, scores, np.empty(0, np.int64), 2)

    shares = {
        asker: is_noisy[rows[strategies.get(asker).select(view, 24, np.random.default_rng(0))]].mean()
        for asker in (name, "random")
    }

    assert shares[name] > 0.9
    assert shares["random"] < 0.5


@pytest.mark.parametrize("protocol", [WARM, FROZEN], ids=["a body that trains", "frozen features"])
def test_a_comparison_asks_by_it_and_is_the_same_when_repeated(protocol: Protocol, tmp_path: Path) -> None:
    run = Run(make_dataset(tmp_path), protocol, Configuration.parse("learning-loss"), 1.0, 0, tmp_path / "runs")

    assert [len(line["asked"]) for line in execute(run)] == [4, 4, 0]
    assert repeat(run, tmp_path / "again") == []


def test_beside_frozen_features_the_classifier_comes_out_as_without_it(tmp_path: Path) -> None:
    accuracies = []
    for name in ("random", "learning-loss"):
        protocol = FROZEN.changed(rounds=1)
        run = Run(make_dataset(tmp_path), protocol, Configuration.parse(name), 1.0, 0, tmp_path / name)
        accuracies.append([line["accuracy"] for line in execute(run)])

    assert accuracies[0] == accuracies[1]


def test_a_training_that_was_stopped_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    images = training_images(tmp_path)
    config = brief(epochs=4, companions=("learning-loss",))
    whole = fitted(images, config)
    options = TrainOptions(curves=False, checkpoint=tmp_path / "checkpoint", checkpoint_seconds=0)
    begun = train(config, images, build_model(config, images.n_classes, Seeds(), CPU), Seeds(), options)
    for _ in range(3):
        next(begun)
    begun.close()

    resumed = fitted(images, config, options)

    for name, value in whole.state().items():
        assert torch.equal(value, resumed.state()[name]), name


def test_it_scores_an_image_the_same_whatever_the_batch(tmp_path: Path) -> None:
    images = training_images(tmp_path)
    model = fitted(images, brief(companions=("learning-loss", "td", "mc-dropout")))

    in_threes, in_twenties = (score(model, images.pixels, images.rows, batch_size=size).extra for size in (3, 20))

    assert set(in_threes) == {"predicted_loss", "mc_information"}
    np.testing.assert_allclose(in_threes["predicted_loss"], in_twenties["predicted_loss"], atol=1e-5)
