"""The numbers of a replay: what is known at each moment, and the compact form that the player reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tidal_core.figures.palettes import ClassStyle
from tidal_core.figures.replay import (
    LABELLED,
    NEW,
    POOL,
    Asked,
    Measured,
    Moment,
    ReplayInfo,
    ReplayRound,
    in_steps,
    packed,
)
from tidal_core.method.dynamics import curve_statistics, label_view

CLASSES = (ClassStyle(1, "zero", "#105bc3"), ClassStyle(2, "<b>one</b>", "#bfac06"))
RNG = np.random.default_rng(0)
P = RNG.dirichlet((1.0, 1.0), (7, 5)).astype(np.float32)  # (T, N, C)
LABELS = np.array([0, 1, 1, 0, 1])


def a_round(**changed: Any) -> ReplayRound:
    view = label_view(P, LABELS)
    given: dict[str, Any] = {
        "labels": 5, "strategy": "TiDAL entropy", "kind": "curves", "epochs": np.arange(1, 8), "of_epochs": 7,
        "rows": [0, 1, 2, 3, 4], "groups": LABELS, "states": [LABELLED, LABELLED, NEW, NEW, NEW], "p": view.p_label,
        "right": view.correct, "queue": [Asked(9, 1, True), Asked(8, -1, False)],
        "accuracy": Measured(0.5, 0.4, 0.6, 80),
    }  # fmt: skip
    return ReplayRound(changed.pop("id", 2), **(given | changed))


def an_info(*rounds: ReplayRound) -> ReplayInfo:
    begun_with = (Asked(3, 0, True),)
    return ReplayInfo("Digits", CLASSES, np.arange(10, 15), 40, rounds or (a_round(),), begun_with, "test images")


def test_confidence_variability_and_correctness_up_to_an_epoch_are_those_of_the_curve_so_far() -> None:
    of = a_round()

    for t in range(1, 8):
        expected = curve_statistics(label_view(P[:t], LABELS))
        found = of.running[:, t - 1]
        assert np.abs(found[0] - expected.confidence).max() < 1 / 255
        assert np.abs(found[1] - expected.variability).max() < 1 / 255
        assert found[2] == pytest.approx(expected.correctness)


def test_a_probability_in_steps_is_off_by_half_a_step_at_most() -> None:
    p = np.linspace(0, 1, 10_001)

    assert np.abs(in_steps(p) / 255 - p).max() <= 0.5 / 255 + 1e-9


def test_until_a_round_ends_the_queue_and_the_accuracy_are_those_of_the_round_before() -> None:
    info = an_info(a_round(id=1), a_round(id=4, queue=[Asked(7, 0, True)], accuracy=Measured(0.9, 0.8, 1.0, 80)))

    assert [info.queue(Moment(*each))[0] for each in [(0, 0), (0, 5), (0, 6), (1, 5), (1, 6)]] == [0, 0, 1, 1, 4]
    assert info.queue(Moment(0, 0))[1] == (Asked(3, 0, True),)
    table = info.table()
    assert table["accuracy"][:6] == [None] * 6
    assert table["accuracy"][6:13] == [0.5] * 7
    assert table["accuracy"][13] == 0.9
    assert {len(column) for column in table.values()} == {14}


def test_the_player_finds_in_the_compact_form_what_went_in() -> None:
    summary = np.array([[0.1, 0.9], [0.2, 0.5], [0.0, 1.0]])
    first = a_round(id=1, kind="summary", epochs=[7], rows=[4, 2], groups=[1, 0], states=[NEW, NEW], p=None, right=None,
                    summary=summary)  # fmt: skip
    second = a_round(states=[POOL, LABELLED, NEW, NEW, POOL])

    head, octets = packed(an_info(first, second))

    at, n, T = head["rounds"][1]["at"], 5, 7
    assert at % 4 == 0
    assert np.frombuffer(octets, "<u2", n, at).tolist() == [0, 1, 2, 3, 4]
    assert np.frombuffer(octets, "<u2", n, at + 2 * n).tolist() == LABELS.tolist()
    assert np.frombuffer(octets, "u1", n, at + 4 * n).tolist() == [POOL, LABELLED, NEW, NEW, POOL]
    p = np.frombuffer(octets, "u1", T * n, at + 5 * n).reshape(T, n)
    assert (p == second.p).all()
    bits = np.frombuffer(octets, "u1", -(-T * n // 8), at + 5 * n + T * n)
    assert (np.unpackbits(bits, count=T * n, bitorder="little").reshape(T, n) == second.right).all()
    three = np.frombuffer(octets, "u1", 6, 10).reshape(3, 2) / 255
    assert three / [[1], [2], [1]] == pytest.approx(summary, abs=0.002)
    assert head["rounds"][0]["queue"] == [[9, 1, 1], [8, -1, 0]]
    assert head["classes"][1] == {"name": "<b>one</b>", "colour": "#bfac06"}
    assert head["reach"] == pytest.approx(0.52)
