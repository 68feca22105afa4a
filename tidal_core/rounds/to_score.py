"""Which images a trained round scores, each in the part that decides who may see what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tidal_core.engine.features.store import Features
from tidal_core.projects import Project
from tidal_core.records import Int64
from tidal_core.rounds import audit


@dataclass(frozen=True)
class ToScore:
    """Images by id, each once; arrays that are row-aligned with them have the five parts one after another."""

    pool: Int64  # (N,)
    labelled: Int64  # (L,)
    test: audit.Measured  # (T,)
    reserve: Int64  # (R,) of the audit sample, not labelled yet
    aside: Int64  # (A,) all others
    without_features: int  # of the pool: left out until their features are computed
    standing: Int64
    """(C,) what each class of the round's order counts as when ``test`` was read: people may have merged some while the
    round trained, and what the test images are follows that."""

    @property
    def ids(self) -> Int64:
        """(N + L + T + R + A,) of all rows."""
        return np.concatenate([self.pool, self.labelled, self.test.image_ids, self.reserve, self.aside])

    @property
    def pool_rows(self) -> slice:
        """Rows of the pool."""
        return slice(len(self.pool))

    @property
    def labelled_rows(self) -> slice:
        """Rows of the labelled images."""
        return slice(len(self.pool), len(self.pool) + len(self.labelled))

    @property
    def test_rows(self) -> slice:
        """Rows of the test images."""
        return self._behind(self.labelled_rows, self.test.image_ids)

    @property
    def reserve_rows(self) -> slice:
        """Rows of the audit sample's images that nobody labelled yet."""
        return self._behind(self.test_rows, self.reserve)

    @property
    def aside_rows(self) -> slice:
        """Rows of all others."""
        return self._behind(self.reserve_rows, self.aside)

    @staticmethod
    def _behind(rows: slice, image_ids: Int64) -> slice:
        return slice(rows.stop, rows.stop + len(image_ids))


def images_to_score(project: Project, class_ids: Sequence[int], labelled: Int64, features: Features | None) -> ToScore:
    """Those of a round with the classes ``class_ids`` (C,) that trained on the images ``labelled`` (L,).

    ``features``: what a round on a frozen body reads, None for another; images without any are for a later round.
    """
    pool = audit.rankable(project)
    standing, test = _test_images(project, class_ids)
    without_features = 0
    if features is not None:
        has_features = features.has(project.store.images.pixel_rows(pool))
        without_features = int((~has_features).sum())
        pool = pool[has_features]
        test = test.where(features.has(project.store.images.pixel_rows(test.image_ids)))
    reserve, aside = _for_exports(project, features, np.concatenate([pool, labelled, test.image_ids]))
    return ToScore(pool, labelled, test, reserve, aside, without_features, standing)


def _test_images(project: Project, class_ids: Sequence[int]) -> tuple[Int64, audit.Measured]:
    """What the round's classes (C,) count as now, and the images to measure it on, of classes that it knows.

    Classes are merged while a round trains, and between two reads: both are of one state.
    """
    classes = project.store.classes
    while True:
        before = classes.standing(class_ids)
        test = audit.measured_on(project)
        if classes.standing(class_ids) == before:
            break
    standing = np.array(before, dtype=np.int64)
    return standing, test.where(np.isin(test.class_ids, standing))


def _for_exports(project: Project, features: Features | None, scored_ids: Int64) -> tuple[Int64, Int64]:
    """All other images, by id: those of the audit sample that nobody labelled, and the rest.

    Nobody sees what the model says of them before they are labelled (``store.scores``); exports have it.
    """
    images = project.store.images
    others = np.setdiff1d(images.ids(), scored_ids)
    if features is not None:
        others = others[features.has(images.pixel_rows(others))]
    is_reserved = np.isin(others, audit.reserved(project)) & np.isin(others, images.unlabelled_ids())
    return others[is_reserved], others[~is_reserved]
