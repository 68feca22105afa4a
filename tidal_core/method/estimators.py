"""How unsure a model is of each image: pure functions of log-probabilities (N, C) -> (N,), in numpy.

Entropy is high where a model is unsure, margins and confidences are low. The ``td_`` estimators read p-tilde, the
training dynamics that the TD module m predicts, in place of the classifier's final prediction p: Equations 2 and 3 of
TiDAL (ICCV 2023, arXiv 2210.06788), its variants are (26) to (28) of appendix D. The ``exact_`` ones read the p-bar
that is computed for each image where only a head trains (``engine.exact_dynamics``). What each is called, means, and
which end of it is queried first: ``estimator_facts.ESTIMATORS``. Observed dynamics are scored alike, by ``log_of``
their p-bar.

All start from log-probabilities, because ``p * log(p)`` is NaN at p = 0 and NaN sorts as the largest: the most certain
image would be queried. float32 and float64 keep their precision, half precision is widened. Refused: a margin of fewer
than two classes. Nothing here chooses, and nothing needs torch: strategies and pages score by it.

Symbols: y-hat is the argmax of the classifier f, y-tilde that of m; the first one where several are equal.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tidal_core.errors import InputError, TooFewClasses
from tidal_core.records import Floats, Int64

# exp() of it is exactly 0 in float32 and float64, and 0 times it is 0, which 0 times -inf is not.
_LOG_ZERO = -1e30


def entropy(log_p: Floats) -> Floats:
    """H = - sum_c p_c log p_c in nats, from 0 (certain) to log C."""
    log_p = np.maximum(_checked(log_p, "log_p"), _LOG_ZERO)
    nats: Floats = np.maximum(-(np.exp(log_p) * log_p).sum(axis=1), 0)
    return nats


def margin(log_p: Floats) -> Floats:
    """The largest probability minus the second largest, from 0 (two classes level) to 1. Refuses C = 1."""
    log_p = _checked(log_p, "log_p")
    return lead(log_p, log_p.argmax(axis=1))


def confidence(log_p: Floats) -> Floats:
    """The largest probability, from 1/C to 1."""
    largest: Floats = np.exp(_checked(log_p, "log_p").max(axis=1))
    return largest


def td_entropy(td_log_p: Floats) -> Floats:
    """H-bar: the entropy of the predicted training dynamics (Equation 2)."""
    return entropy(td_log_p)


def td_margin(log_p: Floats, td_log_p: Floats) -> Floats:
    """M-bar: p-tilde of y-hat, the class that the *classifier* predicts, minus the largest other (Equation 3); -1 to 1.

    It is negative where m disagrees with the classifier: those images come first. Refuses C = 1.
    """
    return lead(td_log_p, _predicted(log_p, td_log_p))


def td_margin_naive(td_log_p: Floats) -> Floats:
    """M-bar_0 (26): p-tilde of y-tilde, the module's own class, minus the largest other; 0 to 1. Refuses C = 1."""
    return margin(td_log_p)


def td_confidence(log_p: Floats, td_log_p: Floats) -> Floats:
    """P-bar (27): p-tilde of y-hat, the class that the classifier predicts."""
    predicted = _predicted(log_p, td_log_p)
    log_p_tilde = np.take_along_axis(_checked(td_log_p, "td_log_p"), predicted[:, None], axis=1)[:, 0]
    return np.asarray(np.exp(log_p_tilde))


def td_confidence_naive(td_log_p: Floats) -> Floats:
    """P-bar_0 (28): p-tilde of y-tilde, the largest."""
    return confidence(td_log_p)


def all_estimators(log_p: Floats, td_log_p: Floats | None, exact_log_p: Floats | None = None) -> dict[str, Floats]:
    """Every estimator by its name in ``estimator_facts.ESTIMATORS``.

    Those of the TD module with ``td_log_p`` (N, C), the exact ones with ``exact_log_p`` (N, C), the logarithm of the
    exact p-bar.

    Raises TooFewClasses for C = 1, since three of them are margins.
    """
    values = {"entropy": entropy(log_p), "margin": margin(log_p), "confidence": confidence(log_p)}
    if td_log_p is not None:
        values |= {
            "td_entropy": td_entropy(td_log_p),
            "td_margin": td_margin(log_p, td_log_p),
            "td_margin_naive": td_margin_naive(td_log_p),
            "td_confidence": td_confidence(log_p, td_log_p),
            "td_confidence_naive": td_confidence_naive(td_log_p),
        }
    if exact_log_p is not None:
        values |= {"exact_entropy": td_entropy(exact_log_p), "exact_margin": td_margin(log_p, exact_log_p)}
    return values


def lead(log_p: Floats, chosen: Int64) -> Floats:
    """The probability of the class ``chosen`` (N,) of each row minus its largest other, -1 to 1. Refuses C = 1."""
    log_p = _checked(log_p, "log_p")
    if log_p.shape[1] < 2:
        raise TooFewClasses(
            f"A margin compares at least two classes and there is {log_p.shape[1]}; add a class on the Project page or "
            "choose entropy as the strategy."
        )
    p = np.exp(log_p)  # a fresh array, written into below
    rows = np.arange(len(p))
    p_chosen = p[rows, chosen]
    p[rows, chosen] = -1  # below every probability
    difference: Floats = p_chosen - p.max(axis=1)
    return difference


def log_of(p: ArrayLike) -> Floats:
    """log p of any shape, minus infinity where p is 0: what the estimators take, of probabilities."""
    with np.errstate(divide="ignore"):
        logarithm: Floats = np.log(np.asarray(p))
    return logarithm


def _checked(log_p: Floats, name: str) -> Floats:
    log_p = np.asarray(log_p)
    if log_p.ndim != 2:
        raise InputError(f"{name} has shape {log_p.shape}; give one row per image and one column per class.")
    # Half precision has too few digits for sums over classes.
    return log_p if log_p.dtype in (np.float32, np.float64) else log_p.astype(np.float32)


def _predicted(log_p: Floats, td_log_p: Floats) -> Int64:
    """y-hat, the class that the classifier f predicts (not m)."""
    log_p = _checked(log_p, "log_p")
    if log_p.shape != np.shape(td_log_p):
        raise InputError(
            f"log_p has shape {log_p.shape} and td_log_p {np.shape(td_log_p)}; both need the same images and classes."
        )
    predicted: Int64 = log_p.argmax(axis=1)
    return predicted
