"""Which answered images are asked again, of other people: the double share of a project. No torch.

An image belongs to the double share or not from the day it is imported, by its number and the project's seed: whoever
labels, in whatever order, the same images are asked of several people. It is drawn from all images alike, so that the
agreement on it is that of the whole work. With the share raised the images that were in it stay in it.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tidal_core.projects import Project
from tidal_core.records import Bools, Int64


def in_double_share(image_ids: Int64, share: float, seed: int) -> Bools:
    """(N,) which images are asked of several people: the same ones each time, and about ``share`` of any images."""
    if not share:
        return np.zeros(len(image_ids), dtype=np.bool_)
    return _uniform(np.asarray(image_ids, dtype=np.uint64), seed) < share


def _uniform(numbers: np.ndarray, seed: int) -> np.ndarray:
    """(N,) numbers in [0, 1) that look random: the finaliser of SplitMix64 (Steele, Lea and Flood 2014)."""
    with np.errstate(over="ignore"):
        z = numbers * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed % 2**32) * np.uint64(0xD1B54A32D192ED03)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(11)) / 2.0**53


def waits_for_others(project: Project, image_ids: Iterable[int] | None = None) -> Int64:
    """Images of the double share that fewer people have answered than the project wants; of some images or of all."""
    settings = project.settings
    if not settings.double_share:
        return np.empty(0, dtype=np.int64)
    people = project.store.people.people_of(image_ids)
    ids = np.array([image for image, n in people.items() if n < settings.people_per_image], dtype=np.int64)
    return ids[in_double_share(ids, settings.double_share, settings.seed)]


def queue_all(project: Project) -> None:
    """Bring the queue up to the double share of now: after a change of it, an import, an act on many images."""
    project.store.queue.ask_again(waits_for_others(project).tolist(), instead=True)


def queue_some(project: Project, image_ids: Iterable[int], holder: str | None = None) -> None:
    """The same for images that were just answered; ``holder``: the tab that has them on its screen."""
    ids = list(image_ids)
    if project.settings.double_share:
        wanted = waits_for_others(project, ids).tolist()
        project.store.queue.ask_again(wanted, looked_at=ids, holder=holder)


def hidden_from(project: Project, annotator: str) -> set[int]:
    """Images that a person is still to answer although others have: what these say is not shown before."""
    waiting = project.store.queue.asked_again()
    if not waiting:
        return set()
    return set(waiting) - project.store.people.answered_by(annotator, waiting)
