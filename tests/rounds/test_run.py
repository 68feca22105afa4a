"""What a round trains on, and what it makes of a checkpoint it cannot go on from."""

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch

from tests.helpers.tiny import label_next
from tidal_core.engine.checkpoints import checkpoint_epoch
from tidal_core.engine.model import write_tensors
from tidal_core.engine.training import Training, train
from tidal_core.errors import Stopped
from tidal_core.labelling.splitting import split_off
from tidal_core.projects import Project
from tidal_core.records import Answer, AnswerKind, RoundState, TrainImages
from tidal_core.rounds import audit, epoch_log, run
from tidal_core.rounds.due import claim_round
from tidal_core.rounds.run import RoundRun

pytestmark = pytest.mark.usefixtures("short_rounds")


def test_a_round_trains_on_the_labelled_images_and_on_no_test_image(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    labelled = label_next(project, 6)
    test_ids, test_classes = project.store.images.test_set()
    project.store.answers.record(  # somebody answered a test image too
        [Answer("event-test", AnswerKind.LABEL, int(test_ids[0]), class_id=int(test_classes[0]), purpose="query")]
    )
    trained: list[TrainImages] = []

    def watched(config: object, images: TrainImages, *arguments: object) -> Training:
        trained.append(images)
        return train(config, images, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(run, "train", watched)
    record = claim_round(project, started_by="person")
    RoundRun(project, record, report=lambda _: None, should_stop=lambda: False).run()

    rows = trained[0].rows
    known = {image.pixel_row: image.known_class for image in project.store.images.many(labelled)}
    assert len(test_ids) == 15
    assert not np.isin(rows, project.store.images.pixel_rows(test_ids)).any()
    assert sorted(rows.tolist()) == sorted(known)
    assert [record.class_ids[label] for label in trained[0].labels] == [known[row] for row in rows.tolist()]
    assert project.store.rounds.get(record.id).state is RoundState.DONE


def merged_into_a_new_one(project: Project) -> None:
    (new,) = project.store.classes.add(["reddish"])
    project.store.classes.merge(1, into=new.id)


CHANGES: dict[str, Callable[[Project], object]] = {
    "two merged": lambda project: project.store.classes.merge(1, into=2),
    "one merged into one that came meanwhile": merged_into_a_new_one,
    "one retired": lambda project: project.store.classes.retire(3),
    "one added, and moved to the front": lambda project: project.store.classes.arrange(
        [project.store.classes.add(["pink"])[0].id, 1, 2, 3], keep_looks=True
    ),
    "one split": lambda project: split_off(project.store, 1),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_round_ends_with_its_own_classes_whatever_becomes_of_them_meanwhile(project: Project, change: str) -> None:
    label_next(project, 12)
    record = claim_round(project, started_by="person")
    looked = itertools.count()

    def change_once() -> bool:
        if next(looked) == 2:
            CHANGES[change](project)
        return False

    RoundRun(project, record, report=lambda _: None, should_stop=change_once).run()

    store = project.store
    assert store.rounds.get(record.id).state is RoundState.DONE
    assert store.rounds.get(record.id).class_ids == (1, 2, 3)
    then, _ = store.classes.then_and_now(record)
    assert [then[class_id].name for class_id in record.class_ids] == ["red", "green", "blue"]
    predicted = store.database.rows("SELECT DISTINCT predicted FROM scores WHERE round_id = ?", [record.id])
    assert {class_id for (class_id,) in predicted} <= {1, 2, 3}
    stored = next(m for m in store.metrics.of_round(record.id) if m.name == "accuracy" and m.class_id is None)
    right, n = store.predictions.accuracies("test")[record.id]
    assert (stored.n, stored.value) == (n, pytest.approx(right / n)), "as the pages count it since"

    label_next(project, 6)
    following = claim_round(project, started_by="person")
    RoundRun(project, following, report=lambda _: None, should_stop=lambda: False).run()
    assert store.rounds.get(following.id).state is RoundState.DONE
    assert list(following.class_ids) == [each.id for each in store.classes.all()]


def test_a_round_whose_checkpoint_is_of_an_earlier_version_starts_from_its_first_epoch(project: Project) -> None:
    label_next(project, 6)
    record = claim_round(project, started_by="person")
    work = RoundRun(project, record, report=lambda _: None, should_stop=lambda: False)
    work.resume_file.parent.mkdir(parents=True, exist_ok=True)
    write_tensors(
        work.resume_file, {"optimizer.mean.0": torch.zeros(3)}, {"epoch": "4", "batch_size": "32", "mark": ""}
    )

    work.run()

    epochs = [stored.record.epoch for stored in project.store.epochs.of(record.id)]
    assert project.store.rounds.get(record.id).state is RoundState.DONE
    assert epochs == list(range(1, len(epochs) + 1))
    assert any("starts again from its first epoch" in line.message for line in project.store.log.last())


def test_epochs_that_wait_are_stored_before_a_checkpoint_says_that_they_were(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epoch_log, "SECONDS", 1e9)  # nothing is stored for the time that has passed
    monkeypatch.setattr(run, "CHECKPOINT_SECONDS", 0.0)
    label_next(project, 12)
    record = claim_round(project, started_by="person")
    seen: list[tuple[int, int]] = []

    def look() -> bool:
        stored = [epoch.record.epoch for epoch in project.store.epochs.of(record.id)]
        checkpoint = project.checkpoints / f"round-{record.id:04d}.resume"
        seen.append((checkpoint_epoch(checkpoint), max(stored, default=0)))
        return len(seen) > 12

    with pytest.raises(Stopped):
        RoundRun(project, record, report=lambda _: None, should_stop=look).run()

    assert max(in_checkpoint for in_checkpoint, _ in seen) > 1
    assert all(stored >= in_checkpoint for in_checkpoint, stored in seen)
    assert seen[-1][1] == len(project.store.epochs.of(record.id)), "what waited is stored when the round is stopped"


def test_a_round_by_vaal_resumes_on_the_unlabelled_images_it_began_with_though_more_are_labelled(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "CHECKPOINT_SECONDS", 0.0)
    project.store.settings.save(dataclasses.replace(project.settings, strategy="vaal"))
    label_next(project, 8)
    record = claim_round(project, started_by="person")
    at_first = project.store.images.pixel_rows(audit.rankable(project))
    seen: list[TrainImages] = []
    batches = 0

    def watched(config: object, images: TrainImages, *arguments: object) -> Training:
        seen.append(images)
        return train(config, images, *arguments)  # type: ignore[arg-type]

    def look() -> bool:
        nonlocal batches
        batches += 1
        return batches > 8

    monkeypatch.setattr(run, "train", watched)
    with pytest.raises(Stopped):
        RoundRun(project, record, report=lambda _: None, should_stop=look).run()
    label_next(project, 4)
    resumed = RoundRun(project, project.store.rounds.get(record.id), report=lambda _: None, should_stop=lambda: False)
    resumed.run()

    test_rows = project.store.images.pixel_rows(project.store.images.test_set()[0])
    for images in seen:
        assert images.unlabelled is not None
        assert sorted(images.unlabelled) == sorted(set(at_first.tolist()) - set(images.rows.tolist()))
        assert not np.isin(test_rows, images.unlabelled).any()
    assert len(seen) == 2
    messages = [line.message for line in project.store.log.last()]
    assert any("resumes after epoch" in message for message in messages)
    assert any(f"vaal trained on {len(at_first)} unlabelled images, too" in message for message in messages)
    assert project.store.rounds.get(record.id).state is RoundState.DONE
    assert not resumed.unlabelled_file.exists()
