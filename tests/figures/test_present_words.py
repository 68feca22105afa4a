"""The sentences of the presenter's view, and its own figure: right in number, and with what is not there left out."""

import numpy as np
import pytest

from tests.figures.samples import CLASSES
from tidal_core.figures import look, palettes, present
from tidal_core.figures.words import present as words
from tidal_core.method.dynamics import Interval, wilson

TWO = CLASSES[:2]
NAN = float("nan")


def test_a_collection_names_its_classes_while_they_fit() -> None:
    assert words.collection(5, 0, TWO) == "Nobody has said yet what they show. Each is one of 2: “zero” or “one”."
    assert words.collection(5, 1, TWO).startswith("1 label so far; 4 images without one.")
    assert words.collection(5, 4, TWO[:1]) == "4 labels so far; 1 image without one. There is one class, “zero”."
    assert words.collection(5, 0, []).endswith("No classes are set up yet.")
    assert words.collection(5, 0, TWO * 6).endswith("Each belongs to one of 12 classes.")


def test_the_first_labels_say_who_gave_them() -> None:
    assert words.first_labels(0, 0, by_autopilot=False).endswith("None has a label yet.")
    assert words.first_labels(3, 2, by_autopilot=True).endswith("3 of 10 have a label.")
    assert words.first_labels(1, 1, by_autopilot=True).endswith("1 of 10 has a label.")
    assert words.first_labels(10, 7, by_autopilot=True).startswith(
        "The autopilot gave them from known classes: 7 classes"
    )
    assert words.first_labels(10, 1, by_autopilot=False).startswith("A person pressed one key for each: 1 class in 10")


def test_the_first_round_is_told_before_while_and_after() -> None:
    assert words.round_before(1, "") == "1 more label, and the model learns for the first time."
    assert words.round_before(0, "Label some images first.") == "Label some images first."
    assert words.round_before(0, "").startswith("The model is about to learn")
    assert words.round_running(20, 0, 0, None) == "The model begins to learn from 20 labels."
    assert words.round_running(20, 3, 40, 0.5) == "Pass 3 of 40 through 20 labels: it gets 50% of them right."
    done = words.round_done(20, "4.4 s", wilson(71, 100), 10, honest=True)
    assert done == (
        "From 20 labels, in 4.4 s. Of images that it never saw it gets 71% right (between 61% and 79%); guessing "
        "gets 10%."
    )
    assert "(a rough estimate)" in words.round_done(20, "4 s", Interval(0.7, 0.7, 0.7), 2, honest=False)
    assert words.round_done(1, "4 s", None, 2, honest=True).startswith("From 1 label, in 4 s. How often it is right is")


def test_what_a_model_is_unsure_of_is_told_with_and_without_its_dynamics() -> None:
    assert words.unsure(TWO, [0.45, 0.41], None) == (
        "Is it “zero” or “one”? In the end the model gives “zero” 45% and “one” 41%."
    )
    assert words.unsure(TWO, [0.45, 0.41], [0.3, 0.3]).endswith("it is expected to give them 30% and 30%.")
    assert "nothing to be unsure of" in words.unsure(TWO[:1], [1.0], [1.0])
    assert words.asked_next(3, 1, "These.") == "3 of 1 image without a label. These."
    assert words.asked_next(0, 0, "These.") == "No image waits for a label."


@pytest.mark.parametrize(
    ("learnt", "p_label", "out_of_fold", "how"),
    [
        (0.0, 0.1, False, "the model never put “zero” first"),
        (34.0, 0.9, False, "“zero” came first only at epoch 34, half of all labels by epoch 8"),
        (2.0, 0.3, False, "“one” got 60% on the way, and “zero” 30%"),
        (2.0, 0.3, True, "models that never trained on it give “one” 60% and “zero” 30%"),
        (NAN, 0.3, True, "models that never trained on it give “one” 60% and “zero” 30%"),
    ],
)
def test_a_doubtful_label_is_told_by_what_its_curve_shows(
    learnt: float, p_label: float, out_of_fold: bool, how: str
) -> None:
    doubt = words.Doubt(TWO[0], TWO[1], 60, p_label, 0.6, learnt, 8.0, out_of_fold)

    assert words.suspect(doubt) == f"Of 60 labels this one, “zero”, is the most doubtful: {how}."


def test_whether_a_doubtful_label_was_a_mistake_is_said_only_where_it_is_known() -> None:
    assert words.truth(None, TWO[0]) == ""
    assert words.truth(TWO[0], TWO[0]).endswith("the label is right, and the image is hard.")
    assert words.truth(TWO[1], TWO[0]) == "The class known from the import is “one”: the label is a mistake."


def test_a_race_without_a_lead_says_how_it_stands() -> None:
    assert words.race(("TiDAL", "Random"), 20, (0.8, 0.77), 500, is_over=False) == (
        "No lead beyond chance yet: with 20 labels each, TiDAL is right on 80% and Random on 77% of 500 images that "
        "neither saw."
    )
    assert words.race(("TiDAL", "Random"), 20, (0.8, 0.77), 500, is_over=True).startswith("No lead beyond chance: ")


def test_the_end_says_what_the_labels_have_come_to() -> None:
    assert words.finish(25, 100, wilson(90, 100), honest=True) == (
        "That is 25% of the collection. On images that it never saw, the model is right 90% of the time, between 83% "
        "and 94%."
    )
    assert words.finish(25, 100, Interval(0.9, 0.9, 0.9), honest=False).endswith("90% of the time, a rough estimate.")
    assert words.finish(0, 100, None, honest=True) == "That is 0% of the collection."
    assert words.finish(0, 0, None, honest=True) == "There are no images."


def test_a_figure_for_a_room_is_larger_and_the_one_of_the_page_stays_as_it_was() -> None:
    info = present.shares_info(TWO, [0.6, 0.4], [0.5, 0.5])
    figure = present.shares_figure(info, palettes.LIGHT)
    figure.add_scatter(x=[1], y=[1], line={"width": 2}, marker={"size": 5})

    large = look.enlarged(figure, height=550)

    assert (large.layout.height, large.layout.font.size, large.layout.xaxis.tickfont.size) == (550, 26, 26)
    assert (large.data[-1].line.width, large.data[-1].marker.size) == (4, 10)
    assert figure.layout.font.size == 13
    assert figure.data[-1].line.width == 2
    assert len(present.shares_figure(present.shares_info(TWO, [0.6, 0.4], None), palettes.DARK).data) == 1
    np.testing.assert_allclose(info.table()["training dynamics"], 0.5)
