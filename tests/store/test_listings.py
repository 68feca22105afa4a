"""Lists of images as they were shown: places in them mean what the person saw, or nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidal_core.errors import InputError, ListGone
from tidal_core.store.listings import Listings, followed, runs_of, taken

lists = st.lists(st.integers(1, 60), unique=True)


def ids(*images: int) -> np.ndarray:
    return np.array(images, dtype=np.int32)


@given(lists, lists, st.randoms())
def test_places_taken_of_a_list_are_these_images_and_are_found_again_in_any_other_list(
    old: list[int], new: list[int], random: object
) -> None:
    assert hasattr(random, "random")
    chosen = [image for image in old if random.random() < 0.4]
    runs = runs_of(np.isin(ids(*old), chosen))

    assert taken(ids(*old), runs).tolist() == chosen
    again = taken(ids(*new), followed(ids(*old), runs, ids(*new))).tolist()
    assert again == [image for image in new if image in chosen]


def test_runs_beyond_the_end_of_a_list_are_refused() -> None:
    assert taken(ids(5, 6, 7), [0, 3]).tolist() == [5, 6, 7]
    with pytest.raises(InputError, match="goes beyond its end"):
        taken(ids(5, 6, 7), [1, 3])


def test_a_list_is_named_by_its_images_and_their_order() -> None:
    listings = Listings()

    names = [listings.keep("Ann", ids(*images)).name for images in ([1, 2, 3], [1, 2, 3], [1, 3, 2], [1, 2], [])]

    assert names[0] == names[1]
    assert len(set(names)) == 4


def test_a_list_is_for_whom_it_was_shown_to() -> None:
    listings = Listings()
    name = listings.keep("Ann", ids(1, 2)).name

    assert listings.get("Ann", name).image_ids.tolist() == [1, 2]
    with pytest.raises(ListGone):
        listings.get("Ben", name)


def test_only_so_many_places_are_remembered_and_what_is_used_stays() -> None:
    listings = Listings(places_kept=10)
    first = listings.keep("Ann", ids(1, 2, 3, 4)).name
    second = listings.keep("Ann", ids(5, 6, 7, 8)).name
    listings.get("Ann", first)

    third = listings.keep("Ann", ids(9, 10, 11)).name

    assert listings.get("Ann", first).image_ids.tolist() == [1, 2, 3, 4]
    assert listings.get("Ann", third).image_ids.tolist() == [9, 10, 11]
    with pytest.raises(ListGone):
        listings.get("Ann", second)
    large = listings.keep("Ann", ids(*range(50))).name
    assert len(listings.get("Ann", large).image_ids) == 50
