"""VAAL and TA-VAAL: their losses against plain loops, what they train on, and what they find."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.experiments.made import FROZEN, WARM, make_dataset
from tests.helpers.training import brief, fitted, training_images
from tests.strategies.pools import make_pool
from tidal_core import strategies
from tidal_core.config import Seeds
from tidal_core.engine.checkpoints import fingerprint
from tidal_core.engine.companions import build_companion
from tidal_core.engine.companions.autoencoders import LATENT, Coded, FeatureAutoEncoder, ImageAutoEncoder
from tidal_core.engine.companions.base import Side
from tidal_core.engine.companions.vaal import TaVaal, Vaal, evidence_loss, taken_for
from tidal_core.engine.model import build_model, load_weights
from tidal_core.engine.scoring import score
from tidal_core.engine.train_inputs import TrainOptions
from tidal_core.engine.training import Training, open_batches, open_unlabelled, start, train
from tidal_core.engine.unlabelled import UnlabelledSteps
from tidal_core.errors import InputError
from tidal_core.experiments.protocol import Configuration, Protocol
from tidal_core.experiments.runs import Run, execute, repeat
from tidal_core.records import TrainImages

CPU = torch.device("cpu")
torch.set_num_threads(1)  # as in training: these networks are too small for more
BOTH = ("ranker", "ta-vaal")
both_methods = pytest.mark.parametrize("companions", [("vaal",), BOTH])


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images_of(folder: Path) -> TrainImages:
    """Sixteen labelled images and eight that are not."""
    images = training_images(folder)
    return replace(images, rows=images.rows[:16], labels=images.labels[:16], unlabelled=images.rows[16:])


def on_features(name: str) -> Vaal:
    companion = build_companion(name, (4, 4), 3, draws(), frozen=True)
    assert isinstance(companion, Vaal)
    return companion


def test_error_and_divergence_agree_with_plain_loops_at_one_scale() -> None:
    target, rebuilt = torch.randn(3, 2, 2, generator=draws(1)), torch.randn(3, 2, 2, generator=draws(2))
    mean, log_variance = torch.randn(3, 5, generator=draws(3)), torch.randn(3, 5, generator=draws(4))

    bound = 0.0  # of Eq. 1, summed over images
    for i in range(3):
        bound += sum(float(d) ** 2 for d in (rebuilt[i] - target[i]).flatten())
        for mu, lv in zip(mean[i].tolist(), log_variance[i].tolist(), strict=True):
            bound += 0.5 * (mu**2 + math.exp(lv) - 1 - lv)

    assert float(evidence_loss(Coded(target, rebuilt, mean, log_variance))) == pytest.approx(bound / (3 * 4), rel=1e-5)


@pytest.mark.parametrize("labelled", [True, False])
def test_the_adversarial_term_agrees_with_a_plain_loop(labelled: bool) -> None:
    odds = [-2.0, 0.5, 3.0]
    p = [1 / (1 + math.exp(-x)) for x in odds]
    expected = sum(-math.log(q if labelled else 1 - q) for q in p) / 3

    assert float(taken_for(torch.tensor(odds), labelled)) == pytest.approx(expected, rel=1e-5)


def sides(companion: Vaal) -> list[tuple[Side, torch.Tensor]]:
    """Five labelled and five unlabelled feature vectors, and what is told of them."""
    said = {"predicted_rank": torch.linspace(-3, 3, 5)}
    both = [Side(torch.randn(5, 8, generator=draws(seed)), said) for seed in (1, 2)]
    return [(side, companion.told(side)) for side in both]


@pytest.mark.parametrize("name", ["vaal", "ta-vaal"])
def test_the_two_losses_are_those_of_the_papers(name: str) -> None:
    companion = on_features(name)
    pairs = sides(companion)

    chance, expected = draws(7), torch.zeros(())
    for side, told in pairs:
        mean, log_variance = companion.autoencoder.encode(side.inputs)
        z = mean + torch.randn(5, LATENT, generator=chance) * log_variance.exp().sqrt()
        rebuilt = companion.autoencoder.decoder(torch.cat([z, told], dim=1))
        expected = expected + evidence_loss(Coded(side.inputs, rebuilt, mean, log_variance))
        expected = expected - companion.log_odds(mean, told).sigmoid().log().mean()
    p_labelled, p_unlabelled = (
        companion.log_odds(companion.autoencoder.encode(side.inputs)[0], told).sigmoid() for side, told in pairs
    )

    torch.testing.assert_close(companion.autoencoder_loss(pairs, draws(7)), expected)
    torch.testing.assert_close(
        companion.discriminator_loss(pairs), -p_labelled.log().mean() - (1 - p_unlabelled).log().mean()
    )


def test_a_step_moves_each_part_by_its_own_loss_alone() -> None:
    companion = on_features("vaal")
    pairs = sides(companion)

    companion.discriminator_loss(pairs).backward()
    assert all(parameter.grad is None for parameter in companion.autoencoder.parameters())

    optimizers = companion.optimizers()
    before = [parameter.detach().clone() for parameter in companion.discriminator.parameters()]
    companion._update(optimizers["autoencoder"], companion.autoencoder_loss(pairs, draws()))
    assert all(torch.equal(a, b) for a, b in zip(before, companion.discriminator.parameters(), strict=True))
    assert all(parameter.grad is None for parameter in companion.parameters())


def test_the_rank_is_told_from_0_to_1_to_decoder_and_discriminator() -> None:
    companion = on_features("ta-vaal")
    assert isinstance(companion, TaVaal)
    (side, told), _ = sides(companion)

    torch.testing.assert_close(told, 1 / (1 + (-side.said["predicted_rank"]).exp()).unsqueeze(1))
    one, other = (companion.autoencoder(side.inputs, t, draws()).rebuilt for t in (told, told.flip(0)))
    assert not torch.allclose(one[0], other[0])
    mean = companion.autoencoder.encode(side.inputs)[0]
    assert not torch.allclose(companion.log_odds(mean, told)[0], companion.log_odds(mean, told.flip(0))[0])


@pytest.mark.parametrize("side", [8, 32, 48])
def test_images_of_any_size_are_given_back_at_32_pixels(side: int) -> None:
    network = ImageAutoEncoder((16, 32), beside=1)

    coded = network(torch.randn(2, 3, side, side), torch.zeros(2, 1), draws())

    assert coded.target.shape == coded.rebuilt.shape == (2, 3, 32, 32)
    assert coded.mean.shape == (2, LATENT)


def test_beside_resnet18_the_network_is_as_wide_as_published() -> None:
    with torch.device("meta"):
        network = ImageAutoEncoder((64, 128, 256, 512), beside=0)

    shapes = [tuple(layer.weight.shape[:2]) for layer in network.encoder if isinstance(layer, torch.nn.Conv2d)]
    assert shapes == [(128, 3), (256, 128), (512, 256), (1024, 512)]


def test_a_cluster_without_labels_is_asked_far_more_often_than_at_random() -> None:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((4, 8)) * 2
    cluster = np.arange(400) % 4  # the last one has no label
    x = torch.from_numpy((centres[cluster] + 0.7 * rng.standard_normal((400, 8))).astype(np.float32))
    is_new = cluster == 3
    labelled, unlabelled = x[:160][~is_new[:160]], x[160:]
    shares = {}
    for name, asker in (("vaal", "vaal"), ("ta-vaal", "ta-vaal")):
        companion = on_features(name).train()
        optimizers, chance = companion.optimizers(), draws(1)
        for _ in range(120):
            batches = (part[torch.randint(len(part), (32,), generator=chance)] for part in (labelled, unlabelled))
            one, other = (Side(batch, {"predicted_rank": torch.randn(32, generator=chance)}) for batch in batches)
            companion.step(one, other, optimizers, chance)
        said = companion.eval().of_batch(unlabelled, [], {"predicted_rank": torch.zeros(240)})
        extra = {"predicted_rank": np.zeros(240, np.float32)} | {key: value.numpy() for key, value in said.items()}
        pool = replace(make_pool(size=240), extra=extra)
        rows = strategies.get(asker).select(pool, 30, np.random.default_rng(0))
        shares[name] = float(is_new[160:][rows].mean())

    assert min(shares.values()) > 0.5, f"a quarter of the pool is new: {shares}"


CONFIG = brief(epochs=3, companions=())


@both_methods
def test_a_stopped_training_goes_on_to_the_same_weights_and_the_classifier_is_none_the_wiser(
    companions: tuple[str, ...], tmp_path: Path
) -> None:
    images, config = images_of(tmp_path), replace(CONFIG, companions=companions)
    whole = fitted(images, config)
    options = TrainOptions(curves=False, checkpoint=tmp_path / "checkpoint", checkpoint_seconds=0)
    begun = train(config, images, build_model(config, 3, Seeds(), CPU), Seeds(), options)
    assert "8 unlabelled images" in str(next(begun).note)
    next(begun)
    begun.close()

    resumed = fitted(images, config, options)
    alone = fitted(images, replace(config, companions=tuple(c for c in companions if c == "ranker")))

    assert all(torch.equal(value, resumed.state()[name]) for name, value in whole.state().items())
    assert all(torch.equal(value, whole.state()[name]) for name, value in alone.state().items())
    fresh = build_model(config, 3, Seeds(), CPU)
    assert not torch.equal(
        fresh.state()[key := f"companions.{companions[-1]}.discriminator.0.weight"], whole.state()[key]
    )
    batches = [score(whole, images.pixels, images.rows, batch_size=size).extra for size in (3, 16)]
    for name in batches[0]:
        np.testing.assert_allclose(batches[0][name], batches[1][name], atol=1e-4)


def under_way(folder: Path, companions: tuple[str, ...]) -> tuple[Training, UnlabelledSteps]:
    config, images = replace(CONFIG, companions=companions), images_of(folder)
    training = train(config, images, build_model(config, 3, Seeds(), CPU), Seeds(), TrainOptions(curves=False))
    open_batches(training.inputs).close()
    unlabelled = open_unlabelled(training.inputs)
    assert unlabelled is not None
    return training, UnlabelledSteps(training.inputs, unlabelled, start(training.inputs).apart)


def test_every_unlabelled_image_comes_once_before_one_comes_again_and_each_epoch_has_its_own_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, steps = under_way(tmp_path, ("vaal",))
    seen: list[list[int]] = []
    draw = steps.unlabelled.draw

    def noting(index: torch.Tensor, *rest: object) -> torch.Tensor:
        seen.append(index.tolist())
        return draw(index, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(steps.unlabelled, "draw", noting)
    batch = torch.zeros(4, 8, 8, 3, dtype=torch.uint8)
    for epoch in (1, 2):
        steps.begin(epoch)
        steps.step(batch)
        steps.step(batch)

    assert sorted(seen[0] + seen[1]) == sorted(seen[2] + seen[3]) == list(range(8))
    assert seen[0] + seen[1] != seen[2] + seen[3]


@pytest.mark.parametrize("training_mode", [True, False])
def test_images_are_ranked_in_evaluation_mode_and_the_classifier_goes_on_in_its_own(
    training_mode: bool, tmp_path: Path
) -> None:
    training, steps = under_way(tmp_path, BOTH)
    backbone = training.inputs.model.backbone.train(training_mode)
    before = {name: value.clone() for name, value in backbone.state_dict().items()}

    steps.step(torch.full((4, 8, 8, 3), 9, dtype=torch.uint8))

    assert backbone.training == training_mode
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())


@pytest.mark.parametrize("protocol", [WARM, FROZEN], ids=["a body that trains", "frozen features"])
@pytest.mark.parametrize("name", ["vaal", "ta-vaal"])
def test_a_comparison_asks_by_them_and_is_the_same_when_repeated(name: str, protocol: Protocol, tmp_path: Path) -> None:
    run = Run(make_dataset(tmp_path), protocol.changed(rounds=2), Configuration.parse(name), 1.0, 0, tmp_path / "runs")

    lines = list(execute(run))

    assert [len(line["asked"]) for line in lines] == [4, 0]
    assert [line["unlabelled"] for line in lines] == [49, 45], "80 images, 20 to test on, 5 to watch, 6 labels"
    assert "apart" in lines[0]["seconds"]
    assert repeat(run, tmp_path / "again") == []


def test_beside_frozen_features_it_describes_features() -> None:
    assert isinstance(on_features("vaal").autoencoder, FeatureAutoEncoder)


def test_each_round_begins_with_fresh_weights_of_it(tmp_path: Path) -> None:
    config = replace(CONFIG, companions=("vaal",))
    old, new, fresh = (build_model(config, 3, Seeds(weights=seed), CPU) for seed in (5, 6, 6))
    old.save(tmp_path / "old.safetensors")

    load_weights(new, tmp_path / "old.safetensors")

    key = "companions.vaal.discriminator.0.weight"
    assert torch.equal(new.state()[key], fresh.state()[key])
    assert torch.equal(new.state()["backbone.stem.weight"], old.state()["backbone.stem.weight"])


def test_unlabelled_images_are_part_of_what_a_training_is_known_by(tmp_path: Path) -> None:
    images = images_of(tmp_path)
    assert images.unlabelled is not None
    others = replace(images, unlabelled=images.unlabelled[::-1].copy())
    pixels = np.zeros_like(np.load(images.pixels))  # all alike, so that only their rows tell images from others
    np.save(images.pixels, pixels)
    mark = fingerprint(CONFIG, images, Seeds())

    assert fingerprint(CONFIG, others, Seeds()) != mark
    pixels[20] += 1
    np.save(images.pixels, pixels)
    assert fingerprint(CONFIG, images, Seeds()) != mark


def test_what_cannot_be_trained_is_named(tmp_path: Path) -> None:
    images = images_of(tmp_path)

    with pytest.raises(InputError, match="vaal trains on unlabelled images, too, and none came"):
        fitted(replace(images, unlabelled=None), replace(CONFIG, companions=("vaal",)))
    with pytest.raises(
        InputError, match="reads predicted_rank, which no companion here says; add the companion ranker"
    ):
        fitted(images, replace(CONFIG, companions=("ta-vaal",)))


def test_where_everything_is_labelled_it_stays_as_it_was_drawn(tmp_path: Path) -> None:
    images = replace(images_of(tmp_path), unlabelled=np.empty(0, np.int64))

    model = fitted(images, replace(CONFIG, companions=("vaal",), epochs=1))

    assert "labelled_score" in score(model, images.pixels, images.rows[:2]).extra
