"""What a model of torchvision, timm or another package must pass to be a backbone: the smallest of each family."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from tests.helpers.training import brief, training_images
from tidal_core.config import FROZEN, PixelSpec, Seeds
from tidal_core.engine.backbones import Backbone, build_backbone, stage_channels
from tidal_core.engine.features.store import FeatureStore
from tidal_core.engine.folding import folded
from tidal_core.engine.model import Model, build_model
from tidal_core.engine.published_weights import feature_key
from tidal_core.engine.train_inputs import TrainOptions
from tidal_core.engine.training import train
from tidal_core.errors import InputError
from tidal_core.method.tidal import pooled
from tidal_core.records import TrainImages

CPU = torch.device("cpu")
ADAPTED = (
    "torchvision/resnet18",
    "torchvision/convnext_tiny",
    "torchvision/efficientnet_b0",
    "torchvision/mobilenet_v3_small",
    "torchvision/regnet_y_400mf",
    "torchvision/swin_t",
    "torchvision/vit_b_32",
    "timm/test_resnet",
    "timm/test_efficientnet",
    "timm/test_convnext",
    "timm/test_vit",
)
every_adapter = pytest.mark.parametrize("name", ADAPTED)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Images this small gain nothing by more, and wait for each other."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@cache
def built(name: str) -> Backbone:
    """With 1,000 classes; tests leave its weights as they are."""
    return build_backbone(name, 1_000, Generator().manual_seed(1))


def some(n: int, side: int = 64) -> Tensor:
    return torch.randn(n, 3, side, side, generator=Generator().manual_seed(2))


@every_adapter
@pytest.mark.parametrize(("n", "side"), [(2, 32), (1, 45)])
def test_logits_and_features_have_the_promised_shapes(name: str, n: int, side: int) -> None:
    backbone = built(name).eval()
    with torch.no_grad():
        logits, features = backbone(some(n, side))

    assert logits.shape == (n, 1_000)
    assert tuple(x.shape[1] for x in features) == backbone.stage_channels == stage_channels(name)
    assert [x.dim() for x in features] == [4] * (len(features) - 1) + [2]
    assert len(features) >= 4
    weight, bias = (dict(backbone.named_parameters())[row] for row in backbone.class_rows)
    assert torch.allclose(features[-1] @ weight.T + bias, logits, atol=1e-4)


@every_adapter
def test_an_image_alone_can_be_trained_on_and_every_parameter_gets_a_gradient(name: str) -> None:
    backbone = built(name).train()
    backbone.zero_grad()

    logits, features = backbone(some(1))
    (logits.square().sum() + sum(pooled(feature).square().sum() for feature in features)).backward()

    without = [key for key, p in backbone.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert without == []


@every_adapter
def test_in_evaluation_an_image_alone_scores_as_in_company_and_folded_likewise(name: str) -> None:
    backbone, x = built(name).eval(), some(2, 32)
    with torch.no_grad():
        logits = backbone(x)[0]

        assert torch.allclose(backbone(x[:1])[0], logits[:1], atol=1e-3)
        assert torch.allclose(folded(backbone)(x)[0], logits, atol=1e-3)


@every_adapter
def test_training_draws_nothing_from_the_global_generator(name: str) -> None:
    backbone, before = built(name).train(), torch.get_rng_state()
    with torch.no_grad():
        backbone(some(2))

    assert torch.equal(torch.get_rng_state(), before)


@every_adapter
def test_the_same_generator_gives_the_same_weights(name: str) -> None:
    first, before = built(name), torch.manual_seed(99).get_state()  # the global seed must not matter, nor be moved

    twin = build_backbone(name, 1_000, Generator().manual_seed(1))

    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), twin.parameters(), strict=True))
    assert torch.equal(torch.get_rng_state(), before)


@every_adapter
def test_weights_of_a_single_class_survive_the_file(tmp_path: Path, name: str) -> None:
    model = build_model(brief(backbone=name), 1, Seeds(weights=6), CPU)
    model.save(tmp_path / "weights.safetensors")

    loaded = Model.load(tmp_path / "weights.safetensors", CPU)

    assert loaded.backbone_name == name
    assert loaded.head()[0].shape[0] == 1
    assert all(torch.equal(value, loaded.state()[key]) for key, value in model.state().items())


@pytest.mark.parametrize("n_classes", [1, 2, 1_000])
@every_adapter
def test_a_head_of_any_number_of_classes_opens_without_its_body(tmp_path: Path, name: str, n_classes: int) -> None:
    model = Model.build(name, ("td",), n_classes, Seeds(weights=6), "frozen")
    model.save(tmp_path / "weights.safetensors")

    loaded = Model.load(tmp_path / "weights.safetensors", CPU)

    assert loaded.frozen
    assert loaded.backbone.stage_channels == stage_channels(name)
    assert loaded.eval().forward(torch.zeros(1, sum(stage_channels(name))))[0].shape == (1, n_classes)


@every_adapter
def test_a_head_trains_on_what_the_frozen_body_says(tmp_path: Path, name: str) -> None:
    body, rows = built(name).eval(), np.arange(6)
    with torch.no_grad():
        features = torch.cat([pooled(stage) for stage in body(some(6, 32))[1]], dim=1).half().numpy()
    store = FeatureStore(tmp_path, feature_key(name, PixelSpec(32)))
    store.write(rows, features, stage_channels(name))
    config = replace(FROZEN, backbone=name, epochs=2, min_steps=0, batch_size=4)
    images = TrainImages(tmp_path / "pixels.npy", rows, rows % 3, 3, store.path)
    model = build_model(config, 3, Seeds(), CPU)
    before = [parameter.detach().clone() for parameter in model.head()]

    records = list(train(config, images, model, Seeds(), TrainOptions()))

    assert [record.epoch for record in records] == [1, 2]
    assert all(np.isfinite([record.loss, record.td_loss]).all() for record in records)
    assert not torch.equal(before[0], model.head()[0])


@pytest.mark.parametrize("name", ["torchvision/mobilenet_v3_small", "timm/test_convnext"])
def test_the_whole_network_trains_beside_a_td_module(tmp_path: Path, name: str) -> None:
    config = brief(backbone=name, epochs=2)
    images = training_images(tmp_path, 12, 2, side=32)
    model = build_model(config, 2, Seeds(), CPU)
    before = [parameter.detach().clone() for parameter in model.backbone.parameters()]

    records = list(train(config, images, model, Seeds(), TrainOptions()))

    assert [record.epoch for record in records] == [1, 2]
    assert all(not torch.equal(a, b) for a, b in zip(before, model.backbone.parameters(), strict=True))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("torchvision/resnet19", "no backbone 'torchvision/resnet19'; choose one of small"),
        ("timm/resnet81", "no model 'resnet81'; its names that come nearest are timm/resnet"),
        ("timm/resnet18.guess", "no weights 'guess' of resnet18; choose one of a1_in1k"),
        ("timm/../etc", "not a name of timm; write timm/MODEL"),
    ],
)
def test_a_name_that_is_not_there_is_refused_with_those_that_are(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_backbone(name, 5, Generator())
