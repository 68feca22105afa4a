"""What accuracy is measured on: the best that there is. Chosen here for the pages and for what leaves the studio.

In this order: test images; images whose class was known at the import, of those that the round did not train on; the
audit sample, picked at random, once it is large enough; what heads predict of labelled images that they did not train
on; what a round predicted of images that were chosen and labelled after it. The last two are biased, because strategies
choose no average images, and are named so. The audit sample alone says nothing while it holds a handful.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from tidal_core.projects import Project
from tidal_core.records import RoundRecord
from tidal_core.rounds import audit

AUDIT_LEAST = 10  # images: with fewer, no number is shown
KNOWN_ENOUGH = 20
CHOSEN_ENOUGH = 10


class Series(NamedTuple):
    """One entry per round, oldest first."""

    labels: list[int]  # that the round was trained on
    right: list[int]
    tested: list[int]


@dataclass(frozen=True)
class Tested:
    """Images right and tested per finished round that was tested."""

    rounds: list[RoundRecord]
    right: list[int]
    tested: list[int]
    part: str  # "test", "known", audit.PART, "folds" or "chosen"; as in ``Predictions.held_out``
    audited: int  # images in the audit sample of the last round
    sample: audit.Sample | None = None  # what it speaks for, where it is what accuracy is measured on
    comparable_from: int = 0  # place of the first round that measured the same population as the last one

    @property
    def by_round(self) -> dict[int, float]:
        """Accuracy by the round's number."""
        return {record.id: right / n for record, right, n in zip(self.rounds, self.right, self.tested, strict=True)}

    @property
    def is_comparable(self) -> bool:
        """Whether the rounds can be compared: chosen images are others, and others in kind, for each round."""
        return self.part not in ("folds", "chosen")

    @property
    def comparable(self) -> Series:
        """The rounds whose accuracies may be compared with the last one's."""
        since = slice(self.comparable_from, None)
        return Series([record.labels for record in self.rounds[since]], self.right[since], self.tested[since])


def tested(project: Project, done: list[RoundRecord]) -> Tested | None:
    """What accuracies rest on; None before a round could be judged by enough images of any kind."""
    if not done:
        return None
    stored = project.store.metrics.series("accuracy")
    counts = {metric.round_id: (round(metric.value * metric.n), metric.n) for metric in stored}
    part = next((metric.split for metric in reversed(stored)), audit.PART)
    counts |= project.store.predictions.accuracies(
        part
    )  # by the labels and classes of now: else a merge would look like gain
    last_id = done[-1].id
    audited = counts.get(last_id, (0, 0))[1] if part == audit.PART else 0
    if part == audit.PART:
        known = project.store.predictions.accuracies("known")
        chosen = project.store.predictions.accuracies("chosen")
        if known.get(last_id, (0, 0))[1] >= KNOWN_ENOUGH:
            counts, part = known, "known"
        elif audited < audit.ENOUGH:
            folds = project.store.predictions.accuracies("folds")
            if last_id in folds:
                counts, part = folds, "folds"
            elif any(n >= CHOSEN_ENOUGH for _, n in chosen.values()):
                counts, part = {key: pair for key, pair in chosen.items() if pair[1] >= CHOSEN_ENOUGH}, "chosen"
            elif audited < AUDIT_LEAST:
                return None
    rounds = [record for record in done if counts.get(record.id, (0, 0))[1]]
    if not rounds:
        return None
    right, n = zip(*(counts[record.id] for record in rounds), strict=True)
    sample = audit.sample(project) if part == audit.PART else None
    return Tested(rounds, list(right), list(n), part, audited, sample, _comparable_from(project, rounds, part))


def _comparable_from(project: Project, rounds: list[RoundRecord], part: str) -> int:
    """Place of the first of the rounds that measured, up to the last, what the last one measured.

    An import, or another audit share, changes what accuracy is measured for: the difference of two rounds would be
    that of their images. Rounds that an earlier version trained noted nothing and count as alike.
    """
    noted = project.store.metrics.series(audit.POPULATION, part)
    of_round = {metric.round_id: audit.Population(int(metric.value), metric.n) for metric in noted}
    last = of_round.get(rounds[-1].id)
    others = [of_round.get(record.id) for record in rounds]
    unlike = [place for place, of in enumerate(others) if of and last and not of.is_like(last)]
    return unlike[-1] + 1 if unlike else 0
