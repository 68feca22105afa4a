"""Images sorted by how much they look like one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from tests.helpers.frozen import frozen_project, give_features
from tests.helpers.tiny import tiny_project
from tidal_core.errors import InputError
from tidal_core.projects import Project
from tidal_core.records import Float64
from tidal_core.rounds import similar


@pytest.fixture
def project() -> Iterator[Project]:
    project = frozen_project(6, test=0)
    yield project
    project.close()


def cosines_of(given: Mapping[int, tuple[float, float]]) -> Float64:
    """Of standardised features, (N, N)."""
    points = np.array(list(given.values()), dtype=np.float16).astype(np.float64)
    points = (points - points.mean(axis=0)) / points.std(axis=0)
    lengths = np.linalg.norm(points, axis=1)
    cosines: Float64 = (points @ points.T) / lengths / lengths[:, None]
    return cosines


def test_what_points_the_same_way_from_the_mean_comes_first_however_far_it_is(project: Project) -> None:
    given = {1: (102, 50), 2: (100, 52), 3: (109, 51), 4: (89, 47), 5: (101, 50)}  # about (100, 50)
    give_features(project, given)

    images = np.array([6, 5, 4, 3, 2, 1])
    order = similar.order_by_likeness(project, 1, images)

    cosines = cosines_of(given)[0]
    assert cosines.argmin() == 3, "on the other side of the mean, though nearly the same direction from nothing"
    assert images[order].tolist() == [*sorted([5, 4, 3, 2, 1], key=lambda i: (-cosines[i - 1], -i)), 6], "6 has none"


def test_the_nearest_are_others_that_have_features(project: Project) -> None:
    give_features(project, {1: (1, 0), 2: (0, 1), 3: (9, 1), 5: (2, 2)})

    images = np.arange(1, 7)

    assert similar.nearest(project, 1, images, 2).tolist() == [2, 3]
    assert similar.nearest(project, 1, images, 9).tolist() == [2, 3, 5]  # 4 and 6 have no features
    assert similar.nearest(project, 4, images, 9).tolist() == []


def test_points_have_length_one_and_are_there_for_all_images_or_none(project: Project) -> None:
    give_features(project, {1: (3, 4), 2: (0, 7)})

    points = similar.points_of(project, np.array([2, 1]))

    assert points is not None
    np.testing.assert_allclose(points, [[0, 1], [0.6, 0.8]], atol=1e-3)
    assert similar.points_of(project, np.array([1, 3])) is None


def test_an_image_without_features_cannot_be_compared(project: Project) -> None:
    give_features(project, {1: (1, 0)})

    with pytest.raises(InputError, match="Image 2 cannot be compared"):
        similar.order_by_likeness(project, 2, np.array([1, 2]))


def test_whether_images_can_be_compared_is_known_before_anybody_asks(project: Project) -> None:
    before = similar.has_features(project)
    give_features(project, {1: (1, 0)})

    assert (before, similar.has_features(project)) == (False, True)


def test_a_project_whose_body_trains_has_no_features() -> None:
    project = tiny_project(4, test=0)

    assert not similar.has_features(project)
    with pytest.raises(InputError, match="has no features"):
        similar.order_by_likeness(project, 1, np.array([1, 2]))
    project.close()


def directions(n: int) -> dict[int, tuple[float, float]]:
    """Images 1 to n in any directions, some the same, of any length; the last two have no features."""
    rng = np.random.default_rng(3)
    angles, lengths = np.round(rng.uniform(0, 6, n), 1), rng.choice([1, 2, 30], n)
    xy = np.stack([lengths * np.cos(angles), lengths * np.sin(angles)], axis=1)
    return {i + 1: (float(x), float(y)) for i, (x, y) in enumerate(xy[: n - 2])}


def test_an_image_stands_for_those_that_no_rival_is_more_like() -> None:
    project = frozen_project(120, test=0)
    given = directions(120)
    give_features(project, given)
    cosines = cosines_of(given)
    rivals, images = np.arange(2, 42), np.arange(42, 121)

    for image in range(1, 42):
        stood_for = similar.stood_for(project, image, images, rivals)

        assert stood_for is not None
        own, best = cosines[41:, image - 1], cosines[41:, 1:41].max(axis=1)
        assert set(stood_for.image_ids.tolist()) == set((42 + np.flatnonzero(own >= best - 1e-5)).tolist())
        assert (np.diff(cosines[image - 1][stood_for.image_ids - 1]) <= 1e-5).all(), "most alike first"
        assert (stood_for.n_images, stood_for.is_estimate) == (len(stood_for.image_ids), False)
    assert similar.stood_for(project, 120, images, rivals) is None, "it has no features"
    project.close()


def test_of_a_large_collection_a_part_is_looked_at_and_the_number_is_an_estimate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project = frozen_project(120, test=0)
    give_features(project, directions(120))
    images, rivals = np.arange(12, 121), np.arange(2, 12)
    whole = similar.stood_for(project, 1, images, np.arange(0))
    monkeypatch.setattr(similar, "LOOKED_AT", 20)

    alone, part = (similar.stood_for(project, 1, images, others) for others in (np.arange(0), rivals))

    assert whole is not None
    assert alone is not None
    assert part is not None
    assert (whole.n_images, whole.is_estimate) == (107, False)
    assert (len(alone.image_ids), alone.n_images, alone.is_estimate) == (20, 107, True)
    assert part.n_images == round(len(part.image_ids) * 107 / 20)
    again = similar.stood_for(project, 1, images, rivals)
    assert again is not None
    assert again.image_ids.tolist() == part.image_ids.tolist(), "the same part each time"
    project.close()
