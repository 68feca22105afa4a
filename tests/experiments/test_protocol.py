"""Arms, seeds, tails and starts."""

from dataclasses import replace

import numpy as np
import pytest

from tests.experiments.made import TINY
from tidal_core.errors import InputError
from tidal_core.experiments.protocol import PRESETS, Configuration, Protocol, keep_tail, seeds_of, start_of


@pytest.mark.parametrize("preset", PRESETS)
def test_a_protocol_survives_json(preset: str) -> None:
    assert Protocol.from_json(PRESETS[preset].to_json()) == PRESETS[preset]


def test_the_paper_preset_is_the_published_one() -> None:
    paper = PRESETS["paper"]
    assert (paper.first, paper.per_round, paper.rounds, paper.subset) == (1000, 1000, 10, 10_000)
    assert (paper.train.backbone, paper.train.epochs, paper.train.warm_start) == ("resnet18", 200, True)


def test_the_paper_preset_for_a_cpu_is_the_same_at_a_smaller_size() -> None:
    paper, small = PRESETS["paper"], PRESETS["paper-cpu"]
    scaled = replace(paper.train, backbone="resnet18-thin", epochs=40, milestones=(32,), batch_size=32)

    assert small.train == scaled
    assert small.train.epochs / small.train.milestones[0] == paper.train.epochs / paper.train.milestones[0]
    assert [5 * value for value in (small.first, small.per_round, small.subset, small.validation)] == [
        paper.first, paper.per_round, paper.subset, paper.validation,
    ]  # fmt: skip
    assert (small.rounds, small.tail) == (paper.rounds, paper.tail)


def test_the_human_preset_starts_every_round_from_fresh_weights() -> None:
    human = PRESETS["human"]
    assert (human.first, human.per_round, human.rounds) == (20, 20, 10)
    assert (human.train.backbone, human.train.warm_start) == ("small", False)


@pytest.mark.parametrize(
    ("text", "companions", "name"),
    [
        ("random", (), "random"),
        ("random+td", ("td",), "random+td"),
        ("tidal-entropy", ("td",), "tidal-entropy"),
        ("tidal-entropy+td", ("td",), "tidal-entropy"),
        ("tidal-entropy/plain", ("td",), "tidal-entropy/plain"),
        ("bald", ("mc-dropout",), "bald"),
    ],
)
def test_an_arm_says_what_is_trained_beside_its_classifier(text: str, companions: tuple, name: str) -> None:
    configuration = Configuration.parse(text)

    assert configuration.companions == companions
    assert configuration.name == name
    assert Configuration.parse(configuration.name) == configuration
    assert configuration.train_config(TINY, asks=False).companions == ()


@pytest.mark.parametrize("text", ["guess", "random/plain", "entropy+ld", "a b", ""])
def test_what_is_no_arm_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        Configuration.parse(text)


def test_arms_of_a_run_share_weights_and_nothing_else() -> None:
    one, other = seeds_of(Configuration.parse("random"), 0, 1), seeds_of(Configuration.parse("margin"), 0, 1)

    assert one.weights == other.weights
    assert len({one.order, other.order, one.augmentation, other.augmentation, one.selection, other.selection}) == 6
    assert seeds_of(Configuration.parse("random"), 1, 1).weights != one.weights
    assert seeds_of(Configuration.parse("random"), 0, 2).weights != one.weights


def test_an_exponential_tail_keeps_a_tenth_of_the_last_class() -> None:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(3), 100))

    kept = labels[keep_tail(labels, 10, "exponential")]

    assert np.bincount(kept).tolist() == [100, 32, 10]  # 100 * 10^(-k / 2)


def test_a_step_cuts_the_second_half_of_the_classes() -> None:
    labels = np.repeat(np.arange(10), 50)

    assert np.bincount(labels[keep_tail(labels, 10, "step")]).tolist() == [50] * 5 + [5] * 5


def test_a_class_that_is_small_already_keeps_what_it_has() -> None:
    labels = np.array([0] * 100 + [1] * 4)

    assert np.bincount(labels[keep_tail(labels, 2, "exponential")]).tolist() == [100, 4]
    assert len(keep_tail(labels, 1, "exponential")) == 104
    with pytest.raises(InputError, match="ratio is 0"):
        keep_tail(labels, 0.5, "step")


def test_pool_validation_and_test_do_not_overlap_and_runs_differ() -> None:
    labels = np.arange(100) % 4
    rows, test = np.arange(30, 100), np.arange(30)
    start = start_of(labels, rows, test, TINY, 1.0, 0)
    other = start_of(labels, rows, test, TINY, 1.0, 1)

    assert len(start.validation) == 5
    assert set(start.first) <= set(start.pool)
    assert not set(start.pool) & set(start.validation)
    assert min(start.pool) >= 30
    assert np.array_equal(start.test, test)
    assert set(start.first) != set(other.first)


def test_a_pool_that_is_too_small_is_refused() -> None:
    with pytest.raises(InputError, match="need 14 labels, but the pool has only 6 images at imbalance 100"):
        start_of(np.repeat([0, 1], 9), np.arange(18), np.arange(0), replace(TINY, validation=8), 100.0, 0)


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(InputError, match="at least 1"):
        TINY.changed(rounds=0)
    with pytest.raises(InputError, match="only measure accuracy"):
        TINY.changed(audit_share=0.9)
