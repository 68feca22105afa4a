"""Figures by labels a class, against plain loops."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from tidal_core.experiments.low_budget import Compared, markdown, verdict
from tidal_core.experiments.results import Results
from tidal_core.experiments.statistics import area_between, share_won
from tidal_core.records import Float64

LABELS = np.array([2, 6, 10, 14, 20, 30, 40])  # of two classes: 1, 3, 5, 7, 10, 15 and 20 a class


def made_up(values: Mapping[str, Float64], default: str = "td-herding") -> Compared:
    rounds = {
        (name, 1.0): tuple(
            tuple(
                {"accuracy": accuracy, "labels": int(labels), "seconds": {"train": 0.25, "choose": 0.5}}
                for accuracy, labels in zip(run, LABELS, strict=True)
                if not np.isnan(accuracy)
            )
            for run in runs
        )
        for name, runs in values.items()
    }
    results = Results("made", "made", LABELS, tuple(values), (1.0,), rounds, (), ())
    return Compared("made by 4", results, 2, default)


def drawn() -> dict[str, Float64]:
    rng = np.random.default_rng(0)
    names = ("random", "margin", "td-herding", "oracle")
    return {name: rng.integers(0, 11, (5, 7)) / 10 + place / 20 for place, name in enumerate(names)}


def plain_mean(curve: Float64, low: int, high: int) -> float:
    inside = [(labels, value) for labels, value in zip(LABELS.tolist(), curve.tolist(), strict=True)
              if low <= labels <= high]  # fmt: skip
    total = sum((b - a) * (u + v) / 2 for (a, u), (b, v) in pairwise(inside))
    return total / (inside[-1][0] - inside[0][0])


@pytest.mark.parametrize(("span", "low", "high"), [("few", 2, 14), ("more", 16, 40)])
def test_differences_are_those_of_a_plain_loop(span: str, low: int, high: int) -> None:
    values = drawn()
    compared = made_up(values)
    gains = np.array(
        [
            100 * (plain_mean(own, low, high) - plain_mean(other, low, high))
            for own, other in zip(values["td-herding"], values["random"], strict=True)
        ]
    )

    found = compared.difference("td-herding", "random", span)

    half = stats.t.ppf(0.975, 4) * gains.std(ddof=1) / 5**0.5
    np.testing.assert_allclose(found, (gains.mean(), gains.mean() - half, gains.mean() + half, 5))


def test_wins_count_pairs_of_run_and_labels_and_equal_ones_half() -> None:
    values = drawn()
    values["margin"][4, 3:] = np.nan
    own, other = values["margin"], values["random"]
    pairs = [(a, b) for a, b in zip(own.ravel(), other.ravel(), strict=True) if not np.isnan(a)]
    won = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs) / len(pairs)

    compared = made_up(values)
    wins = compared.wins()

    assert wins[1, 0] == pytest.approx(won)
    np.testing.assert_allclose(wins + wins.T, 1)
    assert np.isnan(share_won(own[:0], other))


def test_a_run_that_has_not_come_through_a_span_is_left_out_of_it() -> None:
    values = drawn()
    values["margin"][4, 5:] = np.nan
    compared = made_up(values)

    assert compared.difference("margin", "random", "few").runs == 5
    assert compared.difference("margin", "random", "more").runs == 4
    assert np.isnan(area_between(LABELS, values["random"], 50, 60)).all()
    assert area_between(LABELS, values["random"], 3, 7).tolist() == values["random"][:, 1].tolist()


def test_the_verdict_names_the_best_other_and_never_the_oracle() -> None:
    compared = made_up({"random": np.full((2, 7), 0.5), "margin": np.full((2, 7), 0.6),
                        "td-herding": np.full((2, 7), 0.65), "oracle": np.full((2, 7), 0.9)})  # fmt: skip

    found = verdict(compared)

    assert (found["runs"], found["best_other"]) == (2, "margin")
    assert (found["to_random"], found["to_random_low"]) == (15, 15)
    assert (found["to_best_other"], found["to_best_other_low"]) == (5, 5)
    assert verdict(made_up({"random": np.full((2, 7), 0.5)}))["to_random"] is None


def test_the_tables_have_a_line_for_each_arm_and_say_what_was_not_measured() -> None:
    values = drawn()
    values["margin"][:, 4:] = np.nan
    text = markdown([made_up(values)])

    assert text.startswith("## made by 4\n")
    (line,) = (line for line in text.splitlines() if line.startswith("| margin | 0 |"))
    assert line.count("| - ") == 3
    assert line.endswith("| 0.50 | 0.25 |")
    assert "nan" not in text
    assert len([line for line in text.splitlines() if line.startswith("| oracle |")]) == 2
