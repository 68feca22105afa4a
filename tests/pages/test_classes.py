"""Classes on the Project page: no single press merges or retires, all can be undone, and refusals speak."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from tests.helpers.tiny import tiny_project
from tests.pages.test_project import page
from tests.pages.test_projects_apart import choose, edit, editors, press
from tests.store.samples import label
from tidal_core.projects import Project
from tidal_core.server.studio import Studio


@pytest.fixture
def project(studio: Studio) -> Project:
    """Classes red (2 labels), green (1) and blue (none)."""
    tiny_project(12, test=0).close()
    project = studio.project("tiny")
    project.store.answers.record([label(f"e{number}", number, class_id=1 + number // 3) for number in (1, 2, 3)])
    return project


def names(project: Project) -> list[str]:
    return [record.name for record in project.store.classes.all()]


def labels_of(test: AppTest) -> list[str]:
    return [button.label for button in test.button]


def add(test: AppTest, text: str) -> AppTest:
    test.text_area(key="new-classes-tiny-names").set_value(text)
    return press(test, "Add classes")


def test_a_merge_is_chosen_confirmed_with_both_counts_and_undone(project: Project) -> None:
    shown = page()
    assert "Merge" not in labels_of(shown), "nothing is preselected"
    choose(shown, "Merge class", 1)
    choose(shown, "into class", 2)
    press(shown, "Merge")
    assert names(project) == ["red", "green", "blue"], "not by the first press"
    assert any("2 labels" in text.value and "1 label," not in text.value for text in shown.markdown)
    assert any("All 3 will count as green" in text.value for text in shown.markdown)

    press(shown, "Merge these classes")
    assert names(project) == ["green", "blue"]
    assert project.store.answers.counts_by_class() == {2: 3}

    press(shown, "Undo")
    assert not shown.exception
    assert names(project) == ["red", "green", "blue"]
    assert project.store.answers.counts_by_class() == {1: 2, 2: 1}


def test_a_class_is_retired_after_it_was_asked_and_comes_back_later(project: Project) -> None:
    shown = page()
    choose(shown, "Change a class", 1)
    press(shown, "Retire")
    press(shown, "Cancel")
    assert names(project) == ["red", "green", "blue"]
    press(shown, "Retire")
    press(shown, "Retire this class")
    assert names(project) == ["green", "blue"]

    later = page()
    choose(later, "Class out of use", 1)
    press(later, "Bring it back")
    assert names(project) == ["red", "green", "blue"]
    assert not later.exception


def test_names_that_add_nothing_stay_in_the_field_and_are_explained(project: Project) -> None:
    project.store.classes.merge(3, into=1)
    for typed, why in (
        ("green", "Already a class of this project: green. Nothing was added."),
        ("blue", "was merged into 'red'"),
        ("x" * 300, "of 300 characters cannot be used"),
        ("", "type at least one name"),
    ):
        shown = add(page(), typed)
        assert any(why in message.value for message in [*shown.info, *shown.error]), why
        assert shown.text_area(key="new-classes-tiny-names").value == typed
    assert names(project) == ["red", "green"]


def test_new_classes_come_where_they_belong(project: Project) -> None:
    shown = page()
    shown.selectbox(key="new-classes-tiny-where").set_value(2)
    add(shown, "crimson\ngreen\npink")
    assert names(project) == ["red", "crimson", "pink", "green", "blue"]
    assert any("Already a class of this project: green." in info.value for info in shown.info)
    assert shown.text_area(key="new-classes-tiny-names").value == ""


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ({"Name": ""}, "A class name cannot be empty"),
        ({"Key": "u"}, "labelling page uses"),
        ({"Key": "ab"}, "choose one lower-case letter"),
        ({"Colour": "red"}, "or choose it with the colour picker"),
    ],
)
def test_a_cell_that_is_refused_is_explained_and_shown_as_it_was(
    project: Project, cells: dict[str, str], why: str
) -> None:
    before = project.store.classes.all()
    shown = page()
    (editor,) = editors(shown)
    edit(shown, editor, {"0": cells})
    assert why in shown.error[0].value
    assert project.store.classes.all() == before
    assert editors(shown) != [editor], "a fresh table, without what was typed"


def test_a_class_moves_to_the_place_that_is_typed_and_keeps_its_key(project: Project) -> None:
    keys = {record.name: record.key for record in project.store.classes.all()}
    shown = page()
    edit(shown, editors(shown)[0], {"2": {"Place": 1}})
    assert names(project) == ["blue", "red", "green"]
    assert {record.name: record.key for record in project.store.classes.all()} == keys


def test_a_colour_is_picked(project: Project) -> None:
    shown = page()
    choose(shown, "Change a class", 2)
    shown.color_picker[0].set_value("#123456").run()
    assert not shown.exception
    assert project.store.classes.get(2).colour == "#123456"
