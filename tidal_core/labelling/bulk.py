"""One act on many images of a project: label, confirm the model, skip, flag, unlabel, queue, exclude, undo.

``store.acts`` writes it; here is what people are told. Images that are kept to measure accuracy and that nobody was
asked about are left by labels, skips and the queue, and the model's class is never taken for one of the audit sample:
accuracy would be measured on what people pick, or on what the model says of itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tidal_core.errors import InputError
from tidal_core.projects import Project
from tidal_core.records import Int64
from tidal_core.rounds import again, audit
from tidal_core.store.acts import Act, ActKind, Left
from tidal_core.store.where import parse

WORDS: dict[Left, tuple[str, str]] = {
    Left.UNKNOWN: ("is not in this project", "are not in this project"),
    Left.EXCLUDED: (
        "is excluded from the project (take it back first)",
        "are excluded from the project (take them back first)",
    ),
    Left.TEST: ("is a test image", "are test images"),
    Left.MEANWHILE: ("was answered meanwhile", "were answered meanwhile"),
    Left.MEASURES: (
        "is kept to measure accuracy: only you say what it is, on the Label page",
        "are kept to measure accuracy: only you say what they are, on the Label page",
    ),
    Left.ASKED: (
        "is asked of several people: answer it on the Label page, without seeing what others said",
        "are asked of several people: answer them on the Label page, without seeing what others said",
    ),
    Left.ANSWERED: ("is answered already (unlabel it first)", "are answered already (unlabel them first)"),
    Left.NO_PREDICTION: ("has no prediction", "have no prediction"),
    Left.SAME: ("is like that already", "are like that already"),
    Left.SINCE: ("was answered again since", "were answered again since"),
    Left.HELD: ("is open on a Label page", "are open on a Label page"),
}
"""Why images are left, for one and for several."""


class Result(NamedTuple):
    """What became of an act."""

    act_id: str  # to undo it by
    changed: int  # images
    left: int  # images
    why: str  # for people: why some were left; "" where none was


def perform(
    project: Project, act: Act, *, image_ids: Sequence[int] | Int64 | None = None, where: str | None = None
) -> Result:
    """Do an act on some images, or on those that fulfil a condition, or undo one; all of it or nothing.

    Raises InputError for a condition that cannot be read or an act that lacks something, NotFound for the undo of an
    unknown act.
    """
    acts = project.store.acts
    if act.kind is ActKind.UNDO:
        done = acts.undo(act)
    else:
        if (image_ids is None) == (where is None):
            raise InputError("Name the images of the act: either ids or where, and not both.")
        collection = project.store.collection
        condition = parse(where or "", project.store.classes.all())
        ids = None if image_ids is None else np.asarray(image_ids, dtype=np.int64)
        done = acts.perform(
            act,
            lambda: collection.ids(condition) if ids is None else ids,
            audit.reserved(project),
            again.hidden_from(project, act.annotator),
        )
    if project.settings.double_share:
        again.queue_all(project)
    return Result(done.act_id, done.changed, sum(done.left.values()), why_left(done.left))


def why_left(left: Mapping[Left, int]) -> str:
    """One sentence on the images that an act left."""
    if not left:
        return ""
    reasons = [f"{n:,} {WORDS[reason][n != 1]}" for reason, n in left.items()]
    total = sum(left.values())
    return f"{total:,} image{'' if total == 1 else 's'} left as before: {', '.join(reasons)}."
