"""The law of finishing: what is accepted keeps its target, however many sets are looked at."""

import numpy as np
import pytest
from scipy import stats

from tidal_core.errors import InputError
from tidal_core.method.finishing import (
    LEVEL,
    Judged,
    Looks,
    _at_least,
    _most_wrong,
    class_shifts,
    judge_sample,
    level_of_look,
    log_odds,
    propose,
    sample_of,
)

NO_FOLDS = Judged(np.empty(0), np.empty(0, np.int64), np.empty(0, np.bool_))


def made(n: int, checked: int, seed: int, sure: float = 8.0) -> tuple[np.ndarray, np.ndarray, np.ndarray, Judged]:
    """n candidates of two classes whose confidence is right on average, with ``checked`` more drawn at random."""
    rng = np.random.default_rng(seed)
    confidence = rng.beta(sure, 1.0, n + checked) / 2 + 0.5
    predicted = rng.integers(0, 2, n + checked)
    is_right = rng.random(n + checked) < confidence
    return (
        confidence[checked:],
        predicted[checked:],
        is_right[checked:],
        Judged(confidence[:checked], predicted[:checked], is_right[:checked]),
    )


def test_the_target_is_missed_no_more_often_than_the_level_says() -> None:
    missed = accepted = 0
    for seed in range(200):
        confidence, predicted, is_right, checked = made(400, 150, seed, sure=16.0)
        proposal = propose(confidence, predicted, checked, NO_FOLDS, 2, 0.95)
        accepted += proposal.accepted > 0
        missed += bool(proposal.accepted) and bool(is_right[proposal.is_accepted].mean() < 0.95)
    assert accepted > 20
    assert missed <= stats.binom.ppf(0.999, 200, LEVEL)


def test_without_checked_images_nothing_is_accepted_and_it_says_how_many_would_do() -> None:
    confidence, predicted, _, _ = made(2_000, 0, 1, sure=60.0)
    proposal = propose(confidence, predicted, NO_FOLDS, NO_FOLDS, 2, 0.9)
    assert not proposal.accepted
    assert not proposal.was_tested
    assert proposal.more_checks is not None
    assert f"{proposal.more_checks} more" in proposal.reason
    assert propose(confidence, predicted, NO_FOLDS, NO_FOLDS, 2, 0.98).more_checks > proposal.more_checks


def test_as_many_checks_as_it_asks_for_are_mostly_enough() -> None:
    passed = 0
    for seed in range(20):
        confidence, predicted, is_right, _ = made(1_000, 0, seed, sure=30.0)
        more = propose(confidence, predicted, NO_FOLDS, NO_FOLDS, 2, 0.9).more_checks or 0
        checked = Judged(confidence[:more], predicted[:more], is_right[:more])
        passed += propose(confidence[more:], predicted[more:], checked, NO_FOLDS, 2, 0.9).accepted > 0
    assert passed >= 12


def test_five_of_a_hundred_may_be_wrong_by_hand() -> None:
    # 100 to accept at 95 %: six wrong ones would miss it. Of 50 more checked, none is wrong of six in 150 with
    # probability C(100, 6) / C(150, 6) = 0.083; of 60 more, C(100, 6) / C(160, 6) = 0.056; of 70, 0.038.
    assert [_most_wrong(n, 100, 0.95, 0.05, False) for n in (50, 60, 70)] == [-1, -1, 0]
    # From elsewhere 0.95 ** 58 = 0.051 and 0.95 ** 59 = 0.0485.
    assert [_most_wrong(n, 100, 0.95, 0.05, True) for n in (58, 59)] == [-1, 0]


def test_the_lower_end_agrees_with_the_test() -> None:
    for sampled, wrong in ((70, 0), (120, 1), (200, 5)):
        most = _most_wrong(sampled, 100, 0.9, 0.05, False)
        assert (_at_least(sampled, wrong, 100, 0.05, False) >= 0.9) or wrong > most


def test_a_class_that_is_often_wrong_needs_more_confidence() -> None:
    confidence = np.full(200, 0.9)
    predicted = np.repeat([0, 1], 100)
    folds = Judged(confidence, predicted, np.concatenate([np.ones(100, bool), np.arange(100) < 60]))
    shifts = class_shifts(folds, 3)
    assert shifts[0] > shifts[2] > shifts[1]  # of class 2 nothing is known: it gets the common value


def test_all_looks_together_err_no_more_than_the_level() -> None:
    levels = [level_of_look(look) for look in range(1, 10_000)]
    assert LEVEL * 0.999 < sum(levels) < LEVEL
    assert levels == sorted(levels, reverse=True)
    with pytest.raises(InputError, match="from 1"):
        level_of_look(0)


def test_a_look_that_failed_is_paid_for_once_and_one_that_passed_is_not() -> None:
    looks = Looks()
    confidence, predicted, _, checked = made(400, 150, 0, sure=60.0)
    passed = propose(confidence, predicted, checked, NO_FOLDS, 2, 0.9)
    failed = passed._replace(is_accepted=np.zeros(400, np.bool_))
    untested = failed._replace(was_tested=False)
    assert passed.accepted

    assert [looks.note(name, proposal) for name, proposal in (("a", untested), ("b", failed), ("c", passed))] == [
        False,
        True,
        True,
    ]
    assert not looks.note("b", passed)  # the same evidence says the same
    assert [looks.number(name) for name in ("a", "b", "c", "d")] == [2, 1, 2, 2]
    looks.note("d", failed)
    again = Looks(looks.made)  # as it comes from the project's file
    assert [again.number(name) for name in ("b", "c", "d", "e")] == [1, 2, 2, 3]


def test_thresholds_tell_who_is_accepted() -> None:
    confidence, predicted, _, checked = made(1_000, 300, 3, sure=40.0)
    folds = Judged(checked.confidence, checked.predicted, checked.is_right)
    proposal = propose(confidence, predicted, checked, folds, 2, 0.9)
    thresholds = np.array([share.threshold for share in proposal.classes])
    assert proposal.accepted == sum(share.accepted for share in proposal.classes) > 0
    assert proposal.accepted + sum(share.left for share in proposal.classes) == 1_000
    by_threshold = log_odds(confidence) >= log_odds(thresholds)[predicted] - 1e-9
    assert (by_threshold == proposal.is_accepted).all()


@pytest.mark.parametrize(("wrong", "is_vetoed"), [(0, False), (2, False), (3, False), (4, True), (50, True)])
def test_a_sample_with_too_many_wrong_ones_forbids_it(wrong: int, is_vetoed: bool) -> None:
    # 50 at 98 %: P(3 or more) = 0.078, P(4 or more) = 0.018
    veto = judge_sample(50, wrong, 0.98)
    assert veto.is_vetoed is is_vetoed
    assert f"{wrong} of 50" in veto.sentence


def test_the_sample_is_of_the_accepted_and_none_comes_twice() -> None:
    sample = sample_of(np.arange(100, 300), np.random.default_rng(1))
    assert len(set(sample.tolist())) == 50
    assert set(sample.tolist()) <= set(range(100, 300))
    assert len(sample_of(np.arange(7), np.random.default_rng(1))) == 7


@pytest.mark.parametrize("target", [0.3, 1.0])
def test_a_target_that_says_nothing_is_refused(target: float) -> None:
    with pytest.raises(InputError, match="between"):
        propose(np.empty(0), np.empty(0, np.int64), NO_FOLDS, NO_FOLDS, 2, target)


def test_no_images_left_is_said() -> None:
    assert "No images" in propose(np.empty(0), np.empty(0, np.int64), NO_FOLDS, NO_FOLDS, 2, 0.9).reason
