"""What several people said of the images of a round, for ActiveLab and CROWDLAB. No torch."""

from __future__ import annotations

from typing import Any

import numpy as np

from tidal_core.method import crowdlab
from tidal_core.projects import Project
from tidal_core.records import Float32, Float64, Floats, Int64, class_positions


def votes_of(project: Project, image_ids: Int64, class_ids: Int64) -> Float64:
    """(L, A) what each person said of images (by id) without knowing of the others, as positions in ``class_ids``.

    NaN where nobody did, or said a class that is none of these.
    """
    own = project.store.people.own_labels(shared_only=False)
    return crowdlab.wide_votes(own.image_ids, own.people, class_positions(own.class_ids, class_ids), image_ids)


def weigh(project: Project, round_id: int, image_ids: Int64, class_ids: Int64, log_p: Float32) -> int:
    """Let CROWDLAB choose among the labels of images that several people answered; returns of how many it did.

    ``image_ids`` (L,) by id, ``class_ids`` (C,) and ``log_p`` (L, C) of heads that did not train on the image. A choice
    counts until somebody answers its image again; what was settled stands above it (``store.migrations``, consensus).
    """
    last_seq = project.store.answers.last_seq()
    votes = votes_of(project, image_ids, class_ids)
    is_voted = ~np.isnan(votes).all(axis=1)
    several = (~np.isnan(votes)).sum(axis=1) > 1
    kept = np.empty(0, dtype=np.int64)
    classes, quality = kept, np.empty(0)
    if several.any() and len(class_ids) > 1:
        p = np.exp(log_p[is_voted].astype(np.float64))
        found = crowdlab.consensus(votes[is_voted], p / p.sum(axis=1, keepdims=True))
        chosen = several[is_voted] & (found.classes >= 0)
        kept, classes, quality = image_ids[is_voted][chosen], class_ids[found.classes[chosen]], found.quality[chosen]
    project.store.people.keep_crowdlab(kept, classes, quality, last_seq, round_id)
    return len(kept)


def chosen_for(project: Project, image_ids: Int64) -> dict[str, Any]:
    """What a round records of CROWDLAB: by which round, and for how many of its images (L,), it chose the label."""
    round_id, images = project.store.people.crowdlab_choices()
    n = int(np.isin(images, image_ids).sum())
    return {"crowdlab_round": round_id if n else None, "crowdlab_images": n}


def with_asked_again(
    labelled: Int64, of_labelled: Floats | None, ranked: Int64, scores: Float32
) -> tuple[Int64, Float32, Int64]:
    """Ranked images (N,) and their scores (N,), rising, with labelled ones among them; and which of these there are.

    ``of_labelled`` (L,): the scores of the ``labelled`` images, NaN where one is not to be asked again. None of them
    comes behind the last of the ranked.
    """
    if of_labelled is None or not len(ranked):
        return ranked, scores, np.empty(0, dtype=np.int64)
    is_urgent = of_labelled < scores[-1]
    ids, urgent = labelled[is_urgent], of_labelled[is_urgent].astype(np.float32)
    order = np.argsort(urgent, kind="stable")
    places = np.searchsorted(scores, urgent[order])
    return np.insert(ranked, places, ids[order]), np.insert(scores, places, urgent[order]), ids
