"""The statistics of a comparison, by hand and against scipy."""

import numpy as np
import pytest
from scipy import stats

from tidal_core.errors import InputError
from tidal_core.experiments import statistics as st

LABELS = np.array([20, 40, 60, 80])
NAN = np.nan


def test_a_band_is_the_t_interval_of_the_runs() -> None:
    values = np.array([[0.5, 0.7], [0.6, 0.8], [0.7, NAN]])

    found = st.band(values)

    low, high = stats.t.interval(0.95, 2, 0.6, stats.sem(values[:, 0]))
    np.testing.assert_allclose(found.mean, [0.6, 0.75])
    np.testing.assert_allclose([found.low[0], found.high[0]], [low, high])
    assert found.n.tolist() == [3, 2]


def test_one_run_has_a_mean_and_no_interval() -> None:
    found = st.band(np.array([[0.5, NAN]]))

    assert found.mean[0] == 0.5
    assert np.isnan([found.low[0], found.high[0], found.mean[1]]).all()


def test_relative_improvement_is_taken_run_by_run() -> None:
    found = st.relative(np.array([[0.6], [0.5], [0.9]]), np.array([[0.5], [0.5]]))

    np.testing.assert_allclose(found, [[20], [0]])


def test_the_area_is_the_mean_height_of_the_curve() -> None:
    values = np.array([[0.0, 1.0, 1.0, 1.0], [0.5, 0.5, 0.5, NAN]])

    found = st.area_under(LABELS, values)

    assert found[0] == pytest.approx(2.5 / 3)
    assert np.isnan(found[1])


def sentence(mean: np.ndarray, other_mean: np.ndarray) -> str:
    same = st.same_accuracy(LABELS, mean, other_mean)
    assert same is not None
    return same.sentence


def test_label_efficiency_worked_by_hand() -> None:
    configuration, random = np.array([0.5, 0.7, 0.8, 0.95]), np.array([0.5, 0.6, 0.8, 0.9])

    found = st.label_efficiency(LABELS, configuration, random)

    # 0.7 lies half way between 0.6 at 40 and 0.8 at 60: random needs 50 labels for what the configuration has at 40
    np.testing.assert_allclose(found.ratio, [1, 50 / 40, 1, NAN])
    np.testing.assert_allclose(found.saved, [0, 10, 0, NAN])


def test_a_dip_does_not_undo_what_random_reached() -> None:
    found = st.label_efficiency(LABELS, np.array([0.2, 0.6, 0.6, 0.6]), np.array([0.3, 0.6, 0.5, 0.7]))

    # 0.6 is what both have with 40 labels: that neither learns from 40 more is no loss of the one that was asked about
    np.testing.assert_allclose(found.ratio, [NAN, 1, 1, 1])


def test_an_arm_needs_as_many_labels_as_itself_wherever_its_curve_dips() -> None:
    mean = np.array([0.3, 0.6, 0.5, 0.7])

    np.testing.assert_allclose(st.label_efficiency(LABELS, mean, mean).ratio, 1)


def test_only_runs_that_both_have_are_compared_as_far_as_one_has_come() -> None:
    values = np.array([[0.5, 0.6, 0.7], [0.1, 0.2, NAN], [0.4, 0.5, 0.6]])
    other = np.array([[0.4, 0.5, 0.6], [0.3, 0.4, 0.5]])

    one, two = st.paired_runs(values, other)

    assert one.tolist() == [[0.5, 0.6, 0.7]]
    assert two.tolist() == [[0.4, 0.5, 0.6]]
    assert [len(part) for part in st.paired_runs(values, np.full((3, 3), NAN))] == [0, 0]


def test_the_sentence_for_an_audience() -> None:
    configuration, random = np.array([0.5, 0.7, 0.8, 0.95]), np.array([0.5, 0.55, 0.6, 0.8])

    assert sentence(configuration, random) == "The same accuracy, 80.0%, with 20 fewer labels (60 instead of 80)."
    assert "with 20 more labels" in sentence(random, configuration)
    assert "the same number of labels" in sentence(configuration, configuration)
    assert st.same_accuracy(LABELS, configuration + 1, random) is None


def test_the_strongest_arm_is_judged_where_the_other_ends_and_not_where_both_begin() -> None:
    configuration, random = np.array([0.5, 0.9, 0.9, 0.9]), np.array([0.5, 0.6, 0.7, 0.8])

    # 0.8 lies three quarters of the way from 0.5 with 20 labels to 0.9 with 40
    assert sentence(configuration, random) == "The same accuracy, 80.0%, with 45 fewer labels (35 instead of 80)."


def test_the_audience_hears_whether_it_may_be_chance() -> None:
    rng = np.random.default_rng(0)
    random = 0.5 + 0.1 * rng.random((6, 4))
    configuration = random + 0.03 + 0.001 * rng.random((6, 4))
    gain = 100 * (np.trapezoid(configuration, LABELS) - np.trapezoid(random, LABELS)) / 60
    low, high = stats.t.interval(0.95, 5, gain.mean(), stats.sem(gain))

    said = st.beyond_chance(LABELS, configuration, random)

    assert said.startswith("More than chance: ")
    assert f"95 % interval {low:+.1f} to {high:+.1f}, from 6 runs" in said
    assert st.beyond_chance(LABELS, configuration, configuration[::-1]).startswith("This may be chance: ")
    assert "One run is not enough" in st.beyond_chance(LABELS, configuration[:1], random[:1])
    assert "no runs in common" in st.beyond_chance(LABELS, configuration[:0], random[:0])


def test_labels_are_said_to_be_saved_only_beyond_chance_and_never_after_one_run() -> None:
    rng = np.random.default_rng(0)
    random = np.array([0.5, 0.6, 0.7, 0.8]) + 0.02 * rng.standard_normal((6, 1))
    better = random + np.array([0.0, 0.1, 0.1, 0.1]) + 0.001 * rng.standard_normal((6, 4))
    by_chance = random + 0.05 * rng.standard_normal((6, 4))

    saved = st.labels_saved(LABELS, better, random)
    assert saved is not None
    assert "fewer labels" in saved.sentence
    costs = st.labels_saved(LABELS, random, better)
    assert costs is not None
    assert "more labels" in costs.sentence
    assert st.labels_saved(LABELS, by_chance, random) is None
    assert st.labels_saved(LABELS, better[:1], random[:1]) is None
    assert st.labels_saved(LABELS, better[:0], random[:0]) is None


def test_labels_are_not_said_to_be_saved_where_the_accuracy_says_the_opposite() -> None:
    random = np.array([[0.5, 0.80, 0.80, 0.85], [0.5, 0.81, 0.81, 0.85]])
    worse = np.array([[0.5, 0.50, 0.50, 0.90], [0.5, 0.51, 0.51, 0.90]])  # late, but past the other's end

    assert st.beyond_chance(LABELS, worse, random).startswith("More than chance: ")
    assert st.same_accuracy(LABELS, worse.mean(0), random.mean(0)).labels < 80  # type: ignore[union-attr]
    assert st.labels_saved(LABELS, worse, random) is None


def test_the_best_of_many_must_lead_by_more_than_the_only_one() -> None:
    rng = np.random.default_rng(3)
    random = 0.5 + 0.1 * rng.random((5, 4))
    configurations = [random + 0.02 * rng.standard_normal((5, 1)) for _ in range(40)]  # none is better
    best = max(
        configurations,
        key=lambda configuration: float((configuration - random).mean() / (configuration - random).std()),
    )
    gain = 100 * (np.trapezoid(best, LABELS) - np.trapezoid(random, LABELS)) / 60
    low, high = stats.t.interval(1 - 0.05 / 40, 4, gain.mean(), stats.sem(gain))

    said = st.beyond_chance(LABELS, best, random, candidates=40)

    assert st.beyond_chance(LABELS, best, random).startswith("More than chance: "), "picked for being so"
    assert said.startswith("This may be chance: ")
    assert f"{low:+.1f} to {high:+.1f}, widened because one of 40 was picked, from 5 runs" in said


def test_two_runs_that_differ_by_the_same_number_of_images_prove_nothing() -> None:
    random = np.array([[0.90, 0.90], [0.91, 0.93]])

    found = st.paired_tests(random + np.array([0.014, 0.0]), random)

    assert found.p.tolist() == [0.5, 1.0]
    many = np.full((9, 1), 0.5)
    assert st.paired_tests(many + 0.1, many).p[0] == 2**-8


def test_paired_tests_are_scipys_and_say_how_many_there_are() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.random((6, 4)), rng.random((5, 4))

    found = st.paired_tests(one, other)

    expected = [stats.ttest_rel(one[:5, place], other[:, place]).pvalue for place in range(4)]
    np.testing.assert_allclose(found.p, expected)
    assert found.comparisons == 4
    assert found.n.tolist() == [5] * 4
    gaps = one.copy()
    gaps[1:3, 0], gaps[1:, 1], gaps[:, 2] = NAN, NAN, NAN
    expected[0] = stats.ttest_rel(gaps[[0, 3, 4], 0], other[[0, 3, 4], 0]).pvalue
    expected[1:3] = [NAN, NAN]
    np.testing.assert_allclose(st.paired_tests(gaps, other).p, expected)


def test_too_few_pairs_are_no_test_and_equal_arms_do_not_differ() -> None:
    values = np.array([[0.5, 0.5], [0.5, NAN]])

    found = st.paired_tests(values, values)

    assert found.p[0] == 1
    assert np.isnan(found.p[1])
    assert found.comparisons == 1


def test_holm_worked_by_hand() -> None:
    # sorted 0.01, 0.02, 0.04: times 3, 2, 1, never falling
    np.testing.assert_allclose(st.holm(np.array([0.04, 0.01, NAN, 0.02])), [0.04, 0.03, NAN, 0.04])


def test_the_win_matrix_counts_for_the_row() -> None:
    rng = np.random.default_rng(0)
    low = rng.random((8, 4)) * 0.01
    better = {"good": low + 0.5, "bad": low}

    found = st.win_matrix([better, better])

    assert found.configurations == ("good", "bad")
    assert found.points == 8
    np.testing.assert_array_equal(found.matrix, [[NAN, 1], [0, NAN]])


def test_a_win_is_a_share_of_the_points_at_which_the_two_could_be_compared() -> None:
    low = np.random.default_rng(0).random((8, 4)) * 0.01
    good, once = low + 0.5, low[:1]

    found = st.win_matrix([{"good": good, "bad": low, "once": once}, {"good": good}])

    assert found.points == 4, "at the second ratio good was alone"
    np.testing.assert_array_equal(found.matrix, [[NAN, 1, NAN], [0, NAN, NAN], [NAN, NAN, NAN]])


def test_arms_of_different_experiments_are_not_compared() -> None:
    assert st.check_same_labels([LABELS[:2], LABELS]).tolist() == LABELS.tolist()
    with pytest.raises(InputError, match="different numbers of labels"):
        st.check_same_labels([LABELS, np.array([10, 20])])
    with pytest.raises(InputError, match="nothing to compare"):
        st.check_same_labels([])
