"""The numbers behind the figures, checked before anything is drawn."""

import numpy as np
import pytest

from tests.figures.samples import CLASSES, curves
from tidal_core.figures import groups, palettes, progress, training, uncertainty
from tidal_core.figures import life as life_figures
from tidal_core.method import dynamics as statistics


def test_a_life_shows_the_label_first_and_gathers_the_rest_so_that_curves_sum_to_one() -> None:
    p = curves()[:, 0]

    found = life_figures.life_info(np.arange(1, 41), p, CLASSES, 5, top=3)

    assert found.classes[0] is CLASSES[5]
    assert found.classes[-1] is life_figures.OTHERS
    assert found.curves.shape == (40, 5)
    np.testing.assert_allclose(found.curves.sum(axis=1), 1)
    np.testing.assert_allclose(found.observed.sum(), 1)


def test_a_life_marks_where_the_label_was_learnt_and_lost() -> None:
    p = np.array([[0.4, 0.6], [0.7, 0.3], [0.2, 0.8], [0.9, 0.1]])

    found = life_figures.life_info([1, 2, 3, 4], p, CLASSES[:2], 0)

    assert found.first_learnt == 2
    np.testing.assert_array_equal(found.forgotten_at, [3])


def test_a_life_has_the_error_of_every_epoch() -> None:
    found = life_figures.life_info([3, 4], [[0.4, 0.6], [1.0, 0.0]], CLASSES[:2], 0)

    np.testing.assert_allclose(found.errors, [0.6 * np.sqrt(2), 0])
    assert found.table()["EL2N"] == found.errors.tolist()


def test_a_map_of_few_images_needs_no_webgl_and_a_map_of_many_uses_it() -> None:
    def kind(n: int) -> str:
        half = np.full(n, 0.5)
        found = groups.map_info(np.arange(n), ["a"] * n, half, half, half, np.zeros(n, int), CLASSES[:1])
        return groups.map_figure(found, palettes.LIGHT).data[0].type

    assert (kind(groups.MAP_PLAIN - 1), kind(groups.MAP_PLAIN)) == ("scatter", "scattergl")


def test_the_margin_of_a_prediction_leads_from_what_the_classifier_says() -> None:
    found = life_figures.life_info([1], [[0.5, 0.5]], CLASSES[:2], 0, predicted=[0.2, 0.8], predicted_top=0)

    assert found.m_bar_predicted == pytest.approx(-0.6)
    assert found.h_bar_predicted == pytest.approx(-0.2 * np.log(0.2) - 0.8 * np.log(0.8))


def test_a_life_in_a_project_of_one_class_has_no_margin() -> None:
    found = life_figures.life_info([1, 2], [[1.0], [1.0]], CLASSES[:1], 0)

    assert np.isnan(found.m_bar)
    life_figures.life_figure(found, palettes.LIGHT)
    life_figures.areas_figure(found, palettes.LIGHT)


def test_the_area_follows_the_window_that_the_round_was_trained_with() -> None:
    p = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])

    found = life_figures.life_info([1, 2, 3, 4], p, CLASSES[:2], 0, second_half=True)

    np.testing.assert_allclose(found.observed, [0, 1])
    assert "second half" in found.window


def test_a_round_without_the_module_has_one_loss() -> None:
    found = training.round_info([1, 2], 40, [2, 1], [None, None], [0, 1], [1, 1], [9, 9])

    assert found.td_loss is None
    assert "loss of the dynamics module" not in found.table()


def test_the_axis_of_a_running_round_reaches_to_its_last_epoch() -> None:
    found = training.round_info([1, 2], 40, [2, 1], [0.1, 0.1], [0, 1], [1, 1], [9, 9])

    assert training.round_figure(found, palettes.LIGHT).layout.xaxis.range[1] == 40.5


def test_histograms_lie_at_the_centres_of_their_bins() -> None:
    found = uncertainty.ridge_info("td_margin", [1], ["remaining"], np.zeros((1, 1, 4)), -1, 1)

    np.testing.assert_allclose(found.centres, [-0.75, -0.25, 0.25, 0.75])


def test_the_cloud_keeps_every_asked_image_and_correlates_the_whole_pool() -> None:
    x = np.arange(10_000.0)
    asked = np.zeros(10_000, dtype=bool)
    asked[::500] = True

    found = uncertainty.scatter_info(np.arange(10_000), x, x**2, asked, most=1_000)

    assert len(found.image) == 1_000
    assert found.asked.sum() == 20
    assert found.correlation == pytest.approx(1)
    assert found.pool == 10_000


def test_estimators_that_ask_alike_overlap_fully_whichever_end_they_ask_from() -> None:
    values = np.random.default_rng(0).random(100)

    found = uncertainty.agreement_info({"entropy": values, "margin": 1 - values}, 10)

    np.testing.assert_allclose(found.overlap, 1)
    np.testing.assert_allclose(found.correlation, 1)


def test_classes_come_hardest_first_and_those_without_images_are_left_out() -> None:
    found = progress.per_class_info(CLASSES[:3], [[9, 1, 0], [5, 5, 0], [0, 0, 0]])

    assert [one.name for one in found.classes] == ["one", "zero"]
    np.testing.assert_allclose(found.recall, [0.5, 0.9])


def test_of_two_hundred_classes_the_most_confused_are_shown() -> None:
    counts = np.eye(200, dtype=int) * 10
    counts[7, 9] = 4
    classes = [palettes.ClassStyle(one, f"c{one}", "#105bc3") for one in range(200)]

    found = progress.confusion_info(classes, counts, most=2)

    assert [one.name for one in found.classes] == ["c7", "c9"]
    assert found.left_out == 198
    np.testing.assert_array_equal(found.counts, [[10, 4], [0, 10]])


def test_a_cell_of_the_confusions_carries_its_two_classes() -> None:
    found = progress.confusion_info(CLASSES[:2], [[3, 1], [0, 2]])

    cells = progress.confusion_figure(found, palettes.LIGHT).data[1].customdata
    assert [tuple(one) for one in cells] == [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_a_round_that_was_not_tested_leaves_a_gap() -> None:
    found = progress.accuracy_info([1, 2], [20, 40], [0, 10], [None, statistics.wilson(8, 10)], [None, None])

    assert np.isnan(found.accuracy[0])
    assert found.accuracy[1] == 0.8
