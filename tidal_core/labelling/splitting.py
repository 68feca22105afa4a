"""A class is split: all of its images, or those of a condition, go to a new pass in which people are asked again.

The labels are taken back and the images put in front of the queue, as two acts that anybody can undo. The old answers
stay in the history, and ``undo_change`` gives them again wherever nobody has answered since.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tidal_core.errors import InputError, NotFound
from tidal_core.records import ClassEvent, ClassEventKind, Int64
from tidal_core.store import Store
from tidal_core.store.acts import Act, ActKind
from tidal_core.store.where import parse

_NONE = np.empty(0, dtype=np.int64)  # images that measure accuracy were asked one by one before, and are again


@dataclass(frozen=True)
class Split:
    """A split that was made."""

    seq: int  # the event to undo it by
    images: int  # that are asked again


def images_of(store: Store, class_id: int, where: str = "") -> Int64:
    """Images (N,) that count as a class now, of those that fulfil a condition. Raises InputError for a wrong one."""
    labels = store.answers.labels()
    of_class: Int64 = labels.image_ids[labels.class_ids == class_id]
    if not where.strip():
        return of_class
    chosen = store.collection.ids(parse(where, store.classes.all()))
    return np.asarray(chosen[np.isin(chosen, of_class)], dtype=np.int64)


def split_off(store: Store, class_id: int, where: str = "", *, author: str = "me") -> Split:
    """Ask again about images of a class. Raises InputError for a wrong condition and where there is no such image."""
    name, ids = store.classes.get(class_id).name, images_of(store, class_id, where)
    if not len(ids):
        raise InputError(f"No image of the class {name!r} is like that, so there is nothing to ask again.")
    unlabel, queue = Act(ActKind.UNLABEL, annotator=author), Act(ActKind.QUEUE, annotator=author)
    # Noted first: were the studio stopped in between, the note says which acts to undo.
    seq = store.classes.note_split(class_id, len(ids), [unlabel.id, queue.id], author=author)
    store.acts.perform(unlabel, lambda: ids, _NONE)
    store.acts.perform(queue, lambda: ids, _NONE)
    return Split(seq, len(ids))


def undo_change(store: Store, seq: int, *, author: str = "me") -> ClassEvent:
    """Take back one change of the classes; of a split also its acts. Raises as ``Classes.undo``."""
    events = {event.seq: event for event in store.classes.history()}
    event = events.get(seq)
    source = event
    n_undos = 0
    while source is not None and source.undoes is not None:  # the undo of an undo makes the change again
        source, n_undos = events.get(source.undoes), n_undos + 1
    if source is not None and source.kind is ClassEventKind.SPLIT and n_undos % 2:
        raise InputError("The images were given their labels again; split the class once more to ask them again.")
    undone = store.classes.undo(seq, author=author)
    if source is not None and source.kind is ClassEventKind.SPLIT:
        for act_id in reversed(source.details["acts"]):
            try:
                store.acts.undo(Act(ActKind.UNDO, annotator=author, undoes=act_id))
            except NotFound:  # the studio was stopped before it was done, or it changed no image
                continue
    return undone
