"""The Theory page: its sliders, its presets, its experiment."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.experiments.test_motivating import result
from tests.pages.looking import ROOT, charts, texts
from tidal_core.experiments import owner
from tidal_core.experiments.separation import RESULT, folder_of
from tidal_core.projects import home
from tidal_core.studio import Studio


@pytest.fixture
def page(studio: Studio) -> AppTest:
    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    return test.switch_page("pages/theory.py").run()


def test_the_page_tells_three_chapters(page: AppTest) -> None:
    assert not page.exception
    assert [one.value[:2] for one in page.header] == ["1.", "2.", "3."]
    assert charts(page) == 4
    assert len(page.latex) == 4
    assert "No result for these images yet" in texts(page)


def test_a_preset_moves_the_sliders(page: AppTest) -> None:
    page.session_state["effect"] = "Gone"
    page.slider(key="alpha-h").set_value(1.0).run()

    assert not page.exception
    assert "there is no gap" in texts(page)


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


def test_a_result_is_shown_with_its_training_accuracy(studio: Studio, tmp_path: Path) -> None:
    found = result(tmp_path)
    assert found is not None
    found.save(folder_of(home(), "digits") / RESULT)
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).switch_page("pages/theory.py").run()

    assert not page.exception
    assert charts(page) == 8
    assert [one.label for one in page.metric][-1] == "Training accuracy"


def test_train_starts_the_command_once(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(owner, "start", lambda arguments, log: started.append(list(arguments)))

    page.button(key="motivating-start").click().run()

    assert started == [["separability", "digits", "--per-class", "100"]]
