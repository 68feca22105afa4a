"""The demo, labelled by its known classes instead of by a person: how accurate, and how long a round takes.

    python -m benchmarks.digits [--strategy tidal-entropy] [--labels 200] [--seeds 3] [--at-once] [--quick]

The same code as the studio's: the queue's first images are answered, a round is claimed and run in this thread. Prints
one JSON line: ``accuracy`` (mean over seeds on the 500 test digits with all labels), ``round_s`` (median seconds of a
round, claim to new ranking), ``slowest_round_s``, ``scoring_s`` (median seconds of its scoring and ranking) and the
accuracies of each seed after each round. ``--at-once`` gives all labels before one single round.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import tempfile
import time

import numpy as np

from tidal_core.projects import Project
from tidal_core.records import Answer, AnswerKind, AnswerMode, RoundProgress, RoundState
from tidal_core.rounds.due import claim_round
from tidal_core.server import studio


def answer_next(project: Project, n: int) -> None:
    """Answer the first n images of the queue with their known classes."""
    items = project.store.queue.items()[:n]
    known = {image.id: image.known_class for image in project.store.images.many(item.image_id for item in items)}
    outcomes = project.store.answers.record(
        [
            Answer(
                event_id=f"known-{item.image_id}",
                kind=AnswerKind.LABEL,
                image_id=item.image_id,
                class_id=known[item.image_id],
                annotator="known classes",
                mode=AnswerMode.AUTOPILOT,
                round_id=item.round_id,
                purpose=item.purpose,
            )
            for item in items
        ]
    )
    refused = [outcome.refused for outcome in outcomes if outcome.refused]
    if refused:
        raise RuntimeError(refused[0])


def one_seed(seed: int, strategy: str, labels: int, at_once: bool) -> tuple[list[float], list[float], list[float]]:
    """Accuracies, seconds and seconds of scoring, one for each round."""
    from tidal_core.rounds.queue_plan import fill_queue
    from tidal_core.rounds.run import RoundRun

    with tempfile.TemporaryDirectory() as home:
        os.environ["TIDAL_HOME"] = home
        project = studio.make_demo()
        settings = dataclasses.replace(project.settings, seed=seed, strategy=strategy)
        project.store.settings.save(settings)
        fill_queue(project)
        seconds, scoring = [], []
        batch = labels if at_once else settings.labels_per_round
        for _ in range(labels // batch):
            answer_next(project, batch)
            reached: dict[RoundState, float] = {}

            def note(progress: RoundProgress, reached: dict[RoundState, float] = reached) -> None:
                reached.setdefault(progress.state, time.monotonic())

            began = time.monotonic()
            record = claim_round(project, started_by="person")
            RoundRun(project, record, report=note, should_stop=lambda: False).run()
            seconds.append(time.monotonic() - began)
            scoring.append(reached[RoundState.DONE] - reached[RoundState.SCORING])
        accuracies = [metric.value for metric in project.store.metrics.series("accuracy", "test")]
        project.close()
    return accuracies, seconds, scoring


def main() -> None:
    """Run and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strategy", default="tidal-entropy")
    parser.add_argument("--labels", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--at-once", action="store_true", help="all labels, then one round")
    parser.add_argument("--quick", action="store_true", help="one round of one seed")
    options = parser.parse_args()
    seeds, labels = (1, 20) if options.quick else (options.seeds, options.labels)
    runs = [one_seed(seed, options.strategy, labels, options.at_once) for seed in range(seeds)]
    accuracies = np.array([run[0] for run in runs])  # (seeds, rounds)
    seconds = [epoch_seconds for run in runs for epoch_seconds in run[1]]
    figures = {
        "strategy": options.strategy,
        "labels": labels,
        "accuracy": round(float(accuracies[:, -1].mean()), 4),
        "accuracy_of_each_seed": accuracies[:, -1].round(4).tolist(),
        "accuracy_by_round": accuracies.mean(axis=0).round(4).tolist(),
        "round_s": round(statistics.median(seconds), 2),
        "slowest_round_s": round(max(seconds), 2),
        "scoring_s": round(statistics.median(scoring_seconds for run in runs for scoring_seconds in run[2]), 2),
        "n": seeds,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
