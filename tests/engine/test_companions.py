"""MC dropout: trained beside the classifier without changing it, and what BALD reads of it."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import entropy as scipy_entropy

from tests.experiments.made import TINY, make_dataset
from tidal_core.config import Seeds
from tidal_core.engine.companions import COMPANIONS, Companion, SeenBatch, build_companion
from tidal_core.engine.companions.mc_dropout import BLOCK, PASSES, MCDropout, half_of
from tidal_core.engine.model import Model, build_model
from tidal_core.engine.scoring import score
from tidal_core.engine.training import train
from tidal_core.errors import InputError
from tidal_core.experiments.protocol import Configuration
from tidal_core.experiments.runs import Run, execute
from tidal_core.records import TrainImages

CPU = torch.device("cpu")


def trained(folder: Path, companions: tuple[str, ...]) -> Model:
    data = make_dataset(folder)
    config = replace(TINY.train, companions=companions, epochs=3)
    model = build_model(config, data.n_classes, Seeds(), CPU)
    images = TrainImages(data.pixels, data.pool_rows[:20], data.labels[data.pool_rows[:20]], data.n_classes)
    list(train(config, images, model, Seeds()))
    return model


def head(seed: int = 0) -> MCDropout:
    companion = build_companion("mc-dropout", (4, 8), 3, torch.Generator().manual_seed(seed))
    assert isinstance(companion, MCDropout)
    return companion


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


def test_scores_carry_what_bald_reads_whatever_the_batch(tmp_path: Path) -> None:
    model, data = trained(tmp_path, ("mc-dropout", "td")), make_dataset(tmp_path)

    in_threes, in_twenties = (
        score(model, data.pixels, data.test_rows, batch_size=size).extra["mc_information"] for size in (3, 20)
    )

    assert in_threes.shape == (20,)
    np.testing.assert_allclose(in_threes, in_twenties, atol=1e-6)
    assert 0 < in_threes.max() <= np.log(3)


def all_at_once(companion: MCDropout, features: torch.Tensor) -> np.ndarray:
    """BALD from every probability of every pass, with the masks that ``extra`` draws: (N,)."""
    generator = torch.Generator().manual_seed(0)
    blocks = []
    for block in torch.split(features, BLOCK):
        with torch.no_grad():
            logits = [companion(block, generator).double() for _ in range(PASSES)]
        blocks.append(torch.softmax(torch.stack(logits, dim=1), dim=2).numpy())
    p = np.concatenate(blocks)  # (N, S, C)
    information: np.ndarray = scipy_entropy(p.mean(axis=1), axis=1) - scipy_entropy(p, axis=2).mean(axis=1)
    return information


@pytest.mark.parametrize("sharpness", [0.1, 1.0, 30.0, 1e5])
def test_passes_summed_up_as_they_go_say_what_they_say_all_at_once(sharpness: float) -> None:
    """At the sharpest every p is 0 or 1, which p log p does not bear."""
    companion = head()
    features = torch.randn(2 * BLOCK + 7, 8, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        companion.head.weight.mul_(sharpness)

    information = companion.extra(features)["mc_information"].numpy()

    np.testing.assert_allclose(information, all_at_once(companion, features), atol=1e-6)
    assert (information >= 0).all()


def test_sure_and_opposite_passes_say_log_two_and_equal_ones_nothing() -> None:
    companion = build_companion("mc-dropout", (4, 1), 2, torch.Generator().manual_seed(0))
    assert isinstance(companion, MCDropout)
    with torch.no_grad():
        companion.head.weight.copy_(torch.tensor([[1e6], [-1e6]]))
        companion.head.bias.copy_(torch.tensor([-1e6, 1e6]))
    dropped_or_not, nothing_to_drop = companion.extra(torch.tensor([[1.0], [0.0]]))["mc_information"].tolist()

    assert dropped_or_not == pytest.approx(np.log(2), abs=0.2), "half of the passes, more or less"
    assert nothing_to_drop == 0


MEMORY = """
import resource, torch
from tidal_core.engine.companions import build_companion
torch.set_num_threads(1)
companion = build_companion("mc-dropout", (4, 16), 100, torch.Generator().manual_seed(0))
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
companion.extra(torch.randn(2_000, 16))
before = peak()
companion.extra(torch.randn(20_000, 16))
print(peak() - before)
"""


def test_a_large_pool_is_never_held_as_pool_times_passes_times_classes() -> None:
    process = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)

    assert float(process.stdout) < 40, "MB; all at once they were 160"


def test_half_of_the_features_are_dropped_and_the_rest_doubled() -> None:
    companion = head()
    with torch.no_grad():
        companion.head.weight.fill_(1 / 8)
        companion.head.bias.zero_()
        logits = companion(torch.ones(2000, 8), torch.Generator().manual_seed(1))

    assert logits.mean() == pytest.approx(1, abs=0.05)
    assert logits.std() > 0.2


def test_each_feature_is_kept_half_of_the_time_whatever_the_others_do() -> None:
    mask = half_of(4000, 11, torch.Generator().manual_seed(2), CPU)

    assert set(mask.unique().tolist()) == {0.0, 2.0}
    assert mask.shape == (4000, 11)
    np.testing.assert_allclose(mask.mean(dim=0), 1, atol=0.07)
    np.testing.assert_allclose(np.corrcoef(mask.T.numpy()), np.eye(11), atol=0.07)


def test_its_gradient_stops_at_the_features() -> None:
    features = torch.ones(5, 8, requires_grad=True)
    seen = SeenBatch([features], torch.zeros(5, 3), torch.tensor([0, 1, 2, 0, 1]), 1, 1)
    loss = head().loss(seen, torch.Generator().manual_seed(0))
    loss.backward()

    assert features.grad is None


def test_a_comparison_can_ask_by_bald(tmp_path: Path) -> None:
    run = Run(make_dataset(tmp_path), TINY, Configuration.parse("bald"), 1.0, 0, tmp_path / "runs")

    assert [len(line["asked"]) for line in execute(run)] == [4, 4, 0]


def test_an_unknown_companion_is_named() -> None:
    with pytest.raises(InputError, match="no companion 'gan'"):
        build_companion("gan", (4, 8), 3, torch.Generator())
