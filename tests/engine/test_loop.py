"""The loop's seam: whatever ``Batches`` give and a model's ``forward`` takes is trained on, pixels or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor, nn

from tests.helpers.training import brief
from tidal_core.config import Seeds
from tidal_core.engine.backbones import Backbone
from tidal_core.engine.loop import Loop
from tidal_core.engine.model import Model
from tidal_core.engine.optimizers import build_optimizer
from tidal_core.engine.step import Step
from tidal_core.engine.train_inputs import TrainInputs, TrainOptions
from tidal_core.method.tidal import TDModule, TDTracker
from tidal_core.records import TrainImages

N, WIDTH, CLASSES = 30, 6, 3


class Head(Backbone):
    """A linear classifier on vectors that came from somewhere else."""

    stage_channels = (WIDTH,)
    class_rows = ("classifier.weight", "classifier.bias")

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, WIDTH) to logits and itself."""
        return self.classifier(x), [x]


class OnVectors(Model):
    """A model that is given vectors and normalises nothing."""

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, WIDTH)."""
        logits, features = self.backbone(images)
        return logits, features


class Vectors:
    """``Batches`` of vectors."""

    item = "vector"

    def __init__(self, values: Tensor) -> None:
        self.values = values

    def draw(self, index: Tensor, following: Tensor | None, generator: Generator) -> Tensor:
        """(B, WIDTH)."""
        return self.values[index]

    def close(self) -> None:
        """Nothing is held."""


def test_vectors_are_trained_on_by_the_same_loop() -> None:
    labels = np.arange(N, dtype=np.int64) % CLASSES
    centres = 3 * np.random.default_rng(1).normal(size=(CLASSES, WIDTH))
    vectors = torch.from_numpy(centres[labels]).float()
    torch.manual_seed(0)
    model = OnVectors("head", Head(), {"td": TDModule((WIDTH,), CLASSES)}, CLASSES).train()
    config = brief(epochs=20, learning_rate=0.05, schedule="constant")
    images = TrainImages(Path("nowhere"), np.arange(N), labels, CLASSES)
    inputs = TrainInputs(config, images, model, Seeds(), TrainOptions())
    tracker = TDTracker(N, CLASSES)
    step = Step(config, model, torch.from_numpy(labels), tracker, build_optimizer(config, model.parameters()))
    loop = Loop(inputs, Vectors(vectors), step, batch_size=config.batch_size)

    records = [loop.epoch(number) for number in range(1, 21)]

    assert records[-1] is not None
    assert records[-1].train_accuracy == 1
    assert records[-1].curves is not None
    assert records[-1].curves.p.shape == tracker.mean().shape == (N, CLASSES)
    assert (tracker.visits == 10).all()  # the second half of the epochs


class Noted(Vectors):
    """Notes what is asked for, and the state of chance then."""

    def __init__(self, values: Tensor) -> None:
        super().__init__(values)
        self.asked: list[list[int]] = []
        self.states: list[bytes] = []

    def draw(self, index: Tensor, following: Tensor | None, generator: Generator) -> Tensor:
        """As ``Vectors``."""
        self.asked.append(index.tolist())
        self.states.append(generator.get_state().numpy().tobytes())
        return super().draw(index, following, generator)


def test_each_epoch_has_an_order_and_a_chance_of_its_own_and_the_same_ones_each_time() -> None:
    def two_epochs() -> Noted:
        model = OnVectors("head", Head(), {}, CLASSES).train()
        config = brief(companions=(), batch_size=N)
        images = TrainImages(Path("nowhere"), np.arange(N), np.arange(N) % CLASSES, CLASSES)
        inputs = TrainInputs(config, images, model, Seeds(), TrainOptions())
        optimizer = build_optimizer(config, model.parameters())
        step = Step(config, model, torch.from_numpy(images.labels), None, optimizer)
        noted = Noted(torch.randn(N, WIDTH))
        loop = Loop(inputs, noted, step, batch_size=N)
        for number in (1, 2):
            loop.epoch(number)
        return noted

    one, again = two_epochs(), two_epochs()

    assert sorted(one.asked[0]) == sorted(one.asked[1]) == list(range(N))
    assert one.asked[0] != one.asked[1]
    assert one.states[0] != one.states[1]
    assert (one.asked, one.states) == (again.asked, again.states)
