"""Finish: what the newest round says of the images that are left, and what random images say of the round.

``method.finishing`` has the law; here are its arrays. Evidence are images that were picked at random, whatever for: the
audit sample, random images checked for this, or the test images where there are some. Images kept for the audit and not
asked yet are no candidates: people are asked about them.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass

import numpy as np

from tidal_core.method.calibration import fitted_temperature
from tidal_core.method.estimators import log_of
from tidal_core.method.finishing import Judged, Looks, Proposal, evidence_of, propose
from tidal_core.method.stopping import dense
from tidal_core.projects import Project
from tidal_core.records import Float64, Int64, class_positions
from tidal_core.rounds import audit

FOLDS_ENOUGH = 50  # images: with fewer a temperature says more of chance than of the model
LOOKS = "finish_tests"
"""The note on the looks of the project's life, as JSON: ``Looks.made``."""

_noting = threading.Lock()  # two tabs that look at once must not lose one of two looks


@dataclass(frozen=True)
class Standing:
    """How a project can be finished by its newest round."""

    round_id: int
    class_ids: tuple[int, ...]  # what positions mean
    image_ids: Int64  # (N,) candidates: of the pool, answered by nobody, not kept for the audit
    confidence: Float64  # (N,)
    predicted: Int64  # (N,) positions
    checked: Judged
    folds: Judged
    from_elsewhere: bool  # whether ``checked`` has test images
    looks: int  # noted so far: what is proposed for a target that was not tested yet depends on them


def standing(project: Project) -> Standing | None:
    """Of the newest finished round; None before there is one."""
    store = project.store
    round_id = store.scores.latest_round()
    if round_id is None:
        return None
    order = store.rounds.get(round_id).class_ids
    in_use = [record.id for record in store.classes.all()]
    folds, temperature = _folds(project, round_id, order)
    image_ids, predicted, confidence = store.scores.waiting(round_id, "", temperature)
    keep = ~np.isin(image_ids, audit.reserved(project)) & np.isin(predicted, in_use)
    judged = store.scores.random_checks(round_id, temperature)
    of_test = [row for row in judged if row.is_test]
    return Standing(
        round_id,
        order,
        image_ids[keep],
        confidence[keep],
        class_positions(predicted[keep], order),
        Judged(
            np.array([row.p for row in judged], dtype=np.float64),
            class_positions(np.array([row.predicted for row in judged], dtype=np.int64), order),
            np.array([row.predicted == row.truth for row in judged], dtype=np.bool_),
        ),
        folds,
        bool(of_test),
        len(_looks(project).made),
    )


def proposal_of(project: Project, state: Standing, target: float) -> Proposal:
    """For which candidates the model's class may be taken. A test that this makes is noted for good."""
    evidence = evidence_of(state.round_id, len(state.checked.is_right), target)
    with _noting:
        looks = _looks(project)
        proposal = propose(
            state.confidence,
            state.predicted,
            state.checked,
            state.folds,
            len(state.class_ids),
            target,
            from_elsewhere=state.from_elsewhere,
            look=looks.number(evidence),
        )
        if looks.note(evidence, proposal):
            project.store.settings.set(LOOKS, json.dumps(looks.made))
    return proposal


def _looks(project: Project) -> Looks:
    noted = project.store.settings.get(LOOKS)
    return Looks({key: (int(number), bool(passed)) for key, (number, passed) in json.loads(noted or "{}").items()})


def _folds(project: Project, round_id: int, order: tuple[int, ...]) -> tuple[Judged, float]:
    """Labelled images as heads predict them that did not train on them, and the temperature that fits these."""
    p, class_ids, truth = project.store.predictions.held_out(round_id, "folds")
    positions = class_positions(truth, order)
    known = positions >= 0
    if not known.any():
        return Judged(np.empty(0), np.empty(0, np.int64), np.empty(0, np.bool_)), 1.0
    log_p = log_of(dense(p, class_ids, order)[known]).astype(np.float64)
    temperature = fitted_temperature(log_p, positions[known]) if known.sum() >= FOLDS_ENOUGH else 1.0
    predicted = log_p.argmax(axis=1)
    p_scaled = np.exp(log_p / temperature)
    return (
        Judged((p_scaled.max(axis=1) / p_scaled.sum(axis=1)), predicted, predicted == positions[known]),
        temperature,
    )
