"""The paper's protocols by data set: the table, its page and what the preset makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tidal_core.errors import InputError
from tidal_core.experiments.options import Options
from tidal_core.experiments.published import TABLE, in_words, published


@pytest.mark.parametrize(
    ("dataset", "imbalance", "budget"),
    [
        ("cifar10", None, (1_000, 1_000, 10)),
        ("cifar10", (10.0, 100.0), (500, 500, 10)),
        ("cifar10:3000,1000", (1.0,), (1_000, 1_000, 10)),
        ("cifar100", None, (2_000, 2_000, 10)),
        ("cifar100", (100.0,), (1_000, 1_000, 10)),
        ("fashion-mnist", (1.0, 10.0, 100.0), (1_000, 1_000, 10)),
        ("folder:/photos/inaturalist2018", None, (20_000, 20_000, 5)),
        ("digits", None, (1_000, 1_000, 10)),
    ],
)
def test_the_preset_paper_takes_the_budgets_of_the_data_set(
    dataset: str, imbalance: tuple[float, ...] | None, budget: tuple[int, int, int]
) -> None:
    protocol = Options(dataset=dataset, imbalance=imbalance, preset="paper").protocol()

    assert (protocol.first, protocol.per_round, protocol.rounds) == budget
    assert (protocol.subset, protocol.train.epochs, protocol.train.milestones) == (10_000, 200, (160,))


def test_the_preset_for_a_cpu_has_a_fifth_of_the_data_sets_budgets() -> None:
    even = Options(dataset="cifar10@16", preset="paper-cpu").protocol()
    tail = Options(dataset="cifar10@16", preset="paper-cpu", imbalance=(10.0, 100.0)).protocol()

    assert (even.first, even.per_round, even.rounds, even.subset) == (200, 200, 10, 2_000)
    assert (tail.first, tail.per_round, tail.rounds, tail.subset) == (100, 100, 10, 2_000)


def test_what_is_given_counts_more_than_what_was_published() -> None:
    given = Options(dataset="cifar100", preset="paper", first=300, rounds=3).protocol()
    both = Options(dataset="cifar10", imbalance=(1.0, 10.0), preset="paper", first=9, per_round=8).protocol()

    assert (given.first, given.per_round, given.rounds) == (300, 2_000, 3)
    assert (both.first, both.per_round) == (9, 8)


def test_ratios_of_different_budgets_are_two_experiments() -> None:
    with pytest.raises(InputError, match=r"other budgets for cifar10 .*1,000 labels a round and 500 labels a round"):
        Options(dataset="cifar10", imbalance=(1.0, 10.0), preset="paper").protocol()


def test_only_what_is_large_is_said_before_it_starts_with_its_memory_and_work() -> None:
    row = published("folder:inaturalist2018", (1.0,))
    assert row is not None
    words = in_words(row)

    assert "8,142 classes" in words
    assert f"{437_513 * 224 * 224 * 3 / 1e9:.0f} GB of disk" in words
    assert f"{100_000 * 8_143 * 4 / 1e9:.1f} GB of memory" in words
    assert "60 million images" in words, "200 epochs of 20,000, 40,000, ... 100,000"
    assert [in_words(row) for row in TABLE if row.dataset != "inaturalist2018"] == [""] * 6


def test_the_page_has_every_row_of_the_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "experiments.md").read_text(encoding="utf-8")

    for row in TABLE:
        cells = (", ".join(f"{ratio:g}" for ratio in row.imbalance), f"{row.first:,}", f"{row.per_round:,}", row.rounds)
        line = " | ".join(map(str, cells))
        assert any(row.dataset in text and line in text for text in page.splitlines()), row
