"""The page Review: planted mistakes are found and mended, each answer is one event, and every state says what it is."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from tests.helpers.mistaken import mistaken_project
from tests.helpers.tiny import tiny_project
from tests.pages.looking import made_up, open_page, press_ending, texts
from tidal_core.projects import Project, create_project
from tidal_core.records import Answer, AnswerKind
from tidal_core.server.studio import Studio
from tidal_core.store.answers import TWO_LABELS
from tidal_core.ui import review_view


@pytest.fixture
def mistaken(quiet: Studio) -> tuple[Project, list[int]]:
    project, planted = mistaken_project()
    project.close()
    return quiet.project("tiny"), planted


def on_screen(page: AppTest) -> int:
    """The image that is asked about."""
    state = page.session_state["review-state-tiny"]
    assert state.current is not None
    return int(state.current.image_id)


def test_planted_mistakes_are_found_and_mended(mistaken: tuple[Project, list[int]]) -> None:
    project, planted = mistaken
    page = open_page("review", "tiny")
    before, mended = project.store.answers.count(), []
    assert "For **4** of 60 labels the model is confident of another class" in texts(page)

    for _ in planted:
        mended.append(on_screen(page))
        page = press_ending(page, "change")
    page = press_ending(page, "keep")  # the first behind the mistakes

    assert sorted(mended) == planted
    assert review_view.NOTHING_LEFT in [each.value for each in page.success]
    known = {image.id: image.known_class for image in project.store.images.all()}
    labels = project.store.answers.labels()
    assert [known[image] for image in labels.image_ids.tolist()] == labels.class_ids.tolist()
    assert project.store.answers.count() == before + len(planted) + 1


def test_an_image_shows_what_the_model_thinks_and_its_neighbours_labels(mistaken: tuple[Project, list[int]]) -> None:
    page = open_page("review", "tiny")

    said = texts(page)
    suspect = page.session_state["review-state-tiny"].current
    assert f"{suspect.p_label:.0%}" in said
    assert "Labelled images most like it" in said
    assert "5 to look at." in said


def test_keep_unsure_another_class_and_undo(mistaken: tuple[Project, list[int]]) -> None:
    project, _ = mistaken
    page = open_page("review", "tiny")
    first = on_screen(page)
    page = press_ending(page, "keep")
    second = on_screen(page)
    page = press_ending(page, "unsure")
    third = on_screen(page)
    other = next(box for box in page.selectbox if box.label == "Another class")
    chosen = next(record.id for record in project.store.classes.all() if other.options[0].startswith(record.name))
    page = press_ending(other.select_index(0).run(), f"to-{chosen}")

    assert len({first, second, third, on_screen(page)}) == 4
    current = project.store.answers.current(third)
    assert current is not None
    assert current.answer.class_id == chosen
    assert [flag.answer.image_id for flag in project.store.answers.set_aside()] == [second]
    page = press_ending(page, "undo")
    assert on_screen(page) == third
    page = press_ending(press_ending(page, "undo"), "undo")
    assert on_screen(page) == first
    assert project.store.answers.count(AnswerKind.UNDO) == 3


def test_what_was_looked_at_does_not_come_again_when_the_page_is_opened_anew(
    mistaken: tuple[Project, list[int]],
) -> None:
    page = open_page("review", "tiny")
    first = on_screen(page)
    page = press_ending(page, "keep")
    second = on_screen(page)

    again = open_page("review", "tiny")

    assert on_screen(again) == second != first


def test_the_rest_can_be_looked_at_too_and_another_ranking_chosen(mistaken: tuple[Project, list[int]]) -> None:
    page = open_page("review", "tiny")
    ranking = next(box for box in page.selectbox if box.label == "Ranked by")
    assert ranking.options[:2] == ["All together", "Probability of the label"]
    page = ranking.select("neighbours").run()
    for _ in range(5):
        page = press_ending(page, "keep")

    page = next(each for each in page.button if each.label.startswith("Look at the other 55")).click().run()

    assert "55 to look at." in texts(page)


def test_the_model_that_trained_on_the_labels_says_since_when(quiet: Studio) -> None:
    made_up(quiet)

    page = open_page("review")

    assert "it may have learnt mistakes by heart" in texts(page)
    assert "The model gives" in texts(page)
    assert "Probabilities during training" in texts(page)


def test_without_images_without_a_round_and_with_one_class(quiet: Studio) -> None:
    create_project("empty").close()
    tiny_project(name="young").close()
    alone = tiny_project(name="alone", test=0)
    alone.store.classes.retire(2)
    alone.store.classes.retire(3)
    alone.store.answers.record([Answer("a", AnswerKind.LABEL, 1, class_id=1)])
    alone.close()

    assert "This project has no images yet." in texts(open_page("review", "empty"))
    assert "Not yet: labels that are probably wrong" in texts(open_page("review", "young"))
    assert "once there are two classes" in texts(open_page("review", "alone"))


def test_copies_are_asked_about_before_there_is_a_model(quiet: Studio) -> None:
    project = tiny_project(6, test=0, name="copies")
    project.store.answers.record(
        [
            Answer("a", AnswerKind.LABEL, 1, class_id=1),
            Answer("b", AnswerKind.FLAG, 1, reason=TWO_LABELS, suggestion_class=3),
        ]
    )
    project.close()

    page = open_page("review", "copies")

    assert "imported with a second label: blue" in texts(page)
    assert "No model has judged the labels yet." in texts(page)
    press_ending(page, "change")
    assert quiet.project("copies").store.answers.labels().class_ids.tolist() == [3]
