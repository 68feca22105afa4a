"""Rounds move through their states by compare-and-set only."""

import itertools

import numpy as np
import pytest

from tidal_core.errors import RoundStateError
from tidal_core.records import Curves, EpochRecord, RoundRecord, RoundState
from tidal_core.store import Store
from tidal_core.store.scores import ScoreRows


def new_round(store: Store) -> RoundRecord:
    return store.rounds.create(
        config="{}",
        strategy="random",
        class_ids=[3, 1, 2],
        last_seq=0,
        started_by="labels",
        image_ids=np.array([2, 5]),
        image_class_ids=np.array([1, 3]),
    )


def epoch(number: int) -> EpochRecord:
    return EpochRecord(number, 3, 1.5, 1.0, 0.5, 0.25, 0.1, 0.2, 100.0, 32, None, "a note")


def test_a_second_active_round_is_refused(store: Store) -> None:
    new_round(store)
    with pytest.raises(RoundStateError, match="Round 1 is still waiting"):
        new_round(store)


def test_a_round_goes_its_way_and_ends(store: Store) -> None:
    new_round(store)
    path = [RoundState.WAITING, RoundState.TRAINING, RoundState.SCORING, RoundState.RANKING, RoundState.DONE]
    for before, after in itertools.pairwise(path):
        store.rounds.move(1, before, after)
    done = store.rounds.get(1)
    assert done.state is RoundState.DONE
    assert done.started_at is not None
    assert done.finished_at is not None
    assert store.rounds.active() is None


def test_a_move_from_a_state_it_has_left_is_refused(store: Store) -> None:
    new_round(store)
    store.rounds.move(1, RoundState.WAITING, RoundState.CANCELLED)
    with pytest.raises(RoundStateError, match="is cancelled, not waiting"):
        store.rounds.move(1, RoundState.WAITING, RoundState.TRAINING)


def test_a_way_that_does_not_exist_is_refused(store: Store) -> None:
    new_round(store)
    with pytest.raises(RoundStateError):
        store.rounds.move(1, RoundState.WAITING, RoundState.DONE)


def test_a_failed_round_keeps_its_message(store: Store) -> None:
    new_round(store)
    store.rounds.move(1, RoundState.WAITING, RoundState.FAILED, error="no space left")
    assert store.rounds.get(1).error == "no space left"


def test_the_order_of_classes_is_kept(store: Store) -> None:
    assert new_round(store).class_ids == (3, 1, 2)


def test_epochs_and_curves_come_back_as_they_went_in(store: Store) -> None:
    new_round(store)
    p = np.array([[0.1, 0.2, 0.7], [0.3, 0.3, 0.4]], dtype=np.float32)
    for number in (1, 2):
        store.epochs.add(1, [epoch(number)])
        store.curves.add(1, number, np.array([2, 5]), Curves(p * number), np.array([3, 1, 2]))
    assert [stored.record for stored in store.epochs.of(1)] == [epoch(1), epoch(2)]
    curve = store.curves.of_image(1, 5)
    assert curve is not None
    np.testing.assert_array_equal(curve.p, np.stack([p[1], p[1] * 2]))


def test_sparse_curves_are_kept_by_class_id(store: Store) -> None:
    new_round(store)
    curves = Curves(np.array([[0.9, 0], [0.6, 0.4]], np.float32), np.array([[1, -1], [0, 2]]))
    store.curves.add(1, 1, np.array([2, 5]), curves, np.array([3, 1, 2]))
    curve = store.curves.of_image(1, 5)
    assert curve is not None
    assert curve.class_ids is not None
    assert curve.class_ids.tolist() == [[3, 2]]
    np.testing.assert_allclose(curve.p, [[0.6, 0.4]])


def test_a_resumed_round_forgets_the_epochs_it_will_repeat(store: Store) -> None:
    new_round(store)
    for number in (1, 2, 3):
        store.epochs.add(1, [epoch(number)])
        p = np.full((1, 3), number / 4, dtype=np.float32)
        store.curves.add(1, number, np.array([1]), Curves(p, None), np.array([1, 2, 3]))
    store.epochs.forget_after(1, 1)
    assert [stored.record.epoch for stored in store.epochs.of(1)] == [1]
    kept = store.curves.of_image(1, 1)
    assert kept is not None
    assert kept.epochs.tolist() == [1]


def test_scores_replace_those_of_the_same_round_and_part(store: Store) -> None:
    rows = ScoreRows(
        image_ids=np.array([1, 3]),
        predicted=np.array([3, 1]),
        p=np.array([[0.5, 0.5], [0.25, 0.75]], np.float32),
        td=None,
        class_ids=None,
        estimators={"entropy": np.array([0.6, 0.5], np.float32)},
        ranks=np.array([1, 0]),
    )
    store.scores.add(1, "pool", rows)
    store.scores.add(1, "pool", rows)
    table = store.scores.table(1)
    assert table["image_id"].tolist() == [1, 3]
    np.testing.assert_allclose(table["entropy"], [0.6, 0.5])
    (one,) = store.scores.of_image(3)
    assert (one.rank, one.predicted, one.td) == (None, 1, None)
