"""Training, Dynamics and Uncertainty in their states: empty, live, full, failed, odd projects."""

import pytest

from benchmarks.made_up import Size
from tests.pages.looking import an_epoch, charts, fail_round, made_up, open_page, start_round, texts
from tidal_core.export.replay.collect import replay_info
from tidal_core.export.report import report
from tidal_core.projects import Project
from tidal_core.records import Answer, AnswerKind, RoundState, Split
from tidal_core.rounds.due import end_round
from tidal_core.server.studio import Studio
from tidal_core.ui import rounds_view

PAGES = ("training", "dynamics", "uncertainty", "progress")
NO_ROUND = Size(labelled=0, pool=30, test=5, rounds=0)


@pytest.mark.parametrize("page", [*PAGES, "replay"])
def test_an_empty_project_says_how_many_labels_are_missing(quiet: Studio, page: str) -> None:
    made_up(quiet, NO_ROUND)

    shown = open_page(page)

    assert "Label 20 more images to see this." in texts(shown)
    assert charts(shown) == 0


def test_labels_of_one_class_cannot_be_trained_on_and_the_page_says_why(quiet: Studio) -> None:
    project = made_up(quiet, NO_ROUND)
    first = project.store.classes.all()[0]
    images = project.store.images.unlabelled_ids()[:3].tolist()
    project.store.answers.record(
        [Answer(f"answer-{image}", AnswerKind.LABEL, image, class_id=first.id) for image in images]
    )

    shown = open_page("training")

    assert shown.button(key="train-now-made-up").disabled
    assert f"of one class, '{first.name}'" in texts(shown)


def test_where_no_image_is_left_no_labels_are_missing(quiet: Studio) -> None:
    project = made_up(quiet, Size(labelled=0, pool=3, test=5, rounds=0))
    class_ids = [record.id for record in project.store.classes.all()]
    images = project.store.images.unlabelled_ids().tolist()
    project.store.answers.record(
        [Answer(f"answer-{image}", AnswerKind.LABEL, image, class_id=class_ids[image % 2]) for image in images]
    )

    shown = open_page("progress")

    assert "Every image is labelled or skipped." in texts(shown)
    assert [link.proto.label for link in shown.main.get("page_link")] == ["Train now"]


def test_an_image_without_a_label_gets_one_where_it_is_looked_at(quiet: Studio) -> None:
    project = made_up(quiet, NO_ROUND)
    image = int(project.store.images.unlabelled_ids()[-1])
    project.store.answers.record([Answer("skipped-1", AnswerKind.SKIP, image, reason="unclear")])
    second = project.store.classes.all()[1]
    shown = open_page("dynamics", image=str(image))
    assert "Skipped: unclear." in texts(shown)
    seq = project.store.answers.last_seq()

    shown.selectbox(key=f"relabel-made-up-{image}-{seq}").select(second.id).run()
    shown.button(key=f"relabel-made-up-{image}-{seq}-save").click().run()

    assert not shown.exception
    current = project.store.answers.current(image)
    assert current is not None
    assert current.answer.class_id == second.id


def test_a_test_image_keeps_its_known_class(quiet: Studio) -> None:
    project = made_up(quiet, NO_ROUND)
    tested = project.store.images.all(Split.TEST)[0]

    shown = open_page("dynamics", image=str(tested.id))

    assert not [field.key for field in shown.selectbox if str(field.key).startswith("relabel-")]


@pytest.mark.parametrize(("page", "figures"), [("training", 4), ("dynamics", 3), ("uncertainty", 4), ("progress", 4)])
def test_a_project_of_some_rounds_shows_its_figures(quiet: Studio, page: str, figures: int) -> None:
    made_up(quiet)

    assert charts(open_page(page)) == figures


@pytest.mark.parametrize("page", ["dynamics", "uncertainty"])
def test_while_the_first_round_runs_a_page_says_so(quiet: Studio, page: str) -> None:
    project = made_up(quiet, NO_ROUND)
    start_round(project)

    said = texts(open_page(page, view="map"))

    assert "Round 1 is running" in said


def test_training_shows_a_live_round_and_offers_to_cancel_it(quiet: Studio) -> None:
    project = made_up(quiet)
    round_id = start_round(project)
    project.store.epochs.add(round_id, [an_epoch(1)])

    shown = open_page("training")

    assert "How this round is going" in texts(shown)
    assert charts(shown) == 4  # the live figure twice, one behind the other, and two of the rounds before
    assert shown.button(key=f"cancel-made-up-{round_id}").label == "Cancel this round"
    assert shown.button(key="train-now-made-up").disabled
    assert f"Round {round_id} is training" in shown.get("progress")[-1].proto.text


def test_a_round_without_an_epoch_yet_says_what_is_being_waited_for(quiet: Studio) -> None:
    start_round(made_up(quiet, NO_ROUND))

    assert "The curve begins after the first pass through the labelled images." in texts(open_page("training"))


def test_details_of_a_live_round_are_shown_when_asked_for(quiet: Studio) -> None:
    project = made_up(quiet)
    project.store.epochs.add(start_round(project), [an_epoch(1)])
    shown = open_page("training")
    assert "Loss" not in shown.get("plotly_chart")[0].proto.spec

    shown.toggle(key="round-details-made-up").set_value(True).run()

    assert "Loss" in shown.get("plotly_chart")[0].proto.spec


def test_a_round_that_ends_while_the_page_draws_it_is_shown_as_ended(
    quiet: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = made_up(quiet, NO_ROUND)
    round_id = start_round(project)
    draw = rounds_view.history

    def cancelled_meanwhile(drawn: Project) -> None:
        if project.store.rounds.active() is not None:
            end_round(project, round_id, RoundState.CANCELLED)
        draw(drawn)

    monkeypatch.setattr(rounds_view, "history", cancelled_meanwhile)

    assert f"Round {round_id} was cancelled" in texts(open_page("training"))


def test_a_failed_round_keeps_its_message_and_what_to_do(quiet: Studio) -> None:
    project = made_up(quiet, NO_ROUND)
    fail_round(project, start_round(project), "Not even a batch of one fits on the device.")

    said = texts(open_page("training"))

    assert "Not even a batch of one fits on the device." in said
    assert "Train now" in said


@pytest.mark.parametrize("page", PAGES)
def test_a_failed_first_round_leaves_every_page_readable(quiet: Studio, page: str) -> None:
    project = made_up(quiet, NO_ROUND)
    fail_round(project, start_round(project), "The disk is full.")

    assert "The disk is full." in texts(open_page(page))


def test_an_image_is_found_by_the_address(quiet: Studio) -> None:
    made_up(quiet)

    said = texts(open_page("dynamics", image="7"))

    assert "**Image 7**" in said
    assert "Chosen before the first round" in said


def test_an_image_that_does_not_exist_is_no_error(quiet: Studio) -> None:
    made_up(quiet)

    assert "There is no image '99999'" in texts(open_page("dynamics", image="99999"))


def test_an_image_is_found_by_its_file_name(quiet: Studio) -> None:
    made_up(quiet)
    shown = open_page("dynamics")

    shown.text_input(key="find-made-up").input("digit 000011").run()

    assert not shown.exception
    assert "**Image 12**" in texts(shown)


def test_a_label_can_be_changed_from_the_life_of_its_image(quiet: Studio) -> None:
    project = made_up(quiet)
    before = project.store.answers.current(7)
    assert before is not None
    shown = open_page("dynamics", image="7")
    other = next(record.id for record in project.store.classes.all() if record.id != before.answer.class_id)

    key = f"relabel-made-up-7-{before.seq}"
    shown.selectbox(key=key).select(other).run()
    shown.button(key=f"{key}-save").click().run()

    after = project.store.answers.current(7)
    assert after is not None
    assert after.answer.class_id == other
    assert after.answer.purpose == before.answer.purpose


@pytest.mark.parametrize("view", ["map", "groups"])
def test_the_other_views_of_dynamics_are_reached_by_the_address(quiet: Studio, view: str) -> None:
    made_up(quiet)

    assert charts(open_page("dynamics", view=view)) == 1


def test_progress_shows_each_rule_of_its_advice(quiet: Studio) -> None:
    made_up(quiet)

    said = texts(open_page("progress"))

    assert "A sign to stop: 100 labels raised the accuracy by less than 1.5 percentage points" in said
    assert "No forecast to 95%" in said
    assert "30 images of the test split" in said


def test_two_hundred_classes_fit_every_page(quiet: Studio) -> None:
    names = tuple(f"species {number}" for number in range(200))
    made_up(quiet, Size(labelled=60, pool=80, test=40, rounds=2, epochs=4, classes=200), names)

    for page in PAGES:
        assert charts(open_page(page)) > 0


def test_one_class_is_said_to_be_too_few(quiet: Studio) -> None:
    made_up(quiet, Size(labelled=0, pool=20, test=0, rounds=0, classes=1), ("thing",))

    assert "at least two classes" in texts(open_page("uncertainty"))


def test_a_project_of_one_label_opens_on_every_page(quiet: Studio) -> None:
    made_up(quiet, Size(labelled=1, pool=20, test=10, rounds=1, epochs=3, first=1))

    for page in PAGES:
        open_page(page)


def test_an_image_that_vanished_from_the_disk_is_said_to_be_gone(quiet: Studio) -> None:
    project = made_up(quiet)
    with project.store.database.write() as cursor:
        cursor.execute("UPDATE images SET uri = 'file:///nowhere/at/all.png', sha256 = 'gone' WHERE id = 7")

    shown = open_page("dynamics", image="7")

    assert "file of this image is missing" in texts(shown)
    assert charts(shown) == 3


def test_whether_it_is_enough_is_said_in_plain_words_on_progress_and_after_a_round(quiet: Studio) -> None:
    project = made_up(quiet)
    first, last = (record.id for record in project.store.rounds.all())
    counts = project.store.predictions.agreement(last, first, 1, 1_000)
    mass, images = project.store.views.open_mass(last)
    assert 0 < counts.sum() <= 100
    assert (counts == project.store.predictions.agreement(first, last, 1, 1_000).T).all()
    assert 0 < mass < images

    said = texts(open_page("progress"))

    assert "Have I done enough?" in said
    assert "The model is right about" in said
    assert "kappa" in said
    assert f"Over the {images} images that nobody labelled" in said
    assert "nothing stops by itself" in said
    assert "The last two models agree" in texts(open_page("training"))


def test_pages_of_an_older_round_have_the_names_it_was_made_with_and_say_so(quiet: Studio) -> None:
    project = made_up(quiet)
    first, second, third, *_ = project.store.classes.all()
    project.store.classes.change(first.id, name="nought", author="ana")
    project.store.classes.merge(second.id, into=third.id, author="ben")
    merged = f"'{second.name}' counts as '{third.name}' now"
    said = f"Classes are named as in round 2: '{first.name}' is 'nought' now; {merged}."

    image = int(project.store.rounds.images(2)[0][0])
    pages = {
        "training": {}, "progress": {}, "uncertainty": {}, "predictions": {},
        "dynamics": {"view": "map"}, "Dynamics": {"view": "groups"}, "dYnamics": {"view": "life", "image": str(image)},
    }  # fmt: skip
    for page, query in pages.items():
        shown = open_page(page.lower(), **query)
        assert said in texts(shown), page
        assert texts(shown).count(said) == 1 or page == "progress", page
    assert "Tells apart 10 classes: 0, 1, 2" in texts(open_page("training"))
    classes = next(box for box in open_page("predictions").selectbox if box.label == "Predicted class")
    assert classes.options[:3] == ["all classes", first.name, second.name]

    info = replay_info(project)
    assert [each.names_told.replace(f"round {each.id}", "round 2") for each in info.rounds] == [said, said]
    assert {style.name for style in info.rounds[0].named.values()} == {first.name}
    assert "nought" in {style.name for style in info.classes}
    assert said.replace("'", "&#39;") in report(project)
