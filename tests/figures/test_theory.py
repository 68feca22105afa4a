"""The numbers behind the Theory page's figures."""

import numpy as np
import pytest

from tests.figures.theory_samples import separation_sample
from tidal_core.figures import theory
from tidal_core.figures.palettes import LIGHT
from tidal_core.method.theory import Elasticity


def test_the_mean_of_the_runs_lies_in_their_band_and_starts_where_the_theory_does() -> None:
    info = theory.paths_info(Elasticity(sigma=0.5), runs=100, steps=200)

    assert (info.low <= info.mean).all()
    assert (info.mean <= info.high).all()
    np.testing.assert_allclose(info.mean[0], info.exact[0])
    np.testing.assert_allclose(info.difference, info.closed)
    assert info.largest_gap < 0.01


def test_the_curve_learnt_late_is_found_whichever_slider_it_was_on() -> None:
    info, turned = theory.areas_info(0.99, 0.9, 0.6, 10), theory.areas_info(0.99, 0.6, 0.9, 10)

    assert info.slow.area == pytest.approx(turned.slow.area) == pytest.approx(0.6)
    assert info.slow.entropy > info.fast.entropy


def test_the_shares_of_a_histogram_are_of_their_own_group() -> None:
    info = separation_sample()

    bars = theory.histogram_figure(info, "td_entropy", LIGHT).data

    assert [float(np.sum(bar.y)) for bar in bars] == pytest.approx([1, 1])
