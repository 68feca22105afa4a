"""What is shown as a probability is what it is worth, where enough images can tell."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.finished import finish_round
from tests.helpers.tiny import tiny_project
from tidal_core.labelling.desk import Desk
from tidal_core.method.calibration import fitted_temperature, scaled
from tidal_core.method.estimators import log_of
from tidal_core.method.stopping import dense
from tidal_core.rounds.calibrated import FIT_AT_MOST, temperature_of


def test_probabilities_are_shown_with_the_temperature_that_fits_known_images() -> None:
    project = tiny_project(300, test=0)
    try:
        finish_round(project)
        temperature = temperature_of(project, 1)
        assert temperature > 2, "half sure, and right in a third of the cases or fewer"
        image_ids = project.store.queue.items()[0].image_id, project.store.queue.items()[1].image_id
        stored = {image_id: project.store.scores.of_image(image_id)[0].p for image_id in image_ids}

        shown = Desk(project)._guesses(image_ids)

        for image_id, p in stored.items():
            expected = np.exp(scaled(np.log(p)[None], temperature)).max()
            assert shown[image_id][1] == pytest.approx(expected, abs=1e-5)
            assert shown[image_id][0] == project.store.scores.guesses(1, [image_id])[image_id][0]
        assert project.store.scores.guesses(1, image_ids)[image_ids[0]][1] == pytest.approx(stored[image_ids[0]].max())
    finally:
        project.close()


def test_of_few_images_no_temperature_is_fitted() -> None:
    project = tiny_project(40, test=0)
    try:
        finish_round(project)
        assert temperature_of(project, 1) == 1.0
    finally:
        project.close()


def test_classes_that_became_one_are_judged_as_one() -> None:
    project = tiny_project(300, test=0)
    try:
        finish_round(project)
        order = project.store.rounds.get(1).class_ids
        project.store.classes.merge(order[0], into=order[1])

        p, class_ids, truth = project.store.predictions.held_out(1, "known", FIT_AT_MOST)
        rows = dense(p, class_ids, order)
        rows[:, 1] += rows[:, 0]
        rows[:, 0] = 0
        positions = np.array([order.index(class_id) for class_id in truth])
        expected = fitted_temperature(log_of(rows).astype(np.float64), positions)
        assert temperature_of(project, 1) == pytest.approx(expected, abs=1e-6)
    finally:
        project.close()
