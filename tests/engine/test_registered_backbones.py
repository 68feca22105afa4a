"""Backbones that other packages register: found by their entry point, used like any other, or left out and named."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, nn

from tests.helpers.training import stripes
from tidal_core.config import PixelSpec, ProjectSettings, Seeds
from tidal_core.engine import published_weights
from tidal_core.engine.backbones import BACKBONES, Backbone, build_backbone, problems, registered
from tidal_core.engine.backbones.registered import Pretrained
from tidal_core.engine.features.extract import Extractor
from tidal_core.engine.model import Model
from tidal_core.engine.preprocessing import Preprocessing
from tidal_core.engine.pretrained import build_pretrained
from tidal_core.engine.published_weights import GROUP, describe, feature_key, registered_points
from tidal_core.errors import InputError
from tidal_core.rounds.due import check_training

CPU = torch.device("cpu")


class OneLayer(Pretrained):
    stage_channels = (4, 4)
    class_rows = ("classifier.weight", "classifier.bias")
    preprocessing = Preprocessing(16, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 1)
        self.classifier = nn.Linear(4, n_classes)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        x = self.layer(x)
        vector = x.mean((2, 3))
        return self.classifier(vector), [x, vector]

    def load_pretrained(self) -> None:
        nn.init.ones_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)


class Silent(Backbone):
    pass


class WithoutWeights(OneLayer):
    load_pretrained = Pretrained.load_pretrained


class NotWritten(OneLayer):
    def load_pretrained(self) -> None:
        Pretrained.load_pretrained(self)


class Gone(OneLayer):
    def load_pretrained(self) -> None:
        raise FileNotFoundError("weights.pt")


class FromNothing(Backbone):
    stage_channels = OneLayer.stage_channels
    class_rows = OneLayer.class_rows

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(4, n_classes)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        vector = x.mean((2, 3))[:, [0, 1, 2, 0]]
        return self.classifier(vector), [x[:, [0, 1, 2, 0]], vector]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[EntryPoint]]:
    """A list to put entry points in, as if a package with them were installed."""
    points: list[EntryPoint] = []
    for module in (published_weights, registered):
        monkeypatch.setattr(module, "entry_points", lambda group: [p for p in points if p.group == group])
    registered.reload()
    yield points
    monkeypatch.undo()
    registered.reload()


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, f"{__name__}:{value}", GROUP)


def test_a_backbone_of_another_package_is_listed_built_and_gives_features(installed: list[EntryPoint]) -> None:
    installed.append(point("one-layer", "OneLayer"))
    squares, _ = stripes(3, 3)

    features = Extractor("one-layer", device=CPU)(squares)

    assert "one-layer" in registered_points()
    assert describe("one-layer").source == __name__
    assert feature_key("one-layer", PixelSpec(16)).weights == f"{__name__}:OneLayer"
    assert build_backbone("one-layer", 7, Generator())(torch.zeros(1, 3, 8, 8))[0].shape == (1, 7)
    expected = (squares / 127.5 - 1).sum(axis=3).mean(axis=(1, 2))
    np.testing.assert_allclose(features, np.tile(expected[:, None], 8), rtol=1e-2, atol=1e-2)


def test_a_head_opens_after_the_package_of_its_body_is_gone(installed: list[EntryPoint], tmp_path: Path) -> None:
    installed.append(point("one-layer", "OneLayer"))
    Model.build("one-layer", ("td",), 3, Seeds(), "frozen").save(tmp_path / "weights.safetensors")
    installed.clear()
    registered.reload()

    assert Model.load(tmp_path / "weights.safetensors", CPU).backbone.stage_channels == (4, 4)
    with pytest.raises(InputError, match="no backbone 'one-layer'"):
        build_backbone("one-layer", 3, Generator())


def test_a_broken_package_is_named_and_left_out(installed: list[EntryPoint]) -> None:
    broken = {
        "a": "Missing",
        "b": "Silent",
        "c": "point",
        "d": "WithoutWeights",
        "small": "OneLayer",
        "e/f": "OneLayer",
    }
    installed += [point(name, value) for name, value in broken.items()]

    missing, silent, wrong_type, weightless, misnamed, taken = problems()

    assert "could not be loaded" in missing
    assert "lacks its stage_channels and class_rows" in silent
    assert "is not a subclass of tidal_core.engine.backbones.Backbone" in wrong_type
    assert "lacks its load_pretrained" in weightless
    assert "'e/f'; choose one of letters" in misnamed
    assert "'small', which is taken already" in taken
    with pytest.raises(InputError, match="lacks its stage_channels"):
        build_backbone("b", 3, Generator())


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("NotWritten", "the backbone net has no load_pretrained of its own; put its weights in place there"),
        ("Gone", r"the backbone net could not load its weights \(FileNotFoundError: weights.pt\); correct its"),
        ("FromNothing", "no pretrained weights for 'net'.*one of your own is a subclass of Pretrained"),
    ],
)
def test_weights_that_cannot_be_loaded_are_refused_in_words(
    installed: list[EntryPoint], value: str, reason: str
) -> None:
    installed.append(point("net", value))

    with pytest.raises(InputError, match=reason):
        build_pretrained("net")


def test_pretrained_weights_of_a_backbone_in_the_table_are_not_drawn_over(monkeypatch: pytest.MonkeyPatch) -> None:
    class KnowsOnes(OneLayer):
        def __init__(self, n_classes: int) -> None:
            super().__init__(n_classes)
            self.load_pretrained()

    monkeypatch.setitem(BACKBONES, "small", KnowsOnes)

    built = build_backbone("small", 3, Generator())

    assert built.get_parameter("layer.weight").eq(1).all()


def test_the_training_quick_learns_with_the_network_of_the_settings(installed: list[EntryPoint]) -> None:
    installed.append(point("net", "FromNothing"))
    settings = ProjectSettings(quick_network="net")

    check_training(settings)

    assert settings.train_config() == dataclasses.replace(ProjectSettings().train_config(), backbone="net")
    with pytest.raises(InputError, match=r"there is no backbone 'nott'; choose one of small.*net"):
        check_training(ProjectSettings(quick_network="nott"))
