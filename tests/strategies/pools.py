"""Small pools of made-up scores for the tests of strategies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tidal_core.records import Float32, Int64, LinearHead, PoolView
from tidal_core.strategies.base import SAID_BY


def log_softmax(rng: np.random.Generator, size: int, classes: int, sharpness: float = 2.0) -> Float32:
    logits = sharpness * rng.standard_normal((size, classes))
    return (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)


def said(size: int, rng: np.random.Generator) -> dict[str, Float32]:
    """What every companion says of so many images."""
    first, *others = SAID_BY
    drawn = {first: rng.random(size).astype(np.float32)}
    return drawn | {need: np.random.default_rng(i).random(size).astype(np.float32) for i, need in enumerate(others)}


def make_pool(size: int = 40, classes: int = 5, labelled: int = 12, dimensions: int = 6, seed: int = 0) -> PoolView:
    rng = np.random.default_rng(seed)
    labelled_classes = rng.integers(0, classes, labelled)
    return PoolView(
        ids=1000 + rng.permutation(size),
        log_p=log_softmax(rng, size, classes),
        td_log_p=log_softmax(rng, size, classes),
        features=rng.standard_normal((size, dimensions)).astype(np.float32),
        labelled_features=rng.standard_normal((labelled, dimensions)).astype(np.float32),
        labelled_log_p=log_softmax(rng, labelled, classes),
        labelled_classes=labelled_classes,
        class_counts=np.bincount(labelled_classes, minlength=classes),
        extra=said(size, rng),
        exact_log_p=log_softmax(rng, size, classes),
        head=LinearHead(
            rng.standard_normal((classes, dimensions)).astype(np.float32),
            rng.standard_normal(classes).astype(np.float32),
        ),
    )


def take(pool: PoolView, rows: Int64) -> PoolView:
    """The pool of these rows, in this order."""
    assert pool.td_log_p is not None
    assert pool.exact_log_p is not None
    return replace(
        pool,
        ids=pool.ids[rows],
        log_p=pool.log_p[rows],
        td_log_p=pool.td_log_p[rows],
        features=pool.features[rows],
        exact_log_p=pool.exact_log_p[rows],
        extra={name: value[rows] for name, value in pool.extra.items()},
    )


def arrays(pool: PoolView) -> dict[str, np.ndarray]:
    """Copies of every array of the pool, by name."""
    arrays = {name: value.copy() for name, value in vars(pool).items() if isinstance(value, np.ndarray)}
    assert pool.head is not None
    arrays |= {"weight": pool.head.weight.copy(), "bias": pool.head.bias.copy()}
    return arrays | {name: value.copy() for name, value in pool.extra.items()}
