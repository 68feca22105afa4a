"""Linear heads without torch: what they predict of images that they did not see."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression

from tidal_core.method.heads import FOLDS, linear_head, out_of_fold, stratified_folds
from tidal_core.records import Float32, Int64


def three_clouds(n: int = 90, noise: float = 0.3) -> tuple[Float32, Int64]:
    """Points (n, 8) of length 1 around three directions, and which."""
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 3
    points = np.eye(8)[labels] + rng.normal(0, noise, (n, 8))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32), labels


def test_the_head_is_the_logistic_regression_of_another_package() -> None:
    x, labels = three_clouds()
    penalty = 1e-2

    weight, bias = linear_head(x, labels, 3, penalty)

    other = LogisticRegression(C=1 / (penalty * len(x)), tol=1e-8, max_iter=1_000).fit(x, labels)
    ours = x @ weight + bias
    theirs = other.decision_function(x)
    np.testing.assert_allclose(
        ours - ours.mean(axis=1, keepdims=True), theirs - theirs.mean(axis=1, keepdims=True), atol=5e-3
    )


def test_a_wrong_label_gets_little_from_heads_that_did_not_see_it() -> None:
    x, labels = three_clouds()
    given = labels.copy()
    given[4] = 2  # it is a 1

    p = out_of_fold(x, given, 3, np.random.default_rng(0))

    assert p.shape == (90, 3)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert p[4, 2] < 0.2
    assert p[4].argmax() == 1


def test_an_image_that_alone_has_its_class_is_not_judged() -> None:
    x, labels = three_clouds(31)
    given = labels.copy()
    given[30] = 3

    p = out_of_fold(x, given, 4, np.random.default_rng(0))

    assert np.isnan(p[30]).all()
    assert not np.isnan(p[:30]).any()


def test_few_labels_and_one_class_are_judged_as_far_as_can_be() -> None:
    x, labels = three_clouds(4)

    assert np.isnan(out_of_fold(x[:1], labels[:1], 3, np.random.default_rng(0))).all()
    assert out_of_fold(x, np.zeros(4, np.int64), 1, np.random.default_rng(0)).tolist() == [[1], [1], [1], [1]]


def test_every_fold_has_about_as_many_of_each_class() -> None:
    labels = np.repeat(np.arange(3), 20)

    fold = stratified_folds(labels, FOLDS, np.random.default_rng(0))

    assert all((np.bincount(fold[labels == position], minlength=FOLDS) == 4).all() for position in range(3))
