"""Agreement on the page Review: what to do at first, what people disagree on, a settlement by a button."""

from __future__ import annotations

import dataclasses

import pytest
from streamlit.testing.v1 import AppTest

from tests.helpers.gates import WAIT_SECONDS
from tests.helpers.tiny import tiny_project
from tests.pages.looking import open_page, press_ending, texts
from tests.pages.test_present import screen
from tidal_core.labelling.desk import desk_of
from tidal_core.projects import Project
from tidal_core.records import Answer, AnswerKind
from tidal_core.server.studio import Studio


@pytest.fixture
def project(studio: Studio) -> Project:
    assert studio.worker.stop(WAIT_SECONDS)
    tiny_project(12).close()
    return studio.project("tiny")


def agreement_page() -> AppTest:
    page = open_page("review", "tiny")
    (part,) = [each for each in page.segmented_control if each.key == "review-part-tiny"]
    return part.set_value("Agreement").run()


def test_without_second_answers_the_page_says_what_to_do(project: Project) -> None:
    assert "Share of images asked of several people" in texts(agreement_page())

    project.store.settings.save(dataclasses.replace(project.settings, double_share=1.0))
    desk_of(project).record([Answer("event-ann", AnswerKind.LABEL, 1, 1, annotator="ann")])

    page = agreement_page()
    assert "1 image waits for the answer of somebody else" in texts(page)
    assert not page.exception


def test_a_disagreement_is_shown_with_who_said_what_and_settled_by_a_button(project: Project) -> None:
    for who, said in (("ann", {1: 1, 2: 2, 3: 3}), ("bo", {1: 1, 2: 2, 3: 1})):
        desk_of(project).record(
            [Answer(f"event-{who}-{i}", AnswerKind.LABEL, i, c, annotator=who) for i, c in said.items()]
        )
    page = agreement_page()
    assert not page.exception
    assert "On 2 of 3 images that two or more people labelled, all said the same" in texts(page)
    assert "ann" in texts(page)

    page = press_ending(page, "class-3")

    assert not page.exception
    current = project.store.answers.current(3)
    assert current is not None
    assert (current.answer.class_id, current.answer.annotator) == (3, project.settings.annotator)
    assert "Nobody disagrees about an image." in [each.value for each in page.success]
    page = press_ending(page, "undo")
    assert "1 to settle." in texts(page)
    again = project.store.answers.current(3)
    assert again is not None
    assert again.answer.class_id == 1, "the newest of two"


def test_pages_that_show_all_labels_wait_for_the_answers_that_are_still_to_be_given(project: Project) -> None:
    project.store.settings.save(dataclasses.replace(project.settings, double_share=1.0))
    before = len(screen("collection", "tiny").info)
    desk_of(project).record([Answer("event-ann", AnswerKind.LABEL, 1, 1, annotator="ann")])

    page = screen("collection", "tiny")

    assert "what others say of 1 image that you are still to answer" in page.info[0].value
    assert [each.label for each in page.toggle] == ["Show it all the same"]
    page = page.toggle[0].set_value(True).run()
    assert not page.exception
    assert len(page.info) == before + 1
    desk_of(project).record([Answer("event-me", AnswerKind.LABEL, 1, 1, annotator=project.settings.annotator)])
    assert len(screen("collection", "tiny").info) == before


def test_the_settings_of_several_people_are_on_the_project_page(project: Project) -> None:
    page = open_page("project", "tiny")
    (share,) = [each for each in page.number_input if (each.key or "").endswith("-double_share")]
    share.set_value(0.25)
    (save,) = [each for each in page.button if each.label == "Save"]
    save.click().run()

    assert not page.exception
    assert project.settings.double_share == 0.25
