"""Labels that are probably wrong, one after the other: which wait, what is known of one, and what a person says.

Kept: a label event of the same class. Changed: one of another class. Unsure: a flag, and the label stands. Each gives
``REASON`` as its reason, so that what was looked at does not come again until somebody labels the image anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from tidal_core.labelling.desk import Desk
from tidal_core.projects import Project
from tidal_core.records import Answer, AnswerKind, AnswerMode, Int64, Shown, class_positions
from tidal_core.rounds.suspicions import Suspicions

REASON = "review"
UNSURE_NOTE = "Unsure about the label."

Act = Literal["keep", "change", "unsure"]


@dataclass(frozen=True)
class Suspect:
    """One label that is probably wrong."""

    image_id: int
    label: int  # class id
    suggested: int | None  # class id
    p_label: float  # NaN where not known
    p_suggested: float
    twin: int | None  # an image that shows the same and has another label; itself where it came with two labels


class Since(NamedTuple):
    """Since when the model prefers another class; None where it does not, or nobody knows."""

    round_id: int | None
    epoch: int | None  # of the last round that has a curve of the image


def waiting(project: Project, suspicions: Suspicions, ranking: str, *, everything: bool = False) -> list[Suspect]:
    """What is to be looked at, contradictions first, then the most suspicious; ``everything``: to the last label.

    Without what was looked at, without images that lost or changed their label since, and without those that
    contradicted an image whose label was changed to theirs. Raises KeyError.
    """
    order = suspicions.order(ranking)
    if not everything:
        order = order[: worth_a_look(suspicions)]
    labels = project.store.answers.labels()
    rows = class_positions(suspicions.image_ids[order], labels.image_ids)
    stands = rows >= 0
    stands[stands] = labels.class_ids[rows[stands]] == suspicions.labels[order[stands]]
    twins = class_positions(suspicions.twins[order], labels.image_ids)
    agrees = (twins >= 0) & (suspicions.twins[order] != suspicions.image_ids[order])
    agrees[agrees] = labels.class_ids[twins[agrees]] == suspicions.labels[order[agrees]]
    order = order[stands & ~agrees & ~np.isin(suspicions.image_ids[order], project.store.answers.reviewed(REASON))]
    return [_suspect(suspicions, int(row)) for row in order]


def worth_a_look(suspicions: Suspicions) -> int:
    """How many of the first labels are worth a look: a fifth more than are contradicted, for those that hide well."""
    contradictions = int((suspicions.twins > 0).sum())
    return min(len(suspicions.image_ids), contradictions + suspicions.contradicted + -(-suspicions.contradicted // 5))


def _suspect(suspicions: Suspicions, row: int) -> Suspect:
    return Suspect(
        int(suspicions.image_ids[row]),
        int(suspicions.labels[row]),
        int(suspicions.suggested[row]) or None,
        float(suspicions.p_label[row]),
        float(suspicions.p_suggested[row]),
        int(suspicions.twins[row]) or None,
    )


def since(project: Project, suspect: Suspect) -> Since:
    """Since which round every round has predicted the suggested class, and since which epoch it led in the last one."""
    if suspect.suggested is None:
        return Since(None, None)
    round_id = None
    for score in project.store.scores.of_image(suspect.image_id):
        if score.predicted != suspect.suggested:
            round_id = None
        elif round_id is None:
            round_id = score.round_id
    return Since(round_id, _epoch_since(project, suspect))


def _epoch_since(project: Project, suspect: Suspect) -> int | None:
    store = project.store
    for record in reversed(store.rounds.all()):
        curve = store.curves.of_image(record.id, suspect.image_id) or store.scores.exact_curve(
            record.id, suspect.image_id
        )
        if curve is None or suspect.suggested not in record.class_ids:
            continue
        order = np.tile(np.array(record.class_ids), (len(curve.epochs), 1))
        top = np.take_along_axis(
            order if curve.class_ids is None else curve.class_ids, curve.p.argmax(axis=1)[:, None], axis=1
        )[:, 0]
        return _last_stretch(curve.epochs, top == suspect.suggested)
    return None


def _last_stretch(epochs: Int64, leads: np.ndarray) -> int | None:
    """The epoch from which on ``leads`` (T,) holds to the end; None where it does not hold at the end."""
    if not leads[-1]:
        return None
    not_yet = np.flatnonzero(~leads)
    return int(epochs[not_yet[-1] + 1 if len(not_yet) else 0])


def answer(
    desk: Desk, suspect: Suspect, act: Act, event_id: str, annotator: str, class_id: int | None = None
) -> tuple[Answer | None, str]:
    """Store what a person says of a label: the answer and "", or None and why it was not stored.

    ``class_id``: what it is changed to. An event id is stored once, however often it is sent.
    """
    store = desk.project.store
    before = store.answers.current(suspect.image_id)
    labels = store.answers.labels()
    stands = labels.class_ids[labels.image_ids == suspect.image_id].tolist()
    if before is None or stands != [suspect.label]:
        return None, "Somebody else has changed this label meanwhile; nothing was stored."
    is_flag = act == "unsure"
    given = Answer(
        event_id,
        AnswerKind.FLAG if is_flag else AnswerKind.LABEL,
        suspect.image_id,
        class_id=None if is_flag else class_id if act == "change" else suspect.label,
        reason=REASON,
        note=UNSURE_NOTE if is_flag else None,
        annotator=annotator,
        mode=AnswerMode.REVIEW,
        suggestion_class=suspect.suggested,
        suggestion_p=None if np.isnan(suspect.p_suggested) else suspect.p_suggested,
        suggestion_shown=Shown.BEFORE if suspect.suggested is not None else Shown.NEVER,
        purpose=before.answer.purpose,
        round_id=before.answer.round_id,
    )
    outcome = desk.record([given])[0]
    return (given, "") if outcome.refused is None else (None, outcome.refused)
