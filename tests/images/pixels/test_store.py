"""The pixel store: squares in one growing NumPy file."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.lib import format as npy
from PIL import Image

from tests.images.photos import encoded, picture
from tidal_core.config import PixelSpec
from tidal_core.errors import InputError
from tidal_core.images.pixels import PixelStore
from tidal_core.images.pixels.array_file import HEADER_BYTES, ArrayFile, header
from tidal_core.images.squares import fit_square, square_of


def squares(n: int, size: int = 8, start: int = 0) -> np.ndarray:
    return np.stack([np.full((size, size, 3), (start + i) % 251, dtype=np.uint8) for i in range(n)])


def stored(path: Path, *parts: np.ndarray, first: int = 0) -> PixelStore:
    """A store of these squares, one part after the other, closed and to be opened."""
    store = PixelStore(path / "pixels.npy")
    with store.writer(PixelSpec(parts[0].shape[1])) as writer:
        for part in parts:
            writer.write(first, part)
            first += len(part)
    return store


def test_rows_come_back_as_written_in_any_order(tmp_path: Path) -> None:
    store = stored(tmp_path, squares(4), squares(6, start=4))

    assert np.array_equal(store[[7, 2]], squares(10)[[7, 2]])
    assert np.array_equal(store[np.array([9])], squares(10)[[9]])
    assert np.array_equal(store[3], squares(10)[3])
    assert np.array_equal(store[2:9:3], squares(10)[2:9:3])
    assert store[[]].shape == (0, 8, 8, 3)
    assert (store.side, store.is_partly_beyond, store.cached_rows) == (8, False, store.rows)


def test_the_file_is_an_ordinary_numpy_array(tmp_path: Path) -> None:
    stored(tmp_path, squares(3))

    pixels = np.load(tmp_path / "pixels.npy")

    assert pixels.shape[1:] == (8, 8, 3)
    assert np.array_equal(pixels[:3], squares(3))


def test_rows_added_later_leave_the_earlier_ones_and_whoever_reads_them_alone(tmp_path: Path) -> None:
    before = stored(tmp_path, squares(5)).open()
    rows = before.rows

    after = stored(tmp_path, squares(5_000, start=5), first=5)

    assert np.array_equal(after[:5_005], squares(5_005))
    assert np.array_equal(before[:5], squares(5))
    assert before.rows == rows < after.rows


@pytest.mark.parametrize("rows", [0, 1, 99_999, 10**15])
def test_the_header_is_what_numpy_reads_and_never_changes_its_length(rows: int) -> None:
    file = io.BytesIO(header(rows, 224))

    assert npy.read_magic(file) == (1, 0)
    assert npy.read_array_header_1_0(file) == ((rows, 224, 224, 3), False, np.dtype("u1"))
    assert file.tell() == HEADER_BYTES


def test_a_file_that_numpy_wrote_is_lengthened_in_place(tmp_path: Path) -> None:
    np.save(tmp_path / "pixels.npy", squares(5))

    store = stored(tmp_path, squares(2, start=5), first=5)

    assert np.array_equal(store[:7], squares(7))


def test_a_header_without_room_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="too short for 100 rows; delete the file and save another size"):
        header(100, 8, 64)


def test_a_file_cut_off_while_it_grew_is_still_opened(tmp_path: Path) -> None:
    stored(tmp_path, squares(5))
    with (tmp_path / "pixels.npy").open("r+b") as file:
        file.truncate(HEADER_BYTES + 5 * 192 + 100)  # the header promises more

    file_again = ArrayFile(tmp_path / "pixels.npy", 8)
    assert file_again.rows == 5
    file_again.close()
    assert np.array_equal(stored(tmp_path, squares(1, start=5), first=5)[:6], squares(6))


def test_rows_beyond_the_header_are_ignored_and_written_over(tmp_path: Path) -> None:
    store = stored(tmp_path, squares(2))
    with store.path.open("ab") as file:
        file.write(b"\xaa" * 1_000)  # killed after lengthening the file, before the header said so

    assert np.array_equal(store[:2], squares(2))


def test_many_threads_write_and_read_at_once(tmp_path: Path) -> None:
    expected = squares(400)
    store = PixelStore(tmp_path / "pixels.npy")
    with store.writer(PixelSpec(8)) as writer, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda row: writer.write(row, expected[row][None]), range(399, -1, -1)))

        assert np.array_equal(np.stack(list(pool.map(store.__getitem__, range(400)))), expected)


def test_another_training_size_is_refused_with_the_remedy(tmp_path: Path) -> None:
    store = stored(tmp_path, squares(1))

    with pytest.raises(InputError, match="this project needs 16 pixels; delete that file and save another"):
        store.writer(PixelSpec(16))


def test_squares_of_another_size_are_refused(tmp_path: Path) -> None:
    store = PixelStore(tmp_path / "pixels.npy")
    with store.writer(PixelSpec(8)) as writer, pytest.raises(InputError, match="squares of 8 pixels"):
        writer.write(0, squares(1, size=9))


def test_a_row_that_is_not_there_and_a_missing_file_are_named(tmp_path: Path) -> None:
    store = stored(tmp_path, squares(1))

    with pytest.raises(InputError, match="refers to row 99,999"):
        store.open(at_least=100_000)
    with pytest.raises(InputError, match="refers to row 99,999"):
        store.png(99_999)
    with pytest.raises(IndexError):
        store[[99_999]]
    with pytest.raises(IndexError):
        store[-1]
    gone = PixelStore(tmp_path / "gone.npy")
    assert not gone.exists
    with pytest.raises(InputError, match="cannot be read"):
        gone.open()


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


def test_stretch_keeps_everything_and_no_bars() -> None:
    wide = np.zeros((10, 30, 3), dtype=np.uint8)
    wide[:, :15] = 255

    square = fit_square(Image.fromarray(wide), 10, "stretch")

    assert square[:, :4].min() == 255
    assert square[:, 6:].max() == 0


def test_an_image_of_training_size_is_kept_exactly() -> None:
    pixels = picture(16, 16)

    for fit in ("crop", "letterbox", "stretch"):
        assert np.array_equal(square_of(encoded(pixels), "a.png", 16, fit), pixels)  # type: ignore[arg-type]


def test_a_cached_square_can_be_shown_when_the_original_is_gone(tmp_path: Path) -> None:
    store = stored(tmp_path, picture(16, 16)[None])

    assert np.array_equal(square_of(store.png(0), "a", 16), picture(16, 16))
    assert square_of(store.png(0, 8), "a", 8).shape == (8, 8, 3)
