"""A replay's numbers are those that the rounds left in the store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.made_up import Size, make
from tests.helpers.frozen import compute_all, frozen_project, run_round
from tests.helpers.tiny import label_next, tiny_project
from tidal_core.errors import InputError
from tidal_core.export.replay.collect import replay_info
from tidal_core.figures.replay import LABELLED, NEW, POOL, STEPS
from tidal_core.projects import Project
from tidal_core.records import Curves
from tidal_core.rounds import measured as measuring
from tidal_core.rounds import queue_plan

SIZE = Size(labelled=40, pool=60, test=30, rounds=3, epochs=6)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("TIDAL_HOME", str(tmp_path))
    return make("made-up", SIZE)


def exclude(project: Project, image_id: int) -> None:
    with project.store.database.write() as cursor:
        cursor.execute("UPDATE images SET status = 'excluded' WHERE id = ?", [image_id])


def test_at_its_end_each_round_shows_the_data_map_that_it_left(project: Project) -> None:
    info = replay_info(project)

    assert [(each.id, each.kind, each.labels) for each in info.rounds] == [
        (each.id, "curves", each.labels) for each in project.store.rounds.all()
    ]
    for each in info.rounds:
        left = project.store.views.map(each.id)
        assert info.image_ids[each.rows].tolist() == left.image_ids.tolist()
        assert [info.classes[group].id for group in each.groups] == left.class_ids.tolist()
        for place, name in enumerate(("confidence", "variability", "correctness")):
            assert each.running[place, -1] == pytest.approx(left.statistics[name], abs=1 / STEPS), name


def test_new_in_a_round_is_what_no_round_before_it_knew(project: Project) -> None:
    first, second, _ = replay_info(project).rounds

    assert (first.states == NEW).all()
    assert (second.states == NEW).sum() == second.labels - first.labels
    assert (second.states == LABELLED).sum() == first.labels


def test_the_accuracy_is_that_of_the_page_progress(project: Project) -> None:
    measured = measuring.tested(project, project.store.rounds.all())
    assert measured is not None

    info = replay_info(project)

    found = {each.id: each.accuracy.value for each in info.rounds if each.accuracy}
    assert found == measured.by_round
    assert info.measured_on.startswith("test images")


def test_the_queue_of_an_older_round_is_what_was_asked_out_of_it_and_of_the_newest_what_waits_too(
    project: Project,
) -> None:
    first, _, newest = replay_info(project).rounds

    assert (
        sorted(each.image for each in first.queue) == sorted(project.store.views.asked(1).tolist())[: len(first.queue)]
    )
    assert all(each.was_asked and each.group >= 0 for each in first.queue)
    answered = [each.image for each in newest.queue if each.was_asked]
    assert sorted(answered) == project.store.views.asked(3).tolist()
    waiting = [each.image for each in newest.queue if not each.was_asked]
    assert waiting
    assert set(waiting) <= {item.image_id for item in project.store.queue.items()}


def test_of_a_round_whose_curves_were_dropped_the_summaries_are_shown_at_its_end(project: Project) -> None:
    before = replay_info(project).rounds[0]
    project.store.curves.drop_before(3)

    first, second, third = replay_info(project).rounds

    assert [first.kind, second.kind, third.kind] == ["summary", "summary", "curves"]
    assert (first.epochs.tolist(), first.of_epochs) == ([6], 6)
    assert first.running[:, 0] == pytest.approx(before.running[:, -1], abs=1 / STEPS)


def test_an_image_that_was_excluded_since_is_not_shown(project: Project) -> None:
    exclude(project, 1)
    exclude(project, waiting := replay_info(project).rounds[-1].queue[-1].image)

    info = replay_info(project)

    assert 1 not in info.image_ids
    queues = [info.begun_with, *(each.queue for each in info.rounds)]
    assert not {1, waiting} & {each.image for queue in queues for each in queue}


def test_of_more_images_than_fit_the_same_ones_are_drawn_each_time_and_all_are_counted(project: Project) -> None:
    info = replay_info(project, images=12)

    assert len(info.image_ids) == 12
    assert info.images == project.store.rounds.all()[-1].labels
    assert info.image_ids.tolist() == replay_info(project, images=12).image_ids.tolist()
    whole = replay_info(project).rounds[-1]
    few = info.rounds[-1]
    assert (few.p == whole.p[:, np.isin(replay_info(project).image_ids[whole.rows], info.image_ids)]).all()


def test_of_many_classes_the_few_that_are_kept_of_an_image_are_read(project: Project) -> None:
    round_id, store = 3, project.store
    ids, class_ids = store.rounds.images(round_id)
    order = np.array(store.rounds.get(round_id).class_ids)
    places = np.searchsorted(order, class_ids)
    other = (places + 1) % len(order)
    with store.database.write() as cursor:
        cursor.execute("DELETE FROM curves")
    for epoch, p in enumerate((0.2, 0.6), start=1):
        index = np.stack([other, places], axis=1)
        index[0] = [other[0], (places[0] + 2) % len(order)]  # of the first image the label is not among them
        values = np.tile(np.array([[1 - p, p]], dtype=np.float32), (len(ids), 1))
        store.curves.add(round_id, epoch, ids, Curves(values, index), order)

    newest = replay_info(project).rounds[-1]

    assert newest.kind == "curves"
    assert (newest.p[:, 1:] == [[51], [153]]).all()
    assert (newest.right[:, 1:] == [[False], [True]]).all()
    assert newest.p[:, 0].tolist() == [0, 0]


def test_without_a_finished_round_it_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDAL_HOME", str(tmp_path))

    with pytest.raises(InputError, match="No round of 'tiny' has ended yet"):
        replay_info(tiny_project())


def test_where_only_a_head_trains_every_image_that_people_label_has_a_curve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDAL_HOME", str(tmp_path))
    project = frozen_project(30, 9)
    compute_all(project)
    queue_plan.fill_queue(project)
    label_next(project, 6)
    record = run_round(project)
    assert record.error is None

    info = replay_info(project)

    (of,) = info.rounds
    left = project.store.views.exact_map(record.id)
    assert of.kind == "exact"
    assert len(of.rows) == 30
    assert (of.states == POOL).sum() == 24
    assert info.image_ids[of.rows].tolist() == left.image_ids.tolist()
    for place, values in enumerate((left.mean, left.variability, left.correctness)):
        assert of.running[place, -1] == pytest.approx(values, abs=1 / STEPS)

    project.store.curves.drop_before(record.id + 1)
    project.store.scores.drop_exact_curves_before(record.id + 1)
    (dropped,) = replay_info(project).rounds

    assert (dropped.kind, dropped.epochs.tolist()) == ("summary", [of.of_epochs])
    assert (dropped.states == of.states).all()
    assert dropped.running[:, -1] == pytest.approx(of.running[:, -1], abs=1 / STEPS)
