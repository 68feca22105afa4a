"""The first batch covers the collection."""

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tidal_core.rounds.seed_batch import covering, thumbnails


def blobs(n_each: int, centres: int, rng: np.random.Generator) -> np.ndarray:
    middles = rng.uniform(0, 255, (centres, 12))
    return (np.repeat(middles, n_each, axis=0) + rng.normal(0, 6, (n_each * centres, 12))).astype(np.float32)


def test_thumbnails_are_block_means_in_grey_levels(tmp_path: Path) -> None:
    images = np.zeros((2, 16, 16, 3), dtype=np.uint8)
    images[1, :2, :2] = [[[10, 0, 0], [20, 0, 0]], [[30, 0, 0], [40, 0, 0]]]  # mean of red: 25
    np.save(tmp_path / "pixels.npy", images)

    small = thumbnails(tmp_path / "pixels.npy", np.array([1, 0]))

    assert small.shape == (2, 8 * 8 * 3)
    assert small[0, 0] == 25
    assert small.sum() == 25


def test_thumbnails_of_an_odd_size_weigh_every_pixel(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 13, 13, 3), dtype=np.uint8)
    np.save(tmp_path / "pixels.npy", images)

    small = thumbnails(tmp_path / "pixels.npy", np.arange(3)).reshape(3, 8, 8, 3)

    # Block 1 of 8 over 13 rows or columns: 1 to 2.
    np.testing.assert_allclose(small[:, 1, 1], images[:, 1:3, 1:3].reshape(3, -1, 3).mean(1), rtol=1e-5)


def test_each_of_twelve_heaps_gets_an_image() -> None:
    rng = np.random.default_rng(1)
    pool = blobs(40, 12, rng)

    chosen = covering(pool, np.empty((0, 12), dtype=np.float32), 24, rng)

    assert set(chosen // 40) == set(range(12))


def test_near_duplicates_of_asked_images_are_never_chosen() -> None:
    rng = np.random.default_rng(2)
    answered = rng.uniform(0, 255, (5, 192)).astype(np.float32)
    copies = np.repeat(answered, 10, axis=0) + rng.normal(0, 0.5, (50, 192)).astype(np.float32)
    others = rng.uniform(0, 255, (30, 192)).astype(np.float32)
    pool = np.concatenate([copies, others]).astype(np.float32)

    chosen = covering(pool, answered, 20, rng)

    assert len(chosen)
    assert chosen.min() >= 50


def test_a_collection_of_copies_gives_one_image() -> None:
    pool = np.full((40, 192), 7, dtype=np.float32)

    assert len(covering(pool, np.empty((0, 192), dtype=np.float32), 10, np.random.default_rng(0))) == 1


@given(n=st.integers(1, 30), k=st.integers(0, 40), seed=st.integers(0, 2**31))
def test_what_is_chosen_is_unique_within_the_pool_and_repeatable(n: int, k: int, seed: int) -> None:
    pool = np.random.default_rng(seed).uniform(0, 255, (n, 12)).astype(np.float32)
    none = np.empty((0, 12), dtype=np.float32)

    chosen = covering(pool, none, k, np.random.default_rng(seed))

    assert len(set(chosen.tolist())) == len(chosen) <= min(n, k)
    assert np.array_equal(chosen, covering(pool, none, k, np.random.default_rng(seed)))
    assert all(0 <= row < n for row in chosen)
