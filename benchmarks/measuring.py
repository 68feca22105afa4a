"""How well accuracy can be measured while somebody labels: ``python -m benchmarks.measuring [--data NAME] [--quick]``.

Two ways to spend the images that a person answers: one in ten measures only, as in the studio (``even``), or one in
three of the first 45 and one in twenty after that (``early``). Of both, with so many images answered (``asked``): the
true accuracy on 500 held-out images (150 for the photos of flowers), and how far three estimates are from it: the
audit sample, predictions of the labelled images by heads that did not train on them (``folds``, five; of ``even``),
and what the round before predicted of the images that it chose (``chosen``, from the second of ``asked`` on). Each as
mean difference and mean absolute difference, in points; a run has its own held-out images and seeds, the same ones for
both ways, so ``gain`` is of pairs, with the half width of its 95 % interval.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.engine import say
from benchmarks.first_labels import FIRST_SEED, HELD_OUT, last_features, trained_scores
from benchmarks.known_features import KnownFeatures, cifar10, flowers
from tidal_core import strategies
from tidal_core.config import FROZEN, FROZEN_STRATEGY, TrainConfig
from tidal_core.method.dynamics import wilson
from tidal_core.records import Int64, PoolView
from tidal_core.rounds.audit import audited_among
from tidal_core.strategies.distances import unit_length
from tidal_core.strategies.herding import herd

BATCH = 20  # images answered between two rounds
AT = (20, 40, 80)  # images answered
FOLDS = 5
EARLY, EARLY_SHARE, LATE_SHARE = 45, 1 / 3, 1 / 20


class Seen(NamedTuple):
    """One run with so many images answered; accuracies as shares, NaN where nothing measures."""

    truth: float
    audit: float
    width: float  # of the audit's Wilson interval
    folds: float
    chosen: float


def is_audit(policy: str, place: int) -> bool:
    """Whether the image answered at ``place`` (from 0) only measures."""
    if policy == "even":
        return audited_among(0.1, place, 1) == 1
    if place < EARLY:
        return audited_among(EARLY_SHARE, place, 1) == 1
    return audited_among(LATE_SHARE, place - EARLY, 1) == 1


def out_of_fold(known: KnownFeatures, config: TrainConfig, labelled: Int64, seed: int) -> float:
    """Share of ``labelled`` (L,) that heads are right about which did not train on them."""
    fold = np.random.default_rng(seed).permutation(len(labelled)) % FOLDS
    right = 0
    for number in range(FOLDS):
        rest, part = labelled[fold != number], labelled[fold == number]
        predicted = trained_scores(known, config, rest, part, seed).log_p.argmax(axis=1)
        right += int((predicted == known.labels[part]).sum())
    return right / len(labelled)


def simulate(
    known: KnownFeatures, pool: Int64, held_out: Int64, policy: str, seed: int, at: Sequence[int]
) -> Iterator[Seen]:
    """One run: what is seen at each of ``at`` images answered."""
    asked_by = strategies.get(FROZEN_STRATEGY)
    config = dataclasses.replace(FROZEN, companions=tuple(sorted({*FROZEN.companions, *asked_by.companions})))
    rng = np.random.default_rng(seed)
    reserve, rankable = pool[: len(pool) // 4], pool[len(pool) // 4 :]
    points = unit_length(last_features(known, rankable))
    queue = rankable[herd(points, BATCH, rng, points[:0])]
    training, audited = pool[:0], pool[:0]
    guesses = np.empty(0, dtype=np.int64)  # of the queue, by the round that chose it
    for asked in range(BATCH, at[-1] + 1, BATCH):
        audits = [is_audit(policy, place) for place in range(asked - BATCH, asked)]
        audited = reserve[: len(audited) + sum(audits)]
        batch = queue[: BATCH - sum(audits)]
        chosen = (guesses[: len(batch)] == known.labels[batch]).mean() if len(guesses) else np.nan
        training = np.concatenate([training, batch])
        free = rankable[~np.isin(rankable, training)]
        rows = np.concatenate([free, training, held_out, audited])
        scores = trained_scores(known, config, training, rows, seed)
        predicted = scores.log_p.argmax(axis=1)
        is_right = predicted == known.labels[rows]
        begin = len(free) + len(training)
        if asked in at:
            of_audit = is_right[begin + len(held_out) :]
            low, high = wilson(int(of_audit.sum()), len(of_audit))[1:] if len(of_audit) else (0.0, 1.0)
            yield Seen(
                float(is_right[begin : begin + len(held_out)].mean()),
                float(of_audit.mean()) if len(of_audit) else np.nan,
                high - low,
                out_of_fold(known, config, training, seed) if policy == "even" else np.nan,
                float(chosen),
            )
        view = PoolView.from_scores(free, scores, known.labels[training], known.n_classes)
        places = asked_by.select(view, BATCH, rng)
        queue, guesses = free[places], predicted[places]


def main() -> None:
    """Measure and print one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=("flowers", "cifar10"), default="flowers")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="one run with a few small photos, to see that it runs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    runs, at = (1, (20,)) if options.quick else (options.runs, AT)
    n_held_out = 20 if options.quick else HELD_OUT if options.data == "flowers" else 500
    with tempfile.TemporaryDirectory(prefix="tidal-benchmark-") as folder:
        if options.quick:
            known = flowers(Path(folder), 64, 14)
        else:
            known = flowers(Path(folder)) if options.data == "flowers" else cifar10(Path(folder), 1_000, 500)
        by_policy: dict[str, list[list[Seen]]] = {"even": [], "early": []}
        for run in range(runs):
            drawn = np.random.default_rng(FIRST_SEED + run).permutation(len(known.labels))
            for policy, results in by_policy.items():
                pool, held_out = drawn[n_held_out:], drawn[:n_held_out]
                results.append(list(simulate(known, pool, held_out, policy, FIRST_SEED + run, at)))
    say("measuring", options, data=known.data, asked=list(at), **figures(by_policy))


def figures(by_policy: dict[str, list[list[Seen]]]) -> dict[str, object]:
    """Means over the runs, in points, by number of images answered."""
    shown: dict[str, object] = {}
    seen = {policy: 100 * np.array(results) for policy, results in by_policy.items()}  # (runs, at, 5)
    for policy, values in seen.items():
        shown[f"{policy}_accuracy"] = values[:, :, 0].mean(axis=0).round(1).tolist()
        shown[f"{policy}_audit_width"] = values[:, :, 2].mean(axis=0).round(0).tolist()
        for name, column in (("audit", 1), ("folds", 3), ("chosen", 4)):
            off = values[:, :, column] - values[:, :, 0]  # NaN where there is none
            if not np.isnan(off).all():
                known = [of_runs[~np.isnan(of_runs)] for of_runs in off.T if not np.isnan(of_runs).all()]
                shown[f"{policy}_{name}_off"] = [round(float(of_runs.mean()), 1) for of_runs in known]
                shown[f"{policy}_{name}_abs"] = [round(float(np.abs(of_runs).mean()), 1) for of_runs in known]
    even, early = seen["even"], seen["early"]
    pairs = {
        "gain_accuracy": early[:, :, 0] - even[:, :, 0],
        "gain_audit_abs": np.abs(early[:, :, 1] - early[:, :, 0]) - np.abs(even[:, :, 1] - even[:, :, 0]),
    }
    for name, difference in pairs.items():
        shown[name] = difference.mean(axis=0).round(1).tolist()
        if len(difference) > 1:
            half = 1.96 * difference.std(axis=0, ddof=1) / len(difference) ** 0.5
            shown[f"{name}_half"] = half.round(1).tolist()
    return shown


if __name__ == "__main__":
    main()
