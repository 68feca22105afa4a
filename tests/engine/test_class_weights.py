"""Classes with few labels count as much as those with many, where a round is set to it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.helpers.training import brief, stripes
from tidal_core.config import ProjectSettings, Seeds
from tidal_core.engine.checkpoints import fingerprint
from tidal_core.engine.class_weights import image_weights
from tidal_core.engine.model import Model, build_model
from tidal_core.engine.train_inputs import TrainOptions
from tidal_core.engine.training import train
from tidal_core.errors import InputError
from tidal_core.method.tidal import classification_loss, tidal_loss
from tidal_core.records import EpochRecord, TrainImages

CPU = torch.device("cpu")
BALANCED = brief(class_balance="weights")


def lopsided(folder: Path) -> TrainImages:
    """Twenty images of class 0 and four of class 2; nobody has labelled class 1."""
    pixels, labels = stripes(60, 3)
    rows = np.concatenate([np.flatnonzero(labels == 0), np.flatnonzero(labels == 2)[:4]])
    np.save(folder / "pixels.npy", pixels)
    return TrainImages(folder / "pixels.npy", rows, labels[rows], 3)


def run(images: TrainImages, config: object = BALANCED, **options: object) -> tuple[Model, list[EpochRecord]]:
    model = build_model(config, 3, Seeds(), CPU)  # type: ignore[arg-type]
    return model, list(train(config, images, model, Seeds(), TrainOptions(**options)))  # type: ignore[arg-type]


def test_every_class_that_has_labels_weighs_the_same() -> None:
    labels = np.array([0] * 20 + [2] * 4)

    weights = image_weights(BALANCED, labels)

    assert weights is not None
    assert weights[labels == 0].sum() == pytest.approx(12)
    assert weights[labels == 2].sum() == pytest.approx(12)
    assert weights.mean() == pytest.approx(1)
    assert weights[-1] == pytest.approx(3)  # 24 labels / (2 classes x 4 labels)


def test_nothing_is_weighted_unless_it_is_asked_for() -> None:
    assert image_weights(brief(), np.array([0, 0, 1])) is None


def test_the_weighted_loss_of_a_batch_is_the_sum_that_its_images_owe() -> None:
    """Two images, worked by hand: cross-entropies 1 log 4 and log 2, weights 3 and 0.5."""
    logits = torch.log(torch.tensor([[0.25, 0.75], [0.5, 0.5]]))
    labels, weights = torch.tensor([0, 1]), torch.tensor([3.0, 0.5])

    loss = classification_loss(logits, labels, weights)

    assert float(loss) == pytest.approx((3 * np.log(4) + 0.5 * np.log(2)) / 2, abs=1e-6)
    assert float(classification_loss(logits, labels, torch.ones(2))) == pytest.approx(
        float(F.cross_entropy(logits, labels)), abs=1e-6
    )


def test_the_dynamics_of_every_image_count_alike() -> None:
    generator = torch.Generator().manual_seed(1)
    logits, td_logits = (torch.randn(5, 3, generator=generator) for _ in range(2))
    p_bar, labels = torch.randn(5, 3, generator=generator).softmax(1), torch.tensor([0, 0, 0, 1, 2])

    plain = tidal_loss(logits, labels, td_logits, p_bar, 2.0)
    weighted = tidal_loss(logits, labels, td_logits, p_bar, 2.0, torch.tensor([0.5, 0.5, 0.5, 1.5, 1.5]))

    assert torch.equal(plain.td_loss, weighted.td_loss)
    assert not torch.allclose(plain.class_loss, weighted.class_loss)
    assert float(weighted.total) == pytest.approx(float(weighted.class_loss + 2 * weighted.td_loss), abs=1e-6)


def test_a_round_weighs_a_rare_image_as_so_many_of_it(tmp_path: Path) -> None:
    """The first epoch in one batch: its class loss is the weighted mean of the curves that it recorded."""
    images = lopsided(tmp_path)
    _, (record,) = run(images, brief(class_balance="weights", epochs=1, batch_size=24))
    assert record.curves is not None
    own = -np.log(record.curves.p[np.arange(24), images.labels])

    by_class = [own[images.labels == label].mean() for label in (0, 2)]

    assert record.class_loss == pytest.approx(np.mean(by_class), rel=1e-4)
    assert record.class_loss != pytest.approx(own.mean(), rel=1e-3)


def test_every_image_is_still_seen_once_an_epoch(tmp_path: Path) -> None:
    images = lopsided(tmp_path)
    config = brief(class_balance="weights", td_window="all")
    training = train(config, images, build_model(config, 3, Seeds(), CPU), Seeds())
    curves = [record.curves.p for record in training if record.curves is not None]

    assert training.result is not None
    np.testing.assert_allclose(np.mean(curves, axis=0), training.result.td_bar, atol=1e-6)


def test_a_weighted_round_resumes_bit_for_bit(tmp_path: Path) -> None:
    images, file = lopsided(tmp_path), tmp_path / "round.resume"
    whole, _ = run(images)
    stopped = train(
        BALANCED,
        images,
        build_model(BALANCED, 3, Seeds(), CPU),
        Seeds(),
        TrainOptions(checkpoint=file, checkpoint_seconds=0),
    )
    next(stopped), next(stopped)
    stopped.close()

    model, later = run(images, checkpoint=file)

    assert [record.epoch for record in later] == [2, 3]
    assert all(torch.equal(value, whole.state()[name]) for name, value in model.state().items())


def test_weights_make_another_training(tmp_path: Path) -> None:
    images = lopsided(tmp_path)

    assert fingerprint(BALANCED, images, Seeds()) != fingerprint(brief(), images, Seeds())


def test_a_project_balances_its_classes_if_it_is_set_to_and_never_in_paper_parity() -> None:
    chosen = ProjectSettings(class_balance="weights")

    assert chosen.train_config().class_balance == "weights"
    assert dataclasses.replace(chosen, preset="paper").train_config().class_balance == "none"
    assert ProjectSettings().train_config().class_balance == "none"
    with pytest.raises(InputError, match="cannot be balanced by 'sampling'; choose none or weights"):
        ProjectSettings(class_balance="sampling")  # type: ignore[arg-type]
