"""A map of the collection: by principal components at once, by neighbours in the background, kept and renewed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from tests.helpers.frozen import frozen_project
from tests.helpers.tiny import tiny_project
from tidal_core.engine.features.planes import PHASES
from tidal_core.errors import InputError
from tidal_core.projects import Project
from tidal_core.records import Float32, Int64
from tidal_core.rounds import features, maps

N = 60


@pytest.fixture
def project() -> Iterator[Project]:
    project = frozen_project(N, test=0)
    yield project
    project.close()


def give_features(project: Project, image_ids: Int64) -> None:
    """A first stage of one number, which must not count; a last one of eight with two heaps that lie far apart."""
    store = features.wanted(project)
    assert store is not None
    rng = np.random.default_rng(1)
    values = rng.normal(0, 0.1, (len(image_ids), 9))
    values[:, 0] = 100 * image_ids
    values[:, 1:] += 10 * (image_ids % 2)[:, None]
    store.write(project.store.images.pixel_rows(image_ids), values.astype(np.float16), (1, 8))


def are_apart(image_ids: Int64, points: Float32) -> bool:
    """Whether each point is nearer to the middle of its own heap than to that of the other."""
    middles = np.stack([points[image_ids % 2 == heap].mean(axis=0) for heap in (0, 1)])
    nearest = np.linalg.norm(points[:, None] - middles, axis=2).argmin(axis=1)
    return bool((nearest == image_ids % 2).all())


def until_done(work: maps.MapWork, project: Project) -> int:
    visits = 0
    while work.some(project, should_stop=lambda: False):
        visits += 1
    return visits


def test_images_that_look_alike_lie_together_at_once_and_better_later(project: Project) -> None:
    give_features(project, np.arange(1, N + 1))

    at_once = maps.map_of(project)
    assert until_done(maps.MapWork(), project) == sum(n for n, _, _ in PHASES) // (25 * maps.STEPS) + 1
    later = maps.map_of(project)

    for drawn, kind in ((at_once, "principal"), (later, "neighbours")):
        assert drawn.kind == kind
        np.testing.assert_array_equal(drawn.image_ids, np.arange(1, N + 1))
        assert np.abs(drawn.points).max() <= 1
        assert are_apart(drawn.image_ids, drawn.points)
        assert drawn.missing == 0


def test_a_map_is_kept_and_a_damaged_one_is_computed_again(project: Project) -> None:
    give_features(project, np.arange(1, N + 1))
    first = maps.map_of(project)
    store = features.in_use(project)
    assert store is not None
    path = store.folder / "plane-principal.npz"
    kept = path.read_bytes()

    path.write_bytes(kept[:100])

    np.testing.assert_array_equal(maps.map_of(project).points, first.points)
    assert path.read_bytes() == kept


def test_images_that_come_later_get_a_place(project: Project) -> None:
    give_features(project, np.arange(1, N - 9))
    before = maps.map_of(project)
    give_features(project, np.arange(N - 9, N + 1))

    after = maps.map_of(project)

    assert (len(before.image_ids), before.missing) == (N - 10, 10)
    assert (len(after.image_ids), after.missing) == (N, 0)


def test_nothing_is_begun_while_it_is_told_to_stop(project: Project) -> None:
    give_features(project, np.arange(1, N + 1))
    work = maps.MapWork()

    assert work.some(project, should_stop=lambda: True)

    assert work.share(project.slug) == 0


def test_a_map_without_features_is_not_there_yet(project: Project) -> None:
    with pytest.raises(InputError, match="still being computed"):
        maps.map_of(project)


def test_a_project_whose_network_learns_from_nothing_is_told_what_to_do() -> None:
    small = tiny_project(4, test=0)

    with pytest.raises(InputError, match="Choose a pretrained model on the Project page, tab Settings"):
        maps.map_of(small)
    assert not maps.MapWork().some(small, should_stop=lambda: False)
    small.close()
