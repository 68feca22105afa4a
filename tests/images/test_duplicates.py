"""Near-duplicates."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.images.photos import picture
from tidal_core.images.duplicates import MAX_EARLIER, NearPair, candidate_pairs, same_picture


@given(st.lists(st.integers(0, 2**64 - 1), max_size=20), st.data())
def test_every_pair_within_three_bits_is_proposed_and_no_other(hashes: list[int], data: st.DataObject) -> None:
    for value in hashes[:5]:  # make some neighbours: random numbers are never close
        flips = data.draw(st.lists(st.integers(0, 63), max_size=5))
        hashes.append(value ^ sum({1 << bit for bit in flips}))

    expected = [
        NearPair(i, j)
        for i, j in itertools.combinations(range(len(hashes)), 2)
        if (hashes[i] ^ hashes[j]).bit_count() <= 3
    ]

    assert candidate_pairs(hashes) == expected


def test_only_pairs_with_a_new_image_are_proposed() -> None:
    assert candidate_pairs([5, 5, 5], first_new=2) == [NearPair(0, 2), NearPair(1, 2)]


def test_plain_pictures_by_the_thousand_stay_affordable() -> None:
    pairs = candidate_pairs([0] * 3_000)

    assert len(pairs) < 3_000 * MAX_EARLIER
    of_the_last = [pair.first for pair in pairs if pair.second == 1_500]
    assert of_the_last[0] == 0
    assert of_the_last[-1] == 1_499


def test_pictures_are_the_same_when_their_pixels_hardly_differ() -> None:
    original = picture(16, 16, seed=1)
    noisy = (
        (original.astype(int) + np.random.default_rng(0).integers(-3, 4, original.shape)).clip(0, 255).astype(np.uint8)
    )

    assert same_picture(np.stack([original, original]), np.stack([noisy, picture(16, 16, seed=2)])).tolist() == [
        True,
        False,
    ]


def test_thin_strokes_on_black_are_not_the_same_picture_for_being_mostly_black() -> None:
    plain, hooked = np.zeros((2, 28, 28, 3), dtype=np.uint8)
    plain[4:24, 13:15] = 255
    hooked[4:24, 13:15] = 255
    hooked[4:12, 12] = 200  # a small hook: 2 of 255 in the mean

    assert same_picture(plain[None], plain[None]).all()
    assert not same_picture(plain[None], hooked[None]).any()
