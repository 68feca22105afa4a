"""What every backbone must pass; a new one is added to the list by its line in ``BACKBONES``."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Generator, Tensor

from tests.helpers.training import brief
from tidal_core.config import Seeds
from tidal_core.engine.backbones import BACKBONES, Backbone, build_backbone
from tidal_core.engine.folding import folded
from tidal_core.engine.model import Model, build_model
from tidal_core.errors import InputError
from tidal_core.method.tidal import pooled

CPU = torch.device("cpu")
every_backbone = pytest.mark.parametrize("name", BACKBONES)


@pytest.fixture(scope="module")
def built() -> dict[str, Backbone]:
    return {name: build_backbone(name, 5, Generator().manual_seed(1)) for name in BACKBONES}


def some(n: int, side: int = 16) -> Tensor:
    return torch.randn(n, 3, side, side, generator=Generator().manual_seed(2))


@every_backbone
@pytest.mark.parametrize("side", [8, 16, 33])
def test_logits_and_features_have_the_promised_shapes(built: dict[str, Backbone], name: str, side: int) -> None:
    backbone = built[name].eval()
    with torch.no_grad():
        logits, features = backbone(some(2, side))

    assert logits.shape == (2, 5)
    assert tuple(x.shape[1] for x in features) == backbone.stage_channels
    assert all(x.dim() == 4 for x in features[:-1])
    assert features[-1].dim() == 2


@every_backbone
def test_every_parameter_gets_a_gradient(built: dict[str, Backbone], name: str) -> None:
    backbone = built[name].train()
    backbone.zero_grad()

    backbone(some(4))[0].square().sum().backward()

    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in backbone.parameters())


@every_backbone
def test_a_gradient_into_any_stage_reaches_the_first_layer(built: dict[str, Backbone], name: str) -> None:
    backbone = built[name].train()
    parameter = next(backbone.parameters())
    for stage in range(len(backbone.stage_channels)):
        backbone.zero_grad()
        pooled(backbone(some(4))[1][stage]).square().sum().backward()

        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0


@every_backbone
def test_in_evaluation_an_image_alone_scores_as_in_company(built: dict[str, Backbone], name: str) -> None:
    backbone, x = built[name].eval(), some(3)
    with torch.no_grad():
        assert torch.allclose(backbone(x[:1])[0], backbone(x)[0][:1], atol=1e-4)


@every_backbone
def test_training_moves_the_running_statistics_and_evaluation_does_not(built: dict[str, Backbone], name: str) -> None:
    backbone = built[name]
    statistics = [b for key, b in backbone.named_buffers() if key.endswith("running_mean")]
    for training in (True, False):
        before = [b.clone() for b in statistics]
        with torch.no_grad():
            backbone.train(training)(some(4))

        assert any(not torch.equal(a, b) for a, b in zip(before, statistics, strict=True)) is training


@every_backbone
def test_the_same_generator_gives_the_same_weights(built: dict[str, Backbone], name: str) -> None:
    torch.manual_seed(99)  # the global seed must not matter
    backbone, twin = (build_backbone(name, 5, Generator().manual_seed(seed)) for seed in (3, 3))
    third = build_backbone(name, 5, Generator().manual_seed(4))

    assert all(torch.equal(a, b) for a, b in zip(backbone.parameters(), twin.parameters(), strict=True))
    assert not torch.equal(next(backbone.parameters()), next(third.parameters()))


@every_backbone
def test_weights_and_running_statistics_survive_the_file(tmp_path: Path, name: str) -> None:
    model = build_model(brief(backbone=name), 5, Seeds(weights=6), CPU)
    with torch.no_grad():
        model.train().backbone(some(4))
    model.save(tmp_path / "weights.safetensors")

    loaded = Model.load(tmp_path / "weights.safetensors", CPU)

    assert all(torch.equal(value, loaded.state()[key]) for key, value in model.state().items())
    assert [file.name for file in tmp_path.iterdir()] == ["weights.safetensors"]


@every_backbone
def test_the_rows_of_classes_are_where_the_backbone_says(built: dict[str, Backbone], name: str) -> None:
    tensors = built[name].state_dict()

    assert all(tensors[key].shape[0] == 5 for key in built[name].class_rows)


@every_backbone
def test_folding_the_norms_changes_nothing_but_rounding(name: str) -> None:
    backbone = build_backbone(name, 5, Generator().manual_seed(5))
    with torch.no_grad():
        for _ in range(3):
            backbone.train()(some(8) * 2 + 1)
        lean, x = folded(backbone), some(4)

        assert torch.allclose(lean(x)[0], backbone.eval()(x)[0], atol=1e-4)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in lean.modules())


def test_the_sizes_are_the_published_ones() -> None:
    def millions(name: str) -> float:
        return sum(p.numel() for p in build_backbone(name, 10, Generator()).parameters()) / 1e6

    assert millions("resnet18") == pytest.approx(11.17, abs=0.01)
    assert millions("resnet18-thin") == pytest.approx(11.17 / 16, abs=0.01)
    assert 0.1 <= millions("small") <= 0.5


def test_the_thin_resnet_has_the_layers_of_the_whole_one_in_a_quarter_of_the_channels() -> None:
    def convolutions(name: str, share: int) -> list[tuple[int, int, int]]:
        modules = build_backbone(name, 10, Generator()).modules()
        found = [m for m in modules if isinstance(m, torch.nn.Conv2d)]
        return sorted((m.out_channels * share, m.kernel_size[0], m.stride[0]) for m in found)

    assert convolutions("resnet18-thin", 4) == convolutions("resnet18", 1)


def test_an_unknown_backbone_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match="'vit'; choose one of small, resnet18"):
        build_backbone("vit", 5, Generator())


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(b"not weights at all")

    with pytest.raises(InputError, match="cannot be read as weights"):
        Model.load(tmp_path / "weights.safetensors")
