"""What the queue holds: audit images among the ranked ones, at the share that was set."""

import numpy as np
import pytest

from tidal_core.records import Purpose
from tidal_core.rounds.queue_plan import plan_queue


def test_every_tenth_place_is_an_audit_image() -> None:
    items = plan_queue(np.arange(100, 119), np.array([1, 2, 3]), 0.1, round_id=4)
    audit = [item.position for item in items if item.purpose is Purpose.AUDIT]
    assert audit == [9, 19]
    assert [items[9].image_id, items[19].image_id] == [1, 2]
    assert [item.position for item in items] == list(range(21))


def test_rounds_shorter_than_the_gap_between_audit_images_do_not_put_them_off() -> None:
    later = plan_queue(np.arange(100, 119), np.array([1, 2]), 0.1, since_audit=7)
    overdue = plan_queue(np.arange(100, 119), np.array([1, 2]), 0.1, since_audit=50)
    assert [item.position for item in later if item.purpose is Purpose.AUDIT] == [2, 12]
    assert [item.position for item in overdue if item.purpose is Purpose.AUDIT] == [0, 10]


def test_without_a_share_nothing_is_woven_in() -> None:
    items = plan_queue(np.array([5, 4]), np.array([1]), 0.0)
    assert [item.image_id for item in items] == [5, 4]


def test_when_the_audit_images_run_out_the_ranking_goes_on() -> None:
    items = plan_queue(np.arange(10, 20), np.array([1]), 0.5)
    assert [item.image_id for item in items if item.purpose is Purpose.AUDIT] == [1]
    assert len(items) == 11


def test_scores_stay_with_their_images() -> None:
    items = plan_queue(np.array([7, 8]), np.array([1]), 0.5, scores=np.array([0.9, 0.1], np.float32))
    found = {item.image_id: item.score for item in items}
    assert found[7] == pytest.approx(0.9)
    assert found[8] == pytest.approx(0.1)
    assert found[1] is None
