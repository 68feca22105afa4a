"""How far a project is, as plain values: what ``status`` prints and what a running studio answers to it."""

from __future__ import annotations

from typing import Any

from tidal_core.projects import Project
from tidal_core.records import RoundProgress, RoundState, Split
from tidal_core.rounds.due import round_due
from tidal_core.server import wire
from tidal_core.store.where import parse


def summary(project: Project, progress: RoundProgress | None = None, where: str = "") -> dict[str, Any]:
    """Values that JSON can hold; ``progress`` is the worker's, where one runs.

    With a condition, ``where``, "chosen" counts the images that fulfil it. Raises InputError for what is none.
    """
    store = project.store
    chosen = _chosen(project, where) if where.strip() else None
    counts = store.answers.counts_by_class()
    last = store.rounds.latest()
    return {
        "title": project.title,
        "chosen": chosen,
        "folder": str(project.folder),
        "images": store.images.count(Split.POOL),
        "test_images": store.images.count(Split.TEST),
        "classes": [[record.name, counts.get(record.id, 0)] for record in store.classes.all()],
        "labels": sum(counts.values()),
        "model_labels": sum(store.model_answers.counts_by_class().values()),
        "queue": store.queue.count(),
        "due": round_due(project).sentence,
        "round": wire.write_round(store.rounds.active(), progress),
        "rounds_done": sum(record.state is RoundState.DONE for record in store.rounds.all()),
        "last_round": None
        if last is None
        else {"id": last.id, "state": last.state.value, "labels": last.labels, "error": last.error},
    }


def _chosen(project: Project, where: str) -> dict[str, Any]:
    """How many images fulfil a condition: in all, in each state, of each label and predicted class."""
    classes = project.store.classes.all(include_retired=True)
    counts = project.store.collection.counts(parse(where, project.store.classes.all()))

    def by_class(name: str) -> list[list[Any]]:
        return [[record.name, n] for record in classes if (n := counts[name].get(record.id, 0))]

    return {
        "images": sum(counts["label"].values()),
        "states": [[name, n] for name, n in counts["states"].items() if n],
        "labels": by_class("label"),
        "predicted": by_class("predicted"),
    }
