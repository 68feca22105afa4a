"""Fine-tuning: published weights to start from, the head first, then all of it, slower towards the pixels."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.helpers.training import brief, fresh, run, training_images
from tidal_core.config import FINE_TUNE, PRESETS, ProjectSettings, Seeds
from tidal_core.engine.backbones import BACKBONES, build_backbone
from tidal_core.engine.checkpoints import checkpoint_epoch, fingerprint
from tidal_core.engine.layer_rates import rate_scales, stages_of
from tidal_core.engine.model import Model, build_model
from tidal_core.engine.pretrained import load_embedded
from tidal_core.engine.published_weights import EFFICIENTNET_LITE0
from tidal_core.engine.schedule import still_epochs
from tidal_core.engine.scoring import score
from tidal_core.engine.train_inputs import TrainOptions
from tidal_core.engine.training import train
from tidal_core.errors import InputError

CPU = torch.device("cpu")
BRIEF = dataclasses.replace(FINE_TUNE, epochs=3, head_epochs=1, min_steps=0, batch_size=12)
HEADS_FIRST = brief(epochs=4, head_epochs=2, layer_decay=0.5)
"""The small network, in the two stages of fine-tuning."""


def body_of(model: Model) -> dict[str, torch.Tensor]:
    """Copies of all that the head rests on, running statistics too."""
    return {
        name: value.clone()
        for name, value in model.backbone.state_dict().items()
        if name not in model.backbone.class_rows
    }


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, b[name]) for name, value in a.items())


def test_the_preset_starts_from_published_weights_and_takes_settings_of_the_project() -> None:
    config = ProjectSettings(preset="fine-tune", augmentation="flip-crop", precision="bfloat16").train_config()

    assert PRESETS["fine-tune"] is FINE_TUNE
    assert (config.pretrained, config.augmentation, config.precision) == (True, "flip-crop", "bfloat16")
    assert 0 < config.head_epochs < config.epochs


def test_a_pretrained_model_has_the_published_body_a_fresh_head_and_the_pixels_that_its_weights_want() -> None:
    model = build_model(BRIEF, 3, Seeds(), CPU)
    other_seed = build_model(BRIEF, 3, Seeds(weights=9), CPU)
    published = load_embedded(BRIEF.backbone)

    assert all(torch.equal(value, published[name]) for name, value in body_of(model).items())
    assert not torch.equal(model.head()[0], other_seed.head()[0])
    np.testing.assert_allclose(model.mean, EFFICIENTNET_LITE0.preprocessing.mean)
    np.testing.assert_allclose(model.std, EFFICIENTNET_LITE0.preprocessing.std)


def test_a_network_without_published_weights_is_refused_with_those_that_have_some() -> None:
    with pytest.raises(
        InputError, match="no pretrained weights for 'small'; choose another, such as efficientnet-lite0"
    ):
        build_model(brief(pretrained=True), 3, Seeds(), CPU)


def test_fine_tuning_keeps_the_normalisation_of_its_weights_through_training_and_file(tmp_path: Path) -> None:
    images = training_images(tmp_path)
    model, records = run(BRIEF, images)
    model.save(tmp_path / "round.safetensors")

    loaded = Model.load(tmp_path / "round.safetensors", CPU)

    assert np.isfinite(records[-1].loss)
    np.testing.assert_allclose(loaded.mean, EFFICIENTNET_LITE0.preprocessing.mean)
    np.testing.assert_allclose(loaded.std, EFFICIENTNET_LITE0.preprocessing.std)
    before, after = (score(m, images.pixels, images.rows) for m in (model, loaded))
    assert np.array_equal(before.log_p, after.log_p)


def test_the_body_stands_still_in_the_first_epochs_and_moves_after_them(tmp_path: Path) -> None:
    images = training_images(tmp_path)
    model = fresh(HEADS_FIRST, images)
    start, head = body_of(model), model.head()[0].clone()
    module = model.companions["td"].head.weight.clone()
    training = train(HEADS_FIRST, images, model, Seeds())

    next(training), next(training)
    still = body_of(model)
    next(training)

    assert equal(start, still)
    assert not torch.equal(model.head()[0], head)
    assert not torch.equal(model.companions["td"].head.weight, module)
    assert not any(torch.equal(value, start[name]) for name, value in body_of(model).items())


@pytest.mark.parametrize("n_done", [1, 2, 3])
def test_a_round_resumed_before_or_after_the_body_moves_ends_as_one_that_never_stopped(
    tmp_path: Path, n_done: int
) -> None:
    images, file = training_images(tmp_path), tmp_path / "round.resume"
    whole, records = run(HEADS_FIRST, images)
    options = TrainOptions(checkpoint=file, checkpoint_seconds=0)
    stopped = train(HEADS_FIRST, images, fresh(HEADS_FIRST, images), Seeds(), options)
    for _ in range(n_done + 1):
        next(stopped)
    stopped.close()
    assert checkpoint_epoch(file) == n_done

    model, later = run(HEADS_FIRST, images, checkpoint=file)

    assert [record.loss for record in later] == [record.loss for record in records[n_done:]]
    assert equal(whole.state(), model.state())


def test_a_pretrained_round_resumes_bit_for_bit(tmp_path: Path) -> None:
    images, file = training_images(tmp_path), tmp_path / "round.resume"
    whole, _ = run(BRIEF, images)
    options = TrainOptions(checkpoint=file, checkpoint_seconds=0)
    stopped = train(BRIEF, images, fresh(BRIEF, images), Seeds(), options)
    next(stopped), next(stopped)
    stopped.close()

    model, later = run(BRIEF, images, checkpoint=file)

    assert [record.epoch for record in later] == [2, 3]
    assert equal(whole.state(), model.state())


def test_a_stopped_round_leaves_a_model_that_can_train_whole(tmp_path: Path) -> None:
    images = training_images(tmp_path)
    model = fresh(HEADS_FIRST, images)
    training = train(HEADS_FIRST, images, model, Seeds())
    next(training)

    training.close()

    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not model.backbone.training


def test_memory_that_runs_out_while_the_body_is_still_halves_the_batch_and_moves_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = training_images(tmp_path)
    whole = Model.normalise

    def small_memory(model: Model, x: torch.Tensor) -> torch.Tensor:
        if len(x) > 1:
            raise torch.OutOfMemoryError("simulated")
        return whole(model, x)

    monkeypatch.setattr(Model, "normalise", small_memory)
    model = fresh(HEADS_FIRST, images)
    start = body_of(model)
    training = train(HEADS_FIRST, images, model, Seeds())

    record = next(training)

    assert record.batch_size == 1
    assert record.note is not None
    assert "continued with 1" in record.note
    assert equal(start, body_of(model))


def test_where_epochs_are_added_the_heads_part_of_them_stays_the_same() -> None:
    config = brief(epochs=40, head_epochs=10, min_steps=160, batch_size=32)

    assert still_epochs(config, 350) == 10
    assert still_epochs(config, 20) == 40  # of 160
    assert still_epochs(brief(), 20) == 0


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_shows_its_parameters_in_stages_from_the_pixels_on(name: str) -> None:
    backbone = build_backbone(name, 3, torch.Generator().manual_seed(1)).train()
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    head = len(backbone.stage_channels)

    stages = stages_of(backbone)

    assert list(stages.values()) == sorted(stages.values())
    assert set(stages.values()) == set(range(head + 1))
    assert {key for key, stage in stages.items() if stage == head} == set(backbone.class_rows)
    assert equal(before, backbone.state_dict())
    assert backbone.training


def test_each_stage_moves_at_its_part_of_the_next_ones_rate(tmp_path: Path) -> None:
    """Plain SGD moves by rate times gradient, and the first step's gradient does not depend on the rates."""
    images = training_images(tmp_path)
    alike = brief(epochs=1, batch_size=24, optimizer="sgd", momentum=0.0, weight_decay=0.0, schedule="constant")
    start = fresh(alike, images)
    by_one_rate, _ = run(alike, images)
    layered, _ = run(dataclasses.replace(alike, layer_decay=0.5), images)
    stages = stages_of(start.backbone)

    for name, parameter in layered.backbone.named_parameters():
        whole = dict(by_one_rate.backbone.named_parameters())[name] - dict(start.backbone.named_parameters())[name]
        moved = parameter - dict(start.backbone.named_parameters())[name]
        assert torch.allclose(moved, 0.5 ** (4 - stages[name]) * whole, rtol=1e-3, atol=1e-6), name
    assert equal(by_one_rate.companions["td"].state_dict(), layered.companions["td"].state_dict())
    assert set(rate_scales(start, 0.5)) == {1 / 16, 1 / 8, 1 / 4, 1 / 2, 1}


@pytest.mark.parametrize("changed", [{"pretrained": True}, {"head_epochs": 3}, {"layer_decay": 0.7}])
def test_each_setting_of_fine_tuning_makes_another_training(tmp_path: Path, changed: dict[str, object]) -> None:
    images = training_images(tmp_path)

    assert fingerprint(brief(**changed), images, Seeds()) != fingerprint(brief(), images, Seeds())
