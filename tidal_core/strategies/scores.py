"""How unsure a model is of each image: pure functions of log-probabilities, (N, C) -> (N,).

Entropy is high where a model is unsure, margins and confidences are low. The ``td_`` estimators read the predicted
training dynamics p-tilde of the TD module m instead of the classifier's last snapshot p: Equations 2 and 3 of TiDAL
(ICCV 2023, arXiv 2210.06788), its variants are (26) to (28) of the appendix.

All start from log-probabilities, because ``p * log(p)`` is NaN at p = 0 and NaN sorts as the largest: the most certain
image would be asked. Nothing here chooses; see ``base.ScoreStrategy``.
"""

from __future__ import annotations

import numpy as np

from tidal_core.errors import InputError, TooFewClasses
from tidal_core.records import Floats, Int64

# exp() of it is exactly 0 in float32 and float64, and 0 times it is 0, which 0 times -inf is not.
_LOG_ZERO = -1e30


def entropy(log_p: Floats) -> Floats:
    """H = - sum_c p_c log p_c in nats, from 0 (certain) to log C."""
    log_p = _checked(log_p, "log_p")
    finite = np.maximum(log_p, _LOG_ZERO)
    found: Floats = np.maximum(-(np.exp(finite) * finite).sum(axis=1), 0)
    return found


def margin(log_p: Floats) -> Floats:
    """The largest probability minus the second largest, from 0 (two classes level) to 1. Refuses C = 1."""
    p = _probabilities(log_p, "log_p", classes=2)
    top: Floats = np.partition(p, p.shape[1] - 2, axis=1)
    found: Floats = top[:, -1] - top[:, -2]
    return found


def confidence(log_p: Floats) -> Floats:
    """The largest probability, from 1/C to 1."""
    found: Floats = _probabilities(log_p, "log_p").max(axis=1)
    return found


def td_entropy(td_log_p: Floats) -> Floats:
    """H-bar: the entropy of the predicted training dynamics (Equation 2)."""
    return entropy(td_log_p)


def td_margin(log_p: Floats, td_log_p: Floats) -> Floats:
    """M-bar: p-tilde of the class that the *classifier* predicts, minus the largest other (Equation 3); -1 to 1.

    It is negative where m disagrees with the classifier: those images come first. Refuses C = 1.
    """
    td_p = _probabilities(td_log_p, "td_log_p", classes=2)
    predicted = _predicted(log_p, td_p)  # (N,)
    rows = np.arange(len(td_p))
    own = td_p[rows, predicted]
    td_p[rows, predicted] = -np.inf
    found: Floats = own - td_p.max(axis=1)
    return found


def td_margin_naive(td_log_p: Floats) -> Floats:
    """M-bar_0 (26): the margin of p-tilde between its own two largest classes. Refuses C = 1."""
    return margin(td_log_p)


def td_confidence(log_p: Floats, td_log_p: Floats) -> Floats:
    """P-bar (27): p-tilde of the class that the classifier predicts."""
    td_p = _probabilities(td_log_p, "td_log_p")
    return td_p[np.arange(len(td_p)), _predicted(log_p, td_p)]


def td_confidence_naive(td_log_p: Floats) -> Floats:
    """P-bar_0 (28): the largest p-tilde."""
    return confidence(td_log_p)


def estimators(log_p: Floats, td_log_p: Floats | None) -> dict[str, Floats]:
    """Every estimator by its name in the scores table; those of the TD module only where ``td_log_p`` is given.

    Raises TooFewClasses for C = 1, since two of them are margins.
    """
    found = {"entropy": entropy(log_p), "margin": margin(log_p), "confidence": confidence(log_p)}
    if td_log_p is not None:
        found |= {
            "td_entropy": td_entropy(td_log_p),
            "td_margin": td_margin(log_p, td_log_p),
            "td_margin_naive": td_margin_naive(td_log_p),
            "td_confidence": td_confidence(log_p, td_log_p),
            "td_confidence_naive": td_confidence_naive(td_log_p),
        }
    return found


def _checked(log_p: Floats, name: str, classes: int = 1) -> Floats:
    log_p = np.asarray(log_p)
    if log_p.ndim != 2:
        raise InputError(f"{name} has shape {log_p.shape}; give one row per image and one column per class.")
    if log_p.shape[1] < classes:
        raise TooFewClasses(
            f"A margin compares two classes and {name} has {log_p.shape[1]}; add a class, or ask by entropy."
        )
    # Half precision has too few digits for sums over classes.
    return log_p if log_p.dtype in (np.float32, np.float64) else log_p.astype(np.float32)


def _probabilities(log_p: Floats, name: str, classes: int = 1) -> Floats:
    """exp as a fresh array, so that callers may write into it."""
    probabilities: Floats = np.exp(_checked(log_p, name, classes))
    return probabilities


def _predicted(log_p: Floats, td_p: Floats) -> Int64:
    """y-hat, the class that the classifier f predicts (not m)."""
    log_p = _checked(log_p, "log_p")
    if log_p.shape != td_p.shape:
        raise InputError(
            f"log_p has shape {log_p.shape} and td_log_p {td_p.shape}; both need the same images and classes."
        )
    predicted: Int64 = log_p.argmax(axis=1)
    return predicted
