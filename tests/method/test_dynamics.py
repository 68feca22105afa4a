"""Statistics of curves against numbers worked by hand, and laws that hold for all curves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import balanced_accuracy_score, confusion_matrix

from tidal_core.errors import InputError
from tidal_core.method import dynamics as d

# Two images, three epochs, three classes. Image 0 (label 0): right, wrong, right. Image 1 (label 2): never right.
P = np.array(
    [
        [[0.6, 0.3, 0.1], [0.5, 0.4, 0.1]],
        [[0.2, 0.7, 0.1], [0.2, 0.6, 0.2]],
        [[0.7, 0.2, 0.1], [0.1, 0.5, 0.4]],
    ]
)
LABELS = np.array([0, 2])

rows = hnp.arrays(
    np.float64, st.tuples(st.integers(1, 6), st.integers(1, 5), st.integers(2, 6)), elements=st.floats(0, 1)
).map(lambda a: (a + 1e-9) / (a + 1e-9).sum(axis=2, keepdims=True))


def test_statistics_of_two_curves_worked_by_hand() -> None:
    statistics = d.curve_statistics(d.label_view(P, LABELS))

    np.testing.assert_allclose(statistics.confidence, [0.5, (0.1 + 0.2 + 0.4) / 3])
    np.testing.assert_allclose(statistics.variability[0], np.sqrt((0.01 + 0.09 + 0.04) / 3))
    np.testing.assert_allclose(statistics.correctness, [2 / 3, 0])
    np.testing.assert_array_equal(statistics.forgetting, [1, 0])
    np.testing.assert_array_equal(statistics.first_learnt, [1, 0])
    np.testing.assert_allclose(statistics.margin_area, [(0.3 - 0.5 + 0.5) / 3, (-0.4 - 0.4 - 0.1) / 3])


def test_an_image_that_was_never_learnt_is_told_apart_from_one_that_was_never_forgotten() -> None:
    learnt = d.forgetting(np.array([[False, True], [False, True]]))

    np.testing.assert_array_equal(learnt.events, [0, 0])
    np.testing.assert_array_equal(learnt.never_learnt, [True, False])
    np.testing.assert_array_equal(learnt.first_learnt, [0, 1])


def test_a_tie_does_not_count_as_learnt() -> None:
    view = d.label_view(np.array([[[0.5, 0.5]]]), [0])

    assert not view.correct[0, 0]


def test_sparse_curves_give_the_same_statistics_when_nothing_was_left_out() -> None:
    order = np.array([2, 0, 1])
    index = np.broadcast_to(order, P.shape)

    dense = d.curve_statistics(d.label_view(P, LABELS))
    sparse = d.curve_statistics(d.label_view(P[..., order], LABELS, index))

    for dense_column, sparse_column in zip(dense, sparse, strict=True):
        np.testing.assert_allclose(dense_column, sparse_column)


def test_a_label_missing_from_a_sparse_row_has_probability_zero() -> None:
    view = d.label_view(np.array([[[0.8, 0.0]]]), [3], np.array([[[1, -1]]]))

    assert (view.p_label[0, 0], view.p_other[0, 0]) == (0.0, 0.8)


@pytest.mark.parametrize(
    ("p", "labels", "index"),
    [(P, [0], None), (P[0], [0, 1], None), (P, [0, 3], None), (P, LABELS, np.zeros((1, 2, 3)))],
)
def test_shapes_that_do_not_fit_are_refused(p: np.ndarray, labels: list[int], index: np.ndarray | None) -> None:
    with pytest.raises(InputError):
        d.label_view(p, labels, index)


def test_the_second_half_leaves_out_the_first_epochs() -> None:
    np.testing.assert_allclose(d.area([[1.0], [2.0], [3.0], [5.0]], second_half=True), [4.0])


def test_an_area_without_an_epoch_says_what_to_wait_for() -> None:
    with pytest.raises(InputError, match="first"):
        d.area(np.empty((0, 3)))


@given(rows)
def test_epochs_that_come_one_by_one_give_the_statistics_of_the_whole(p: np.ndarray) -> None:
    labels = np.arange(p.shape[1]) % p.shape[2]
    whole = d.label_view(p, labels)

    one_by_one = d.joined([d.label_view(epoch[None], labels) for epoch in p])

    for joined, at_once in zip(one_by_one, whole, strict=True):
        np.testing.assert_array_equal(joined, at_once)


def test_the_columns_to_store_are_in_single_precision() -> None:
    columns = d.curve_statistics(d.label_view(P, LABELS)).columns()

    assert columns["area"].dtype == columns["margin_area"].dtype == np.float32
    assert columns["forgetting"].dtype == np.int64
    np.testing.assert_array_equal(columns["area"], columns["confidence"])


@given(rows)
def test_statistics_stay_in_their_ranges_and_move_with_the_images(p: np.ndarray) -> None:
    labels = np.arange(p.shape[1]) % p.shape[2]
    statistics = d.curve_statistics(d.label_view(p, labels))

    assert ((statistics.variability >= 0) & (statistics.variability <= 0.5 + 1e-9)).all()
    assert ((statistics.margin_area >= -1 - 1e-9) & (statistics.margin_area <= 1 + 1e-9)).all()
    assert (statistics.forgetting <= p.shape[0] // 2).all()
    turned = d.curve_statistics(d.label_view(p[:, ::-1], labels[::-1]))
    for column, turned_column in zip(statistics, turned, strict=True):
        np.testing.assert_allclose(column, turned_column[::-1])


def test_el2n_is_zero_for_a_perfect_answer_and_root_two_for_a_sure_wrong_one() -> None:
    np.testing.assert_allclose(d.el2n([[1.0, 0.0], [0.0, 1.0]], [0, 0]), [0.0, np.sqrt(2)])


def test_rank_correlations_agree_with_ranks_correlated_by_hand() -> None:
    # ranks 1 2 3 4, 1 2 4 3 and 4 3 2 1: 1 - 6 * (0 + 0 + 1 + 1) / (4 * 15) = 0.8; turned round -1; and -0.8
    correlations = d.rank_correlations([[1, 2, 3, 40], [1, 2, 9, 4], [4, 3, 2, 1]])

    np.testing.assert_allclose(correlations, [[1, 0.8, -1], [0.8, 1, -0.8], [-1, -0.8, 1]])
    assert d.rank_correlation([1, 2, 3, 40], [1, 2, 9, 4]) == pytest.approx(0.8)


def test_a_constant_has_no_rank_correlation_and_spoils_no_other() -> None:
    correlations = d.rank_correlations([[1, 1, 1], [1, 2, 3], [2, 3, 9]])

    assert np.isnan(correlations[0, 1:]).all()
    assert correlations[1, 2] == pytest.approx(1)
    assert np.isnan(d.rank_correlation([1, 2], [1, 2])), "two pairs say nothing"


def test_wilson_agrees_with_the_published_example() -> None:
    # 8 of 10 at 95 %: 0.4902 to 0.9433 (Newcombe 1998, method 3, by the closed formula)
    interval = d.wilson(8, 10)

    np.testing.assert_allclose(interval, (0.8, 0.490162, 0.943318), atol=1e-6)


@given(st.integers(0, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_its_value_and_stays_in_the_unit_interval(pair: tuple[int, int]) -> None:
    interval = d.wilson(*pair)

    assert 0 <= interval.low <= interval.high <= 1
    if pair[1]:
        assert interval.low <= interval.value <= interval.high


def test_wilson_without_images_knows_nothing() -> None:
    interval = d.wilson(0, 0)

    assert np.isnan(interval.value)
    assert (interval.low, interval.high) == (0.0, 1.0)


@pytest.mark.parametrize(("successes", "n", "level"), [(3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1.0)])
def test_wilson_refuses_what_is_no_proportion(successes: int, n: int, level: float) -> None:
    with pytest.raises(InputError):
        d.wilson(successes, n, level)


def test_confusion_and_balanced_accuracy_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(5)
    truth, predicted = rng.integers(0, 4, 200), rng.integers(0, 4, 200)

    counts = d.confusion(truth, predicted, 4)

    np.testing.assert_array_equal(counts, confusion_matrix(truth, predicted))
    interval = d.balanced_accuracy(counts)
    assert interval.value == pytest.approx(balanced_accuracy_score(truth, predicted))
    assert interval.low < interval.value < interval.high


def test_balanced_accuracy_of_one_class_is_its_wilson_interval() -> None:
    counts = np.array([[8, 2], [0, 0]])

    np.testing.assert_allclose(d.balanced_accuracy(counts), d.wilson(8, 10))


@pytest.mark.parametrize(
    ("recall", "images"),
    [
        ([0.9, 0.6, 0.97], [12, 30, 20]),
        ([0.97] * 10, [36] * 10),  # the classes' Wilson intervals combined cover 87 % here
        ([0.97] * 100, [5] * 100),  # and 85 % here
        ([0.6] * 10, [3] * 10),
        ([0.95, 0.5], [100, 4]),
        ([0.95] * 20, [200] * 20),
    ],
)
def test_the_balanced_interval_covers_as_often_as_it_says(recall: list[float], images: list[int]) -> None:
    rng = np.random.default_rng(0)
    hits = rng.binomial(images, recall, size=(600, len(images)))

    inside = 0
    for right in hits:
        interval = d.balanced_accuracy(np.diag(right) + np.roll(np.diag(images - right), 1, axis=1))
        inside += interval.low <= np.mean(recall) <= interval.high

    assert inside / 600 >= 0.92


def test_every_explanation_names_its_source() -> None:
    assert all(
        explanation.meaning.endswith(".") and explanation.source in explanation.help
        for explanation in d.EXPLANATIONS.values()
    )


def test_to_forget_is_to_be_right_and_then_wrong_and_not_the_other_way_round() -> None:
    # epochs from above: learnt once and kept; known and lost; learnt, lost, learnt again
    right = np.array([[False, True, False], [True, False, True], [True, False, False], [True, False, True]])

    assert d.forgetting(right).events.tolist() == [0, 1, 1]


def test_a_recall_is_of_what_people_said_and_not_of_what_was_predicted() -> None:
    counts = d.confusion([0, 0, 0, 0, 1], [0, 0, 0, 1, 1], 2)

    assert [recall.value for recall in d.recalls(counts)] == [0.75, 1.0]
