"""Images through the trained network: what comes out, in which order, and that it can stop and go on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.helpers.training import brief, training_images
from tidal_core.config import Seeds
from tidal_core.engine import scoring
from tidal_core.engine.batches import open_pixels
from tidal_core.engine.model import Model, build_model
from tidal_core.engine.scoring import score
from tidal_core.engine.training import train
from tidal_core.errors import InputError, Stopped
from tidal_core.records import TrainImages

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> TrainImages:
    return training_images(tmp_path_factory.mktemp("pixels"), n=40)


@pytest.fixture(scope="module")
def model(images: TrainImages) -> Model:
    trained = build_model(brief(), images.n_classes, Seeds(), CPU)
    list(train(brief(), images, trained, Seeds()))
    return trained


def test_scores_are_log_probabilities_and_features_in_float32(model: Model, images: TrainImages) -> None:
    scores = score(model, images.pixels, images.rows)

    assert scores.td_log_p is not None
    for log_p in (scores.log_p, scores.td_log_p):
        assert (log_p.dtype, log_p.shape) == (np.float32, (40, 3))
        assert np.allclose(np.exp(log_p).sum(1), 1, atol=1e-5)
    assert (scores.features.dtype, scores.features.shape) == (np.float32, (40, 128))


def test_scores_are_those_of_the_model_itself(model: Model, images: TrainImages) -> None:
    x = model.normalise(torch.from_numpy(open_pixels(images.pixels)[:]))
    with torch.no_grad():
        logits, features = model.backbone(x)
        td = model.companions["td"](features).log_softmax(1)

    scores = score(model, images.pixels, images.rows)

    assert np.allclose(scores.log_p, logits.log_softmax(1), atol=1e-5)
    assert np.allclose(scores.td_log_p, td, atol=1e-5)
    assert np.allclose(scores.features, features[-1], atol=1e-5)


def test_the_head_says_of_the_features_what_the_model_says(model: Model, images: TrainImages) -> None:
    scores = score(model, images.pixels, images.rows)

    assert scores.head is not None
    logits = torch.from_numpy(scores.head.logits(scores.head.read(scores.features)))
    assert np.allclose(scores.log_p, logits.log_softmax(1), atol=1e-4)


def test_scores_come_in_the_order_of_the_rows(model: Model, images: TrainImages) -> None:
    order = np.random.default_rng(1).permutation(40)

    shuffled = score(model, images.pixels, images.rows[order])

    assert np.allclose(shuffled.log_p, score(model, images.pixels, images.rows).log_p[order], atol=1e-5)


def test_a_model_without_a_module_has_no_predicted_dynamics(images: TrainImages) -> None:
    plain = build_model(brief(companions=()), 3, Seeds(), CPU)

    assert score(plain, images.pixels, images.rows).td_log_p is None


def test_a_pool_of_several_blocks_is_scored_as_each_block_is(
    model: Model, images: TrainImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_one = score(model, images.pixels, images.rows)
    parts = [score(model, images.pixels, images.rows[first : first + 16]) for first in (0, 16, 32)]
    monkeypatch.setattr(scoring, "block_size", lambda frozen: 16)
    reports: list[tuple[int, int]] = []

    in_three = score(model, images.pixels, images.rows, progress=lambda done, of: reports.append((done, of)))

    assert np.array_equal(in_three.log_p, np.concatenate([part.log_p for part in parts]))
    assert np.array_equal(in_three.features, np.concatenate([part.features for part in parts]))
    assert np.allclose(in_three.log_p, in_one.log_p, atol=1e-6)
    assert reports[-1] == (40, 40)


def test_scoring_stops_when_asked(model: Model, images: TrainImages) -> None:
    with pytest.raises(Stopped, match="after 0 of 40 images"):
        score(model, images.pixels, images.rows, should_stop=lambda: True)


def test_scoring_says_at_the_end_that_it_is_done(model: Model, images: TrainImages) -> None:
    reports: list[tuple[int, int]] = []
    score(model, images.pixels, images.rows, progress=lambda done, of: reports.append((done, of)))

    assert reports[-1] == (40, 40)


def test_an_empty_pool_has_no_scores(model: Model, images: TrainImages) -> None:
    scores = score(model, images.pixels, images.rows[:0])

    assert scores.log_p.shape == (0, 3)


def test_scoring_leaves_the_model_as_it_was(model: Model, images: TrainImages) -> None:
    before = {name: value.clone() for name, value in model.state().items()}
    score(model, images.pixels, images.rows)

    assert all(torch.equal(value, before[name]) for name, value in model.state().items())


def test_rows_that_the_file_does_not_have_are_refused(model: Model, images: TrainImages) -> None:
    with pytest.raises(InputError, match="the pixel cache has 40 rows"):
        score(model, images.pixels, np.array([40]))
