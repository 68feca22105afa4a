"""Computing features of a project's images, in the worker's thread between two rounds, from when images arrive.

By block, in the order of ``features.missing_rows``; after a kill it goes on where it was. torch comes in with the first
block.
"""

from __future__ import annotations

import dataclasses
import logging
import shutil
import time
from collections.abc import Callable

import numpy as np

from tidal_core.engine.executors import Executor
from tidal_core.engine.features.store import FeatureStore
from tidal_core.engine.published_weights import DEFAULT
from tidal_core.errors import InputError, TidalError
from tidal_core.images.pixels import round_uses
from tidal_core.projects import Project
from tidal_core.records import FeatureProgress
from tidal_core.rounds.copies import check_copy
from tidal_core.rounds.fastest import settle_speed
from tidal_core.rounds.features import SPEED, missing_rows, wanted
from tidal_core.rounds.queue_plan import plan_first_images

logger = logging.getLogger(__name__)

AT_ONCE = 1_024  # images computed before the worker looks round; labels that come in end it earlier
AT_ONCE_AT_FIRST = 64  # before the first round: what is asked is chosen anew as features arrive
TRY_AGAIN_SECONDS = 60.0  # after features could not be computed: a full disk, a missing package


def compute_some(
    project: Project,
    *,
    progress: Callable[[FeatureProgress], None],
    should_stop: Callable[[], bool],
    interrupted: Callable[[], bool],
) -> bool:
    """Compute features that are missing, at most ``AT_ONCE``; False where none is.

    ``should_stop`` is asked before each block, ``interrupted`` after it: a person who labels fast does not keep the
    features from getting on. Raises TidalError where they cannot be computed and OSError when the disk is full.
    """
    store = wanted(project)
    if store is None:
        return False
    missing = missing_rows(project, store)
    if not len(missing):
        _delete_others(project, store)
        return False
    from tidal_core.engine.features.extract import extract, extractor_of  # torch comes in here, in this thread

    total = project.store.images.count()
    before = total - len(missing)

    last = FeatureProgress(0, total, 0.0, None)

    def stop() -> bool:
        return should_stop() or (last.images_per_second > 0 and interrupted())

    def tell(step: FeatureProgress) -> None:
        nonlocal last
        last = step
        n_left = len(missing) - step.done
        speed = step.images_per_second
        progress(FeatureProgress(before + step.done, total, speed, n_left / speed if speed else None))

    progress(FeatureProgress(before, total, 0.0, None))
    extractor = extractor_of(
        store.key.backbone,
        store.key.precision,
        lambda done, size: progress(FeatureProgress(before, total, 0.0, None, (done, size))),
    )
    with round_uses(project.folder):  # the squares stay what the key says
        if store.key != getattr(wanted(project), "key", None):
            return True
        extract(
            extractor,
            project.pixels,
            store,
            missing[: AT_ONCE if project.store.rounds.latest() is not None else AT_ONCE_AT_FIRST],
            progress=tell,
            should_stop=stop,
        )
    if last.images_per_second:
        project.store.settings.set(SPEED, f"{last.images_per_second:.3g}")
    plan_first_images(project, store)
    return True


def compute_all(
    project: Project,
    *,
    executor: Executor,
    copy: str | None = None,
    progress: Callable[[FeatureProgress], None],
    should_stop: Callable[[], bool],
    say: Callable[[str], None],
) -> bool:
    """Compute all features that are missing, where ``executor`` says; False if it was stopped before the end.

    ``copy``: the address of the project's squares, for machines that do not see its folder. Rows come in their order in
    the file, which is quickest to read. Raises InputError where the project needs no features.
    """
    if not settle_speed(project, should_stop=should_stop):
        return False
    store = wanted(project)
    if store is None:
        raise InputError(
            f"The project {project.title!r} trains its whole network and keeps no features; to score its images on a "
            "cluster, give the same options to the command train."
        )
    if copy is not None:
        check_copy(project, copy)
    from tidal_core.engine.features.extract import extract, extractor_of  # torch comes in here

    rows = np.sort(missing_rows(project, store))
    with round_uses(project.folder):
        complete = extract(
            extractor_of(store.key.backbone, store.key.precision),
            copy or project.pixels,
            store,
            rows,
            progress=progress,
            should_stop=should_stop,
            say=say,
            executor=executor,
        )
    plan_first_images(project, store)
    return complete


class FeatureWork:
    """Computes what is missing of any project; what could not be computed is said once and tried again later."""

    def __init__(self) -> None:
        self._next_try: dict[str, float] = {}  # by slug, on the clock that is never put back
        self._said: dict[str, str] = {}

    def some(
        self,
        project: Project,
        *,
        progress: Callable[[FeatureProgress], None],
        should_stop: Callable[[], bool],
        interrupted: Callable[[], bool],
    ) -> bool:
        """``compute_some``; False, and a line in the project's log, where it fails."""
        if time.monotonic() < self._next_try.get(project.slug, 0.0):
            return False
        try:
            return compute_some(project, progress=progress, should_stop=should_stop, interrupted=interrupted)
        except (TidalError, OSError) as error:
            if isinstance(error, InputError) and self._go_on_with_ours(project, error):
                return True
            self._next_try[project.slug] = time.monotonic() + TRY_AGAIN_SECONDS
            if self._said.get(project.slug) != str(error):
                self._said[project.slug] = str(error)
                project.store.log.add(f"Features of the images cannot be computed: {error}", level="warning")
                logger.warning("Features of %s cannot be computed: %s", project.slug, error)
            return False

    def _go_on_with_ours(self, project: Project, error: InputError) -> bool:
        """Where another model is not to be had (no network), the one that is installed takes its place."""
        settings = project.settings
        if settings.backbone == DEFAULT:
            return False
        try:
            project.store.settings.save(dataclasses.replace(settings, backbone=DEFAULT), shown=settings)
        except InputError:  # a person has chosen another one meanwhile: that is tried
            return True
        project.store.log.add(
            f"{settings.backbone} cannot be used, so the project goes on with {DEFAULT}: {error}", level="warning"
        )
        return True

    def try_now(self) -> None:
        """Do not wait until the next try: settings or images have changed."""
        self._next_try.clear()


def _delete_others(project: Project, store: FeatureStore) -> None:
    """Features of another kind, once those of this one are complete and no round is on its way with them."""
    if project.store.rounds.active() is not None or not project.features.exists():
        return
    for folder in project.features.iterdir():
        if folder.is_dir() and folder != store.folder:
            shutil.rmtree(folder, ignore_errors=True)
