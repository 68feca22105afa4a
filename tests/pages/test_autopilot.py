"""The autopilot's panel and the page Race, drawn without a browser: what they say when something cannot be."""

from __future__ import annotations

import numpy as np
from streamlit.testing.v1 import AppTest

from tests.helpers.gates import WAIT_SECONDS, wait_for
from tests.helpers.tiny import tiny_project
from tests.pages.looking import ROOT, charts, press, texts
from tidal_core.experiments import race
from tidal_core.experiments.files import pack_right
from tidal_core.labelling.autopilot import Plan
from tidal_core.projects import create_project, home
from tidal_core.server.studio import Studio
from tidal_core.ui.autopilot_view import words_of


def opened(page: str, slug: str) -> AppTest:
    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=WAIT_SECONDS)
    test.session_state["project"] = slug
    test.switch_page(f"pages/{page}.py").run()
    assert not test.exception, test.exception
    return test


def test_a_project_without_known_classes_says_on_the_page_why_no_autopilot_can_fly(studio: Studio) -> None:
    create_project("empty", classes=("a", "b")).close()

    page = press(opened("label", "empty"), "autopilot-open-empty")

    assert (
        "The autopilot answers from classes that are known, and no image to label in 'empty' came with one."
        in texts(page)
    )
    page = press(page, "autopilot-close-empty")
    assert "The autopilot answers" not in texts(page)


def test_the_panel_starts_it_with_what_was_chosen_and_says_what_it_has_done(studio: Studio) -> None:
    tiny_project(12, test=0).close()
    project = studio.project("tiny")
    page = press(opened("label", "tiny"), "autopilot-open-tiny")
    page.slider(key="autopilot-speed-tiny").set_value(50)
    page.slider(key="autopilot-mistakes-tiny").set_value(50)
    page.number_input(key="autopilot-seed-tiny").set_value(5).run()

    press(page, "autopilot-start-tiny")

    pilot = studio.autopilot(project)
    assert pilot.state().plan == Plan(50, 0.5, 5)
    pilot.pause()
    wait_for(lambda: not pilot.flies, "the pause")
    page = opened("label", "tiny")
    state = pilot.state()
    assert "Autopilot is paused." in texts(page)
    assert words_of(state).endswith(f"{state.mistakes} of them wrong.") or not state.mistakes
    assert {button.label for button in page.button} >= {"Start", "To the next round", "Close"}


def test_a_project_that_is_too_small_says_so_when_a_race_is_started(studio: Studio) -> None:
    tiny_project(test=5).close()

    page = press(opened("race", "tiny"), "race-start")

    assert "5 to test on; a race needs 40 and 30" in page.error[0].value
    assert not race.races(home(), studio.project("tiny"))


def test_a_race_shows_its_curves_its_images_and_the_labels_saved_and_by_which_rule(studio: Studio) -> None:
    tiny_project(300, test=60).close()
    experiment = race.begin_race(studio.project("tiny"), home(), "margin")
    write_run(experiment, "margin", [0.5, 0.95, 1.0, 1.0])
    write_run(experiment, "random", [0.5, 0.55, 0.6])

    page = opened("race", "tiny")

    said = texts(page)
    assert (
        "Same accuracy with 20 fewer labels: Margin reached 95.0% with 40 labels; Random is still below with 60" in said
    )
    assert "7 of 24 rounds, paused" in page.get("progress")[0].proto.text
    assert "p has to be below 0.45%, that is 5 % shared among the 11 rounds" in said
    assert "**Margin**: 100.0% with 80 labels" in said
    assert "Asked after round 3:" in said
    assert charts(page) == 2, "one figure in two slots, so that it does not flicker"


def write_run(experiment: race.Experiment, configuration: str, accuracies: list[float]) -> None:
    """A run's file, as the process that plays it writes it."""
    import json

    folder = experiment.folder / "runs"
    folder.mkdir(exist_ok=True)
    hardness = np.arange(60) / 60
    lines: list[dict[str, object]] = [{"configuration": configuration, "imbalance": 1.0, "run": 0, "dataset": "made"}]
    for place, accuracy in enumerate(accuracies):
        lines.append(
            {
                "round": place + 1,
                "labels": 20 * (place + 1),
                "accuracy": accuracy,
                "tested": 60,
                "right": pack_right(hardness < accuracy),
                "asked": [place, place + 1],
                "audited": [],
                "seconds": {},
            }
        )
    file = folder / f"{configuration}--ir1--run0.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
