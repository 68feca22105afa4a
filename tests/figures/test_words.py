"""The two sentences of every figure: computed, right in number, and never a difference that may be chance."""

import numpy as np
import pytest

from tests.figures.samples import CLASSES, curves
from tests.figures.theory_samples import separation_sample
from tidal_core.figures import groups, life, progress, theory, uncertainty
from tidal_core.figures.palettes import ClassStyle
from tidal_core.figures.words import Told, common, dynamics
from tidal_core.figures.words import progress as progress_words
from tidal_core.figures.words import theory as theory_words
from tidal_core.figures.words import uncertainty as uncertainty_words
from tidal_core.method import dynamics as statistics
from tidal_core.method import stopping
from tidal_core.method.theory import Elasticity

TWO = CLASSES[:2]
NONE: list[float] = []
NAN = float("nan")


def a_life(p: list[list[float]], label: int = 0, **more: object) -> life.LifeInfo:
    return life.life_info(np.arange(1, len(p) + 1), p, TWO, label, **more)  # type: ignore[arg-type]


def a_map(correctness: list[float], forgetting: list[int] | None) -> groups.MapInfo:
    n = len(correctness)
    half = np.full(n, 0.5)
    return groups.map_info(np.arange(n), ["a"] * n, half, half, correctness, np.zeros(n, int), TWO, forgetting)


# --- one image


def test_a_life_says_when_the_label_was_learnt_how_often_it_was_lost_and_where_it_ended() -> None:
    wavering = dynamics.life_told(a_life([[0.4, 0.6], [0.7, 0.3], [0.2, 0.8], [0.9, 0.1]]))
    lost = dynamics.life_told(a_life([[0.4, 0.6], [0.7, 0.3], [0.2, 0.8]]))
    easy = dynamics.life_told(a_life([[0.6, 0.4], [0.7, 0.3]]))
    never = dynamics.life_told(a_life([[0.4, 0.6], [0.3, 0.7]]))

    assert wavering.look.startswith("Look at the filled curve: the probability that the model gave its label, “zero”,")
    assert wavering.here == (
        "The model learnt “zero” at epoch 2, changed its mind and lost it once, and had it right in the end "
        "(90% for “zero”)."
    )
    assert "lost it once, and ended on “one” (20% for “zero”)" in lost.here
    assert easy.here == "The model put “zero” first from its first epoch on; it ended at 70%."
    assert "never put “zero” first in 2 epochs; in the end it favours “one”" in never.here


def test_a_life_that_goes_on_is_not_told_as_ended() -> None:
    rows = [[0.4, 0.6], [0.3, 0.7]]

    told = dynamics.life_told(a_life(rows), running=True)

    assert told.here == "The model has not put “zero” first in 2 epochs so far; now it favours “one”."
    assert dynamics.life_told(a_life(rows[:1]), running=True).here == "After its first epoch the model gave “zero” 40%."


def test_an_image_without_a_label_was_changed_ones_mind_about() -> None:
    p = [[0.4, 0.6], [0.7, 0.3], [0.2, 0.8], [0.9, 0.1]]

    told = dynamics.life_told(a_life(p, role="prediction"))

    assert "“zero”, the class predicted now," in told.look
    assert told.here == "The model changed its mind 3 times in 4 epochs; “zero” ended at 90%."


def test_areas_compare_what_was_observed_with_what_was_foreseen() -> None:
    rows = [[0.4, 0.6], [0.7, 0.3]]

    assert (
        "foresaw 70%, and 55% was observed: 15 points too much"
        in dynamics.areas_told(a_life(rows, predicted=[0.7, 0.3])).here
    )
    assert "nearly the same" in dynamics.areas_told(a_life(rows, predicted=[0.551, 0.449])).here
    assert dynamics.areas_told(a_life(rows)).here == (
        "“zero” had 55% against 45% for “one”: it led over the whole training."
    )
    alone = life.life_info([1, 2], [[1.0], [1.0]], CLASSES[:1], 0)
    assert dynamics.areas_told(alone).here == "“zero” had 100%."


def test_the_rounds_of_an_image_are_told_from_the_first_to_the_last_that_looked_at_it() -> None:
    def told(final: list[float], after: int | None) -> str:
        n = len(final)
        info = life.rounds_of_image_info(range(1, n + 1), [NAN] * n, final, [NAN] * n, after)
        return dynamics.rounds_of_image_told(info).here

    assert told([NAN, 0.2, 0.9], 2) == "Round 2 gave it 20%, round 3 90%; it was labelled after round 2."
    assert told([0.2], None) == "Round 1 gave it 20%."
    assert told([NAN], None) == "No round has looked at this image yet."


# --- many images


def test_the_map_counts_the_images_about_which_the_model_changed_its_mind() -> None:
    right = [0.5] * 14 + [1.0] * 44 + [0.0] * 2

    told = dynamics.map_told(a_map(right, [1] * 14 + [0] * 46))

    assert told.here == (
        "The model changed its mind about 14 of 60 images (right at one epoch, wrong at a later one) and never got 2 "
        "right: look at these first."
    )
    # Where it is not kept how often a label was lost, an image that was learnt has been wrong and right.
    assert "about 14 of 60 images (right at some epochs, wrong at others)" in dynamics.map_told(a_map(right, None)).here
    assert dynamics.map_told(a_map([1.0], [0])).here == (
        "The model changed its mind about none of 1 image and got each right at least once."
    )
    assert dynamics.map_told(a_map([NAN, 1.0, 0.5], [0, 0, 3])).here.startswith(
        "The model changed its mind about 1 of 2"
    )
    assert dynamics.map_told(a_map([], [])).here == "No image has a curve yet."


def a_band(ends: list[tuple[float, float, float]], images: list[int]) -> groups.BandsInfo:
    return groups.bands_info([1], CLASSES[: len(ends)], images, np.array(ends)[:, None, :])


def test_groups_differ_only_beyond_chance() -> None:
    apart = [(0.8, 0.9, 0.95), (0.3, 0.4, 0.5)]

    def here(info: groups.BandsInfo) -> str:
        return dynamics.bands_told(info).here

    assert here(a_band(apart, [40, 30])) == (
        "In the end half of 40 images of “zero” had 90% or more, half of 30 images of “one” only 40%: more than chance "
        "explains."
    )
    assert "may be chance" in here(a_band(apart, [4, 30]))
    assert "may be chance" in here(a_band([(0.2, 0.6, 0.95), (0.2, 0.55, 0.9)], [10, 10]))
    assert "All groups ended alike" in here(a_band([(0.9, 0.95, 1), (0.9, 0.95, 1)], [10, 10]))
    assert here(a_band([(0.2, 0.6, 0.95), (NAN, NAN, NAN)], [1, 0])) == (
        "In the end half of 1 image of “zero” had 60% or more."
    )
    assert here(a_band([(NAN, NAN, NAN)], [0])) == "No group has a curve yet."


@pytest.mark.parametrize("n_groups", [2, 10])
def test_groups_drawn_alike_are_seldom_called_different(n_groups: int) -> None:
    rng = np.random.default_rng(0)
    called = 0
    for _ in range(200):
        ends = [tuple(np.quantile(rng.beta(4, 2, 20), [0.25, 0.5, 0.75])) for _ in range(n_groups)]
        called += "more than chance" in dynamics.bands_told(a_band(ends, [20] * n_groups)).here

    assert called <= 0.1 * 200


# --- uncertainty


def a_ridge(counts: list[list[list[int]]], estimator: str = "entropy") -> uncertainty.RidgeInfo:
    return uncertainty.ridge_info(estimator, range(1, len(counts) + 1), uncertainty.GROUP_NAMES, counts, 0, 1)


def test_a_ridge_says_whether_the_model_has_become_surer_whichever_end_is_unsure() -> None:
    unsure, sure, none = [0, 0, 0, 0, 9], [9, 0, 0, 0, 0], [0] * 5
    rounds = [[none, none, unsure], [none, none, sure]]

    assert (
        "of 0.90 after round 1 and has 0.10 after round 2: the model is surer now"
        in uncertainty_words.ridge_told(a_ridge(rounds)).here
    )
    assert "the model is less sure now" in uncertainty_words.ridge_told(a_ridge(rounds, "margin")).here
    assert "no more and no less sure" in uncertainty_words.ridge_told(a_ridge([rounds[0], rounds[0]])).here
    assert uncertainty_words.ridge_told(a_ridge([[none, [0, 0, 0, 2, 0], sure]])).here == (
        "The middle one of 9 images left has a prediction entropy of 0.10, the middle one of 2 images asked 0.70."
    )
    assert uncertainty_words.ridge_told(a_ridge([[sure, none, none]])).here == uncertainty_words.NONE_LEFT


def test_the_cloud_counts_what_is_less_settled_than_it_looks_and_calls_no_chance_an_order() -> None:
    info = uncertainty.scatter_info([1, 2, 3, 4], [0, 1, 2, 3], [1, 2, 1, 4], [True, False, True, False])

    told = uncertainty_words.scatter_told(info)

    assert told.here.startswith(
        "3 of 4 images lie above it, 1 of the 2 asked among them; both scores have no more order"
    )
    rng = np.random.default_rng(1)
    x = rng.random(500)
    alike = uncertainty.scatter_info(np.arange(500), x, x + 0.1, np.zeros(500, bool), most=100)
    assert uncertainty_words.scatter_told(alike).here == (
        "100 of 100 images drawn lie above it; both scores put the images in nearly the same order (rank correlation "
        "1.00)."
    )
    flat = uncertainty.scatter_info([1], [0.5], [0.5], [False])
    assert uncertainty_words.scatter_told(flat).here == "None of 1 image lies above it."
    empty = uncertainty.scatter_info(NONE, NONE, NONE, NONE)
    assert uncertainty_words.scatter_told(empty).here == uncertainty_words.NONE_LEFT
    assert uncertainty_words.exact_told(empty).here == uncertainty_words.NONE_LEFT
    assert uncertainty_words.exact_told(info).here.startswith("On average it is 1.00 off")


def test_scores_that_agree_by_chance_are_said_to() -> None:
    rng = np.random.default_rng(1)
    values = rng.random(100)

    told = uncertainty_words.agreement_told(
        uncertainty.agreement_info({"entropy": values, "margin": 1 - values, "td_entropy": rng.random(100)}, 20)
    )

    assert told.here.startswith("Prediction entropy and prediction margin have 20 of 20 in common; ")
    assert told.here.endswith("no more than two random batches might.")
    one = uncertainty.agreement_info({"entropy": values}, 20)
    assert "only one score" in uncertainty_words.agreement_told(one).here
    all_of_them = uncertainty.agreement_info({"entropy": values, "margin": values}, 200)
    assert "takes all 100 images" in uncertainty_words.agreement_told(all_of_them).here
    none = uncertainty.agreement_info({"entropy": np.array(NONE), "margin": np.array(NONE)}, 20)
    assert uncertainty_words.agreement_told(none).here == uncertainty_words.NONE_LEFT


def test_classes_are_least_sure_only_beyond_chance() -> None:
    spread = [[0.0, 0.1, 0.2, 0.3, 0.4], [1.0, 1.1, 1.2, 1.3, 1.4]]

    def here(images: list[int], quantiles: list[list[float]]) -> str:
        classes = CLASSES[: len(images)]
        return uncertainty_words.by_class_told(uncertainty.by_class_info("entropy", classes, images, quantiles)).here

    assert here([50, 50], spread) == (
        "Least sure is “one” (middle of 50 images: 1.20), surest “zero” (middle of 50 images: 0.20): more than chance "
        "explains."
    )
    assert "may be chance" in here([50, 2], spread)
    assert here([1], spread[:1]) == "All are predicted as one class, “zero” (middle of 1 image: 0.20)."
    assert here([], []) == uncertainty_words.NONE_LEFT


# --- progress


def an_accuracy(right: list[int], n: int, labels: list[int]) -> progress.AccuracyInfo:
    shares = [statistics.wilson(hits, n) if n else None for hits in right]
    return progress.accuracy_info(range(1, len(right) + 1), labels, [n] * len(right), shares, [None] * len(right))


def test_accuracy_is_gained_only_beyond_chance() -> None:
    def here(*given: object, **more: object) -> str:
        return progress_words.accuracy_told(an_accuracy(*given), **more).here  # type: ignore[arg-type]

    gained = here([200, 330], 360, [20, 100])
    assert gained.startswith("With 100 labels the model is right about 92% of the time (between 88% and 94%): ")
    assert gained.endswith(" points more than with 20 labels.")
    assert here([20, 22], 30, [20, 100]).endswith("with 20 labels it was no different beyond chance.")
    assert "less than with 20 labels" in here([330, 200], 360, [20, 100])
    assert here([20], 30, [1]).startswith("With 1 label the model is right about 67%")
    assert "the next round will tell" in here([200, 330], 360, [20, 100], since=2)
    assert here([20], 30, [20], comparable=False).endswith("67% of the time, as a rough estimate.")
    assert here([0], 0, [20]) == "No round was measured yet."


def test_the_hardest_class_is_harder_only_beyond_chance() -> None:
    def here(matrix: list[list[int]]) -> str:
        return progress_words.per_class_told(progress.per_class_info(CLASSES[: len(matrix)], matrix)).here

    assert here([[95, 5], [40, 60]]) == (
        "Of 100 images of “one” 60% are right (between 50% and 69%): fewer than in the other classes."
    )
    assert "may be chance" in here([[9, 1], [2, 8]])
    assert here([[9, 0], [0, 8]]) == "All images that measure the classes are right."
    assert here([[1]]) == "Of 1 image of “zero” 100% are right (between 21% and 100%)."
    assert here([[0, 0], [0, 0]]) == "No image has measured a class yet."


def test_the_most_frequent_mistake_is_named_if_there_is_one() -> None:
    def here(matrix: list[list[int]], most: int = 25) -> str:
        info = progress.confusion_info(CLASSES[: len(matrix)], matrix, most=most)
        return progress_words.confusion_told(info).here

    assert here([[9, 3], [1, 8]]) == (
        "4 of 21 images are taken for another class, most often “zero” for “one” (3 times)."
    )
    assert here([[9, 3], [3, 8]]).endswith("(3 times, and 1 other pair as often).")
    assert here([[9, 1], [1, 8]]).endswith("each in another way: no two classes stand out.")
    assert here([[9, 1], [0, 8]]) == "1 of 18 images is taken for another class: “zero” for “one”."
    assert here([[9, 0], [0, 8]]) == "None of 17 images is taken for another class."
    assert here([[0, 0], [0, 0]]) == "No image has measured the classes yet."
    assert "of the classes shown" in here([[9, 3, 0], [0, 8, 0], [0, 0, 9]], most=2)


def test_a_model_is_too_sure_only_beyond_chance() -> None:
    assert progress_words.calibration_told(0.99, 60, 100).here == (
        "On average it says 99% and is right 60% of the time, over 100 images: it is too sure, by about 39 points."
    )
    assert "not sure enough" in progress_words.calibration_told(0.3, 60, 100).here
    assert progress_words.calibration_told(0.65, 60, 100).here.endswith("no difference beyond chance.")
    assert "yet" in progress_words.calibration_told(NAN, 0, 0).here


def test_the_module_wins_only_beyond_chance() -> None:
    def here(wins: int, n: int) -> str:
        module = [0.1] * wins + [0.9] * (n - wins)
        return progress_words.pool_quality_told(
            progress.pool_quality_info(range(n), [9] * n, module, [0.5] * n, [NAN] * n)
        ).here

    assert here(9, 10) == (
        "The TD module was closer than the final prediction in 9 of 10 rounds: more often than chance would."
    )
    assert here(3, 4).endswith("3 of 4 rounds: with so few rounds, that may be chance.")
    assert here(0, 10).endswith("none of 10 rounds: less often than chance would.")
    assert here(1, 1).startswith("The TD module was closer than the final prediction in the one round so far")
    assert here(0, 1).startswith("The final prediction was closer than the TD module in the one round so far")
    assert here(0, 0) == "No round can be judged yet."
    nan = stopping.Quality(*([NAN] * len(stopping.Quality._fields)))._replace(
        images=2, module_kl=(NAN, NAN, NAN), final_kl=(NAN, NAN, NAN)
    )
    assert progress_words.quality_told(progress.quality_info([1], [nan])).here == "No round can be judged yet."


# --- theory


def test_the_theorems_gap_is_one_only_where_there_is_one() -> None:
    wide = theory.paths_info(Elasticity(), runs=20, steps=100)
    none = theory.paths_info(Elasticity(alpha_e=1.0, alpha_h=1.0, sigma=1.0), runs=20, steps=100)

    assert "a gap of" in theory_words.paths_told(wide).here
    assert "no gap beyond chance" in theory_words.paths_told(none).here
    assert "above zero all the way" in theory_words.speed_told(wide).here
    assert "at zero all the way" in theory_words.speed_told(none).here


def test_two_areas_that_are_alike_are_said_to_be() -> None:
    apart, alike = theory.areas_info(0.99, 0.9, 0.6, 10), theory.areas_info(0.99, 0.7, 0.7, 10)

    assert "Both end at 99%, but one has 0.90 of the area" in theory_words.areas_told(apart).here
    assert "nothing tells them apart" in theory_words.areas_told(alike).here
    assert "entropy goes from" in theory_words.range_told(apart).here
    assert "alike" in theory_words.range_told(alike).here


def test_a_score_separates_only_beyond_chance() -> None:
    info = separation_sample()
    guess = info._replace(auroc={**info.auroc, "entropy": 0.53, "margin": 0.5})

    assert theory_words.histogram_told(info, "td_entropy").here.endswith("better than guessing.")
    assert theory_words.histogram_told(guess, "entropy").here.endswith("no better than guessing, beyond chance.")
    assert "tells rare from common better than the prediction entropy (90% against 53%), by 37 points" in (
        theory_words.scatter_told(guess, "entropy", "td_entropy").here
    )
    assert "Neither" in theory_words.scatter_told(info, "entropy", "td_entropy").here
    assert "A rare class has 25 images, a common one 125: 5 times as many." in theory_words.label_told(info).here
    assert "in the end 100% and 90%" in theory_words.learning_told(info).here


# --- all


def test_a_name_with_markup_stays_a_name() -> None:
    odd = (ClassStyle(1, "*a* [b](http://c)", "#105bc3"), ClassStyle(2, "two", "#bfac06"))
    info = life.life_info([1, 2], [[0.6, 0.4], [0.7, 0.3]], odd, 0)

    assert r"“\*a\* \[b\]" in dynamics.life_told(info).here


def test_every_look_begins_alike_and_every_sentence_ends() -> None:
    p = curves()[:, 0]
    told: list[Told] = [
        dynamics.life_told(life.life_info(np.arange(1, 41), p, CLASSES, 3)),
        dynamics.map_told(a_map([0.5], [1])),
        uncertainty_words.ridge_told(a_ridge([[[1], [0], [1]]])),
        progress_words.accuracy_told(an_accuracy([20], 30, [10])),
        theory_words.learning_told(separation_sample()),
    ]

    for one in told:
        assert one.look.startswith("Look at ")
        assert one.look.endswith(".")
        assert one.here.endswith(".")
        assert one.here[0].isupper() or one.here[0].isdigit() or one.here[0] == "“"


def test_counts_have_their_noun_in_the_right_number() -> None:
    assert [common.counted(n) for n in (0, 1, 2, 1437)] == ["no images", "1 image", "2 images", "1,437 images"]
    assert common.counted(2, "class") == "2 classes"
    assert [common.times(n) for n in (0, 1, 2, 3)] == ["never", "once", "twice", "3 times"]
    assert [common.points(share) for share in (0.001, 0.01, -0.2)] == ["less than 1 point", "1 point", "20 points"]
