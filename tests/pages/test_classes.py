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


def said(test: AppTest) -> str:
    return " ".join(element.value for element in [*test.markdown, *test.caption, *test.error, *test.info])


def test_the_history_says_who_changed_what_and_takes_any_of_it_back(project: Project) -> None:
    project.store.classes.change(1, name="crimson", author="ana")
    project.store.classes.merge(3, into=2, author="ben")
    project.store.classes.change(1, name="scarlet", author="ana")

    shown = page()
    text = said(shown)
    assert "Merged 'blue' into 'green'" in text
    assert "ben · " in text
    renamed = next(event.seq for event in project.store.classes.history() if event.author == "ana")
    shown.button(key=f"class-history-tiny-{renamed}").click().run()
    assert "“'crimson': renamed it 'scarlet'” came later and stands in the way" in shown.error[0].value
    assert names(project) == ["scarlet", "green"]

    shown.button(key=f"class-history-tiny-{renamed + 1}").click().run()
    assert not shown.exception
    assert names(project) == ["scarlet", "green", "blue"]
    assert project.store.classes.history()[-1].author == project.settings.annotator


def test_a_class_is_described_and_its_images_are_asked_again_and_get_their_labels_back(project: Project) -> None:
    shown = page()
    choose(shown, "Change a class", 1)
    assert "The first ones that were labelled." in said(shown)
    shown.text_area(key=next(each.key for each in shown.text_area if each.label == "Description")).set_value(
        "like blood\nor wine"
    ).run()
    assert project.store.classes.get(1).description == "like blood\nor wine"

    choose(shown, "Change a class", 1)
    press(shown, "Ask again")
    assert "**2 images** of red will be asked again" in said(shown)
    press(shown, "Ask these again")
    assert project.store.answers.counts_by_class() == {2: 1}
    assert [item.image_id for item in project.store.queue.items()[:2]] == [1, 2]

    split = next(event.seq for event in project.store.classes.history() if event.kind == "split")
    shown.button(key=f"class-history-tiny-{split}").click().run()
    assert not shown.exception
    assert project.store.answers.counts_by_class() == {1: 2, 2: 1}


def test_a_list_of_classes_is_shown_before_it_is_taken_in_and_one_that_is_none_is_refused(project: Project) -> None:
    shown = page()
    field = next(each for each in shown.get("file_uploader") if each.label == "Take in a list of classes")
    field.set_value([("classes.csv", b"name;key\nblue;b\npink;p\n", "text/csv")]).run()
    text = said(shown)
    assert "New: pink" in text
    assert "Changed: blue: key 3 becomes b" in text
    assert names(project) == ["red", "green", "blue"]
    press(shown, "Take in this list")
    assert not shown.exception
    assert names(project) == ["blue", "pink", "red", "green"]

    shown = page()
    field = next(each for each in shown.get("file_uploader") if each.label == "Take in a list of classes")
    field.set_value([("classes.csv", b"name,key\nfox,1\nfox,2\n", "text/csv")]).run()
    assert "the name 'fox' is that of Line 2, too" in shown.error[0].value
