"""CROWDLAB and ActiveLab: which of several people's labels is right, and which images to ask next. No torch.

Goh, Tkachenko and Mueller, CROWDLAB: Supervised learning to infer consensus labels and quality scores for data with
multiple annotators, 2022. Goh and Mueller, ActiveLab: Active learning with re-labeling by multiple annotators, 2023.
Both computed by cleanlab, which is imported where it is used.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from tidal_core.records import Float64, Int64, class_positions


class Crowdlab(NamedTuple):
    """What CROWDLAB finds of N images."""

    classes: Int64  # (N,) positions in the class order; -1 where it is none that anybody gave
    quality: Float64  # (N,) how probable it is that this class is right


def wide_votes(images: Int64, people: Int64, classes: Int64, order: Int64) -> Float64:
    """(N, A) positions of classes, a row for each image of ``order`` (N,), a column for each person, NaN for none.

    ``images``, ``people``, ``classes`` (V,): votes; of other images they are left out, people without one, too, and
    votes of class -1.
    """
    rows = class_positions(images, order)
    known = (rows >= 0) & (classes >= 0)
    who, columns = np.unique(people[known], return_inverse=True)
    wide = np.full((len(order), len(who)), np.nan)
    wide[rows[known], columns] = classes[known]
    return wide


def consensus(votes: Float64, p: Float64) -> Crowdlab:
    """The label of each image; ``votes`` (N, A) as ``wide_votes`` gives them, one at least in each row.

    ``p`` (N, C): of models that did not train on the image. At least one image has two votes.
    """
    from cleanlab.multiannotator import get_label_quality_multiannotator

    with _the_same_each_time():
        found = get_label_quality_multiannotator(
            votes, p, return_detailed_quality=False, return_annotator_stats=False, verbose=False
        )["label_quality"]
    classes = found["consensus_label"].to_numpy().astype(np.int64)
    # A label that nobody gave is nobody's: such an image stays with what most people say.
    is_given = (votes == classes[:, None]).any(axis=1)
    return Crowdlab(np.where(is_given, classes, -1), found["consensus_quality_score"].to_numpy(dtype=np.float64))


def active_lab(votes: Float64, p: Float64, p_new: Float64) -> tuple[Float64, Float64]:
    """How sure a label would be after one more answer: (N,) of labelled images and (M,) of new ones, on one scale.

    ``votes`` (N, A) and ``p`` (N, C) as for ``consensus``, ``p_new`` (M, C); N may be 0. The lowest are asked first.
    """
    from cleanlab.multiannotator import get_active_learning_scores

    with _the_same_each_time():
        if not len(votes):
            return np.empty(0), np.asarray(get_active_learning_scores(pred_probs_unlabeled=p_new)[1])
        of_labelled, of_new = get_active_learning_scores(votes, p, p_new)
    return np.asarray(of_labelled), np.asarray(of_new)


_drawing = threading.Lock()


@contextmanager
def _the_same_each_time() -> Iterator[None]:
    """cleanlab draws from numpy's one generator where votes are tied, and warns of what is no concern of people."""
    with _drawing, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        state = np.random.get_state()
        np.random.seed(0)
        try:
            yield
        finally:
            np.random.set_state(state)
