"""What accuracy is measured on (``rounds.measured`` chooses it), in words and as numbers for figures."""

from __future__ import annotations

from tidal_core.figures import progress as figures
from tidal_core.method.dynamics import Interval, wilson
from tidal_core.projects import Project
from tidal_core.records import RoundRecord
from tidal_core.rounds import audit
from tidal_core.rounds.measured import AUDIT_LEAST, Tested, tested
from tidal_core.store.metrics import Metric

__all__ = ["Tested", "in_words", "info", "interval_of", "not_yet", "tested"]

FEW = "It is very uncertain: label on, and look at the interval."


def not_yet(project: Project, done: list[RoundRecord]) -> str:
    """Why there is no accuracy to show after a round, and what brings one."""
    stored = project.store.metrics.series("accuracy", audit.PART)
    audited = next((metric.n for metric in stored if metric.round_id == done[-1].id), 0)
    if audited:
        return (
            f"Cannot tell yet how accurate the model is: {_images(audited)} of the audit sample measured it. Label on; "
            f"accuracy appears from {AUDIT_LEAST} images on."
        )
    return (
        "No images are kept to measure accuracy yet. A share of the images you label is (Project page, Settings); "
        "label on, and accuracy appears with the next round."
    )


def _images(n: int) -> str:
    return f"{n:,} image" if n == 1 else f"{n:,} images"


def info(project: Project, done: list[RoundRecord], measured: Tested) -> figures.AccuracyInfo:
    """Accuracy and balanced accuracy over all finished rounds, with intervals; NaN where there is none."""
    even = {metric.round_id: metric for metric in project.store.metrics.series("balanced_accuracy", measured.part)}
    at = {record.id: place for place, record in enumerate(measured.rounds)}
    return figures.accuracy_info(
        [record.id for record in done],
        [record.labels for record in done],
        [measured.tested[at[record.id]] if record.id in at else 0 for record in done],
        [_accuracy(measured, at[record.id]) if record.id in at else None for record in done],
        [interval_of(even.get(record.id)) for record in done],
    )


def _accuracy(measured: Tested, place: int) -> Interval:
    """Of one round, with Wilson's interval; without one of chosen images, where chance is the least of its errors."""
    right, n = measured.right[place], measured.tested[place]
    return wilson(right, n) if measured.is_comparable else Interval(right / n, right / n, right / n)


def interval_of(metric: Metric | None) -> Interval | None:
    """A stored metric as a value with its interval."""
    if metric is None:
        return None
    low = metric.value if metric.low is None else metric.low
    return Interval(metric.value, low, metric.value if metric.high is None else metric.high)


def _not_compared(measured: Tested) -> str:
    if not measured.comparable_from:
        return ""
    return (
        f" Rounds before round {measured.rounds[measured.comparable_from].id} measured other images (images were "
        "imported since, or another share was set): they are shown, and left out of gain and forecast."
    )


def in_words(measured: Tested) -> str:
    """What the newest accuracy was measured on, and what that is worth."""
    n = measured.tested[-1]
    few = f" {FEW}" if n < audit.ENOUGH else ""
    if measured.part == "test":
        return (
            f"Measured on {n:,} images of the test split; the model never trains on them.{_not_compared(measured)}{few}"
        )
    if measured.part == "known":
        return (
            f"Measured on {n:,} images whose class is known from the import and that the model has not trained on.{few}"
        )
    if measured.part == audit.PART:
        return (
            f"Measured on {n:,} images of the audit sample, picked at random; the model never trains on them. "
            f"{audit.what_it_speaks_for(measured.sample)}{_not_compared(measured)}{few}"
        )
    audit_on = (
        f"The audit sample, picked at random, has {_images(measured.audited)}; from {audit.ENOUGH} on accuracy is "
        "measured on it."
    )
    if measured.part == "folds":
        return (
            f"Estimated from the {_images(n)} that you labelled: each was predicted by a model that trained on the "
            "others only, in five parts. They were chosen, not picked at random, and these models had fewer labels, so "
            f"the model itself is probably more often right. {audit_on}"
        )
    return (
        f"Estimated from what round {measured.rounds[-1].id} predicted of {n:,} images before they were labelled. "
        "These were chosen, not picked at random, and are often the hard ones: on all images the model is "
        f"probably more often right. {audit_on}"
    )
