"""Several people on one project: how far they agree, what they disagree on and how that is settled, how each labels."""

from __future__ import annotations

from typing import NamedTuple

from tidal_core.labelling.desk import Desk
from tidal_core.method import agreement
from tidal_core.method.agreement import Agreement, Votes
from tidal_core.projects import Project
from tidal_core.records import Answer, AnswerKind, AnswerMode
from tidal_core.rounds import again
from tidal_core.store.people import Disagreement

REASON = "settle"
TIE_RULE = (
    "What an image trains with is what most people say who answered it: each person's last answer is one vote, a "
    "merged class counts as what it was merged into, and a skip is no vote. On a tie the newest answer counts. A "
    "settled label, and one changed in sight of the others on Review or in the gallery, comes before all votes."
)


class Agreeing(NamedTuple):
    """Agreement, and whom its numbers of people mean."""

    result: Agreement
    names: tuple[str, ...]
    last_seq: int  # the last answer that was looked at


def may_see_people(project: Project, *, is_owner: bool) -> bool:
    """Whether somebody sees how each person labels: the owner, and everybody where the owner allows it.

    Without a login whoever uses the studio on this machine is its owner.
    """
    return is_owner or project.settings.people_shown


def agreement_of(project: Project) -> Agreeing:
    """How far people agree on what they labelled without knowing of each other."""
    own = project.store.people.own_labels()
    votes = Votes(own.image_ids, own.people, own.class_ids)
    return Agreeing(agreement.agreement(votes), own.names, own.last_seq)


def to_settle(project: Project, annotator: str) -> list[Disagreement]:
    """What people disagree on, without images that this person is still to answer."""
    hidden = again.hidden_from(project, annotator)
    return [each for each in project.store.people.disagreements() if each.image_id not in hidden]


def settle(
    desk: Desk, disagreement: Disagreement, class_id: int | None, event_id: str, annotator: str
) -> tuple[Answer | None, str]:
    """Store what an image is (None: it has no label) above all votes: the answer and "", or None and why not.

    An event id is stored once, however often it is sent.
    """
    store = desk.project.store
    before = store.answers.current(disagreement.image_id)
    if before is None or disagreement not in store.people.disagreements():
        return None, "Somebody has answered this image meanwhile; nothing was stored."
    given = Answer(
        event_id,
        AnswerKind.SKIP if class_id is None else AnswerKind.LABEL,
        disagreement.image_id,
        class_id=class_id,
        reason=REASON,
        annotator=annotator,
        mode=AnswerMode.SETTLE,
        purpose=before.answer.purpose,
        round_id=before.answer.round_id,
    )
    outcome = desk.record([given])[0]
    return (given, "") if outcome.refused is None else (None, outcome.refused)
