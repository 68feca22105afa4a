"""A round from its claim to the new ranking, with a real network on real pixels."""

from dataclasses import replace

import numpy as np
import pytest

from tests.helpers.tiny import label_next, tiny_project
from tidal_core.errors import RoundStateError, Stopped, TidalError
from tidal_core.projects import Project
from tidal_core.records import Answer, AnswerKind, RoundRecord, RoundState
from tidal_core.rounds.due import claim_round, round_due
from tidal_core.rounds.queue_plan import fill_queue
from tidal_core.rounds.run import RoundRun

pytestmark = pytest.mark.usefixtures("short_rounds")


def run(project: Project, record: RoundRecord, *, stop_after: int | None = None) -> None:
    """Run a round; ``stop_after`` epochs it is told to stop."""

    def should_stop() -> bool:
        return stop_after is not None and len(project.store.epochs.of(record.id)) >= stop_after

    RoundRun(project, record, report=lambda _: None, should_stop=should_stop).run()


def test_the_counter_says_how_many_labels_are_missing(project: Project) -> None:
    assert round_due(project).missing == 6
    label_next(project, 2)
    assert round_due(project).sentence == "4 more labels until the next round."
    label_next(project, 4)
    assert round_due(project).ready


def test_without_a_second_class_no_round_can_start(project: Project) -> None:
    project.store.classes.merge(2, into=1)
    project.store.classes.merge(3, into=1)
    assert "two classes" in round_due(project).sentence


def test_labels_of_one_class_start_no_round_and_it_is_said(project: Project) -> None:
    images = [item.image_id for item in project.store.queue.items()[:7]]
    answers = [Answer(f"one-class-{image}", AnswerKind.LABEL, image, class_id=2) for image in images]
    project.store.answers.record(answers[:2])
    assert round_due(project).sentence == "4 more labels until the next round."

    project.store.answers.record(answers[:6])

    due = round_due(project)
    assert (due.ready, due.startable) == (False, False)
    assert "All labels so far are of one class, 'green'" in due.sentence
    with pytest.raises(TidalError, match="of one class, 'green'"):
        claim_round(project, started_by="person")
    project.store.answers.record([replace(answers[6], class_id=1)])
    assert round_due(project).ready


def test_a_label_that_is_confirmed_is_not_new_and_a_changed_one_is(project: Project) -> None:
    label_next(project, 6)
    record = claim_round(project, started_by="person")
    labels = project.store.answers.labels()
    images, classes = labels.image_ids.tolist(), labels.class_ids.tolist()
    same = [
        Answer(f"same-{image}", AnswerKind.LABEL, image, class_id=class_id)
        for image, class_id in zip(images, classes, strict=True)
    ]

    project.store.answers.record(same)
    confirmed = round_due(project)
    project.store.answers.record([replace(same[0], event_id="other", class_id=classes[0] % 3 + 1)])
    changed = round_due(project)
    project.store.answers.record([replace(same[0], event_id="back")])

    assert (confirmed.new_labels, confirmed.missing, changed.new_labels) == (0, 6, 1)
    assert round_due(project).new_labels == 0
    run(project, record)  # what it trained on is written anew at its end
    assert round_due(project).new_labels == 0


def test_no_more_labels_are_asked_for_than_there_are_images() -> None:
    project = tiny_project(4, test=0)
    fill_queue(project)
    label_next(project, 4)

    due = round_due(project)

    assert (due.missing, due.left, due.startable) == (2, 0, True)
    assert due.sentence == "Every image is labelled or skipped. “Train now” on the Training page starts a round."
    project.close()


def test_where_rounds_are_off_it_is_not_said_that_labels_are_missing(project: Project) -> None:
    project.store.settings.save(replace(project.settings, rounds_enabled=False))
    label_next(project, 6)
    assert "Train while I label" in round_due(project).sentence


def test_a_round_without_labels_is_refused(project: Project) -> None:
    with pytest.raises(TidalError, match="label some images first"):
        claim_round(project, started_by="person")


def test_a_round_ends_with_curves_scores_metrics_and_a_new_ranking(project: Project) -> None:
    ids = label_next(project, 6)
    run(project, claim_round(project, started_by="labels"))
    store = project.store
    finished = store.rounds.get(1)
    assert finished.state is RoundState.DONE
    curve = store.curves.of_image(1, ids[0])
    assert curve is not None
    np.testing.assert_allclose(curve.p.sum(axis=1), 1, atol=1e-5)
    assert len(curve.epochs) == len(store.epochs.of(1))
    assert store.scores.pool_size(1) == 54
    assert {item.round_id for item in store.queue.items()} == {1}
    assert store.queue.count() == 54
    (accuracy,) = store.metrics.series("accuracy", "test")
    assert accuracy.n == 15
    assert accuracy.value > 0.8


def test_the_ranking_follows_the_stored_td_entropy(project: Project) -> None:
    label_next(project, 6)
    run(project, claim_round(project, started_by="labels"))
    table = project.store.scores.table(1)
    by_id = dict(zip(table["image_id"].tolist(), table["td_entropy"].tolist(), strict=True))
    queue = [by_id[item.image_id] for item in project.store.queue.items()[:54]]
    assert queue == sorted(queue, reverse=True)


def test_the_stored_curves_average_to_the_stored_area(project: Project) -> None:
    project.store.settings.save(replace(project.settings, preset="quick"))
    ids = label_next(project, 6)
    run(project, claim_round(project, started_by="labels"))
    curve = project.store.curves.of_image(1, ids[0])
    assert curve is not None
    second_half = curve.p[len(curve.epochs) // 2 :]
    row = project.store.database.row("SELECT td_bar FROM round_images WHERE round_id = 1 AND image_id = ?", [ids[0]])
    assert row is not None
    np.testing.assert_allclose(row[0], second_half.mean(axis=0), atol=1e-5)


def test_labels_that_arrive_meanwhile_belong_to_the_next_round(project: Project) -> None:
    label_next(project, 6)
    record = claim_round(project, started_by="labels")
    label_next(project, 2)
    run(project, record)
    assert project.store.rounds.get(1).labels == 6
    assert round_due(project).missing == 4


def test_a_stopped_round_goes_on_and_ends_as_one_that_was_not_stopped(project: Project) -> None:
    label_next(project, 6)
    record = claim_round(project, started_by="labels")
    with pytest.raises(Stopped):
        run(project, record, stop_after=3)
    assert project.store.rounds.get(1).state is RoundState.TRAINING
    run(project, project.store.rounds.get(1))
    epochs = [stored.record.epoch for stored in project.store.epochs.of(1)]
    assert epochs == list(range(1, len(epochs) + 1))
    resumed = project.store.scores.table(1)["td_entropy"]

    other_project = tiny_project(name="other")
    fill_queue(other_project)
    label_next(other_project, 6)
    run(other_project, claim_round(other_project, started_by="labels"))
    np.testing.assert_array_equal(resumed, other_project.store.scores.table(1)["td_entropy"])
    other_project.close()


def test_a_second_round_starts_from_the_first_ones_weights(project: Project) -> None:
    for _ in range(2):
        label_next(project, 6)
        run(project, claim_round(project, started_by="labels"))
    first_epoch = project.store.epochs.of(1)[0].record
    second_epoch = project.store.epochs.of(2)[0].record
    assert second_epoch.class_loss < first_epoch.class_loss


def test_two_rounds_at_a_time_are_refused(project: Project) -> None:
    label_next(project, 6)
    claim_round(project, started_by="labels")
    with pytest.raises(RoundStateError):
        claim_round(project, started_by="person")
