"""Finish: what the newest round says of the images that are left, and what random images say of the round.

``method.finishing`` has the law; here are its arrays. Evidence are images that were picked at random, whatever for: the
audit sample, random images checked for this, or the test images where there are some. Images kept for the audit and not
asked yet are no candidates: people are asked about them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from tidal_core.method.calibration import fitted_temperature
from tidal_core.method.estimators import log_of
from tidal_core.method.finishing import Judged, Proposal, propose
from tidal_core.method.stopping import dense
from tidal_core.projects import Project
from tidal_core.records import Float64, Int64, class_positions
from tidal_core.rounds import audit

FOLDS_ENOUGH = 50  # images: with fewer a temperature says more of chance than of the model
LOOKS = "finish_looks"
"""The note on how many looks of a round were spent: its number and the looks, as JSON."""


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
    look: int  # from 1


def standing(project: Project) -> Standing | None:
    """Of the newest finished round; None before there is one."""
    store = project.store
    round_id = store.scores.latest_round()
    if round_id is None:
        return None
    order = store.rounds.get(round_id).class_ids
    in_use = [record.id for record in store.classes.all()]
    folds, temperature = _folds(project, round_id, order)
    rows = store.scores.unanswered(round_id, "", temperature)
    image_ids = np.array([row[0] for row in rows], dtype=np.int64)
    predicted = np.array([row[1] for row in rows], dtype=np.int64)
    confidence = np.array([row[2] for row in rows], dtype=np.float64)
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
        _looks(project, round_id) + 1,
    )


def proposal_of(state: Standing, target: float) -> Proposal:
    """For which candidates the model's class may be taken."""
    return propose(
        state.confidence,
        state.predicted,
        state.checked,
        state.folds,
        len(state.class_ids),
        target,
        from_elsewhere=state.from_elsewhere,
        look=state.look,
    )


def spend_look(project: Project, state: Standing) -> None:
    """Note that a test was made of a round, and failed, before more images are checked."""
    project.store.settings.set(LOOKS, json.dumps([state.round_id, state.look]))


def _looks(project: Project, round_id: int) -> int:
    noted = project.store.settings.get(LOOKS)
    of_round, looks = json.loads(noted) if noted else (0, 0)
    return int(looks) if of_round == round_id else 0


def _folds(project: Project, round_id: int, order: tuple[int, ...]) -> tuple[Judged, float]:
    """Labelled images as heads predict them that did not train on them, and the temperature that fits these."""
    p, class_ids, truth = project.store.views.held_out(round_id, "folds")
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
