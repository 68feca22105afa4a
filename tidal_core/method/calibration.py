"""Do the probabilities mean what they say? The expected calibration error, and one temperature that mends it.

A classifier is calibrated if, of all images that it gives a probability of 0.8, eight in ten are right. Both functions
are for *held-out* images (the audit sample, test images): of those that it trained on a classifier is nearly always
right, whatever it says. Refused: no images, labels outside the classes, a temperature that is not positive.

Sources: the expected calibration error with bins of equal width is from Naeini, Cooper and Hauskrecht, Obtaining Well
Calibrated Probabilities Using Bayesian Binning, AAAI 2015. Here the bins hold equally many images (adaptive binning;
Nguyen and O'Connor, EMNLP 2015; Nixon et al., Measuring Calibration in Deep Learning, CVPR workshops 2019), because
with few images most bins of equal width are empty. Temperature scaling is from Guo, Pleiss, Sun and Weinberger, On
Calibration of Modern Neural Networks, ICML 2017.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from tidal_core.errors import InputError
from tidal_core.records import Float64, Floats, Int64

BINS = 15  # at most, as in Guo et al.
IN_A_BIN = 20  # images at least, where the number of bins is left to this module: fewer say nothing of an accuracy
COLDEST, HOTTEST = 0.05, 20.0  # where a temperature is looked for: at these ends all is nearly one-hot, or nearly level
_LOG_ZERO = -1e30  # stands for minus infinity, which times 0 is not a number


class Reliability(NamedTuple):
    """Confidence against accuracy in bins of as equal a number of images as can be, least confident first."""

    confidence: Float64  # (K,) mean of the largest probability
    accuracy: Float64  # (K,) share of images whose label is that class
    n_images: Int64  # (K,) at least 1


def reliability(log_p: Floats, labels: Int64, bins: int | None = None) -> Reliability:
    """Of N images with log-probabilities (N, C) and labels (N,); K is ``bins``, or N if that is less.

    ``bins`` is 15 if it is left out, or fewer, so that each holds 20 images.

    Images of equal confidence may fall into two bins: they are then shared out in their order.
    """
    checked = _checked(log_p, labels)
    if bins is None:
        bins = max(1, min(BINS, len(checked) // IN_A_BIN))
    if bins < 1:
        raise InputError(f"Confidence cannot be compared in {bins} bins; give at least 1.")
    p = np.exp(checked.max(axis=1))
    is_right = checked.argmax(axis=1) == labels
    order = np.argsort(p, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    return Reliability(
        np.array([p[part].mean() for part in parts]),
        np.array([is_right[part].mean() for part in parts]),
        np.array([len(part) for part in parts], dtype=np.int64),
    )


def calibration_error(log_p: Floats, labels: Int64, bins: int | None = None) -> float:
    """The expected calibration error, 0 (calibrated) to 1: the mean of |confidence - accuracy| over ``reliability``'s
    bins, each weighted by its images.

    By chance it is above 0 even for a calibrated classifier: about 0.07 with bins of 20 images.
    """
    of_bins = reliability(log_p, labels, bins)
    gaps = np.abs(of_bins.confidence - of_bins.accuracy)
    return float(gaps @ of_bins.n_images / of_bins.n_images.sum())


def nll(log_p: Floats, labels: Int64) -> float:
    """Negative log-likelihood: the mean of -log p of the label in nats, 0 or more; infinite if a label has p = 0."""
    return float(-_checked(log_p, labels)[np.arange(len(labels)), labels].mean())


def scaled(log_p: Floats, temperature: float) -> Floats:
    """log softmax(log_p / T) (N, C): above 1 a temperature makes probabilities more level, below 1 less.

    Log-probabilities are logits less a constant of their row, so that the same comes out as of logits.
    """
    if not temperature > 0:
        raise InputError(f"The temperature is {temperature:g}; give a number above 0.")
    logarithm: Floats = log_softmax(np.maximum(log_p, _LOG_ZERO) / temperature, axis=1)
    return logarithm


def fitted_temperature(log_p: Floats, labels: Int64) -> float:
    """The temperature between 0.05 and 20 at which held-out images have the least ``nll``; it changes no prediction.

    In the inverse temperature the likelihood has one optimum (it is that of an exponential family), which a bounded
    search finds. All images right, or none better than chance: the end of the range.
    """
    # A label of p = 0 would make every temperature equally bad: it counts as one of the smallest p in float32 instead.
    possible = np.maximum(_checked(log_p, labels), np.log(np.finfo(np.float32).tiny))
    lowest, highest = 1 / HOTTEST, 1 / COLDEST

    def loss(inverse: float) -> float:
        return nll(scaled(possible, 1 / inverse), labels)

    inner = float(minimize_scalar(loss, bounds=(lowest, highest), method="bounded", options={"xatol": 1e-6}).x)
    return 1 / min((inner, lowest, highest), key=loss)


def coolest_calibrated(log_p: Floats, labels: Int64) -> float:
    """The temperature of 1.0, 1.1, ... 20 with the least ``calibration_error`` on held-out images; the first of some.

    As UHerding asks for it (Bae et al., ICLR 2025): it never sharpens. ``fitted_temperature`` is the one by likelihood.
    """
    temperatures = np.round(np.arange(1.0, HOTTEST + 0.05, 0.1), 1).tolist()
    return float(min(temperatures, key=lambda T: calibration_error(scaled(log_p, T), labels)))


def _checked(log_p: Floats, labels: Int64) -> Float64:
    checked = np.asarray(log_p, np.float64)
    if checked.ndim != 2 or len(checked) != len(labels):
        raise InputError(
            f"log_p has shape {checked.shape} and there are {len(labels)} labels; give one row per image and one "
            "column per class."
        )
    if len(labels) == 0:
        raise InputError("There are no images to judge the probabilities by; answer some of the audit sample first.")
    if labels.min() < 0 or labels.max() >= checked.shape[1]:
        raise InputError(
            f"labels go from {labels.min()} to {labels.max()} and there are {checked.shape[1]} classes; labels are "
            "positions from 0."
        )
    return checked
