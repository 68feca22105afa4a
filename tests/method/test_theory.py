"""Each claim of the appendix's proofs, checked by number."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tidal_core.errors import InputError, TooFewClasses
from tidal_core.method import theory
from tidal_core.method.estimators import entropy, lead, log_of
from tidal_core.method.theory import Elasticity

FIVE = {
    "default": Elasticity(),
    "no noise": Elasticity(sigma=0),
    "large steps": Elasticity(h=0.05, sizes=(30, 30, 30)),
    "few hard samples": Elasticity(alpha_h=0.2, sizes=(90, 5, 55), start=(0.5, 1.5, 1.0)),
    "hard ones as easy": Elasticity(alpha_h=1.0, sigma=0.3, start=(2.0, 2.0, 2.0)),
}

positive = st.floats(0.01, 5)
settings = st.builds(
    lambda alphas, sizes, start: Elasticity(*sorted(alphas, reverse=True), sizes=sizes, start=start),
    st.lists(positive, min_size=3, max_size=3, unique=True),
    st.tuples(*[st.integers(1, 200)] * 3),
    st.tuples(*[positive] * 3),
)


@pytest.mark.parametrize("name", FIVE)
def test_the_mean_of_many_runs_is_the_exact_mean(name: str) -> None:
    setting = FIVE[name]

    paths = theory.simulate(setting, runs=400, steps=300, seed=3, points=20)

    exact = theory.exact_mean(setting, paths.steps)
    standard_error = paths.logits.std(axis=0, ddof=1) / np.sqrt(400)
    assert (np.abs(paths.mean - exact)[1:] <= 4 * standard_error[1:]).all()
    np.testing.assert_allclose(paths.mean[0], setting.start)


def test_walks_drawn_late_have_the_variance_of_walks_drawn_at_every_step() -> None:
    """Without elasticity an averaged logit is a sum of m n noises of sd sigma sqrt(h), over n."""
    setting = Elasticity(alpha_e=0, alpha_h=0, beta=0, sizes=(4, 9, 16), sigma=2.0, h=0.01)

    paths = theory.simulate(setting, runs=4000, steps=50, seed=0, points=6)

    expected = np.sqrt(50) * 2.0 * 0.1 / np.sqrt([4, 9, 16])
    np.testing.assert_allclose(paths.logits[:, -1].std(axis=0), expected, rtol=0.05)


def test_a_plain_simulation_of_every_sample_has_the_same_mean_and_spread() -> None:
    setting = Elasticity(sizes=(3, 2, 4), sigma=0.8, h=0.05)
    rng, group, runs = np.random.default_rng(1), np.repeat([0, 1, 2], (3, 2, 4)), 6000
    x = np.ones((runs, 9))
    for _ in range(30):
        j = rng.integers(0, 9, runs)
        pull = setting.between[group][:, group[j]].T  # (R, S)
        x = x + setting.h * pull * x[np.arange(runs), j][:, None] + np.sqrt(0.05) * 0.8 * rng.standard_normal((runs, 9))
    plain = np.stack([x[:, group == g].mean(axis=1) for g in range(3)], axis=1)

    ours = theory.simulate(setting, runs=runs, steps=30, seed=2, points=3).logits[:, -1]

    np.testing.assert_allclose(ours.mean(axis=0), plain.mean(axis=0), atol=0.05)
    np.testing.assert_allclose(ours.std(axis=0), plain.std(axis=0), rtol=0.05)


@pytest.mark.parametrize("name", FIVE)
def test_the_difference_to_the_differential_equation_shrinks_in_proportion_to_the_step(name: str) -> None:
    def gap(h: float) -> float:
        setting = replace(FIVE[name], h=h)
        steps = np.array([round(2 / h)])
        return float(np.abs(theory.exact_mean(setting, steps) - theory.continuous(setting, steps * h)).max())

    assert gap(0.01) / gap(0.005) == pytest.approx(2, rel=0.05)


@given(settings)
def test_inequality_21_holds_for_any_setting(setting: Elasticity) -> None:
    assume(setting.alpha_e - setting.alpha_h > 1e-9)  # closer, their difference is lost in rounding
    logits = np.asarray([setting.start])

    sides = theory.inequality(setting, logits)

    np.testing.assert_allclose(sides.difference, sides.closed, rtol=1e-12, atol=1e-12)
    assert sides.holds


@given(settings)
def test_easy_samples_rise_faster_along_the_whole_path(setting: Elasticity) -> None:
    steps = np.arange(301)
    for path in (theory.exact_mean(setting, steps), theory.continuous(setting, steps * setting.h)):
        assert theory.inequality(setting, path).holds
        assert (np.diff(path[:, 0] - path[:, 1]) > 0).all()


@pytest.mark.parametrize("name", ["default", "large steps", "few hard samples"])
def test_easy_samples_rise_faster_at_every_step_of_simulated_paths_inside_x_above_zero(name: str) -> None:
    paths = theory.simulate(FIVE[name], runs=50, steps=300, seed=5, points=301)

    assert paths.logits.shape[1] == 301
    assert paths.share_left == 0
    for run in paths.logits:
        assert theory.inequality(FIVE[name], run).holds


def test_hard_samples_that_pull_like_easy_ones_are_no_slower() -> None:
    setting = FIVE["hard ones as easy"]

    assert not theory.inequality(setting, theory.exact_mean(setting, np.arange(5))).holds


def test_paths_that_leave_the_theorems_ground_are_counted() -> None:
    calm = theory.simulate(Elasticity(sigma=0), runs=3, steps=50, seed=0)
    wild = theory.simulate(Elasticity(sigma=20), runs=3, steps=50, seed=0)

    assert calm.share_left == 0
    assert wild.share_left > 0.1


def test_a_thousand_runs_of_three_hundred_samples_stay_finite() -> None:
    paths = theory.simulate(Elasticity(), runs=1000, steps=2000, seed=0)

    assert paths.logits.shape == (1000, 100, 3)
    assert np.isfinite(paths.logits).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"alpha_e": 0.1}, "alpha_e >= alpha_h"),
        ({"sizes": (0, 1, 1)}, "at least one"),
        ({"start": (1, -1, 1)}, "positive"),
        ({"h": 0}, "h above 0"),
    ],
)
def test_settings_outside_the_theorem_are_refused(values: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Elasticity(**values)


def test_growth_beyond_a_float_is_refused() -> None:
    with pytest.raises(InputError, match="fewer or smaller steps"):
        theory.simulate(Elasticity(h=1), runs=1, steps=2000, seed=0)


@given(st.floats(0, 1), st.integers(2, 200))
def test_the_closed_forms_equal_direct_computation(s_y: float, classes: int) -> None:
    s = theory.areas(s_y, classes)
    log_s = log_of(s)[None]

    assert theory.closed_entropy(s_y, classes) == pytest.approx(entropy(log_s)[0], abs=1e-12)
    assert theory.closed_margin(s_y, classes) == pytest.approx(lead(log_s, np.array([0]))[0], abs=1e-12)
    assert s.sum() == pytest.approx(1)


@given(st.integers(2, 100), st.floats(0, 1), st.floats(0, 1))
def test_theorem_2_holds_from_one_over_c_on(classes: int, area: float, other_area: float) -> None:
    low = theory.entropy_falls_from(classes)
    small, large = sorted((low + area * (1 - low), low + other_area * (1 - low)))
    if large - small < 1e-6:
        return

    assert theory.closed_entropy(small, classes) > theory.closed_entropy(large, classes)
    assert theory.closed_margin(small, classes) < theory.closed_margin(large, classes)


@pytest.mark.parametrize("classes", [3, 10, 100])
def test_below_one_over_c_the_entropy_claim_turns_round(classes: int) -> None:
    low = theory.entropy_falls_from(classes)

    assert theory.closed_entropy(low / 2, classes) < theory.closed_entropy(low, classes)
    assert low < 0.5, "the theorem's 1/2 is enough but not needed"


@given(st.floats(0.6, 1), st.floats(0.05, 0.95), st.integers(2, 50))
def test_curves_end_alike_and_keep_the_area_they_were_asked_for(end: float, position: float, classes: int) -> None:
    low = 1 / classes + (end - 1 / classes) / 60
    area = low + position * (end - low)

    curve = theory.curve_with_area(end=end, area=area, classes=classes)

    assert curve.p[-1] == pytest.approx(end)
    assert curve.area == pytest.approx(area, abs=1e-9)
    assert (np.diff(curve.p) >= 0).all()


def test_the_slower_of_two_curves_that_end_alike_is_the_less_certain() -> None:
    fast = theory.curve_with_area(end=0.99, area=0.9, classes=10)
    slow = theory.curve_with_area(end=0.99, area=0.6, classes=10)

    assert fast.p[-1] == pytest.approx(slow.p[-1])
    assert slow.entropy > fast.entropy
    assert slow.margin < fast.margin


def test_an_area_no_curve_can_have_is_refused() -> None:
    with pytest.raises(InputError, match=r"has the area 0.99; choose one between"):
        theory.curve_with_area(end=0.9, area=0.99, classes=10)


def test_one_class_has_no_theory() -> None:
    for call in (theory.entropy_falls_from, lambda c: theory.areas(1, c), lambda c: theory.closed_margin(1, c)):
        with pytest.raises(TooFewClasses):
            call(1)
