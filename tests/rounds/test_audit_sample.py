"""Which audit images are one random sample, and of what: after a larger share, an import, labels that came along."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from tests.helpers.tiny import label_next, tiny_project
from tidal_core.config import ProjectSettings
from tidal_core.images.ingest import draw_audit_order
from tidal_core.projects import Project
from tidal_core.records import Answer, AnswerKind, Int64, Purpose
from tidal_core.rounds import audit
from tidal_core.rounds.queue_plan import plan_queue
from tidal_core.store.answers import ImportedLabels

SETTINGS = ProjectSettings(title="sample", training_size=8, labels_per_round=6, audit_share=0.25)


@pytest.fixture
def project() -> Iterator[Project]:
    project = tiny_project(name="sample", test=0, settings=SETTINGS)
    draw_audit_order(project)  # as an import does
    rank_again(project)
    yield project
    project.close()


def rank_again(project: Project) -> None:
    project.store.queue.replace(plan_queue(project, audit.rankable(project)))


def set_share(project: Project, share: float) -> None:
    project.store.settings.save(replace(project.settings, audit_share=share))


def drawn(project: Project) -> Int64:
    return project.store.answers.images_asked_for(Purpose.AUDIT)


def add_images(project: Project, n: int) -> None:
    images = project.store.images.all()
    project.store.images.add(
        [
            replace(images[k], id=61 + k, sha256=f"{1_000 + k:064x}", pixel_row=60 + k, audit_order=None)
            for k in range(n)
        ]
    )
    draw_audit_order(project)


def test_a_constant_share_speaks_for_all_images(project: Project) -> None:
    label_next(project, 24)

    sample = audit.sample(project)

    assert sorted(sample.image_ids.tolist()) == drawn(project).tolist()
    assert (len(sample.image_ids), sample.population, sample.images) == (6, 60, 60)
    assert "any of the 60 images" in audit.what_it_speaks_for(sample)


def test_a_share_that_comes_later_speaks_for_what_was_unlabelled_then(project: Project) -> None:
    set_share(project, 0.0)
    rank_again(project)
    label_next(project, 20)
    set_share(project, 0.25)
    rank_again(project)
    label_next(project, 20)

    sample = audit.sample(project)

    assert (len(sample.image_ids), sample.population) == (5, 40)
    assert "the 40 of 60 images that nobody had labelled when measuring began" in audit.what_it_speaks_for(sample)


def test_a_larger_share_is_a_sample_of_its_own(project: Project) -> None:
    set_share(project, 0.1)  # 6 images
    rank_again(project)
    label_next(project, 30)
    assert len(drawn(project)) == 3
    unlabelled = set(project.store.images.unlabelled_ids().tolist())
    first = set(audit.reserved(project).tolist())
    set_share(project, 0.5)
    rank_again(project)

    label_next(project, 6)  # of the first stretch
    sample = audit.sample(project)
    assert (set(sample.image_ids.tolist()), sample.population) == (first & set(drawn(project).tolist()), 60)
    while len(drawn(project)) < 14:
        label_next(project, 2)
    sample = audit.sample(project)

    assert not set(sample.image_ids.tolist()) & first, "the two populations are never mixed"
    assert len(sample.image_ids) == 14 - len(first)
    assert sample.population == len(unlabelled - first)
    assert sample.waiting == len(first)
    assert f"{len(first)} more images do not count" in audit.what_it_speaks_for(sample)


def test_a_share_that_was_lowered_and_raised_begins_anew() -> None:
    layers = audit.layers_with([], 0.5, 0)
    layers = audit.layers_with(layers, 0.1, 40)
    assert [(layer.low, layer.until, layer.begin) for layer in layers] == [(0.0, 0.1, 0)]

    layers = audit.layers_with(layers, 0.3, 90)

    assert [(layer.low, layer.until, layer.begin) for layer in layers] == [(0.0, 0.1, 0), (0.1, 0.3, 90)]
    assert audit.layers_with(layers, 0.3, 120) == layers


def test_images_that_are_newly_reserved_leave_the_queue_of_the_strategy(project: Project) -> None:
    set_share(project, 0.5)

    reserved = audit.reserved(project)

    waiting = {item.image_id for item in project.store.queue.items() if item.purpose is not Purpose.AUDIT}
    assert len(reserved) == 30
    assert not waiting & set(reserved.tolist())


def test_an_image_whose_label_came_along_is_neither_in_the_sample_nor_in_what_it_speaks_for(project: Project) -> None:
    label_next(project, 24)
    audited = drawn(project)
    came = np.union1d(audited[:2], audit.reserved(project)[-3:]).tolist()

    project.store.answers.import_labels(ImportedLabels(came, [1] * len(came), ["file"] * len(came)))

    sample = audit.sample(project)
    assert sorted(sample.image_ids.tolist()) == audited[2:].tolist()
    assert sample.population == 60 - len(came)


def test_new_images_count_as_often_as_in_the_collection_or_the_sample_ends_before_them(project: Project) -> None:
    label_next(project, 40)
    assert len(audit.sample(project).image_ids) == 10
    add_images(project, 60)

    order = audit.reserved(project).tolist()
    first_new = next(place for place, image_id in enumerate(order) if image_id > 60)
    assert audit.sample(project).image_ids.tolist() == order[:first_new]
    rank_again(project)
    label_next(project, 60)

    sample = audit.sample(project)
    assert sample.image_ids.tolist() == order[: len(sample.image_ids)], "a stretch of the order without a gap"
    assert len(sample.image_ids) > first_new
    assert sample.population == 120


def test_an_image_that_somebody_holds_does_not_end_the_sample(project: Project) -> None:
    held, *others = [item for item in project.store.queue.items() if item.purpose is Purpose.AUDIT][:4]

    project.store.answers.record(
        [
            Answer(f"event-{k}", AnswerKind.LABEL, item.image_id, 1, purpose=item.purpose)
            for k, item in enumerate(others)
        ]
    )

    assert audit.sample(project).image_ids.tolist() == [item.image_id for item in others]
    assert held.image_id not in audit.measured_on(project).image_ids


def test_skipped_images_are_said_to_have_left(project: Project) -> None:
    item = next(item for item in project.store.queue.items() if item.purpose is Purpose.AUDIT)
    project.store.answers.record([Answer("event-skip", AnswerKind.SKIP, item.image_id, purpose=item.purpose)])

    sample = audit.sample(project)

    assert sample.skipped == 1
    assert "1 image of it was skipped and left it" in audit.what_it_speaks_for(sample)


def test_what_was_measured_before_an_import_or_under_another_share_does_not_compare(project: Project) -> None:
    label_next(project, 12)
    before = audit.measured_on(project).population
    label_next(project, 4)
    assert audit.measured_on(project).population.is_like(before), "labels alone change nothing"

    add_images(project, 20)
    imported = audit.measured_on(project).population

    assert not imported.is_like(before)
    assert not before._replace(begin=before.begin + 1).is_like(before), "another layer"
