"""A head on frozen features: trained by the same iterator, and the dynamics of every image seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tidal_core.config import FROZEN, Seeds, TrainConfig
from tidal_core.engine.backbones.frozen import SCALE
from tidal_core.engine.companions import Companion
from tidal_core.engine.exact_dynamics import KEPT, HeadHistory, exact_curves, exact_p_bar
from tidal_core.engine.features.store import FeatureKey, Features, FeatureStore
from tidal_core.engine.model import Model, build_model, load_weights
from tidal_core.engine.scoring import score
from tidal_core.engine.train_inputs import TrainOptions
from tidal_core.engine.training import TrainResult, train
from tidal_core.errors import InputError
from tidal_core.records import EpochRecord, TrainImages

CPU = torch.device("cpu")
STAGES = (24, 40, 112, 320, 1280)
BRIEF = replace(FROZEN, epochs=6, min_steps=0, batch_size=8)


def made_up(folder: Path, n: int = 60, n_classes: int = 3) -> tuple[FeatureStore, np.ndarray]:
    """Features that a linear layer tells apart, with their labels."""
    rng = np.random.default_rng(0)
    labels = np.arange(n, dtype=np.int64) % n_classes
    centres = rng.normal(size=(n_classes, sum(STAGES)))
    store = FeatureStore(folder, FeatureKey("efficientnet-lite0", "0" * 64, 32, "crop", False))
    store.write(np.arange(n), (centres[labels] + rng.normal(size=(n, sum(STAGES)))).astype(np.float16), STAGES)
    return store, labels


def trained(
    folder: Path, config: TrainConfig = BRIEF, options: TrainOptions | None = None, stop_after: int | None = None
) -> tuple[Model, TrainResult | None, list[EpochRecord], Features]:
    store, labels = made_up(folder)
    images = TrainImages(folder / "none.npy", np.arange(0, 60, 3), labels[::3], 3, store.path)
    images = replace(images, rows=np.arange(24), labels=labels[:24])
    model = build_model(config, 3, Seeds(), CPU)
    training = train(config, images, model, Seeds(), options or TrainOptions())
    records = []
    for record in training:
        records.append(record)
        if record.epoch == stop_after:
            training.close()
            break
    return model, training.result, records, store.read()


def test_a_head_learns_from_features_and_scores_what_it_never_saw(tmp_path: Path) -> None:
    model, result, records, _ = trained(tmp_path)
    store, labels = made_up(tmp_path / "again")

    scores = score(model, tmp_path / "none.npy", np.arange(24, 60), features=store.path)

    assert model.frozen
    assert result is not None
    assert result.td_bar is not None
    assert result.td_bar.shape == (24, 3)
    assert records[-1].curves is not None
    assert (scores.log_p.argmax(axis=1) == labels[24:]).mean() > 0.9
    assert scores.td_log_p is not None
    last_stage = store.read().rows[:, -1280:].astype(np.float32)
    standardised = (last_stage - last_stage.mean(axis=0)) / last_stage.std(axis=0)
    np.testing.assert_allclose(scores.features, standardised[24:], atol=1e-4)


def test_dropout_passes_see_the_features_that_they_were_trained_on(tmp_path: Path) -> None:
    model, *_ = trained(tmp_path, replace(BRIEF, companions=("mc-dropout",)))
    store, _ = made_up(tmp_path / "again")
    head = model.companions["mc-dropout"]
    assert isinstance(head, Companion)

    scores = score(model, tmp_path / "none.npy", np.arange(60), features=store.path)

    trained_on = model.forward(torch.from_numpy(store.read().take(np.arange(60))))[1][-1]
    np.testing.assert_array_equal(scores.extra["mc_information"], head.extra(trained_on)["mc_information"].numpy())


def test_the_last_exact_curve_is_what_scoring_says(tmp_path: Path) -> None:
    model, result, _, features = trained(tmp_path)
    assert result is not None
    assert result.heads is not None
    rows = np.array([40, 3, 25])

    ((_, curves),) = exact_curves(result.heads, model, features, rows)

    log_p = score(model, tmp_path / "none.npy", rows, features=next(tmp_path.glob("*/rows.f16"))).log_p
    np.testing.assert_allclose(curves[:, -1], np.exp(log_p), atol=1e-5)


def test_the_head_as_arrays_says_of_the_pools_features_what_scoring_says(tmp_path: Path) -> None:
    model, _, _, _ = trained(tmp_path)

    scores = score(model, tmp_path / "none.npy", np.arange(24, 60), features=next(tmp_path.glob("*/rows.f16")))

    assert scores.head is not None
    logits = torch.from_numpy(scores.head.logits(scores.head.read(scores.features)))
    np.testing.assert_allclose(scores.log_p, logits.log_softmax(1), atol=1e-4)


def test_exact_curves_are_those_of_the_network_after_each_epoch(tmp_path: Path) -> None:
    """Against the model itself, run over all images after each epoch."""
    store, labels = made_up(tmp_path)
    images = TrainImages(tmp_path / "none.npy", np.arange(24), labels[:24], 3, store.path)
    model = build_model(BRIEF, 3, Seeds(), CPU)
    training = train(BRIEF, images, model, Seeds())
    seen = []
    for _ in training:
        model.eval()
        with torch.inference_mode():
            logits, _ = model.forward(torch.from_numpy(store.read().take(np.arange(60)).astype(np.float32)))
        model.train()
        seen.append(logits.softmax(dim=1).numpy())
    assert training.result is not None
    assert training.result.heads is not None

    blocks = list(exact_curves(training.result.heads, model, store.read(), np.arange(60), block=25))
    curves = np.concatenate([curves for _, curves in blocks])

    assert training.result.heads.epochs.tolist() == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(curves, np.stack(seen, axis=1), atol=1e-5)
    p_bar = exact_p_bar(training.result.heads, model, store.read(), np.arange(60), first_epoch=4)
    np.testing.assert_allclose(p_bar, np.stack(seen[3:], axis=1).mean(axis=1), atol=1e-5)


@pytest.mark.parametrize(("epochs", "n_kept"), [(1, 1), (2, 2), (KEPT, KEPT), (200, KEPT)])
def test_heads_are_kept_at_even_distances_the_last_among_them(epochs: int, n_kept: int) -> None:
    epochs_kept = sorted(HeadHistory(epochs).wanted)

    assert len(epochs_kept) == n_kept
    assert epochs_kept[-1] == epochs
    assert len(set(np.diff(epochs_kept).tolist())) <= 2


def test_a_round_that_goes_on_from_its_checkpoint_has_all_heads(tmp_path: Path) -> None:
    options = TrainOptions(checkpoint=tmp_path / "round.resume", checkpoint_seconds=0)
    _, whole, _, features = trained(tmp_path / "whole")
    trained(tmp_path / "cut", options=options, stop_after=4)

    model, resumed, records, _ = trained(tmp_path / "cut", options=options)

    assert [record.epoch for record in records] == [4, 5, 6]
    assert whole is not None
    assert whole.heads is not None
    assert resumed is not None
    assert resumed.heads is not None
    rows = np.arange(60)
    np.testing.assert_array_equal(
        exact_p_bar(resumed.heads, model, features, rows), exact_p_bar(whole.heads, model, features, rows)
    )


def test_a_frozen_model_survives_its_file(tmp_path: Path) -> None:
    model, _, _, features = trained(tmp_path)
    model.save(tmp_path / "weights.safetensors")

    again = Model.load(tmp_path / "weights.safetensors", CPU)

    assert again.frozen
    x = torch.from_numpy(features.take(np.arange(5)))
    assert torch.equal(again.eval().forward(x)[0], model.eval().forward(x)[0])


def test_a_logit_of_the_head_is_the_scaled_cosine_between_features_and_class(tmp_path: Path) -> None:
    """Against numpy in float64; neither the length of an image's features nor that of a class's weights counts."""
    model, _, _, features = trained(tmp_path)
    x = features.take(np.arange(7)).astype(np.float64)
    last = ((x - model.mean.numpy()) / model.std.numpy())[:, -1280:]
    weight = model.backbone.state_dict()["classifier.weight"].numpy().astype(np.float64)
    cosine = last @ weight.T / np.linalg.norm(last, axis=1)[:, None] / np.linalg.norm(weight, axis=1)

    with torch.inference_mode():
        logits, stages = model.forward(torch.from_numpy(features.take(np.arange(7))))
        model.backbone.state_dict()["classifier.weight"].mul_(3)
        with_longer_weights, _ = model.forward(torch.from_numpy(features.take(np.arange(7))))

    np.testing.assert_allclose(logits, SCALE * cosine, atol=1e-4)
    np.testing.assert_allclose(with_longer_weights, logits, atol=1e-4)
    np.testing.assert_allclose(stages[-1], last, atol=1e-4)


def test_an_image_of_average_features_is_like_no_class(tmp_path: Path) -> None:
    model, _, _, _ = trained(tmp_path)

    with torch.inference_mode():
        logits, _ = model.forward(model.mean[None])

    assert logits.tolist() == [[0, 0, 0]]


def test_classes_carried_over_to_a_frozen_model_keep_their_directions(tmp_path: Path) -> None:
    model, _, _, features = trained(tmp_path)
    model.save(tmp_path / "weights.safetensors")
    later = build_model(BRIEF, 4, Seeds(weights=9), CPU)

    load_weights(later, tmp_path / "weights.safetensors", old_class_ids=[5, 6, 7], new_class_ids=[7, 8, 5, 6])

    rows = torch.from_numpy(features.take(np.arange(5)))
    with torch.inference_mode():
        old, new = model.eval().forward(rows)[0], later.eval().forward(rows)[0]
    np.testing.assert_allclose(new[:, [2, 3, 0]], old, atol=1e-5)


def test_a_frozen_body_without_features_is_refused(tmp_path: Path) -> None:
    images = TrainImages(tmp_path / "none.npy", np.arange(3), np.arange(3), 3)

    with pytest.raises(InputError, match="compute their features first"):
        list(train(BRIEF, images, build_model(BRIEF, 3, Seeds(), CPU), Seeds()))


@pytest.mark.parametrize(("epochs", "first"), [(6, 4), (7, 4), (1, 1)])
def test_the_window_of_the_exact_dynamics_begins_with_the_second_half(tmp_path: Path, epochs: int, first: int) -> None:
    heads = HeadHistory(epochs)
    model = Model.build("efficientnet-lite0", (), 3, Seeds(), "frozen")
    for epoch in range(1, epochs + 1):
        heads.note(epoch, model)

    assert heads.first_epoch("second-half") == first
    assert heads.first_epoch("all") == 1
