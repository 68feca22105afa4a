"""MC dropout: trained beside the classifier without changing it, and what BALD reads of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.experiments.made import TINY, make_dataset
from tidal_core.companions import COMPANIONS, Companion, build_companion
from tidal_core.companions.mc_dropout import PASSES, MCDropout
from tidal_core.config import Seeds
from tidal_core.errors import InputError
from tidal_core.experiments.protocol import Arm
from tidal_core.experiments.runs import Run, play
from tidal_core.model import Model, build_model
from tidal_core.records import TrainImages
from tidal_core.scoring import score
from tidal_core.strategies.bald import mutual_information
from tidal_core.training import train

CPU = torch.device("cpu")


def trained(folder: Path, companions: tuple[str, ...]) -> Model:
    data = make_dataset(folder)
    config = replace(TINY.train, companions=companions, epochs=3)
    model = build_model(config, data.n_classes, Seeds(), CPU)
    images = TrainImages(data.pixels, data.pool_rows[:20], data.labels[data.pool_rows[:20]], data.n_classes)
    list(train(config, images, model, Seeds()))
    return model


def head(seed: int = 0) -> MCDropout:
    found = build_companion("mc-dropout", (4, 8), 3, torch.Generator().manual_seed(seed))
    assert isinstance(found, MCDropout)
    return found


def test_every_companion_but_td_keeps_to_the_seam() -> None:
    for name in set(COMPANIONS) - {"td"}:
        companion = build_companion(name, (4, 8), 3, torch.Generator().manual_seed(0))
        assert isinstance(companion, Companion), name


def test_the_classifier_comes_out_as_without_it(tmp_path: Path) -> None:
    plain, beside = trained(tmp_path, ()), trained(tmp_path, ("mc-dropout",))

    for name, value in plain.state().items():
        assert torch.equal(value, beside.state()[name]), name


def test_its_head_learns(tmp_path: Path) -> None:
    before = build_model(replace(TINY.train, companions=("mc-dropout",)), 3, Seeds(), CPU).state()
    after = trained(tmp_path, ("mc-dropout",)).state()

    assert not torch.equal(before["companions.mc-dropout.head.weight"], after["companions.mc-dropout.head.weight"])


def test_scores_carry_the_passes_and_bald_reads_them(tmp_path: Path) -> None:
    model, data = trained(tmp_path, ("mc-dropout", "td")), make_dataset(tmp_path)

    first, again = (score(model, data.pixels, data.test_rows).extra["mc_log_p"] for _ in range(2))

    assert first.shape == (20, PASSES, 3)
    np.testing.assert_allclose(np.exp(first).sum(axis=2), 1, rtol=1e-5)
    np.testing.assert_array_equal(first, again)
    assert mutual_information(first).max() > 0


def test_half_of_the_features_are_dropped_and_the_rest_doubled() -> None:
    companion = head()
    with torch.no_grad():
        companion.head.weight.fill_(1 / 8)
        companion.head.bias.zero_()
        logits = companion(torch.ones(2000, 8), torch.Generator().manual_seed(1))

    assert logits.mean() == pytest.approx(1, abs=0.05)
    assert logits.std() > 0.2


def test_its_gradient_stops_at_the_features() -> None:
    features = torch.ones(5, 8, requires_grad=True)
    loss = head().loss([features], torch.tensor([0, 1, 2, 0, 1]), torch.Generator().manual_seed(0))
    loss.backward()

    assert features.grad is None


def test_a_comparison_can_ask_by_bald(tmp_path: Path) -> None:
    run = Run(make_dataset(tmp_path), TINY, Arm.parse("bald"), 1.0, 0, tmp_path / "runs")

    assert [len(line["asked"]) for line in play(run)] == [4, 4, 0]


def test_an_unknown_companion_is_named() -> None:
    with pytest.raises(InputError, match="no companion 'gan'"):
        build_companion("gan", (4, 8), 3, torch.Generator())
