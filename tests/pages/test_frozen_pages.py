"""Pages of a project that trains a head on frozen features: every image has a curve, predictions meet the truth."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.helpers.frozen import SETTINGS, frozen_project, run_round, trained_frozen_project
from tests.helpers.tiny import label_next, tiny_project
from tests.pages.looking import charts, open_page, texts
from tidal_core.config import ProjectSettings
from tidal_core.projects import Project
from tidal_core.rounds.features import SPEED
from tidal_core.rounds.queue_plan import fill_queue
from tidal_core.server.studio import Studio
from tidal_core.ui import groups, life, pool_view, trust_view

BUTTON = "Use the pretrained model"


@pytest.fixture
def trained(quiet: Studio) -> Project:
    """After one round with 12 labels of 60 images, 15 test images."""
    made = trained_frozen_project()
    made.close()
    return quiet.project("tiny")


def _unlabelled(project: Project) -> int:
    return int(project.store.images.unlabelled_ids()[0])


def test_an_image_that_nobody_labelled_has_a_life(trained: Project) -> None:
    page = open_page("dynamics", "tiny", image=str(_unlabelled(trained)), view="life")

    assert life.LIFE in texts(page)
    assert life.AREAS in texts(page)
    assert charts(page) == 2
    assert "Not labelled yet" not in texts(page)


def test_a_labelled_image_shows_what_was_recorded_while_it_trained(trained: Project) -> None:
    labelled = int(trained.store.rounds.images(1)[0][0])

    page = open_page("dynamics", "tiny", image=str(labelled), view="life")

    assert "It is" not in texts(page)
    assert "Statistics of its curve in round 1" in texts(page)


def test_the_map_has_every_image_and_the_labelled_alone_on_request(trained: Project) -> None:
    page = open_page("dynamics", "tiny", view="map")
    key = next(each.key for each in page.get("plotly_chart") if each.key and each.key.startswith("map-tiny-1-all"))
    assert key.endswith("labelled")

    page.segmented_control(key="map-images-tiny").set_value("labelled").run()

    assert not page.exception
    assert groups.MAP in texts(page)


def test_uncertainty_compares_the_module_with_the_exact_dynamics(trained: Project) -> None:
    page = open_page("uncertainty", "tiny")

    assert pool_view.EXACT in texts(page)


def test_progress_says_how_good_the_module_and_the_probabilities_are(trained: Project) -> None:
    page = open_page("progress", "tiny")

    said = texts(page)
    assert trust_view.POOL_QUALITY in said
    assert "In round 1 by predicted class" in said
    assert trust_view.CALIBRATION in said
    assert "15 images measure accuracy; probabilities are judged from 20" in said


def test_calibration_is_shown_once_enough_images_measure_it(quiet: Studio) -> None:
    made = trained_frozen_project(test=30)
    made.close()

    page = open_page("progress", "tiny")

    metrics = {metric.label: metric.value for metric in page.metric}
    assert metrics["Calibration error"].endswith("%")
    p, _, truth = quiet.project("tiny").store.predictions.held_out(1, "test")
    assert metrics["It is right"] == f"{np.mean(np.argmax(p, axis=1) + 1 == truth):.0%}"


def test_a_project_without_exact_dynamics_shows_none_of_it(quiet: Studio) -> None:
    made = tiny_project()
    fill_queue(made)
    label_next(made, 12)
    run_round(made)
    made.close()

    assert pool_view.EXACT not in texts(open_page("uncertainty", "tiny"))
    assert trust_view.POOL_QUALITY not in texts(open_page("progress", "tiny"))
    image = str(_unlabelled(quiet.project("tiny")))
    assert "with the pretrained model" in texts(open_page("dynamics", "tiny", image=image, view="life"))


def test_settings_say_how_long_looking_at_the_images_and_a_round_take(trained: Project) -> None:
    trained.store.settings.set(SPEED, "25")

    page = open_page("project", "tiny")

    assert "Looking at all 75 images once takes about 3.0 s here." in texts(page)
    assert "A round takes about" in texts(page)


def test_an_older_project_of_photos_is_told_once_what_it_could_gain(quiet: Studio) -> None:
    tiny_project(side=64, settings=ProjectSettings(title="old", training_size=64)).close()
    page = open_page("project", "tiny")
    assert "knows photos already" in texts(page)

    next(button for button in page.button if button.label == "Keep the small network").click().run()

    assert quiet.project("tiny").settings.preset == "quick"
    assert BUTTON not in [button.label for button in open_page("project", "tiny").button]


def test_an_older_project_takes_the_pretrained_model_with_a_click(quiet: Studio) -> None:
    tiny_project(side=64, settings=ProjectSettings(title="old", training_size=64)).close()
    page = open_page("project", "tiny")

    next(button for button in page.button if button.label == BUTTON).click().run()

    settings = quiet.project("tiny").settings
    assert (settings.preset, settings.strategy, settings.training_size) == ("frozen", "exact-herding", 96)
    assert BUTTON not in [button.label for button in open_page("project", "tiny").button]


def test_projects_of_small_images_are_told_nothing(quiet: Studio) -> None:
    tiny_project().close()

    assert BUTTON not in [button.label for button in open_page("project", "tiny").button]


def test_another_training_brings_its_size_strategy_and_labels_per_round(quiet: Studio) -> None:
    frozen_project().close()
    page = open_page("project", "tiny")

    next(box for box in page.selectbox if box.label == "Training").set_value("quick")
    next(button for button in page.button if button.label == "Save").click().run()

    settings = quiet.project("tiny").settings
    assert not page.exception
    assert not page.error, page.error
    assert (settings.preset, settings.strategy, settings.training_size) == ("quick", "tidal-entropy", 32)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"backbone": "no-such-model"}, "there is no backbone 'no-such-model'"),
        ({"backbone": "small"}, "no pretrained weights for 'small'"),
        ({"preset": "quick"}, "which only the pretrained model has"),
    ],
)
def test_a_training_that_cannot_be_is_refused_before_a_round_fails(
    quiet: Studio, changed: dict[str, str], message: str
) -> None:
    frozen_project().close()
    project = quiet.project("tiny")

    with pytest.raises(Exception, match=message):
        quiet.change_settings(project, dataclasses.replace(SETTINGS, **changed))  # type: ignore[arg-type]

    assert project.settings == SETTINGS
