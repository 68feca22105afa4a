"""The pixel cache: one growing memory map."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.images.photos import encoded, picture
from tidal_core.errors import InputError
from tidal_core.images.pixels.cache import PixelCache, cached_png, fit_square, open_pixels, square_of


def squares(n: int, size: int = 8, start: int = 0) -> np.ndarray:
    return np.stack([np.full((size, size, 3), (start + i) % 251, dtype=np.uint8) for i in range(n)])


def test_rows_come_back_as_written_in_any_order(tmp_path: Path) -> None:
    with PixelCache(tmp_path / "pixels.npy", 8) as cache:
        cache.write(0, squares(10))

        assert np.array_equal(cache.read([7, 2]), squares(10)[[7, 2]])


def test_the_file_is_an_ordinary_numpy_array(tmp_path: Path) -> None:
    with PixelCache(tmp_path / "pixels.npy", 8) as cache:
        cache.write(0, squares(3))

    pixels = np.load(tmp_path / "pixels.npy")

    assert pixels.shape[1:] == (8, 8, 3)
    assert np.array_equal(pixels[:3], squares(3))


def test_rows_added_later_leave_the_earlier_ones_alone(tmp_path: Path) -> None:
    path = tmp_path / "pixels.npy"
    with PixelCache(path, 8) as cache:
        cache.write(0, squares(5))
    before = open_pixels(path)
    with PixelCache(path, 8) as cache:
        cache.write(5, squares(5_000, start=5))

        assert np.array_equal(cache.read(range(5_005)), squares(5_005))
    assert np.array_equal(before[:5], squares(5))


def test_a_file_cut_off_while_it_grew_is_still_opened(tmp_path: Path) -> None:
    path = tmp_path / "pixels.npy"
    with PixelCache(path, 8) as cache:
        cache.write(0, squares(5))
    with path.open("r+b") as file:
        file.truncate(128 + 5 * 192 + 100)  # the header promises more

    with PixelCache(path, 8) as cache:
        assert cache.rows == 5
        cache.write(5, squares(1, start=5))
        assert np.array_equal(cache.read(range(6)), squares(6))


def test_rows_beyond_the_header_are_ignored_and_written_over(tmp_path: Path) -> None:
    path = tmp_path / "pixels.npy"
    with PixelCache(path, 8) as cache:
        cache.write(0, squares(2))
    with path.open("ab") as file:
        file.write(b"\xaa" * 1_000)  # killed after lengthening the file, before the header said so

    assert np.array_equal(open_pixels(path)[:2], squares(2))


def test_many_threads_write_at_once(tmp_path: Path) -> None:
    expected = squares(400)
    with PixelCache(tmp_path / "pixels.npy", 8) as cache, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda row: cache.write(row, expected[row][None]), range(399, -1, -1)))

        assert np.array_equal(cache.read(range(400)), expected)


def test_another_training_size_is_refused_with_the_remedy(tmp_path: Path) -> None:
    PixelCache(tmp_path / "pixels.npy", 8).close()

    with pytest.raises(InputError, match="this project needs 16 pixels; fill the pixel cache again"):
        PixelCache(tmp_path / "pixels.npy", 16)


def test_squares_of_another_size_are_refused(tmp_path: Path) -> None:
    with PixelCache(tmp_path / "pixels.npy", 8) as cache, pytest.raises(InputError, match="squares of 8 pixels"):
        cache.write(0, squares(1, size=9))


def test_a_row_that_is_not_there_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with PixelCache(tmp_path / "pixels.npy", 8) as cache:
        cache.write(0, squares(1))
        with pytest.raises(InputError, match="refers to row 99,999"):
            cache.read([99_999])
    with pytest.raises(InputError, match="cannot be read"):
        open_pixels(tmp_path / "gone.npy")


def test_crop_takes_the_middle_of_the_longer_side() -> None:
    wide = np.zeros((10, 30, 3), dtype=np.uint8)
    wide[:, 10:20] = 255

    assert fit_square(Image.fromarray(wide), 10).min() == 255


def test_letterbox_keeps_everything_between_black_bars() -> None:
    wide = np.full((10, 30, 3), 255, dtype=np.uint8)

    square = fit_square(Image.fromarray(wide), 30, "letterbox")

    assert square[:10].max() == 0
    assert square[10:20].min() == 255
    assert square[20:].max() == 0


def test_an_image_of_training_size_is_kept_exactly() -> None:
    pixels = picture(16, 16)

    for fit in ("crop", "letterbox"):
        assert np.array_equal(square_of(encoded(pixels), "a.png", 16, fit), pixels)  # type: ignore[arg-type]


def test_a_cached_square_can_be_shown_when_the_original_is_gone(tmp_path: Path) -> None:
    with PixelCache(tmp_path / "pixels.npy", 16) as cache:
        cache.write(0, picture(16, 16)[None])

    assert np.array_equal(square_of(cached_png(tmp_path / "pixels.npy", 0), "a", 16), picture(16, 16))
    assert square_of(cached_png(tmp_path / "pixels.npy", 0, 8), "a", 8).shape == (8, 8, 3)
