"""Which configuration asks best with few labels: figures by labels a class, and tables of several experiments.

The mean accuracy over 1 to 7 and over 8 to 20 labels a class, and its differences, taken run by run: means with 95 %
intervals (Student's t over the runs). Numbers first, Markdown second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tidal_core.config import FROZEN
from tidal_core.experiments.oracle import Oracle
from tidal_core.experiments.protocol import Protocol
from tidal_core.experiments.report import BASELINE
from tidal_core.experiments.results import Results
from tidal_core.experiments.statistics import area_between, band, share_won
from tidal_core.records import Float64
from tidal_core.text import literal

PROTOCOL = Protocol(FROZEN, first=10, per_round=10, rounds=20, enlarge_to=64, start="classes", held_out=500)
"""One image of each class of ten to begin with, up to 20 labels a class; each run with a pool and test images of its
own."""

SPANS = {"few": (1, 7), "more": (8, 20)}
"""Labels a class, from and to, both included."""


class Mean(NamedTuple):
    """A mean over runs in points (percent of accuracy) and its 95 % interval; NaN for what was not measured."""

    mean: float
    low: float
    high: float
    runs: int


@dataclass(frozen=True)
class Compared:
    """An experiment and what is needed to read it."""

    title: str
    results: Results
    n_classes: int
    default: str  # the configuration that the others are measured by, beside random

    @property
    def configurations(self) -> tuple[str, ...]:
        """Those with results, in the order of the experiment."""
        return self.results.configurations

    def values(self, configuration: str) -> Float64:
        """(R, P) accuracies."""
        return self.results.values(configuration, 1.0)

    def area(self, configuration: str, span: str) -> Float64:
        """(R,) mean accuracy over a span of ``SPANS``; NaN for a run that has not come through it."""
        low, high = (self.n_classes * labels for labels in SPANS[span])
        return area_between(self.results.labels, self.values(configuration), low, high)

    def mean(self, configuration: str, span: str) -> Mean:
        """Of ``area``."""
        return _mean(self.area(configuration, span))

    def difference(self, configuration: str, other: str, span: str) -> Mean:
        """Of ``area``, to the other's of the same run; nothing where one of the two was not played."""
        if not {configuration, other} <= set(self.configurations):
            return Mean(np.nan, np.nan, np.nan, 0)
        own, others = self.area(configuration, span), self.area(other, span)
        runs = min(len(own), len(others))
        return _mean(own[:runs] - others[:runs])

    def best_other(self, span: str) -> str | None:
        """The best configuration beside the default, the oracle left out; None where there is no other."""
        others = [name for name in self.configurations if name not in (self.default, Oracle.name)]
        means = [self.mean(name, span).mean for name in others]
        return None if not others or np.isnan(means).all() else others[int(np.nanargmax(means))]

    def wins(self) -> Float64:
        """(A, A) how often the row is more accurate than the column, see ``share_won``."""
        values = [self.values(name) for name in self.configurations]
        return np.array([[share_won(row, column) for column in values] for row in values])

    def seconds(self, configuration: str, part: str) -> float:
        """Median seconds a round for a part of it: train, score, choose, test."""
        return self.results.seconds(configuration, 1.0, part)


def verdict(compared: Compared, span: str = "few") -> dict[str, object]:
    """How the default does against random and against the best other one, in points, with the intervals' lower ends."""
    best = compared.best_other(span)
    to_random = compared.difference(compared.default, BASELINE, span)
    to_best = compared.difference(compared.default, best, span) if best else Mean(np.nan, np.nan, np.nan, 0)
    return {
        "runs": to_random.runs,
        "to_random": _rounded(to_random.mean),
        "to_random_low": _rounded(to_random.low),
        "best_other": best,
        "to_best_other": _rounded(to_best.mean),
        "to_best_other_low": _rounded(to_best.low),
    }


def markdown(experiments: Sequence[Compared]) -> str:
    """A table of figures and one of wins for each experiment."""
    return "\n".join(line for compared in experiments for line in _section(compared))


def _section(compared: Compared) -> list[str]:
    few, more = (f"{low} to {high}" for low, high in SPANS.values())
    default = literal(compared.default)
    lines = [
        f"## {literal(compared.title)}",
        "",
        f"| configuration | runs | {few} labels a class, % | {more}, % | less random, {few} | {more} "
        f"| less {default}, {few} | {more} | wins over random | over {default} | choose, s a question "
        "| train, s a round |",
        "|---" * 12 + "|",
    ]
    for name in compared.configurations:
        means = [compared.mean(name, span) for span in SPANS]
        gains = [compared.difference(name, other, span) for other in (BASELINE, compared.default) for span in SPANS]
        own = [name == other for other in (BASELINE, compared.default) for _ in SPANS]
        cells = [
            literal(name),
            str(compared.results.finished(name, 1.0)),
            *(_cell(mean) for mean in means),
            *("" if same else _cell(gain, "+") for gain, same in zip(gains, own, strict=True)),
            *(_share(compared, name, other) for other in (BASELINE, compared.default)),
            *(_number(compared.seconds(name, part), 2) for part in ("choose", "train")),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "Wins, row over column: share of the (run, number of labels) pairs; equal accuracies count half.", ""]
    names = [literal(name) for name in compared.configurations]
    lines += ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for position, (name, row) in enumerate(zip(names, compared.wins(), strict=True)):
        shares = ["" if column == position else _number(share, 2) for column, share in enumerate(row.tolist())]
        lines.append(f"| {name} | " + " | ".join(shares) + " |")
    return [*lines, ""]


def _mean(values: Float64) -> Mean:
    of_runs = band(100 * values[:, None])
    return Mean(float(of_runs.mean[0]), float(of_runs.low[0]), float(of_runs.high[0]), int(of_runs.n[0]))


def _cell(mean: Mean, sign: str = "") -> str:
    if np.isnan(mean.mean):
        return "-"
    interval = "" if np.isnan(mean.low) else f" ({mean.low:{sign}.1f} to {mean.high:{sign}.1f})"
    return f"{mean.mean:{sign}.1f}{interval}"


def _share(compared: Compared, name: str, other: str) -> str:
    if name == other or other not in compared.configurations:
        return ""
    return _number(share_won(compared.values(name), compared.values(other)), 2)


def _number(value: float, digits: int) -> str:
    return "-" if np.isnan(value) else f"{value:.{digits}f}"


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 2)
