"""The numbers behind the Experiments page's figures."""

from pathlib import Path

import numpy as np

from tests.figures.experiments_samples import LABELS, TITLES, values_sample
from tidal_core.figures import experiments
from tidal_core.figures.palettes import LIGHT


def test_random_is_nought_relative_to_itself() -> None:
    info = experiments.curves_info(LABELS, values_sample(), TITLES, is_relative=True)

    assert np.abs(info.bands["random"].mean).max() == 0
    assert info.bands["margin"].mean[-1] > 0


def test_without_random_nothing_is_relative() -> None:
    info = experiments.curves_info(LABELS, {"margin": values_sample()["margin"]}, TITLES, is_relative=True)

    assert info.bands == {}
    assert len(experiments.curves_figure(info, LIGHT).data) == 0


def test_one_run_is_drawn_without_an_interval() -> None:
    info = experiments.curves_info(LABELS, {"random": values_sample()["random"][:1]}, TITLES)

    assert len(experiments.curves_figure(info, LIGHT).data) == 1


def test_two_runs_that_differ_by_chance_do_not_flatten_the_relative_curves() -> None:
    wild = {
        "random": np.array([[0.5, 0.5, 0.5], [0.6, 0.6, 0.6]]),
        "margin": np.array([[0.9, 0.5, 0.6], [0.3, 0.6, 0.6]]),
    }
    behind = {"margin": experiments.Published(np.array([10, 20]), np.array([0.0, 3.0]), np.array([1.0, 1.0]))}
    info = experiments.curves_info(np.array([10, 20, 30]), wild, TITLES, is_relative=True, published=behind)
    means = [*info.bands["margin"].mean, 0.0, 3.0]

    low, high = experiments.curves_figure(info, LIGHT).layout.yaxis.range

    assert np.nanmax(info.bands["margin"].high) > 100
    assert low < min(means)
    assert max(means) < high < max(means) + 2 * (np.ptp(means) + 1)


def test_what_is_behind_is_grey_and_thin_without_interval_and_keeps_its_name() -> None:
    info = experiments.curves_info(LABELS, values_sample(), TITLES, behind=["margin", "no such configuration"])

    curves = experiments.curves_figure(info, LIGHT).data

    grey = curves[0]
    assert (grey.name, grey.line.width, grey.mode, grey.showlegend) == ("Margin", 1, "lines", False)
    assert [curve.name for curve in curves if curve.name and curve is not grey] == ["Random", "TiDAL &lt;margin&gt;"]
    assert sum(curve.fill == "toself" for curve in curves) == 2
    assert info.behind == {"margin"}


def test_an_interval_that_is_not_drawn_takes_no_room() -> None:
    wild = {"random": np.array([[0.5, 0.5], [0.6, 0.6]]), "margin": np.array([[0.9, 0.5], [0.3, 0.6]])}
    labels = np.array([10, 20])
    ranges = []
    for behind in ((), ("margin",)):
        info = experiments.curves_info(labels, wild, TITLES, is_relative=True, behind=behind)
        ranges.append(np.ptp(experiments.curves_figure(info, LIGHT).layout.yaxis.range))

    assert ranges[1] < ranges[0]


def test_a_published_curve_says_its_interval() -> None:
    behind = {"margin": experiments.Published(np.array([10, 20]), np.array([0.0, 3.0]), np.array([1.0, 1.5]))}
    info = experiments.curves_info(LABELS, values_sample(), TITLES, is_relative=True, published=behind)

    curve = next(trace for trace in experiments.curves_figure(info, LIGHT).data if trace.name == "Margin, published")

    assert list(curve.customdata) == [1.0, 1.5]
    assert "± %{customdata" in curve.hovertemplate


def test_published_curves_are_read_by_data_set_and_imbalance(tmp_path: Path) -> None:
    file = tmp_path / "published.csv"
    file.write_text(
        "dataset,imbalance_ratio,strategy,n_labeled,relative_improvement_pct,ci95\n"
        "CIFAR10,1,margin,2000,3.5,1.0\nCIFAR10,1,margin,1000,2.5,0.5\nCIFAR10,10,margin,1000,9,1\nFashionMNIST,1,bald,1000,1,1\n"
    )

    published = experiments.read_published(file, "cifar10", 1.0)

    assert list(published) == ["margin"]
    assert published["margin"].labels.tolist() == [1000, 2000]
    assert published["margin"].mean.tolist() == [2.5, 3.5]
    assert list(experiments.read_published(file, "fashion-mnist", 1.0)) == ["bald"]


def test_the_row_of_the_win_matrix_is_the_better_one() -> None:
    from tests.figures.experiments_samples import experiments_figures

    info, _ = experiments_figures()["wins"]

    table = info.table()
    assert table["beats Random"][2] > table["beats TiDAL <margin>"][0]
    assert table["configuration"][0] == "Random"
    assert np.isnan(info.wins.matrix[0, 0])
