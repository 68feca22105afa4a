"""The Experiments page: nothing yet, half done, finished, begun from the form."""

import base64
import json
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.experiments.test_report import BETTER, RANDOM, made_up
from tests.helpers.gates import WAIT_SECONDS
from tests.helpers.tiny import tiny_project
from tests.pages.looking import ROOT, charts, texts
from tidal_core import strategies
from tidal_core.config import ProjectSettings
from tidal_core.experiments import datasets, owner
from tidal_core.experiments.files import Experiment
from tidal_core.experiments.protocol import PRESETS
from tidal_core.ownership import owning
from tidal_core.projects import home
from tidal_core.server.studio import Studio
from tidal_core.strategies import registry


def open_page() -> AppTest:
    page = (
        AppTest.from_file(str(ROOT / "app.py"), default_timeout=WAIT_SECONDS).switch_page("pages/experiments.py").run()
    )
    assert not page.exception, page.exception
    return page


def test_without_experiments_the_page_says_how_to_start_one(studio: Studio) -> None:
    assert "No experiment yet" in texts(open_page())


def test_the_page_says_what_each_strategy_does_and_which_cannot_be_used(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = EntryPoint("mine", "nowhere:Mine", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [broken])
    strategies.reload()
    try:
        page = open_page()
    finally:
        monkeypatch.undo()
        strategies.reload()

    assert r"The strategy mine (nowhere\:Mine) could not be loaded" in texts(page)
    table = page.dataframe[0].value
    assert table["Name"].tolist() == list(strategies.names())
    badge = table.set_index("Name").loc["badge"]
    assert "gradients are never written out" in badge["Cost"]
    assert "ICLR 2020" in badge["Source"]


def test_a_finished_experiment_is_compared(studio: Studio) -> None:
    made_up(home(), {"random": RANDOM, "margin": BETTER})

    page = open_page()

    assert charts(page) == 3
    assert "| margin | 2 | 80.5 ± 6.4 |" in texts(page)
    assert [metric.label for metric in page.metric][-2:] == ["Margin, 14 labels", "Random, 14 labels"]
    assert "The same accuracy, 60.0%, with 4 fewer labels (10 instead of 14)." in texts(page)
    assert "from 2 runs with the same first labels" in texts(page)


def test_an_arm_whose_strategy_is_not_installed_any_more_is_shown_by_its_name(studio: Studio) -> None:
    folder = made_up(home(), {"random": RANDOM, "margin": BETTER}).folder
    for file in (folder / "spec.json", *(folder / "runs").glob("margin*")):
        file.write_text(file.read_text().replace('"margin"', '"gone+td"'))

    page = open_page()

    assert "gone+td, 14 labels" in [metric.label for metric in page.metric]
    assert "| gone+td | 2 |" in texts(page)


def test_the_two_side_by_side_are_judged_by_the_chosen_measure(studio: Studio) -> None:
    made_up(home(), {"random": RANDOM, "margin": BETTER})
    page = open_page()
    assert [metric.value for metric in page.metric] == ["80.5%", "60.0%"]

    page.segmented_control(key="exp-metric").set_value("balanced_accuracy").run()
    assert [metric.value for metric in page.metric] == ["70.5%", "50.0%"]
    axes = [json.loads(chart.proto.spec)["layout"]["yaxis"]["title"]["text"] for chart in page.get("plotly_chart")[:2]]
    assert axes == ["Balanced accuracy", "Balanced accuracy relative to random, %"]
    assert "Balanced accuracy over labels" in texts(page)
    assert "Who beats whom by balanced accuracy" in texts(page)
    page.segmented_control(key="exp-metric").set_value("validation_accuracy").run()

    assert not page.exception
    assert "has no such measurement" in texts(page)


def test_of_many_arms_some_are_drawn_in_colour_and_the_best_is_judged_as_the_best_of_them(studio: Studio) -> None:
    others = ("entropy", "confidence", "bald", "badge", "cal", "coreset", "typiclust", "tidal-entropy")
    made_up(home(), {"random": RANDOM, "margin": BETTER} | dict.fromkeys(others, RANDOM))
    page = open_page()

    def grey() -> list[str]:
        curves = json.loads(page.get("plotly_chart")[0].proto.spec)["data"]
        return [curve["name"] for curve in curves if curve.get("legendgroup") == "behind"]

    assert "widened because one of 9 was picked" in texts(page)
    assert set(page.multiselect[-2].value) == {"random", "margin", "tidal-entropy"}
    assert len(grey()) == 7
    page.multiselect[-2].set_value(["badge"]).run()

    assert not page.exception
    assert len(grey()) == 9
    assert "BADGE" not in grey()
    page.multiselect[-2].set_value([]).run()
    assert grey() == [], "nothing chosen: all"


def test_every_table_can_be_saved(studio: Studio) -> None:
    made_up(home(), {"random": RANDOM, "margin": BETTER})

    saved = [button.proto.label for button in open_page().get("download_button") if "." in button.proto.label]

    assert saved == ["report.md", "points.csv", "points.parquet", "rounds.parquet"]


def published(folder: Path, labels: list[int]) -> None:
    lines = ["dataset,imbalance_ratio,strategy,n_labeled,relative_improvement_pct,ci95"]
    lines += [f"MADE,1,{configuration},{one},1.5,0.5" for configuration in ("margin", "cal") for one in labels]
    (folder / "published").mkdir(parents=True)
    (folder / "published" / "tidal_relative_improvement.csv").write_text("\n".join(lines) + "\n")


def numbers(packed: dict[str, str]) -> list[float]:
    """An array as plotly sends it."""
    found: list[float] = np.frombuffer(base64.b64decode(packed["bdata"]), packed["dtype"]).tolist()
    return found


def curves(page: AppTest) -> dict[str, dict[str, str]]:
    """Names of the second figure's curves and their x."""
    data = json.loads(page.get("plotly_chart")[1].proto.spec)["data"]
    return {one["name"]: one["x"] for one in data if "name" in one}


def test_published_curves_lie_behind_ours_as_far_as_ours_will_go(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDAL_DATA", str(tmp_path))
    published(tmp_path, [6, 10, 14, 1000])
    made_up(home(), {"random": RANDOM, "margin": BETTER})

    found = curves(open_page())

    assert list(found) == ["Random", "Margin, published", "Margin"]
    assert numbers(found["Margin, published"]) == [6, 10, 14]


def test_published_curves_that_begin_beyond_ours_are_only_told_of(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDAL_DATA", str(tmp_path))
    published(tmp_path, [1000, 2000])
    made_up(home(), {"random": RANDOM, "margin": BETTER})

    page = open_page()

    assert "published curves begin at 1,000 labels" in texts(page)
    assert list(curves(page)) == ["Random", "Margin"]


def test_an_experiment_half_way_shows_what_there_is(studio: Studio) -> None:
    made_up(home(), {"random": RANDOM[:1], "margin": [[0.3]], "badge": []})

    page = open_page()

    assert charts(page) == 2, "one run wins over nobody"
    assert "One run is not enough to rule out chance" in texts(page)
    assert not page.button(key="exp-go-on-made-up").disabled
    assert page.button(key="exp-stop-made-up").disabled


def test_an_experiment_without_a_round_says_so(studio: Studio) -> None:
    made_up(home(), {"random": [[]]})

    assert "The first round is not finished yet." in texts(open_page())


def test_before_the_first_round_the_page_says_how_far_the_features_are(studio: Studio) -> None:
    experiment = made_up(home(), {"random": [[]]})
    said = "Features of digits at 64 pixels: 64 of 1,797 images, 200 images/s, 9 s left"
    with owning(experiment.folder):
        assert "Loading the images and the network." in texts(open_page())
        (experiment.folder / "log.txt").write_text(said + "\n")
        assert said in texts(open_page())


def test_while_it_plays_it_can_be_stopped_and_not_started_again(studio: Studio) -> None:
    experiment = made_up(home(), {"random": RANDOM[:1], "margin": [[0.3]]})
    with owning(experiment.folder):
        page = open_page()

    assert page.button(key="exp-go-on-made-up").disabled
    assert not page.button(key="exp-stop-made-up").disabled


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    found: list[list[str]] = []
    monkeypatch.setattr(owner, "start", lambda arguments, log: found.append(list(arguments)))
    return found


def test_the_form_begins_an_experiment(studio: Studio, started: list[list[str]]) -> None:
    page = open_page()
    page.selectbox(key="exp-preset-digits").select("quick").run()
    page.text_input(key="exp-more").input("random+td, tidal-entropy/plain").run()
    page.button(key="exp-start").click().run()

    assert not page.exception
    assert started == [["experiment-resume", "digits-quick"]]
    spec = Experiment(home() / "experiments" / "digits-quick").spec
    assert spec.configurations == ("random", "margin", "tidal-margin", "random+td", "tidal-entropy/plain")
    assert spec.protocol.rounds == 3


def test_the_form_has_what_the_command_has(studio: Studio, started: list[list[str]]) -> None:
    page = open_page()
    page.selectbox(key="exp-preset-digits").select("quick").run()
    assert "Delay as in the studio" not in [toggle.label for toggle in page.toggle]
    page.toggle(key="exp-more-choices").set_value(True).run()
    page.selectbox(key="exp-warm-quick").select(True)
    page.selectbox(key="exp-tail").select("step")
    page.toggle(key="exp-stale").set_value(True)
    page.slider(key="exp-audit").set_value(0.25)
    page.selectbox(key="exp-first-images-quick").select("classes")
    page.number_input(key="exp-held-out-quick").set_value(300)
    page.number_input(key="exp-first-seed").set_value(7)
    page.button(key="exp-start").click().run()

    assert not page.exception
    protocol = Experiment(home() / "experiments" / "digits-quick").spec.protocol
    quick = PRESETS["quick"]
    assert protocol == replace(
        quick,
        train=replace(quick.train, warm_start=True),
        tail="step",
        stale=True,
        audit_share=0.25,
        start="classes",
        held_out=300,
        first_seed=7,
    )


def test_the_preset_paper_has_the_budgets_of_the_data_set_and_its_imbalance(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDAL_DATA", str(tmp_path))
    (tmp_path / "cifar10").mkdir()
    for part in ("train", "test"):
        (tmp_path / "cifar10" / f"{part}.parquet").touch()
    page = open_page()
    page.selectbox(key="exp-data").select("cifar10").run()
    page.selectbox(key="exp-preset-cifar10").select("paper").run()
    even = page.number_input(key="exp-first-cifar10-paper").value
    page.number_input(key="exp-ratio").set_value(10.0).run()

    assert not page.exception
    assert even == 1_000
    assert page.number_input(key="exp-first-cifar10-paper-10").value == 500
    assert page.number_input(key="exp-step-cifar10-paper-10").value == 500


def test_the_form_enlarges_images_for_the_pretrained_model_only(studio: Studio, started: list[list[str]]) -> None:
    page = open_page()
    page.toggle(key="exp-more-choices").set_value(True).run()
    page.selectbox(key="exp-preset-digits").select("quick").run()
    assert "Enlarge small images to, pixels" not in [number.label for number in page.number_input]
    page.selectbox(key="exp-preset-digits").select("frozen").run()
    assert page.number_input(key="exp-enlarge").value == 64
    page.number_input(key="exp-enlarge").set_value(96)
    page.selectbox(key="exp-first-images-frozen").select("herding")
    page.button(key="exp-start").click().run()

    assert not page.exception
    assert Experiment(home() / "experiments" / "digits-frozen").spec.protocol == PRESETS["frozen"].changed(
        enlarge_to=96, start="herding"
    )


def test_the_form_refuses_exact_dynamics_where_the_body_trains(studio: Studio, started: list[list[str]]) -> None:
    page = open_page()
    page.selectbox(key="exp-preset-digits").select("quick").run()
    page.text_input(key="exp-more").input("exact-margin").run()
    page.button(key="exp-start").click().run()

    assert "exact-margin needs the exact training dynamics" in texts(page)
    assert started == []


def test_what_was_begun_last_is_what_is_shown(studio: Studio, started: list[list[str]]) -> None:
    made_up(home(), {"random": RANDOM, "margin": BETTER})
    made_up(home(), {"random": RANDOM}).folder.rename(home() / "experiments" / "a-first")
    page = open_page()
    assert page.selectbox(key="exp-shown").value == "a-first"

    page.selectbox(key="exp-preset-digits").select("quick").run()
    page.button(key="exp-start").click().run()

    assert not page.exception
    assert page.selectbox(key="exp-shown").value == "digits-quick"


def test_a_project_that_the_studio_has_open_can_be_compared(studio: Studio, started: list[list[str]]) -> None:
    tiny_project().close()
    studio.project("tiny")
    page = open_page()
    page.selectbox(key="exp-data").select("project:tiny").run()
    page.selectbox(key="exp-preset-project:tiny").select("quick").run()
    page.button(key="exp-start").click().run()

    assert not page.exception
    assert started == [["experiment-resume", "tiny-quick"]]
    kept = datasets.prepare("project:tiny", home() / "experiments" / "data")
    assert len(kept.pool_rows) == 60


def test_the_form_says_what_it_cannot_use(studio: Studio, started: list[list[str]]) -> None:
    page = open_page()
    page.text_input(key="exp-more").input("guess").run()
    page.button(key="exp-start").click().run()

    assert "no strategy 'guess'" in texts(page)
    assert started == []


def test_the_page_shows_an_experiment_of_several_imbalance_ratios(studio: Studio, tmp_path: Path) -> None:
    made_up(home(), {"random": RANDOM, "margin": BETTER})
    made_up(home(), {"random": RANDOM, "margin": BETTER}, imbalance=10.0)

    page = open_page()
    page.selectbox(key="exp-shown-ratio").select(10.0).run()

    assert not page.exception
    assert "Imbalance ratio 10" in texts(page)


def test_one_run_saves_no_labels_and_what_may_be_chance_is_not_said_in_bold(studio: Studio) -> None:
    made_up(home(), {"random": RANDOM[:1], "margin": BETTER[:1]})
    assert "The same accuracy" not in texts(open_page())
    made_up(home(), {"random": RANDOM, "margin": [[0.2, 0.7, 0.8], [0.2, 0.3, 0.6]]})
    page = open_page()
    assert "This may be chance" in texts(page)
    assert "fewer labels" not in texts(page)


def test_what_is_beyond_chance_is_said(studio: Studio) -> None:
    made_up(home(), {"random": RANDOM, "margin": [[0.2, 0.61, 0.8], [0.2, 0.71, 0.8], [0.2, 0.66, 0.8]]})
    assert "fewer labels" in texts(open_page())


def test_the_form_starts_on_the_project_on_screen_by_its_title_and_says_what_is_held_out(studio: Studio) -> None:
    settings = ProjectSettings(title="Garden birds", training_size=8, audit_share=0.0)
    tiny_project(100, test=0, settings=settings).close()
    tiny_project(10, name="few", test=0).close()
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=WAIT_SECONDS).switch_page("pages/experiments.py")
    page.session_state["project"] = "tiny"
    page.run()

    data = page.selectbox(key="exp-data")
    assert data.value == "project:tiny"
    assert data.options == ["Garden birds (100 labelled images)", "Handwritten digits (come with the studio)"]
    said = texts(page)
    assert "Of 100 labelled images" in said
    assert "20 are kept to measure accuracy (test), 8 only watch (validation accuracy), and 72 can be chosen" in said
    assert page.number_input(key="exp-rounds-project:tiny-human").value == 3, "20 + 2 x 20 of 72, and not ten rounds"
    page.toggle(key="exp-more-choices").set_value(True).run()
    page.number_input(key="exp-held-out-human").set_value(30).run()
    assert "each run draws 30 to measure accuracy" in texts(page)
    assert page.text_input(key="exp-name-project:tiny-human").value == "Garden birds human"


def test_an_experiment_is_shown_by_the_name_that_was_typed(studio: Studio, started: list[list[str]]) -> None:
    page = open_page()
    page.text_input(key="exp-name-digits-human").set_value("My first try")
    page.button(key="exp-start").click().run()
    assert started == [["experiment-resume", "my-first-try"]]
    assert page.selectbox(key="exp-shown").options == ["My first try"]


def test_configurations_and_experiments_are_removed_once_that_is_confirmed(studio: Studio) -> None:
    experiment = made_up(home(), {"random": RANDOM, "margin": BETTER})
    page = open_page()
    place = "exp-remove-made-up-random-margin-3"
    page.multiselect(key=f"{place}-arms").set_value(["margin"]).run()
    assert page.button(key=f"{place}-some").disabled
    page.checkbox(key=f"{place}-sure").set_value(True).run()
    page.button(key=f"{place}-some").click().run()
    assert not page.exception
    assert experiment.spec.configurations == ("random",)

    place = "exp-remove-made-up-random-3"
    page.checkbox(key=f"{place}-sure").set_value(True).run()
    page.button(key=f"{place}-all").click().run()
    assert not page.exception
    assert not experiment.folder.exists()
    assert "No experiment yet" in texts(page)


def test_the_form_trains_with_the_network_that_is_named(studio: Studio, started: list[list[str]]) -> None:
    page = open_page()
    page.toggle(key="exp-more-choices").set_value(True).run()
    page.text_input(key="exp-backbone-human").set_value("resnet5000").run()
    page.button(key="exp-start").click().run()
    assert "there is no backbone 'resnet5000'" in texts(page)
    assert started == []
    page.text_input(key="exp-backbone-human").set_value("resnet18").run()
    page.selectbox(key="exp-augment-human").set_value("none").run()
    page.button(key="exp-start").click().run()
    train = Experiment(home() / "experiments" / "digits-human").spec.protocol.train
    assert (train.backbone, train.augmentation) == ("resnet18", "none")
