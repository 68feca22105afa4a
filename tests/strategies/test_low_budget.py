"""BAIT, ALFA-Mix, DropQuery, DCoM and TCM against plain loops that follow their definitions."""

from dataclasses import replace

import numpy as np
import pytest

from tests.strategies.pools import make_pool
from tidal_core import strategies
from tidal_core.records import LinearHead, PoolView
from tidal_core.strategies import bait, dcom
from tidal_core.strategies.alfamix import least_mix
from tidal_core.strategies.clusters import Clusters, k_means
from tidal_core.strategies.dcom import competence, pure_radii
from tidal_core.strategies.distances import unit_length
from tidal_core.strategies.dropquery import changes, quarter_of


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def fisher_rows(features: np.ndarray, log_p: np.ndarray) -> np.ndarray:
    """(N, 2, D): the gradients of both answers to "is it the most likely class?", by the root of their chance."""
    f, p = unit_length(features).astype(np.float64), np.exp(log_p.astype(np.float64).max(axis=1))[:, None]
    return np.stack([np.sqrt(p) * (1 - p) * f, -np.sqrt(1 - p) * p * f], axis=1)


def plain_bait(pool: PoolView, n: int) -> list[int]:
    rows, labelled = fisher_rows(pool.features, pool.log_p), fisher_rows(pool.labelled_features, pool.labelled_log_p)
    everything = np.concatenate([rows, labelled])
    F = sum(V.T @ V for V in everything) / len(everything)
    M = np.eye(rows.shape[2]) + sum(V.T @ V for V in labelled)

    def trace(matrix: np.ndarray) -> float:
        return float(np.trace(np.linalg.inv(matrix) @ F))

    chosen: list[int] = []
    for _ in range(min(2 * n, len(rows))):
        row = min(
            (row for row in range(len(rows)) if row not in chosen), key=lambda row: trace(M + rows[row].T @ rows[row])
        )
        chosen.append(row)
        M = M + rows[row].T @ rows[row]
    while len(chosen) > n:
        row = min(chosen, key=lambda row: trace(M - rows[row].T @ rows[row]))
        chosen.remove(row)
        M = M - rows[row].T @ rows[row]
    return chosen


@pytest.mark.parametrize(("size", "labelled", "n"), [(40, 12, 8), (40, 0, 5), (15, 3, 10)])
def test_bait_chooses_as_written_out_matrices_would(size: int, labelled: int, n: int) -> None:
    pool = make_pool(size=size, labelled=labelled)
    if not labelled:
        pool = replace(pool, labelled_log_p=np.empty((0, 5), np.float32))

    assert strategies.get("bait").select(pool, n, rng()).tolist() == plain_bait(pool, n)


def test_bait_leaves_images_that_are_certain() -> None:
    certain = np.full((40, 5), -np.inf, np.float32)
    certain[:, 0] = 0
    log_p = np.where(np.arange(40)[:, None] < 30, certain, make_pool().log_p)

    assert min(strategies.get("bait").select(replace(make_pool(), log_p=log_p), 5, rng())) >= 30


def plain_candidates(pool: PoolView, cap: float) -> set[int]:
    """Rows whose class changes for some anchor, with the elementwise mix of the closed form written out."""
    assert pool.head is not None
    W, b = pool.head.weight.astype(np.float64), pool.head.bias.astype(np.float64)
    z_labelled, D = pool.head.read(pool.labelled_features).astype(np.float64), W.shape[1]
    changed = set()
    for row, z in enumerate(pool.head.read(pool.features).astype(np.float64)):
        logits = W @ z + b
        p = np.exp(logits) / np.exp(logits).sum()
        gradient = W.T @ (p - np.eye(len(p))[logits.argmax()])
        for c in set(pool.labelled_classes.tolist()):
            difference = z_labelled[pool.labelled_classes == c].mean(axis=0) - z
            a = cap / np.sqrt(D) * np.linalg.norm(difference) * gradient / np.linalg.norm(gradient) / difference
            mixed = (1 - a) * z + a * (z + difference)
            if (W @ mixed + b).argmax() != logits.argmax():
                changed.add(row)
    return changed


def with_frozen_head(pool: PoolView) -> PoolView:
    assert pool.head is not None
    return replace(pool, features=pool.features - 0.5, head=replace(pool.head, unit_length=True))


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("cap", [0.1, 0.4, 1.0])
def test_alfamix_finds_the_images_that_the_written_out_mix_changes(frozen: bool, cap: float) -> None:
    pool = replace(make_pool(size=80, labelled=4), labelled_classes=np.array([0, 2, 2, 3]))  # 1 and 4 have no label
    pool = with_frozen_head(pool) if frozen else pool
    assert pool.head is not None

    candidates = set(np.flatnonzero(least_mix(pool, pool.head) < cap).tolist())

    assert candidates == plain_candidates(pool, cap)
    assert 0 < len(candidates) < 80


def test_alfamix_asks_within_the_smallest_mix_that_changes_enough_and_fills_up_with_others() -> None:
    pool = make_pool(size=80)
    caps = [plain_candidates(pool, step / 32) for step in range(1, 33)]
    enough = next(candidates for candidates in caps if len(candidates) >= 6)

    few, many = (set(strategies.get("alfamix").select(pool, n, rng()).tolist()) for n in (6, len(caps[-1]) + 2))

    assert few <= enough
    assert many > caps[-1]


def plain_changes(pool: PoolView, draws: np.random.Generator) -> np.ndarray:
    assert pool.head is not None
    x = pool.head.read(pool.features)
    before = [int((pool.head.weight @ row + pool.head.bias).argmax()) for row in x]
    changed = np.zeros(len(x), int)
    for _ in range(3):
        kept = quarter_of(x.shape, draws)
        changed += [
            int((pool.head.weight @ (row * mask) + pool.head.bias).argmax()) != c
            for row, mask, c in zip(x, kept, before, strict=True)
        ]
    return changed


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize(("size", "n"), [(200, 2), (60, 4)])
def test_dropquery_asks_the_middle_of_groups_of_images_whose_class_dropout_changes(
    size: int, n: int, frozen: bool
) -> None:
    pool = make_pool(size=size)
    pool = with_frozen_head(pool) if frozen else pool
    draws = rng(2)
    changed = plain_changes(pool, draws)
    certain = np.flatnonzero(changed > 1)
    candidates = certain if len(certain) >= 25 * n else np.flatnonzero(changed > 0)
    assert (len(certain) >= 25 * n) == (size == 200), "both rules are met"
    points = unit_length(pool.features[candidates])
    order = draws.permutation(len(points))
    groups = k_means(points[order], n, draws)
    expected = {int(candidates[order[np.flatnonzero(groups.of_point == c)[near_to(groups, c)]]]) for c in range(n)}

    assert set(strategies.get("dropquery").select(pool, n, rng(2)).tolist()) == expected


def near_to(groups: Clusters, c: int) -> int:
    return int(groups.squared[groups.of_point == c].argmin())


def test_a_quarter_of_the_numbers_is_kept_and_makes_up_for_the_others() -> None:
    kept = quarter_of((200, 101), rng())

    assert set(np.unique(kept)) == {0, 4}
    assert kept.mean() == pytest.approx(1, abs=0.05)
    assert np.ptp(kept.mean(axis=0)) > 0, "each image has a mask of its own"


def test_the_class_changes_as_often_as_when_scikit_learn_predicts_what_is_left_of_the_features() -> None:
    from sklearn.linear_model import LogisticRegression

    pool = make_pool(size=3_000, dimensions=20)
    theirs = LogisticRegression().fit(pool.labelled_features, pool.labelled_classes)
    head = LinearHead(theirs.coef_.astype(np.float32), theirs.intercept_.astype(np.float32))
    before, draws = theirs.predict(pool.features), np.random.RandomState(0)
    share = np.mean(
        [
            theirs.predict(4 * np.where(draws.random(pool.features.shape) < 0.75, 0, pool.features)) != before
            for _ in range(3)
        ]
    )

    assert changes(pool.features, head, rng()).mean() / 3 == pytest.approx(share, abs=0.03)


def plain_dcom(pool: PoolView, n: int) -> list[int]:
    x, b = unit_length(pool.features).astype(np.float64), unit_length(pool.labelled_features).astype(np.float64)
    apart = np.linalg.norm(x[:, None] - x[None], axis=2)
    predicted = pool.log_p.argmax(axis=1)
    covered, radii = np.zeros(len(x), bool), []
    for point, label in zip(b, pool.labelled_classes, strict=True):
        distances = np.linalg.norm(x - point, axis=1)
        order = np.argsort(distances)
        held = max(k for k in range(len(x) + 1) if k == 0 or (predicted[order[:k]] == label).mean() >= 0.95)
        radii.append(distances[order[held]] if held < len(x) else distances.max() + 1e-7)
        covered |= distances < radii[-1]
    near = (apart < np.mean(radii)) | np.eye(len(x), dtype=bool)
    p = np.sort(np.exp(pool.log_p.astype(np.float64)), axis=1)
    margin = p[:, -1] - p[:, -2]
    c = (1 + np.exp(-30 * 0.1)) / (1 + np.exp(-30 * (covered.mean() - 0.9)))
    largest = max(int((near[row] & ~covered).sum()) for row in range(len(x)))
    chosen: list[int] = []
    for _ in range(n):
        scores = [
            -1.0 if row in chosen else c * (1 - margin[row]) + (1 - c) * (near[row] & ~covered).sum() / max(1, largest)
            for row in range(len(x))
        ]
        chosen.append(int(np.argmax(scores)))
        covered = covered | near[chosen[-1]]
    return chosen


def predicted_by_place(size: int, labelled: int, seed: int) -> PoolView:
    """Images that are predicted to be what lies near them, so that balls have a size; classes 0 and 1."""
    pool = make_pool(size=size, labelled=labelled, seed=seed, classes=2, dimensions=2)
    logits = 3 * np.stack([pool.features[:, 0], -pool.features[:, 0]], axis=1)
    log_p = (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)
    return replace(pool, log_p=log_p, labelled_classes=(pool.labelled_features[:, 0] < 0).astype(np.int64))


@pytest.mark.parametrize("labelled", [2, 4, 30])
@pytest.mark.parametrize("seed", range(3))
def test_dcom_weighs_coverage_against_margins_as_its_definition_does(labelled: int, seed: int) -> None:
    pool = predicted_by_place(60, labelled, seed)

    rows = strategies.get("dcom").select(pool, 8, rng()).tolist()

    # Equal degrees are decided by chance until coverage or a margin tells images apart: c is above 0 from a label on.
    assert rows == plain_dcom(pool, 8)


def test_dcom_begins_with_the_largest_groups_and_ends_at_the_border() -> None:
    draws = rng(1)
    group = np.repeat([0, 1], [30, 10])
    features = (np.eye(2, 6)[group] + 0.02 * draws.standard_normal((40, 6))).astype(np.float32)
    log_p = np.log(np.where(np.arange(2) == group[:, None], 0.95, 0.05)).astype(np.float32)
    log_p[7] = np.log(0.5)  # the only one that lies between classes
    pool = replace(make_pool(classes=2, labelled=0), features=features, log_p=log_p)
    both_known = replace(pool, labelled_features=features[[0, 30]], labelled_classes=np.array([0, 1]))

    first = strategies.get("dcom").select(pool, 2, rng())
    later = strategies.get("dcom").select(both_known, 1, rng())

    assert group[first].tolist() == [0, 1]
    assert later.tolist() == [7]


def test_a_ball_reaches_up_to_the_first_image_that_makes_it_impure_and_around_all_if_none_does() -> None:
    squared = np.array([[3.0, 1, 2, 0.5], [1, 2, 3, 4], [1, 2, 3, 4]], np.float32)
    agrees = np.array([[True, True, False, True], [True] * 4, [False, True, True, True]])

    radii = pure_radii(squared, agrees)

    assert radii[0] == 2
    assert radii[1] == pytest.approx(4)
    assert radii[1] > 4
    assert radii[2] == 1, "not even the nearest is of its class"


def test_competence_rises_with_coverage_to_one() -> None:
    values = [competence(coverage) for coverage in (0, 0.5, 0.9, 0.95, 1)]

    assert values == sorted(values)
    assert values[0] < 1e-9
    assert values[2] == pytest.approx((1 + np.exp(-3)) / 2)
    assert values[-1] == 1


def test_tcm_is_typiclust_for_fewer_than_four_labels_a_class_and_margin_from_then_on() -> None:
    for labelled, choice in ((19, "typiclust"), (20, "margin")):
        pool = make_pool(labelled=labelled)

        rows = strategies.get("tcm").select(pool, 7, rng(3))

        assert rows.tolist() == strategies.get(choice).select(pool, 7, rng(3)).tolist()


@pytest.mark.parametrize(("module", "name"), [(bait, "bait"), (dcom, "dcom")])
def test_of_a_pool_that_is_too_large_a_random_part_is_chosen_among(
    module: object, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PART", 20)
    monkeypatch.setattr(module, "LABELLED", 4)
    pool = make_pool(size=100)
    parts = [strategies.get(name).select(pool, 15, rng(seed)) for seed in (0, 0, 1)]

    assert parts[0].tolist() == parts[1].tolist()
    assert set(parts[0]) != set(parts[2])
    assert len(set(strategies.get(name).select(pool, 60, rng()))) == 60, "as many as are wanted"
