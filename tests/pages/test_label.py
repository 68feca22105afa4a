"""The labelling page: the component is mounted, and plain widgets do the same work one answer at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from tests.helpers.gates import WAIT_SECONDS
from tests.helpers.tiny import tiny_project
from tests.pages.looking import made_up, open_page, press, texts
from tests.pages.test_hostile_names import parts_of
from tidal_core.images.ingest import ingest
from tidal_core.labelling.desk import desk_of
from tidal_core.projects import Project
from tidal_core.records import Answer, AnswerKind, AnswerMode, Purpose
from tidal_core.server.studio import Studio

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(studio: Studio) -> Project:
    tiny_project(12, test=0).close()
    return studio.project("tiny")


def open_label(*, plain: bool, slug: str = "tiny") -> AppTest:
    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=WAIT_SECONDS)
    test.session_state["project"] = slug
    if plain:
        test.query_params["plain"] = "1"
    test.run()
    assert not test.exception, test.exception
    return test


def answers(project: Project) -> list[tuple[AnswerKind, int, int | None]]:
    return [(s.answer.kind, s.answer.image_id, s.answer.class_id) for s in project.store.answers.all()]


def class_button(test: AppTest, name: str) -> str:
    return next(button.key for button in test.button if button.label == name and button.key.startswith("plain-"))


def undo_button(test: AppTest) -> str:
    return next(button.key for button in test.button if button.label == "Undo")


def test_after_a_round_a_line_says_how_good_the_model_is_and_where_there_is_more(studio: Studio) -> None:
    made_up(studio)

    test = open_label(plain=False, slug="made-up")
    assert "has ended" not in texts(test)  # the first page does not wait for it
    test.run()

    assert "Round 2 has ended. The model is right about" in texts(test)
    assert "random images (kappa" in texts(test)
    assert [link.proto.label for link in test.get("page_link") if "progress" in link.proto.page] == [
        "Have I done enough?"
    ]


def test_before_a_round_nothing_is_said_of_the_model(project: Project) -> None:
    assert "has ended" not in texts(open_label(plain=False).run())


def test_the_page_opens_with_the_component_and_offers_plain_widgets(project: Project) -> None:
    test = open_label(plain=False)

    assert [button.label for button in test.button] == ["Use plain widgets instead", "Autopilot"]
    assert len(desk_of(project).project_id()) == 16


def test_a_plain_button_answers_the_image_it_was_drawn_for_and_shows_the_next(project: Project) -> None:
    test = open_label(plain=True)
    first, second = (item.image_id for item in project.store.queue.items()[:2])

    press(test, class_button(test, "green"))

    assert answers(project) == [(AnswerKind.LABEL, first, 2)]
    assert project.store.answers.all()[0].answer.mode is AnswerMode.WIDGETS
    assert class_button(test, "green") == f"plain-tiny-{second}-2"


def test_a_missing_class_is_added_and_answered_with_plain_widgets(project: Project) -> None:
    test = open_label(plain=True)
    image = project.store.queue.items()[0].image_id
    name = next(field for field in test.text_input if field.label == "Another class")
    name.set_value("pink")
    added = next(button.key for button in test.button if button.label == "Add it and answer")
    press(test, added)
    pink = project.store.classes.all()[-1]
    assert (pink.name, project.store.classes.history()[-1].author) == ("pink", project.settings.annotator)
    assert answers(project) == [(AnswerKind.LABEL, image, pink.id)]

    press(test, next(button.key for button in test.button if button.label == "Add it and answer"))
    assert "A class name cannot be empty" in texts(test)
    assert len(answers(project)) == 1


def test_plain_widgets_show_no_folder_before_or_after_the_answer(project: Project) -> None:
    project.store.images.set_places(
        [(image.id, image.uri, f"secretfolder/photo {image.id}.png") for image in project.store.images.all()]
    )
    test = open_label(plain=True)
    before = [text for _, _, text in parts_of(test)]

    press(test, class_button(test, "green"))

    shown = [*before, *(text for _, _, text in parts_of(test))]
    assert any("photo" in text and "green" in text for text in shown)
    assert any("photo" in text for text in before)
    assert not [text for text in shown if "secretfolder" in text]


def test_plain_undo_brings_the_image_back(project: Project) -> None:
    test = open_label(plain=True)
    first = project.store.queue.items()[0].image_id
    press(test, class_button(test, "red"))

    press(test, undo_button(test))

    assert [kind for kind, _, _ in answers(project)] == [AnswerKind.LABEL, AnswerKind.UNDO]
    assert class_button(test, "red") == f"plain-tiny-{first}-1"


def test_plain_skip_and_flag_keep_their_reason_and_note(project: Project) -> None:
    test = open_label(plain=True)
    first, second = (item.image_id for item in project.store.queue.items()[:2])
    test.selectbox(key=f"plain-tiny-{first}-reason").set_value("bad image").run()

    press(test, f"plain-tiny-{first}-skip")
    test.text_input(key=f"plain-tiny-{second}-note").set_value("two *animals*?").run()
    press(test, f"plain-tiny-{second}-flag")

    stored = [s.answer for s in project.store.answers.all()]
    assert [(a.kind, a.image_id) for a in stored] == [(AnswerKind.SKIP, first), (AnswerKind.FLAG, second)]
    assert (stored[0].reason, stored[1].note) == ("bad image", "two *animals*?")
    assert {a.purpose for a in stored} == {Purpose.SEED}


def test_what_was_flagged_or_skipped_is_listed_looked_at_and_taken_back(project: Project) -> None:
    flagged, skipped, labelled = (item.image_id for item in project.store.queue.items()[:3])
    project.store.answers.record(
        [
            Answer("flagged-1", AnswerKind.FLAG, flagged, note="a *fox* or a dog?", annotator="ana"),
            Answer("skipped-1", AnswerKind.SKIP, skipped, reason="bad image", purpose=Purpose.SEED),
            Answer("skipped-2", AnswerKind.SKIP, labelled, reason="unclear"),
            Answer("labelled-1", AnswerKind.LABEL, labelled, class_id=1),
        ]
    )
    test = open_page("dynamics", "tiny", view="aside")
    assert r"a \*fox\* or a dog?" in texts(test)
    assert "bad image" in texts(test)
    assert "unclear" not in texts(test)
    assert "ana" in texts(test)

    press(test, "set-aside-tiny-skipped-1-undo")

    assert "bad image" not in texts(test)
    assert project.store.answers.current(skipped) is None
    assert project.store.queue.items()[0].image_id == skipped
    press(test, "set-aside-tiny-flagged-1-look")
    assert f"**Image {flagged}**" in texts(test)
    assert test.query_params["image"] == str(flagged)


def test_a_class_name_with_markup_is_text_on_its_button(project: Project) -> None:
    project.store.classes.add(["**bold** <b>"])

    test = open_label(plain=True)

    assert r"\*\*bold\*\* \<b\>" in [button.label for button in test.button]


def test_the_plain_page_says_when_nothing_is_left(project: Project) -> None:
    test = open_label(plain=True)
    for _ in range(12):
        press(test, class_button(test, "blue"))

    assert "Every image is labelled" in test.info[0].value
    assert project.store.answers.count() == 12


def links(test: AppTest) -> list[str]:
    return [link.proto.label for link in test.main.get("page_link")]


def test_who_is_new_reads_what_this_is_and_has_three_ways_on(studio: Studio) -> None:
    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=WAIT_SECONDS).run()

    assert test.title[0].value == "TiDAL Studio"
    assert "a model learns while you label" in texts(test)
    assert links(test) == ["Label your own photos", "What is this?"]
    assert "try it here" in texts(test)


def test_after_the_first_answer_the_demo_is_for_labelling_alone(studio: Studio) -> None:
    demo = studio.demo()
    image = demo.store.images.all()[0]
    demo.store.answers.record(
        [Answer("a", AnswerKind.SKIP, image.id, annotator="me", mode=AnswerMode.SINGLE, purpose=Purpose.SEED)]
    )

    assert not links(AppTest.from_file(str(ROOT / "app.py"), default_timeout=WAIT_SECONDS).run())


def test_a_project_without_images_or_classes_leads_to_where_they_are_added(studio: Studio, tmp_path: Path) -> None:
    bare = studio.create("bare")
    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=WAIT_SECONDS)
    test.session_state["project"] = "bare"
    assert links(test.run()) == ["Add images"]

    Image.new("RGB", (16, 16)).save(tmp_path / "one.png")
    ingest(bare, str(tmp_path))
    assert links(test.run()) == ["Add classes"]

    bare.store.classes.add(["cat"])
    assert links(test.run()) == []
