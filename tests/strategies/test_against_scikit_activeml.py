"""Strategies for few labels against scikit-activeml's, where both define them alike."""

from dataclasses import replace

import numpy as np
import pytest
from skactiveml.classifier import SklearnClassifier
from skactiveml.pool import DropQuery, MaxHerding, ProbCover, TypiClust
from sklearn.linear_model import LogisticRegression

from tests.strategies.pools import make_pool
from tidal_core import strategies
from tidal_core.records import Float32, Int64, LinearHead, PoolView
from tidal_core.strategies.distances import unit_length
from tidal_core.strategies.prob_cover import cover, pure_radius


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def around(centres: Float32, sizes: tuple[int, ...]) -> tuple[Float32, Int64]:
    """So many points near each of the centres, at unit length, and which centre each belongs to."""
    group = np.repeat(np.arange(len(sizes)), sizes)
    noise = rng(4).standard_normal((len(group), centres.shape[1])).astype(np.float32)
    return unit_length(centres[group] + 0.05 * noise), group


def labels_of(pool: PoolView) -> np.ndarray:
    """Theirs: of labelled and pool images together, not a number where none is known."""
    return np.concatenate([pool.labelled_classes, np.full(len(pool.ids), np.nan)])


def everything(pool: PoolView) -> Float32:
    return np.concatenate([pool.labelled_features, pool.features])


def test_maxherding_is_theirs() -> None:
    pool = make_pool(size=80, labelled=6)

    theirs = MaxHerding(metric_dict={"gamma": 1.0}, random_state=0).query(
        everything(pool), labels_of(pool), batch_size=15
    )

    assert strategies.get("maxherding").select(pool, 15, rng()).tolist() == (theirs - 6).tolist()


def test_typiclust_is_theirs_where_clusters_are_beyond_dispute() -> None:
    features, _ = around(np.eye(6, 8, dtype=np.float32), (50, 70, 60, 90, 55, 45))
    labelled, _ = around(np.eye(6, 8, dtype=np.float32)[[1, 3]], (1, 1))
    pool = replace(
        make_pool(size=len(features), labelled=2), features=features, labelled_features=labelled, labelled_log_p=None
    )

    theirs = TypiClust(k=20, random_state=0, cluster_algo_dict={"n_init": 10}).query(
        everything(pool), labels_of(pool), batch_size=4
    )

    assert strategies.get("typiclust").select(pool, 4, rng()).tolist() == (theirs - 2).tolist()


@pytest.mark.filterwarnings("ignore:The maximum purity")  # theirs is given one radius and judges none
@pytest.mark.parametrize("seed", range(3))
def test_each_choice_of_probcover_is_one_of_the_best_by_theirs(seed: int) -> None:
    pool = make_pool(size=200, labelled=5, dimensions=4, seed=seed)
    points, labelled = unit_length(pool.features), unit_length(pool.labelled_features)
    radius = pure_radius(points, 5, rng(seed))

    rows = cover(points, 12, radius, rng(seed), labelled)

    labels = labels_of(pool)
    for row in (rows + 5).tolist():
        ask = ProbCover(deltas=[float(np.sqrt(radius))], random_state=0)
        _, utilities = ask.query(np.concatenate([labelled, points]), labels, return_utilities=True)
        assert utilities[0, row] == np.nanmax(utilities[0])
        labels[row] = 0


def test_dropquery_asks_of_the_same_groups_as_theirs() -> None:
    """Dropping features changes the class of four groups, surely or nearly; the three others stay, with certainty."""
    centres = np.eye(7, 12, dtype=np.float32)
    features, group = around(centres, (40, 40, 40, 40, 60, 60, 60))
    weight = np.zeros((2, 12), np.float32)
    weight[0, :4], weight[1, 4:7] = 10.0, 1.0  # one number decides of the first four groups, and the bias without it
    head = LinearHead(weight, np.array([0.0, 4.0], np.float32))
    pool = replace(
        make_pool(size=len(features), classes=2, labelled=7), features=features, labelled_features=centres, head=head
    )
    theirs_head = LogisticRegression()
    theirs_head.classes_ = np.array([0, 1])
    theirs_head.coef_ = weight[1:] - weight[:1]
    theirs_head.intercept_ = head.bias[1:] - head.bias[:1]
    classifier = SklearnClassifier(theirs_head, classes=[0, 1])
    classifier.fit(centres, [0, 0, 0, 0, 1, 1, 1])
    classifier.estimator_ = theirs_head

    theirs = DropQuery(n_dropout_samples=3, random_state=0, cluster_algo_dict={"n_init": 10}).query(
        everything(pool), labels_of(pool), classifier, fit_clf=False, batch_size=4
    )
    ours = strategies.get("dropquery").select(pool, 4, rng())

    assert sorted(group[ours]) == sorted(group[theirs - 7]) == [0, 1, 2, 3]
