"""The laws that every query strategy keeps, those of other packages included."""

from dataclasses import replace

import numpy as np
import pytest

from tests.strategies.pools import arrays, make_pool, take
from tidal_core import strategies
from tidal_core.config import RoundConfig, Seeds, TrainConfig
from tidal_core.errors import InputError, TidalError, TooFewClasses
from tidal_core.method.estimators import all_estimators
from tidal_core.records import Int64, PoolView
from tidal_core.strategies import ScoreStrategy, Strategy
from tidal_core.strategies.base import COMPANIONS, SAID_BY
from tidal_core.text import config_in_words

NO_COLUMN = (
    "active-lab",
    "bald",
    "learning-loss",
    "learning-loss-ranked",
    "vaal",
    "ta-vaal",
    "cal",
    "exact-margin-naive",
    "exact-confidence",
    "exact-confidence-naive",
)
CONFIG = RoundConfig(TrainConfig(), Seeds(), "tidal-entropy", 16)

every_strategy = pytest.mark.parametrize("name", strategies.names())
every_score = pytest.mark.parametrize(
    "name", [name for name in strategies.names() if isinstance(strategies.get(name), ScoreStrategy)]
)


def select(name: str, pool: PoolView, n: int, seed: int = 0) -> Int64:
    return strategies.get(name).select(pool, n, np.random.default_rng(seed))


@every_strategy
@pytest.mark.parametrize("n", [0, 1, 7, 39, 40])
def test_exactly_n_different_rows_of_the_pool_are_asked(name: str, n: int) -> None:
    rows = select(name, make_pool(), n)

    assert rows.dtype == np.int64
    assert rows.shape == (n,)
    assert len(set(rows)) == n
    assert set(rows) <= set(range(40))


@every_strategy
def test_the_same_seed_gives_the_same_answer(name: str) -> None:
    assert select(name, make_pool(), 9, seed=5).tolist() == select(name, make_pool(), 9, seed=5).tolist()


@every_strategy
def test_the_pool_is_left_as_it_was(name: str) -> None:
    pool = make_pool()
    before = arrays(pool)

    select(name, pool, 9)

    after = arrays(pool)
    assert all(np.array_equal(before[key], after[key]) for key in before)


@every_strategy
@pytest.mark.parametrize("n", [41, -1])
def test_more_than_the_pool_has_is_refused(name: str, n: int) -> None:
    with pytest.raises(InputError, match=f"{n} of 40 images"):
        select(name, make_pool(), n)


@every_strategy
def test_two_classes_are_enough(name: str) -> None:
    assert len(select(name, make_pool(classes=2), 10)) == 10


@every_strategy
def test_one_label_is_enough(name: str) -> None:
    assert len(select(name, make_pool(labelled=1), 10)) == 10


@every_strategy
def test_a_pool_without_labels_can_be_asked(name: str) -> None:
    assert len(select(name, make_pool(labelled=0), 10)) == 10


@every_strategy
@pytest.mark.parametrize("n", [3, 30])
def test_images_that_are_all_alike_are_asked_once_each(name: str, n: int) -> None:
    pool = make_pool(size=30)
    alike = take(pool, np.zeros(30, np.int64))

    assert len(set(select(name, alike, n))) == n


@every_strategy
def test_ties_are_broken_by_the_generator(name: str) -> None:
    alike = take(make_pool(size=30), np.zeros(30, np.int64))

    orders = {tuple(select(name, alike, 5, seed=seed)) for seed in range(5)}

    assert len(orders) > 1


@every_strategy
def test_images_of_certain_probability_are_no_trouble(name: str) -> None:
    certain = np.full((40, 5), -np.inf, np.float32)
    certain[:, 0] = 0
    mixed = make_pool()
    certain[::2] = mixed.log_p[::2]
    pool = replace(mixed, log_p=certain, td_log_p=certain, extra=dict.fromkeys(SAID_BY, np.zeros(40, np.float32)))

    assert len(select(name, pool, 10)) == 10


@every_strategy
def test_what_is_missing_is_named(name: str) -> None:
    pool = replace(make_pool(), td_log_p=None, extra={})
    missing = strategies.get(name).needs & set(COMPANIONS)

    if missing:
        with pytest.raises(InputError, match=f"{name} needs {min(missing)}.*companion"):
            select(name, pool, 3)
    else:
        assert len(select(name, pool, 3)) == 3


@pytest.mark.parametrize("name", [name for name in strategies.names() if "head" in strategies.get(name).needs])
def test_a_network_without_a_last_layer_on_its_features_is_named(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} needs the weights of a last layer .*choose another training"):
        select(name, replace(make_pool(), head=None), 3)


@every_strategy
def test_a_diverged_network_is_named_instead_of_asked_by(name: str) -> None:
    strategy = strategies.get(name)
    pool = make_pool()
    broken = np.full_like(pool.log_p, np.nan)
    pool = replace(pool, log_p=broken, td_log_p=broken, features=np.full_like(pool.features, np.nan))
    pool = replace(pool, extra=dict.fromkeys(SAID_BY, broken[:, 0]), exact_log_p=broken)

    if strategy.needs:
        with pytest.raises(InputError, match="diverged"):
            strategy.select(pool, 3, np.random.default_rng(0))
    else:
        assert len(strategy.select(pool, 3, np.random.default_rng(0))) == 3


@every_strategy
@pytest.mark.parametrize("where", ["features", "labelled_features"])
def test_features_that_overflowed_are_named_instead_of_measured(name: str, where: str) -> None:
    strategy, pool = strategies.get(name), make_pool()
    features = getattr(pool, where).copy()
    features[2, 1] = np.inf
    pool = replace(pool, **{where: features})

    if where in strategy.needs:
        with pytest.raises(InputError, match=f"{where} is not a number for 1 of .*diverged"):
            strategy.select(pool, 3, np.random.default_rng(0))
    else:
        assert len(strategy.select(pool, 3, np.random.default_rng(0))) == 3


@every_strategy
def test_a_strategy_says_what_it_is(name: str) -> None:
    strategy = strategies.get(name)

    assert strategy.name == name
    assert all(text and not text.startswith(" ") for text in (strategy.title, strategy.paper, strategy.cost))
    assert "time" in strategy.cost.lower()
    assert "memory" in strategy.cost.lower()
    assert "\n" not in strategy.explanation
    assert strategy.explanation.endswith(".")


@every_strategy
def test_what_people_read_is_a_sentence_with_its_title_and_without_its_bare_name(name: str) -> None:
    strategy = strategies.get(name)

    assert strategy.reason.startswith(f"Chosen by {strategy.title}: ")
    assert strategy.reason.endswith(".")
    assert not strategy.reason.endswith("..")
    assert strategy.in_words.startswith(f"{strategy.title}: ")
    assert not strategy.in_words.endswith(".")
    assert name != strategy.title
    assert "-" not in name or name not in strategy.reason + strategy.in_words
    *_, chosen_by = [line for line in config_in_words(CONFIG, 20, strategy.in_words) if "chooses" in line]
    assert chosen_by == f"Then chooses the next images by {strategy.in_words}."


@every_score
def test_a_score_that_is_stored_is_ranked_by_the_end_its_estimator_says(name: str) -> None:
    strategy, pool = strategies.get(name), make_pool()
    assert isinstance(strategy, ScoreStrategy)

    if strategy.estimator is not None:
        stored = all_estimators(pool.log_p, pool.td_log_p, pool.exact_log_p)[strategy.estimator.name]
        np.testing.assert_array_equal(strategy.scores(pool), stored)
        assert strategy.query_end == strategy.estimator.query_end
    else:
        assert name in NO_COLUMN, "of these the scores table has no column"


@every_score
def test_permuting_the_pool_permutes_the_scores(name: str) -> None:
    strategy, pool = strategies.get(name), make_pool()
    rows = np.random.default_rng(1).permutation(40)

    permuted, plain = strategy.scores(take(pool, rows)), strategy.scores(pool)

    assert permuted is not None
    assert plain is not None
    np.testing.assert_array_equal(permuted, plain[rows])


@every_score
def test_the_first_asked_has_the_best_score(name: str) -> None:
    strategy, pool = strategies.get(name), make_pool()
    assert isinstance(strategy, ScoreStrategy)
    scores = strategy.scores(pool)

    queried = scores[select(name, pool, 40)]

    best_first = np.sort(scores)[::-1] if strategy.query_end == "highest" else np.sort(scores)
    np.testing.assert_array_equal(queried, best_first)


@every_strategy
def test_fewer_classes_than_it_needs_are_refused_and_as_many_are_enough(name: str) -> None:
    needs = strategies.get(name).least_classes

    assert len(select(name, make_pool(classes=needs), 2)) == 2
    if needs > 1:
        with pytest.raises(TooFewClasses, match=f"{name} needs {needs} classes and the round has {needs - 1}"):
            select(name, make_pool(classes=needs - 1), 2)


def test_a_strategy_that_fails_is_named_with_what_may_be_missing() -> None:
    class Second(Strategy):
        name = "second"

        def choose(self, pool: PoolView, n: int, rng: np.random.Generator) -> Int64:
            return np.argsort(np.sort(pool.log_p, axis=1)[:, -2])[:n]

    assert len(Second().select(make_pool(), 3, np.random.default_rng(0))) == 3
    with pytest.raises(TidalError, match=r"second failed \(IndexError: .*least_classes = 2 if it compares two classes"):
        Second().select(make_pool(classes=1), 3, np.random.default_rng(0))


def test_a_strategy_that_breaks_the_law_is_named() -> None:
    class Stuck(Strategy):
        name = "stuck"

        def choose(self, pool: PoolView, n: int, rng: np.random.Generator) -> Int64:
            return np.zeros(n, np.int64)

    with pytest.raises(TidalError, match="stuck did not return 3 different rows of 40"):
        Stuck().select(make_pool(), 3, np.random.default_rng(0))


@every_strategy
def test_a_strategy_whose_reason_is_the_images_like_it_says_so_to_the_page(name: str) -> None:
    strategy = strategies.get(name)
    says_so = ("represents", "images look like it", "yet look like it", "image of a group")
    is_for_others = any(words in strategy.reason for words in says_so)

    assert strategy.represents == is_for_others
