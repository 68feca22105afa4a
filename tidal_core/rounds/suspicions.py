"""Which labels of a project look like mistakes, from what is known without another training: arrays for Review.

Where the body is frozen and every label has its features, heads are fitted here that did not see an image (logistic
regression, seconds, no torch); else what the last round saw while it trained on the label is all there is. Images that
measure accuracy are left out: to mend only those where the model disagrees would make it look better than it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tidal_core.images.duplicates import candidate_pairs, same_picture
from tidal_core.images.pixels import PixelStore
from tidal_core.method import suspicion
from tidal_core.method.heads import out_of_fold
from tidal_core.method.stopping import dense
from tidal_core.projects import Project
from tidal_core.records import Bools, Float32, Float64, Int64, RoundState, UInt8, class_positions
from tidal_core.rounds import audit
from tidal_core.rounds.similar import points_of
from tidal_core.store.answers import Labels
from tidal_core.strategies.distances import unit_length

SAME_FEATURES = 0.95  # cosine of standardised features; pictures of two classes stay below .88 (EXPERIMENTS.md)
SAME_PIXELS = 12.0  # of 255, the mean difference of their squares
MOST = 20_000  # labels: beyond it, those answered last
_BLOCK = 2_048


@dataclass(frozen=True)
class Suspicions:
    """What speaks for and against N labels at one moment; arrays are (N,), by image id."""

    image_ids: Int64
    labels: Int64  # class ids
    suggested: Int64  # class id of the likeliest other class, else that of the twin; 0 where neither is known
    p_label: Float64  # NaN where not known
    p_suggested: Float64
    twins: Int64  # an image that shows the same and has another label, 0 for none; itself where it came with two labels
    signals: dict[str, Float64]  # of ``suspicion.SIGNALS``, those there are
    contradicted: int  # labels of which the model is confident that another class is right: more than mistakes
    is_out_of_fold: bool  # p is of heads that did not train on the image; else the mean over the round's epochs
    round_id: int | None  # the round whose curves are looked at
    last_seq: int  # the last answer that was looked at

    def order(self, ranking: str = suspicion.DEFAULT) -> Int64:
        """Rows (N,): contradictions first, then the most suspicious. Raises KeyError for a ranking there is not."""
        if not self.signals:
            return np.flatnonzero(self.twins)
        values = suspicion.suspicion(self.signals, ranking)
        values = np.where(self.twins > 0, 2 + np.nan_to_num(values), values)
        return suspicion.by_suspicion(values, self.p_label)


def suspicions_of(project: Project) -> Suspicions:
    """Look at all labels of now. Takes seconds for thousands of labels with features."""
    labels, classes = audit.training_set(project)
    if len(labels.image_ids) > MOST:
        labels = labels.where(labels.seqs >= np.partition(labels.seqs, -MOST)[-MOST])
    class_ids = np.array([record.id for record in classes], dtype=np.int64)
    positions = class_positions(labels.class_ids, class_ids)
    n, n_classes = len(positions), len(class_ids)
    latest = project.store.rounds.latest(RoundState.DONE)
    round_id = latest.id if latest is not None else None
    x = points_of(project, labels.image_ids)
    signals: dict[str, Float64] = {}
    p = np.full((n, n_classes), np.nan)
    contradicted = 0
    if round_id is not None and latest is not None:
        p = _while_training(project, round_id, latest.class_ids, labels, class_ids)
        signals = _curve_signals(project, round_id, labels)
        contradicted = int((signals["margin_area"] < 0).sum()) if signals else 0
    if x is not None and n_classes > 1 and n > 1:
        p = out_of_fold(x, positions, n_classes, np.random.default_rng(0))
        of_label = suspicion.label_probability(p, positions)
        signals |= {
            "label_p": of_label,
            "margin": suspicion.label_margin(p, positions),
            "neighbours": suspicion.neighbour_share(x, positions),
        }
        contradicted = int(suspicion.confident_mistakes(p, positions).sum())
    twins, rivals = _twins(project, labels, x)
    rows = np.arange(n)
    others = np.where(np.isnan(p), -1.0, p)
    if n_classes:
        others[rows, positions] = -1.0
    best = others.argmax(axis=1) if n_classes else np.zeros(n, dtype=np.int64)
    is_known = others[rows, best] >= 0 if n_classes else np.zeros(n, dtype=np.bool_)
    return Suspicions(
        image_ids=labels.image_ids,
        labels=labels.class_ids,
        suggested=np.where(is_known, class_ids[best], rivals) if n_classes else rivals,
        p_label=suspicion.label_probability(p, positions) if n_classes else np.empty(0),
        p_suggested=np.where(is_known, others[rows, best], np.nan) if n_classes else np.empty(0),
        twins=twins,
        signals=signals,
        contradicted=contradicted,
        is_out_of_fold=x is not None and n_classes > 1,
        round_id=round_id,
        last_seq=labels.last_seq,
    )


def _while_training(
    project: Project, round_id: int, order: tuple[int, ...], labels: Labels, class_ids: Int64
) -> Float64:
    """p-bar (N, C) of a round that trained on these labels; NaN where it had none or another label."""
    p = np.full((len(labels.image_ids), len(class_ids)), np.nan)
    seen = project.store.views.observed(round_id)
    rows = class_positions(labels.image_ids, seen.image_ids)
    trained = (
        (rows >= 0) & (seen.class_ids[np.maximum(rows, 0)] == labels.class_ids) if len(seen.image_ids) else rows >= 0
    )
    if trained.any():
        wanted = rows[trained]
        full = dense([seen.p[row] for row in wanted], [seen.p_classes[row] for row in wanted], list(order))
        places = class_positions(class_ids, order)
        p[np.ix_(trained, places >= 0)] = full[:, places[places >= 0]]
    return p


def _curve_signals(project: Project, round_id: int, labels: Labels) -> dict[str, Float64]:
    """Margin area and p-bar of the labels that a round trained with; {} where there is none of them."""
    seen = project.store.views.map(round_id)
    rows = class_positions(labels.image_ids, seen.image_ids)
    if not (rows >= 0).any():
        return {}
    trained = (rows >= 0) & (seen.class_ids[np.maximum(rows, 0)] == labels.class_ids)
    return {
        name: np.where(trained, seen.statistics[column][np.maximum(rows, 0)].astype(np.float64), np.nan)
        for name, column in (("margin_area", "margin_area"), ("p_bar", "confidence"))
    }


def _twins(project: Project, labels: Labels, x: Float32 | None) -> tuple[Int64, Int64]:
    """For each label (N,) an image that shows the same and has another one, and this one's class id; 0 for none.

    An image that came with two labels is its own twin: files of equal content are one image.
    """
    twins, rivals = (np.zeros(len(labels.image_ids), dtype=np.int64) for _ in range(2))
    for image_id, class_id in project.store.answers.two_labels().items():
        row = np.flatnonzero(labels.image_ids == image_id)
        twins[row], rivals[row] = image_id, class_id
    if not project.pixels.exists():
        return twins, rivals
    pixels = PixelStore(project.pixels)
    rows = project.store.images.pixel_rows(labels.image_ids)
    for pairs, is_same in ((_of_like_hashes(project, labels), same_picture), (_of_like_features(x), _nearly_same)):
        pairs = pairs[labels.class_ids[pairs[:, 0]] != labels.class_ids[pairs[:, 1]]]
        for start in range(0, len(pairs), _BLOCK):
            chunk = pairs[start : start + _BLOCK]
            for pair in chunk[is_same(pixels[rows[chunk[:, 0]]], pixels[rows[chunk[:, 1]]])].tolist():
                for row, other in (pair, pair[::-1]):
                    if not twins[row]:
                        twins[row], rivals[row] = labels.image_ids[other], labels.class_ids[other]
    return twins, rivals


def _of_like_hashes(project: Project, labels: Labels) -> Int64:
    """Pairs (P, 2) of rows of ``labels`` with nearly the same perceptual hash."""
    ids, hashes, _ = project.store.images.hashes()
    places = class_positions(labels.image_ids, ids)
    rows = np.flatnonzero(places >= 0)
    return rows[np.array(candidate_pairs(hashes[places[rows]]), dtype=np.int64).reshape(-1, 2)]


def _of_like_features(x: Float32 | None) -> Int64:
    """Pairs (P, 2) of rows of x (N, D) that are nearly the same."""
    if x is None:
        return np.empty((0, 2), dtype=np.int64)
    std = x.std(axis=0)
    # What all images of a collection have in common must not make two of them one picture.
    points = unit_length((x - x.mean(axis=0)) / np.maximum(std, max(float(std.max()) * 1e-3, 1e-6)))
    pairs = [np.empty((0, 2), dtype=np.int64)]
    for start in range(0, len(points), _BLOCK):
        first, second = np.nonzero(points[start : start + _BLOCK] @ points.T >= SAME_FEATURES)
        later = second > first + start
        pairs.append(np.stack([first[later] + start, second[later]], axis=1))
    return np.concatenate(pairs)


def _nearly_same(first: UInt8, second: UInt8) -> Bools:
    """Whether squares (n, S, S, 3) of like features are one picture, mirrored or not, in about the same light."""
    mirrored = second[:, :, ::-1]
    return np.minimum(_mean_difference(first, second), _mean_difference(first, mirrored)) <= SAME_PIXELS


def _mean_difference(first: UInt8, second: UInt8) -> Float64:
    difference: Float64 = np.abs(first.astype(np.int16) - second).reshape(len(first), -1).mean(axis=1)
    return difference
