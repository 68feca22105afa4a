"""Two projects in one browser, and two tabs on one project: nothing done or kept for the one reaches the other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.testing.v1 import AppTest

from benchmarks.made_up import make
from tests.helpers.gates import WAIT_SECONDS
from tests.helpers.tiny import tiny_project
from tests.pages.looking import ROOT, SMALL, open_page, start_round, sure_of_all, texts
from tests.pages.test_project import page
from tidal_core.records import AnswerKind
from tidal_core.server.studio import Studio

SHARED = {
    "project",  # the choice of projects itself
    "view-choice", "address", "connection", "fast", "plain",  # how a person likes to look
    "new-source-folder", "new-source-inside", "new-source-up", "new-source-home", "new-source-use",
    "new-source", "new-files", "new-labels", "new-level",  # of a project that is not there yet
    "Name", "Classes, one per line (you can add more later)", "FormSubmitter:new-project-Create",
    "FormSubmitter:new-project-Preview",
    "typed-name", "remembered-name",  # the person's name, one in all projects
    "annotator", "plain-tab",  # who answers (set anew at every page view), and in which tab
}  # fmt: skip
MENUS = ("-format", "-html", "-csv", "-heading")  # beside a figure: they save what is drawn


@pytest.fixture
def pair(studio: Studio) -> Iterator[Studio]:
    """Two projects with the same classes, images, answers and rounds."""
    studio.worker.stop(WAIT_SECONDS)
    for name in ("left", "right"):
        make(name, SMALL).close()
        studio.project(name)
    return studio


@pytest.fixture
def tiny_pair(studio: Studio) -> Studio:
    studio.worker.stop(WAIT_SECONDS)
    for name in ("left", "right"):
        tiny_project(12, test=0, name=name).close()
        studio.project(name)
    return studio


def names(studio: Studio, slug: str) -> list[str]:
    return [record.name for record in studio.project(slug).store.classes.all()]


def editors(test: AppTest) -> list[str]:
    return [node.proto.id for node in test if getattr(getattr(node, "proto", None), "editing_mode", 0)]


def edit(test: AppTest, editor: str, cells: dict[str, dict[str, str]]) -> AppTest:
    """What a browser sends when somebody has typed into a table that it has on screen."""
    states = test._tree.get_widget_states()
    typed = json.dumps({"edited_rows": cells, "added_rows": [], "deleted_rows": []})
    states.widgets.append(WidgetState(id=editor, string_value=typed))
    return test._run(states)


def test_a_class_edited_in_one_project_stays_in_it(tiny_pair: Studio) -> None:
    shown = page("left")
    (editor,) = editors(shown)
    edit(shown, editor, {"0": {"Name": "crimson"}})
    assert names(tiny_pair, "left") == ["crimson", "green", "blue"]

    shown.session_state["project"] = "right"
    edit(shown, editor, {"0": {"Name": "crimson"}})  # the table of before is still what the browser knows

    assert not shown.exception
    assert names(tiny_pair, "right") == ["red", "green", "blue"]


def test_an_edit_on_its_way_while_the_project_is_changed_goes_where_it_was_typed(tiny_pair: Studio) -> None:
    shown = page("left")
    shown.session_state["project"] = "right"

    edit(shown, editors(shown)[0], {"1": {"Name": "lime"}})

    assert names(tiny_pair, "left") == ["red", "lime", "blue"]
    assert names(tiny_pair, "right") == ["red", "green", "blue"]


def test_an_edit_is_applied_once(tiny_pair: Studio) -> None:
    shown = page("left")
    (editor,) = editors(shown)
    edit(shown, editor, {"0": {"Name": "crimson"}})
    tiny_pair.project("left").store.classes.change(1, name="scarlet")

    edit(shown, editor, {"0": {"Name": "crimson"}})

    assert names(tiny_pair, "left") == ["scarlet", "green", "blue"]
    assert editors(shown) != [editor]


def test_an_edit_of_what_another_tab_has_changed_is_refused_and_said(tiny_pair: Studio) -> None:
    one, other = page("left"), page("left")
    edit(one, editors(one)[0], {"0": {"Name": "crimson"}})

    edit(other, editors(other)[0], {"0": {"Name": "scarlet"}, "1": {"Key": "x"}})

    assert names(tiny_pair, "left") == ["crimson", "green", "blue"]
    assert tiny_pair.project("left").store.classes.get(2).key == "x", "nobody else had changed that"
    assert "was changed from 'red' to 'crimson' meanwhile" in other.error[0].value
    assert not other.run().error


def test_an_edit_that_is_refused_is_not_tried_again_with_the_next(tiny_pair: Studio) -> None:
    shown = page("left")
    edit(shown, editors(shown)[0], {"0": {"Name": "green"}})
    assert "There is already a class" in shown.error[0].value

    edit(shown, editors(shown)[0], {"1": {"Name": "lime"}})

    assert not shown.error
    assert names(tiny_pair, "left") == ["red", "lime", "blue"]


def choose(test: AppTest, label: str, value: object) -> AppTest:
    return next(box for box in test.selectbox if box.label == label).set_value(value).run()


def press(test: AppTest, label: str) -> AppTest:
    return next(button for button in test.button if button.label == label).click().run()


def test_a_merge_of_classes_that_have_other_names_by_now_is_refused(tiny_pair: Studio) -> None:
    shown = page("left")
    choose(shown, "Merge class", 1)
    choose(shown, "into class", 2)
    press(shown, "Merge")
    tiny_pair.project("left").store.classes.change(1, name="crimson")

    press(shown, "Merge these classes")

    assert names(tiny_pair, "left") == ["crimson", "green", "blue"]
    assert "meanwhile" in shown.error[0].value
    choose(shown, "Merge class", 1)
    choose(shown, "into class", 2)
    press(shown, "Merge")
    press(shown, "Merge these classes")
    assert names(tiny_pair, "left") == ["green", "blue"]


def test_settings_that_another_tab_has_changed_are_not_undone(tiny_pair: Studio) -> None:
    one, other = page("left"), page("left")
    for test, labels, title in ((one, 50, "Left"), (other, 6, "Links")):
        next(field for field in test.number_input if field.label == "Labels per round").set_value(labels)
        next(field for field in test.text_input if field.label == "Title").set_value(title)
    press(one, "Save")

    press(other, "Save")

    settings = tiny_pair.project("left").settings
    assert (settings.title, settings.labels_per_round) == ("Left", 50)
    assert "The setting title was changed" in other.error[0].value

    next(field for field in other.text_input if field.label == "Title").set_value("Links")
    press(other, "Save")
    settings = tiny_pair.project("left").settings
    assert (settings.title, settings.labels_per_round) == ("Links", 50)


def test_what_is_done_with_plain_widgets_is_undone_in_its_own_project(tiny_pair: Studio) -> None:
    left, right = (tiny_pair.project(slug).store for slug in ("left", "right"))
    shown = AppTest.from_file(str(ROOT / "app.py"), default_timeout=WAIT_SECONDS)
    shown.session_state["project"] = "left"
    shown.query_params["plain"] = "1"
    press(shown.run(), "red")

    shown.session_state["project"] = "right"
    shown.run()

    assert not shown.exception
    assert next(button for button in shown.button if button.label == "Undo").disabled
    assert not re.search(r"\bred\b", texts(shown))
    shown.session_state["project"] = "left"
    press(shown.run(), "Undo")
    assert [stored.answer.kind for stored in left.answers.all()] == [AnswerKind.LABEL, AnswerKind.UNDO]
    assert right.answers.count() == 0


def test_a_press_that_comes_after_the_label_was_changed_elsewhere_changes_nothing(pair: Studio) -> None:
    store = pair.project("left").store
    before = store.answers.current(7)
    assert before is not None
    shown = open_page("dynamics", "left", image="7")
    others = [record.id for record in store.classes.all() if record.id != before.answer.class_id]
    key = f"relabel-left-7-{before.seq}"
    shown.selectbox(key=key).select(others[0]).run()
    other_tab = open_page("dynamics", "left", image="7")
    other_tab.selectbox(key=key).select(others[1]).run()
    other_tab.button(key=f"{key}-save").click().run()

    shown.button(key=f"{key}-save").click().run()

    after = store.answers.current(7)
    assert after is not None
    assert after.answer.class_id == others[1]


def test_the_image_in_the_address_is_of_its_project(tiny_pair: Studio) -> None:
    shown = AppTest.from_file(str(ROOT / "app.py"), default_timeout=WAIT_SECONDS)
    shown.session_state["project"] = "left"
    shown.query_params["image"] = "7"
    assert "image" in shown.run().query_params

    shown.selectbox(key="project").set_value("right").run()

    assert "image" not in shown.query_params


def widgets(test: AppTest) -> dict[str, str]:
    """Every widget with a state, by id, as its key or label."""
    shown: dict[str, str] = {}
    for node in test:
        proto: Any = getattr(node, "proto", None)
        number = getattr(proto, "id", "")
        if number and getattr(node, "type", "") not in ("tab", "plotly_chart", "expander", "popover"):
            shown[number] = getattr(node, "key", None) or getattr(proto, "label", "") or number
    return shown


PAGES: list[tuple[str, dict[str, str]]] = [
    ("dynamics", {"view": "life", "image": "7"}), ("dynamics", {"view": "map"}), ("dynamics", {"view": "groups"}),
    ("dynamics", {"view": "aside"}), ("gallery", {"where": "labelled"}),
    ("label", {"plain": "1"}), ("predictions", {}), ("finish", {}), ("progress", {}), ("project", {}), ("training", {}),
    ("replay", {"round": "1"}), ("uncertainty", {}),
]  # fmt: skip


def test_no_widget_of_one_project_is_taken_for_that_of_another(pair: Studio) -> None:
    for name, query in PAGES:
        shown, kept = [], []
        for slug in ("left", "right"):
            if name == "training":
                start_round(pair.project(slug))
            if name == "finish":
                sure_of_all(pair.project(slug))
            test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=WAIT_SECONDS)
            test.session_state["project"] = slug
            for key, value in query.items():
                test.query_params[key] = value
            test.switch_page(f"pages/{name}.py").run()
            assert not test.exception, test.exception
            shown.append(widgets(test))
            kept.append(set(test._session_state.filtered_state))

        left, right = shown
        both = {left[number] for number in set(left) & set(right)} | (kept[0] & kept[1])
        assert not {key for key in both if key not in SHARED and not key.endswith(MENUS)}, name
        assert set(left.values()) - set(SHARED), "there is nothing that could be taken for another's"
