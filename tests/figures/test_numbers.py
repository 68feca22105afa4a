"""The numbers behind the figures, checked before anything is drawn."""

import numpy as np
import pytest

from tests.figures.samples import CLASSES, curves
from tidal_core.figures import cloud, groups, palettes, progress, training, uncertainty
from tidal_core.figures import life as life_figures
from tidal_core.method import dynamics as statistics


def test_a_life_shows_the_label_first_and_gathers_the_rest_so_that_curves_sum_to_one() -> None:
    p = curves()[:, 0]

    info = life_figures.life_info(np.arange(1, 41), p, CLASSES, 5, top=3)

    assert info.classes[0] is CLASSES[5]
    assert info.classes[-1] is life_figures.OTHERS
    assert info.curves.shape == (40, 5)
    np.testing.assert_allclose(info.curves.sum(axis=1), 1)
    np.testing.assert_allclose(info.observed.sum(), 1)


def test_a_life_marks_where_the_label_was_learnt_and_lost() -> None:
    p = np.array([[0.4, 0.6], [0.7, 0.3], [0.2, 0.8], [0.9, 0.1]])

    info = life_figures.life_info([1, 2, 3, 4], p, CLASSES[:2], 0)

    assert info.first_learnt == 2
    np.testing.assert_array_equal(info.forgotten_at, [3])


def test_a_life_has_the_error_of_every_epoch() -> None:
    info = life_figures.life_info([3, 4], [[0.4, 0.6], [1.0, 0.0]], CLASSES[:2], 0)

    np.testing.assert_allclose(info.errors, [0.6 * np.sqrt(2), 0])
    assert info.table()["EL2N"] == info.errors.tolist()


def test_a_map_of_few_images_needs_no_webgl_and_a_map_of_many_uses_it() -> None:
    def kind(n: int) -> str:
        half = np.full(n, 0.5)
        info = groups.map_info(np.arange(n), ["a"] * n, half, half, half, np.zeros(n, int), CLASSES[:1])
        return groups.map_figure(info, palettes.LIGHT).data[0].type

    assert (kind(cloud.PLAIN - 1), kind(cloud.PLAIN)) == ("scatter", "scattergl")


def test_the_margin_of_a_prediction_leads_from_what_the_classifier_says() -> None:
    info = life_figures.life_info([1], [[0.5, 0.5]], CLASSES[:2], 0, predicted=[0.2, 0.8], predicted_top=0)

    assert info.m_bar_predicted == pytest.approx(-0.6)
    assert info.h_bar_predicted == pytest.approx(-0.2 * np.log(0.2) - 0.8 * np.log(0.8))


def test_a_life_in_a_project_of_one_class_has_no_margin() -> None:
    info = life_figures.life_info([1, 2], [[1.0], [1.0]], CLASSES[:1], 0)

    assert np.isnan(info.m_bar)
    life_figures.life_figure(info, palettes.LIGHT)
    life_figures.areas_figure(info, palettes.LIGHT)


def test_the_area_follows_the_window_that_the_round_was_trained_with() -> None:
    p = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])

    info = life_figures.life_info([1, 2, 3, 4], p, CLASSES[:2], 0, second_half=True)

    np.testing.assert_allclose(info.observed, [0, 1])
    assert "second half" in info.window


def test_a_round_without_the_module_has_one_loss() -> None:
    info = training.round_info([1, 2], 40, [2, 1], [None, None], [0, 1], [1, 1], [9, 9])

    assert info.td_loss is None
    assert "loss of the TD module" not in info.table()


def test_histograms_lie_at_the_centres_of_their_bins() -> None:
    info = uncertainty.ridge_info("td_margin", [1], ["remaining"], np.zeros((1, 1, 4)), -1, 1)

    np.testing.assert_allclose(info.centres, [-0.75, -0.25, 0.25, 0.75])


def test_the_cloud_keeps_every_asked_image_and_correlates_the_whole_pool() -> None:
    x = np.arange(10_000.0)
    queried = np.zeros(10_000, dtype=bool)
    queried[::500] = True

    info = uncertainty.scatter_info(np.arange(10_000), x, x**2, queried, most=1_000)

    assert len(info.image) == 1_000
    assert info.queried.sum() == 20
    assert info.correlation == pytest.approx(1)
    assert info.pool == 10_000


def test_estimators_that_ask_alike_overlap_fully_whichever_end_they_ask_from() -> None:
    values = np.random.default_rng(0).random(100)

    info = uncertainty.agreement_info({"entropy": values, "margin": 1 - values}, 10)

    np.testing.assert_allclose(info.overlap, 1)
    np.testing.assert_allclose(info.correlation, 1)


def test_classes_come_hardest_first_and_those_without_images_are_left_out() -> None:
    info = progress.per_class_info(CLASSES[:3], [[9, 1, 0], [5, 5, 0], [0, 0, 0]])

    assert [style.name for style in info.classes] == ["one", "zero"]
    np.testing.assert_allclose(info.recall, [0.5, 0.9])


def test_of_two_hundred_classes_the_most_confused_are_shown() -> None:
    counts = np.eye(200, dtype=int) * 10
    counts[7, 9] = 4
    classes = [palettes.ClassStyle(number, f"c{number}", "#105bc3") for number in range(200)]

    info = progress.confusion_info(classes, counts, most=2)

    assert [style.name for style in info.classes] == ["c7", "c9"]
    assert info.left_out == 198
    np.testing.assert_array_equal(info.counts, [[10, 4], [0, 10]])


def test_a_cell_of_the_confusions_carries_its_two_classes() -> None:
    info = progress.confusion_info(CLASSES[:2], [[3, 1], [0, 2]])

    cells = progress.confusion_figure(info, palettes.LIGHT).data[1].customdata
    assert [tuple(cell) for cell in cells] == [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_a_round_that_was_not_tested_leaves_a_gap() -> None:
    info = progress.accuracy_info([1, 2], [20, 40], [0, 10], [None, statistics.wilson(8, 10)], [None, None])

    assert np.isnan(info.accuracy[0])
    assert info.accuracy[1] == 0.8


@pytest.mark.parametrize(("epochs_done", "last_shown"), [(1, 8), (3, 8), (5, 16), (60, 128), (150, 200), (200, 200)])
def test_the_first_epochs_of_a_long_round_fill_a_quarter_of_the_figure_at_least(
    epochs_done: int, last_shown: int
) -> None:
    values = np.linspace(0.1, 0.9, epochs_done)
    info = training.round_info(np.arange(1, epochs_done + 1), 200, values, values, values, values, values)

    for figure in (training.learnt_figure(info, palettes.LIGHT), training.round_figure(info, palettes.LIGHT)):
        assert figure.layout.xaxis.range[1] == last_shown + 0.5


def test_a_map_after_a_warm_round_shows_its_points_and_not_the_empty_rest() -> None:
    variability, confidence = np.linspace(0, 0.1, 50), np.linspace(0.78, 1, 50)
    info = groups.map_info(
        np.arange(50), ["a"] * 50, confidence, variability, confidence, np.zeros(50, int), CLASSES[:1]
    )

    layout = groups.map_figure(info, palettes.LIGHT).layout

    for values, shown in ((variability, layout.xaxis.range), (confidence, layout.yaxis.range)):
        assert shown[0] <= values.min() <= values.max() <= shown[1]
        assert values.max() - values.min() > 0.7 * (shown[1] - shown[0])


@pytest.mark.parametrize("value", [0.0, 0.5, 0.97, 1.0])
def test_curves_that_hardly_move_lie_within_their_figure(value: float) -> None:
    quantiles = np.full((1, 5, 3), value)
    info = groups.bands_info(np.arange(1, 6), CLASSES[:1], [9], quantiles)

    low, high = groups.bands_figure(info, palettes.LIGHT).layout.yaxis.range
    assert low < value < high
    assert 0.1 <= high - low <= 0.12


def test_a_map_of_nothing_shows_the_whole_axes() -> None:
    nothing = np.zeros(0)
    info = groups.map_info(nothing, [], nothing, nothing, nothing, nothing, CLASSES[:1])

    assert groups.map_figure(info, palettes.LIGHT).layout.xaxis.range == (0.0, 0.5)


def test_all_ridges_of_a_group_are_one_line_and_one_area_with_gaps_between_rounds() -> None:
    counts = np.array([[[0, 0, 4, 0], [1, 2, 1, 0]], [[0, 0, 0, 0], [0, 3, 3, 0]]])
    info = uncertainty.ridge_info("td_margin", [4, 7], ["labelled", "remaining"], counts, -1, 1)

    area, line, _, other = uncertainty.ridge_figure(info, palettes.LIGHT).data

    assert [trace.name for trace in (line, other)] == ["Labelled", "Remaining"]
    assert np.isnan(line.y).tolist() == [False] * 4 + [True], "nobody was labelled in the second round"
    assert np.isnan(other.y).tolist() == ([False] * 4 + [True]) * 2
    assert np.nanmax(line.y) == pytest.approx(0.86)
    assert other.y[5:9].min() >= 1, "a round stands on its own level"
    assert other.customdata[[0, 5], 2].tolist() == [4, 7]
    assert other.customdata[6].tolist() == [3, 0.5, 7]
    assert area.y[4:8].tolist() == [0] * 4
