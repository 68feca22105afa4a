"""The presenter's screens on odd projects: empty, of one class, without known classes, failed, on frozen features."""

from __future__ import annotations

import dataclasses

import pytest
from streamlit.testing.v1 import AppTest

from benchmarks.made_up import Size
from tests.helpers.frozen import trained_frozen_project
from tests.helpers.gates import WAIT_SECONDS
from tests.helpers.tiny import tiny_project
from tests.pages.looking import ROOT, charts, fail_round, made_up, start_round, texts
from tidal_core.projects import create_project
from tidal_core.server.studio import Studio
from tidal_core.ui.address import SCREENS


def screen(name: str, slug: str) -> AppTest:
    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=WAIT_SECONDS)
    test.session_state["project"] = slug
    test.query_params["screen"] = name
    test.switch_page("pages/present.py").run()
    assert not test.exception, test.exception
    return test


def acts(test: AppTest) -> list[str]:
    return [button.label for button in test.button if str(button.key).startswith("present-act-")]


def test_a_project_without_images_says_so_on_every_screen(quiet: Studio) -> None:
    create_project("bare").close()

    shown = {name: texts(screen(name, "bare")) for name in SCREENS}

    assert "No images yet" in shown["collection"]
    assert "There are no images." in shown["finish"]
    assert "add some on the page Project" in shown["round"]


def test_without_known_classes_a_screen_waits_for_people(quiet: Studio) -> None:
    with_classes = tiny_project(12, test=0, name="with-classes")
    images = [dataclasses.replace(image, known_class=None) for image in with_classes.store.images.all()]
    project = create_project("tiny", with_classes.settings, classes=("red", "green"))
    project.store.images.add(images)
    for each in (project, with_classes):
        each.close()

    shown = {name: screen(name, "tiny") for name in SCREENS}

    assert "12 images" in texts(shown["collection"])
    for name in ("first", "round", "unsure"):
        assert "Label on the page Label; this screen goes on by itself." in texts(shown[name])
        assert acts(shown[name]) == []


@pytest.mark.parametrize("name", SCREENS)
def test_a_project_of_some_rounds_shows_every_screen(quiet: Studio, name: str) -> None:
    made_up(quiet)

    shown = screen(name, "made-up")

    assert charts(shown) == {"round": 2, "unsure": 1, "gain": 1, "mistake": 1}.get(name, 0)
    assert "under way" not in texts(shown)


def test_with_one_class_nothing_is_doubted_and_nothing_asked(quiet: Studio) -> None:
    made_up(quiet, Size(labelled=20, pool=10, test=5, rounds=1, epochs=3, classes=1), class_names=("all",))

    shown = {name: texts(screen(name, "made-up")) for name in SCREENS}

    assert "There is one class, “all”." in shown["collection"]
    assert "No curve speaks against any of the" in shown["mistake"]


def test_a_round_that_failed_says_why_and_can_be_tried_again(quiet: Studio) -> None:
    project = made_up(quiet, Size(labelled=20, pool=30, test=5, rounds=0))
    fail_round(project, start_round(project), "out of *memory*")

    shown = screen("round", "made-up")

    assert r"The round failed: out of \*memory\*" in texts(shown)
    assert acts(shown) == ["Try again (Enter)"]


def test_on_frozen_features_an_image_that_nobody_labelled_has_its_curve(quiet: Studio) -> None:
    made = trained_frozen_project()
    made.close()

    shown = {name: screen(name, "tiny") for name in SCREENS}

    assert "Is it" in texts(shown["unsure"])
    assert shown["unsure"].get("plotly_chart")
    assert "without a label" in texts(shown["next"])
    assert "12 of 60 labelled" in texts(shown["finish"])
