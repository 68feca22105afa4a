"""What Progress says that accuracy is measured on: the best that there is, by its name."""

from __future__ import annotations

import dataclasses

import pytest

from tests.helpers.finished import finish_round
from tests.helpers.frozen import frozen_project, run_round
from tests.helpers.gates import WAIT_SECONDS
from tests.helpers.tiny import label_next, tiny_project
from tests.pages.looking import open_page, texts
from tidal_core.projects import Project
from tidal_core.rounds import audit
from tidal_core.rounds.queue_plan import fill_queue
from tidal_core.server.studio import Studio
from tidal_core.store.metrics import Metric
from tidal_core.ui import measured as measuring


@pytest.fixture
def project(studio: Studio) -> Project:
    studio.worker.stop(WAIT_SECONDS)
    tiny_project(60, test=0).close()
    return studio.project("tiny")


def accuracy_on(page: object) -> str:
    return next(metric.value for metric in page.metric if metric.label == "Accuracy")  # type: ignore[attr-defined]


def test_known_classes_of_folders_measure_accuracy_and_are_named(project: Project) -> None:
    finish_round(project)

    page = open_page("progress", "tiny")

    assert "Measured on 54 images whose class is known from the import" in texts(page)
    right, n = project.store.predictions.accuracies("known")[1]
    assert n == 54
    assert accuracy_on(page) == f"{right / n:.1%}"


def test_what_was_predicted_of_chosen_images_is_named_so_and_forecasts_nothing(project: Project) -> None:
    finish_round(project)
    label_next(project, 12)
    with project.store.database.write() as cursor:
        cursor.execute("UPDATE images SET known_class = NULL")

    page = open_page("progress", "tiny")

    said = texts(page)
    assert "what round 1 predicted of 12 images before they were labelled" in said
    assert "were chosen, not picked at random" in said
    assert "No forecast" in said
    assert not [metric for metric in page.metric if metric.label.startswith("Gain")]
    assert "Cannot tell yet whether more labels pay" in said


def test_without_anything_to_measure_on_the_page_says_so(project: Project) -> None:
    finish_round(project)
    with project.store.database.write() as cursor:
        cursor.execute("UPDATE images SET known_class = NULL")
    assert "No images are kept to measure accuracy yet" in texts(open_page("progress", "tiny"))


def test_labelled_images_measure_by_heads_that_did_not_see_them_until_the_audit_sample_is_large(studio: Studio) -> None:
    studio.worker.stop(WAIT_SECONDS)
    made = frozen_project(40, test=0)
    made.store.settings.save(dataclasses.replace(made.settings, audit_share=0.1))
    fill_queue(made)
    label_next(made, 14)
    with made.store.database.write() as cursor:
        cursor.execute("UPDATE images SET known_class = NULL")
    run_round(made)
    right, n = made.store.predictions.accuracies("folds")[1]
    made.close()

    page = open_page("progress", "tiny")

    said = texts(page)
    assert n == 13
    assert "Estimated from the 13 images that you labelled" in said
    assert "has 1 image; from 30 on" in said
    assert accuracy_on(page) == f"{right / n:.1%}"
    (shown,) = [metric for metric in page.metric if metric.label == "Accuracy"]
    assert shown.delta == "an estimate", "no interval: it would speak of chance alone, and these images were chosen"
    assert right >= 10, "three colours are easily told apart"
    assert "No forecast" in said


def test_a_handful_of_audit_images_shows_no_accuracy(project: Project) -> None:
    finish_round(project)
    with project.store.database.write() as cursor:
        cursor.execute("UPDATE images SET known_class = NULL")
    project.store.metrics.add([Metric(1, "audit", None, "accuracy", 1.0, 0.2, 1.0, 1)])

    page = open_page("progress", "tiny")

    assert "Cannot tell yet how accurate the model is: 1 image of the audit sample measured it" in texts(page)
    assert not [metric for metric in page.metric if metric.label == "Accuracy"]


def test_rounds_that_measured_other_images_are_not_compared(project: Project) -> None:
    accuracy = Metric(1, "test", None, "accuracy", 0.5, 0.4, 0.6, 60)
    for number, images in enumerate((60, 60, 100, 101), start=1):
        finish_round(project)
        project.store.metrics.add(
            [
                dataclasses.replace(accuracy, round_id=number),
                Metric(number, "test", None, audit.POPULATION, 0, None, None, images),
            ]
        )

    done = project.store.rounds.all()
    measured = measuring.tested(project, done)

    assert measured is not None
    assert [record.id for record in measured.rounds] == [1, 2, 3, 4]
    assert measured.comparable.tested == [60, 60], "a hundredth more is no other population, half as many again is"
    assert measured.comparable.labels == [record.labels for record in done[2:]]
    assert "Rounds before round 3 measured other images" in measuring.in_words(measured)
