"""The Theory page: its sliders, its presets, its experiment."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.experiments.test_motivating import result
from tests.helpers.gates import WAIT_SECONDS
from tests.pages.looking import ROOT, charts, texts
from tidal_core.experiments import owner
from tidal_core.experiments.separation import RESULT, Separation, folder_of, note
from tidal_core.ownership import owning
from tidal_core.projects import home
from tidal_core.server.studio import Studio


@pytest.fixture
def page(studio: Studio) -> AppTest:
    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=WAIT_SECONDS)
    return test.switch_page("pages/theory.py").run()


def test_the_page_tells_three_chapters(page: AppTest) -> None:
    assert not page.exception
    assert [header.value[:2] for header in page.header] == ["1.", "2.", "3."]
    assert charts(page) == 4
    assert len(page.latex) == 4
    assert "No result for these images yet" in texts(page)


def test_a_preset_moves_the_sliders_and_sliders_pick_it(page: AppTest) -> None:
    page.segmented_control(key="effect").set_value("Small").run()
    assert page.slider(key="alpha-h").value == 0.9
    page.slider(key="alpha-h").set_value(1.0).run()
    assert page.segmented_control(key="effect").value == "Gone"
    assert "no gap, the rest is chance" in texts(page)
    assert "never stop pulling ahead" not in texts(page)
    assert "at zero all the way" in texts(page)
    page.slider(key="alpha-h").set_value(0.7).run()

    assert not page.exception
    assert page.segmented_control(key="effect").value is None


def test_every_figure_says_what_to_look_at_without_being_pointed_at(page: AppTest) -> None:
    assert sum(caption.value.startswith("Look at ") for caption in page.caption) == charts(page)


def test_closed_forms_stand_beside_sums_over_the_classes(page: AppTest) -> None:
    page.slider(key="theory-classes").set_value(7).run()

    table = next(markdown.value for markdown in page.markdown if "class by class" in markdown.value)
    rows = [line.split("|")[2:4] for line in table.splitlines()[3:]]
    assert rows[0] == rows[1]
    assert rows[2] == rows[3]
    assert rows[0] != rows[2]


def test_the_same_for_your_images_opens_the_data_map(page: AppTest) -> None:
    link = page.get("page_link")[0].proto

    assert link.page == "dynamics"
    assert link.query_string == "view=map"


def test_settings_outside_the_theorem_are_explained(page: AppTest) -> None:
    page.slider(key="alpha-h").set_value(1.5).run()

    assert not page.exception
    assert "easy samples pull each other the most" in texts(page)


def test_noise_that_leaves_the_theorems_ground_is_noted(page: AppTest) -> None:
    page.slider(key="sigma").set_value(2.0).run()

    assert "The theorem assumes X > 0" in texts(page)


@pytest.mark.parametrize(("key", "value"), [("area-slow", 0.0), ("area-fast", 1.0), ("theory-classes", 2)])
def test_sliders_at_their_ends_draw_a_curve_all_the_same(page: AppTest, key: str, value: float) -> None:
    page.slider(key=key).set_value(value).run()

    assert not page.exception
    assert charts(page) == 4


@pytest.fixture
def kept(studio: Studio, tmp_path: Path) -> Separation:
    found = result(tmp_path)
    assert found is not None
    found.save(folder_of(home(), "digits") / RESULT)
    return found


def open_page() -> AppTest:
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=WAIT_SECONDS).switch_page("pages/theory.py").run()
    assert not page.exception, page.exception
    return page


def test_a_result_is_shown_with_its_training_accuracy_and_what_was_published(kept: Separation) -> None:
    page = open_page()

    assert charts(page) == 9
    assert [metric.label for metric in page.metric][-1] == "Training accuracy"
    assert (
        f"| Dynamics margin (M-bar) | {kept.auroc['td_margin']:.3f} | {kept.held_out['td_margin']:.3f} | 0.968 |"
        in texts(page)
    )
    assert sum(caption.value.startswith("Look at ") for caption in page.caption) == 9


def test_a_snapshot_that_has_not_settled_is_warned_of(kept: Separation) -> None:
    replace(kept, train_accuracy=0.7).save(folder_of(home(), "digits") / RESULT)
    assert "knows only 70% of its training images" in texts(open_page())
    replace(kept, train_accuracy=0.99).save(folder_of(home(), "digits") / RESULT)
    assert "knows only" not in texts(open_page())


def test_margins_can_be_looked_at_as_well_as_entropies(kept: Separation) -> None:
    page = open_page()
    assert axes(page) == ["Prediction entropy", "Dynamics entropy (H-bar)", "Prediction entropy"]

    page.segmented_control(key="motivating-judge").set_value("Margin").run()

    assert axes(page) == ["Prediction margin", "Dynamics margin (M-bar)", "Prediction margin"]


def axes(page: AppTest) -> list[str]:
    """The titles of the last three figures' x axes."""
    return [json.loads(chart.proto.spec)["layout"]["xaxis"]["title"]["text"] for chart in page.get("plotly_chart")[-3:]]


def test_train_starts_the_command_once_and_stop_ends_it(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(owner, "start", lambda arguments, log: started.append(list(arguments)))

    page.button(key="motivating-start").click().run()

    assert started == [["separability", "digits", "--per-class", "100"]]
    with owning(folder_of(home(), "digits")):
        page.run()
        assert page.button(key="motivating-start").disabled
        assert not page.button(key="motivating-stop").disabled


def test_training_that_broke_off_says_why(page: AppTest) -> None:
    folder = folder_of(home(), "digits")
    folder.mkdir(parents=True)
    note(folder, 2, 30, "training accuracy 40.0%")
    (folder / "log.txt").write_text("epoch 2/30\nthe disk is full\n")
    page.run()

    assert "stopped unexpectedly in epoch 2 of 30. Its last message: the disk is full" in texts(page)
