"""Finish a collection: accept the model's class for many images, take that back, have more random images checked.

``rounds.finishing`` proposes; here is what a person's click does. All writes go through ``store.model_answers`` and the
queue; a sample of the accepted is looked at first, and can forbid all of it.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from tidal_core.errors import InputError
from tidal_core.method.finishing import Proposal, Veto, judge_sample, sample_of
from tidal_core.projects import Project
from tidal_core.records import Int64, Purpose
from tidal_core.rounds.finishing import Standing

VETOED = "finish_vetoed"
"""The note on a sample that had too many wrong ones: its round and target, as JSON."""


class Accepted(NamedTuple):
    """What became of accepting."""

    act_id: str  # "" where the sample forbids it
    images: int
    veto: Veto


def sample(project: Project, state: Standing, proposal: Proposal) -> Int64:
    """The accepted images that a person looks at, the same ones each time while nothing changes."""
    seed = (project.settings.seed, state.round_id, round(1000 * proposal.target), len(state.image_ids))
    return sample_of(state.image_ids[proposal.is_accepted], np.random.default_rng(seed))


def vetoed(project: Project, state: Standing, target: float) -> bool:
    """Whether a sample forbade this target, or a lower one, of this round: no other sample is drawn until it passes."""
    noted = project.store.settings.get(VETOED)
    round_id, of_target = json.loads(noted) if noted else (0, 1.0)
    return bool(round_id == state.round_id and target >= of_target)


def accept(
    project: Project,
    state: Standing,
    proposal: Proposal,
    shown: Int64,
    wrong: Collection[int],
    *,
    annotator: str,
) -> Accepted:
    """Take the model's class for what is proposed, but for the images of the sample ``shown`` that are ``wrong``.

    Those are asked next. Where they are too many, nothing is taken, and this round proposes no more at this target.
    Raises InputError where nothing is proposed, or a wrong image is none of the sample.
    """
    if not proposal.accepted:
        raise InputError(f"Nothing can be accepted: {proposal.reason}")
    strangers = set(wrong) - set(shown.tolist())
    if strangers:
        raise InputError(f"Image {min(strangers)} is not one of the images to check; reload the page.")
    if vetoed(project, state, proposal.target):
        raise InputError("This proposal had too many wrong images; choose a lower target, or train another round.")
    veto = judge_sample(len(shown), len(wrong), proposal.target)
    for image_id in wrong:
        project.store.queue.put_front(int(image_id), Purpose.QUERY, state.round_id)
    if veto.is_vetoed:
        project.store.settings.set(VETOED, json.dumps([state.round_id, proposal.target]))
        return Accepted("", 0, veto)
    taken = proposal.is_accepted & ~np.isin(state.image_ids, list(wrong))
    act_id, images = project.store.model_answers.take(
        state.image_ids[taken],
        np.array(state.class_ids)[state.predicted[taken]],
        state.confidence[taken],
        round_id=state.round_id,
        note=f"accepted at a target of {proposal.target:.1%}, at least {proposal.at_least or 0:.1%} right by the check",
        annotator=annotator,
    )
    return Accepted(act_id, images, veto)


def check_more(project: Project, state: Standing, proposal: Proposal) -> int:
    """Put random images in front of the queue, as many as the proposal says; returns how many.

    The next of the audit order: like the audit sample they are never trained on.
    """
    store = project.store
    order = store.images.front_of_audit_order(store.images.count_in_audit_order())
    chosen = order[np.isin(order, store.images.unlabelled_ids())][: proposal.more_checks or 0]
    for image_id in chosen[::-1].tolist():
        store.queue.put_front(image_id, Purpose.AUDIT, state.round_id)
    return len(chosen)


def undo(project: Project, act_id: str, *, annotator: str) -> int:
    """Take an act back; returns for how many images. People are asked about them again."""
    return project.store.model_answers.undo(act_id, annotator=annotator)
