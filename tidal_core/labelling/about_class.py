"""What a class is, for somebody who is not sure: its description and some images of it.

The images are those that a person chose. Where nobody chose any, those that are most typical by the newest round: the
labelled ones of which the model was surest, on average, while it trained. Before the first round the ones that were
labelled first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tidal_core.errors import InputError
from tidal_core.projects import Project
from tidal_core.records import ClassRecord, ImageRecord, ImageStatus, RoundState
from tidal_core.store.class_rules import MOST_EXAMPLES

SHOWN = 6  # where nobody chose


@dataclass(frozen=True)
class AboutClass:
    """A class with what shows it."""

    record: ClassRecord
    images: list[ImageRecord]
    how: str  # how the images were chosen, for people


def about_class(project: Project, class_id: int) -> AboutClass:
    """What is known of a class. Raises NotFound."""
    store, record = project.store, project.store.classes.get(class_id)
    chosen = _shown(project, list(record.examples))
    if chosen:
        return AboutClass(record, chosen, "Chosen by people as examples.")
    labels = store.answers.labels()
    of_class = labels.class_ids == class_id
    ids = labels.image_ids[of_class]
    if not len(ids):
        return AboutClass(record, [], "No image has this label yet.")
    latest = store.rounds.latest(RoundState.DONE)
    if latest is not None:
        rows = store.views.map(latest.id)
        trained = np.isin(rows.image_ids, ids)
        if trained.any():
            surest = rows.image_ids[trained][np.argsort(-rows.statistics["confidence"][trained], kind="stable")]
            how = f"The most typical ones: of these labels the model was surest while it trained (round {latest.id})."
            return AboutClass(record, _shown(project, surest[:SHOWN].tolist()), how)
    first = ids[np.argsort(labels.seqs[of_class], kind="stable")]
    return AboutClass(record, _shown(project, first[:SHOWN].tolist()), "The first ones that were labelled.")


def _shown(project: Project, image_ids: list[int]) -> list[ImageRecord]:
    """Images in this order, without those that were excluded since."""
    by_id = {image.id: image for image in project.store.images.many(image_ids)}
    found = [by_id[image_id] for image_id in image_ids if image_id in by_id]
    return [image for image in found if image.status is not ImageStatus.EXCLUDED]


def choose_example(project: Project, class_id: int, image_id: int, chosen: bool, *, author: str = "me") -> ClassRecord:
    """Show an image as an example of a class, or no more. Raises NotFound, InputError for one that is full."""
    store = project.store
    store.images.get(image_id)
    record = store.classes.get(class_id)
    if chosen == (image_id in record.examples):
        return record
    if chosen and len(record.examples) >= MOST_EXAMPLES:
        raise InputError(
            f"The class {record.name!r} shows {MOST_EXAMPLES} images already; take one away on the Project page first."
        )
    kept = [other for other in record.examples if other != image_id]
    examples = (*kept, image_id) if chosen else tuple(kept)
    return store.classes.change(class_id, shown=record, examples=examples, author=author)
