"""Images sorted by how much they look like one of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from tests.helpers.frozen import frozen_project
from tests.helpers.tiny import tiny_project
from tidal_core.errors import InputError
from tidal_core.projects import Project
from tidal_core.rounds import features, similar


def give_features(project: Project, by_image: dict[int, tuple[float, float]]) -> None:
    """A first stage of one number, which must not count, and a last one of two."""
    ids = np.array(list(by_image))
    store = features.wanted(project)
    assert store is not None
    rows = np.array([[100.0 * image_id, *by_image[image_id]] for image_id in ids.tolist()], dtype=np.float16)
    store.write(project.store.images.pixel_rows(ids), rows, (1, 2))


@pytest.fixture
def project() -> Iterator[Project]:
    project = frozen_project(6, test=0)
    yield project
    project.close()


def test_what_points_the_same_way_comes_first_however_long_it_is(project: Project) -> None:
    give_features(project, {1: (1, 0), 2: (0, 1), 3: (9, 1), 4: (-1, 0), 5: (2, 2)})

    images = np.array([6, 5, 4, 3, 2, 1])
    order = similar.order_by_likeness(project, 1, images)

    assert images[order].tolist() == [1, 3, 5, 2, 4, 6]  # cosines 1, 0.994, 0.707, 0, -1; 6 has no features


def test_the_nearest_are_others_that_have_features(project: Project) -> None:
    give_features(project, {1: (1, 0), 2: (0, 1), 3: (9, 1), 5: (2, 2)})

    images = np.arange(1, 7)

    assert similar.nearest(project, 1, images, 2).tolist() == [3, 5]
    assert similar.nearest(project, 1, images, 9).tolist() == [3, 5, 2]  # 4 and 6 have no features
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
