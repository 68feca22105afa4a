"""Clouds of many points for browsers without WebGL."""

import numpy as np
import plotly.graph_objects as go

from tidal_core.figures.cloud import CELLS, PLAIN, needs_webgl, spread, trace_of, without_webgl


def test_a_crowd_is_thinned_and_what_stands_apart_stays() -> None:
    rng = np.random.default_rng(0)
    x = np.append(rng.normal(0.2, 0.01, 50_000), [0.9, 0.5, 0.0])
    y = np.append(rng.normal(0.8, 0.01, 50_000), [0.1, 0.0, np.nan])

    shown = spread(x, y, PLAIN)

    assert shown.sum() == PLAIN
    assert shown[-3:].all()
    np.testing.assert_array_equal(shown, spread(x, y, PLAIN))


def test_every_place_with_a_point_shows_one() -> None:
    place = np.arange(CELLS) / (CELLS - 1)
    x, y = (np.repeat(axis.ravel(), 2) for axis in np.meshgrid(place, place))

    shown = spread(x, y, PLAIN)

    assert len(set(zip(x[shown], y[shown], strict=True))) == CELLS**2 < PLAIN


def test_few_points_and_equal_ones_are_all_there() -> None:
    assert spread(np.zeros(5), np.full(5, np.nan), 5).all()
    assert spread(np.zeros(9), np.zeros(9), 4).sum() == 4


def test_the_points_that_are_left_keep_their_colours_and_images() -> None:
    n = 2 * PLAIN
    images = np.arange(n)
    figure = go.Figure(
        [
            go.Scatter(x=[0, 1], y=[0, 1], mode="lines"),
            go.Scattergl(x=images[:10] / n, y=np.zeros(10), customdata=images[:10], marker={"color": "red"}, name="a"),
            go.Scattergl(
                x=images[10:] / n, y=images[10:] % 7, customdata=images[10:], marker={"color": images[10:], "cmax": n}
            ),
        ],
        layout={"height": 321},
    )

    plain, shown, points = without_webgl(figure)

    assert needs_webgl(figure)
    assert not needs_webgl(plain)
    assert (shown, points) == (PLAIN, n)
    line, first, second = plain.data
    assert (plain.layout.height, line.mode, first.name) == (321, "lines", "a")
    assert (first.marker.color, second.marker.cmax) == ("red", n)
    assert len(first.x) + len(second.x) == PLAIN
    np.testing.assert_array_equal(second.marker.color, second.customdata)
    np.testing.assert_allclose(second.x, second.customdata / n)
    np.testing.assert_array_equal(second.y, second.customdata % 7)


def test_the_kind_of_trace_goes_by_the_points_of_the_whole_figure() -> None:
    assert (trace_of(PLAIN - 1), trace_of(PLAIN)) == (go.Scatter, go.Scattergl)
