"""A linear head on frozen features without torch: what it says of labelled images that it did not see, fold by fold.

Multinomial logistic regression, min_W mean CE(softmax(x W + b), y) + penalty / 2 |W|^2 by L-BFGS: convex, so the
features, labels and folds decide what comes out. For a page, which must not wait for torch; 5,000 labels take seconds.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from tidal_core.records import Float32, Float64, Int64

FOLDS = 5
LEAST = 10  # labels: with fewer, a fold has no image of most classes
MOST = 300  # labels: by then the audit sample measures
PENALTY = 3e-4  # of features of length 1; chosen on data that nothing is compared on (EXPERIMENTS.md)
_STEPS = 200


def stratified_folds(labels: Int64, n_folds: int, rng: np.random.Generator) -> Int64:
    """The fold (N,) of each image: of each class about as many in each, so that most classes are in all of them."""
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]  # class by class, within a class by chance
    fold = np.empty(len(labels), dtype=np.int64)
    fold[order] = np.arange(len(labels)) % n_folds
    return fold


def linear_head(x: Float32, labels: Int64, n_classes: int, penalty: float = PENALTY) -> tuple[Float32, Float32]:
    """Weights (D, C) and biases (C,) fitted to features x (N, D) and labels (N,)."""
    n, d = x.shape
    hot = np.zeros((n, n_classes), dtype=np.float32)
    hot[np.arange(n), labels] = 1

    def loss(flat: Float64) -> tuple[float, Float64]:
        weight = flat[:-n_classes].reshape(d, n_classes).astype(np.float32)
        logits = x @ weight + flat[-n_classes:].astype(np.float32)
        log_p = log_softmax(logits, axis=1)
        off = (np.exp(log_p) - hot) / n  # (N, C)
        gradient = np.concatenate([(x.T @ off + penalty * weight).ravel(), off.sum(axis=0)])
        value = -float(log_p[np.arange(n), labels].mean()) + penalty / 2 * float(np.square(weight).sum())
        return value, gradient.astype(np.float64)

    flat = minimize(loss, np.zeros((d + 1) * n_classes), jac=True, method="L-BFGS-B", options={"maxiter": _STEPS}).x
    return flat[:-n_classes].reshape(d, n_classes).astype(np.float32), flat[-n_classes:].astype(np.float32)


def out_of_fold(
    x: Float32, labels: Int64, n_classes: int, rng: np.random.Generator, penalty: float = PENALTY
) -> Float64:
    """p (N, C) of each image by a head that did not train on it; ``x`` (N, D) of length 1, ``labels`` (N,).

    NaN for an image that alone has its class: heads that never saw the class would find it impossible.
    """
    p = np.full((len(labels), n_classes), np.nan)
    fold = stratified_folds(labels, FOLDS, rng)
    of_class = np.bincount(labels, minlength=n_classes)
    for number in np.unique(fold):
        rest, part = fold != number, fold == number
        if not rest.any():
            continue
        weight, bias = linear_head(x[rest], labels[rest], n_classes, penalty)
        p[part] = softmax((x[part] @ weight + bias).astype(np.float64), axis=1)
    p[of_class[labels] < 2] = np.nan
    return p
