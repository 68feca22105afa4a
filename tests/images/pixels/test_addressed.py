"""Squares of a copy at an address: the same as of the file, fetched by the parts that are needed, refused in words."""

from __future__ import annotations

from pathlib import Path

import fsspec
import numpy as np
import pytest

from tests.helpers.ranges import served_by_ranges
from tests.helpers.tiny import tiny_project
from tidal_core.errors import InputError
from tidal_core.images.pixels import AddressedPixels
from tidal_core.records import UInt8
from tidal_core.rounds.copies import check_copy

ROW = 8 * 8 * 3


@pytest.fixture
def squares(tmp_path: Path) -> UInt8:
    made = np.random.default_rng(0).integers(0, 256, (300, 8, 8, 3), dtype=np.uint8)
    np.save(tmp_path / "pixels.npy", made)
    return made


def test_rows_in_any_order_are_those_of_the_file_and_near_ones_come_in_one_part(tmp_path: Path, squares: UInt8) -> None:
    rows = np.array([205, 3, 1, 3, 200])

    with served_by_ranges(tmp_path) as (address, asked):
        copy = AddressedPixels(f"{address}/pixels.npy").open()
        np.testing.assert_array_equal(copy[rows], squares[rows])
        assert (len(copy), copy.side) == (300, 8)
        np.testing.assert_array_equal(copy[rows[:0]], squares[:0])

    assert sorted(last - first for first, last in asked[1:]) == [3 * ROW, 6 * ROW]


def test_a_row_that_is_not_there_and_a_file_that_is_cut_off_are_refused(tmp_path: Path, squares: UInt8) -> None:
    (tmp_path / "short.npy").write_bytes((tmp_path / "pixels.npy").read_bytes()[: 128 + 100 * ROW])

    with served_by_ranges(tmp_path) as (address, _):
        with pytest.raises(IndexError, match="rows 300 to 300 of 300"):
            AddressedPixels(f"{address}/pixels.npy")[np.array([300])]
        with pytest.raises(InputError, match=r"short\.npy ends before row 151; copy the project's pixels"):
            AddressedPixels(f"{address}/short.npy")[np.array([150])]
        with pytest.raises(InputError, match=r"none.npy cannot be read: .*; "):
            AddressedPixels(f"{address}/none.npy").open()


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((3, 8, 8, 3), np.float32), r"is float32 \(3, 8, 8, 3\) and should be uint8"),
        (np.zeros((3, 8, 9, 3), np.uint8), r"is uint8 \(3, 8, 9, 3\) and should be uint8"),
        (None, "is no pixel cache; give a copy of a project's pixels.npy"),
    ],
)
def test_what_is_no_pixel_cache_is_refused(array: np.ndarray | None, said: str) -> None:
    with fsspec.open("memory://refused/pixels.npy", "wb") as file:
        if array is None:
            file.write(b"x" * 300)
        else:
            np.save(file, array)

    with pytest.raises(InputError, match=said):
        AddressedPixels("memory://refused/pixels.npy").open()


def test_a_copy_of_another_project_or_of_an_earlier_state_is_refused() -> None:
    project = tiny_project()
    address = "memory://copies/pixels.npy"
    with fsspec.open(address, "wb") as file:
        file.write(project.pixels.read_bytes())

    check_copy(project, address)
    own = np.load(project.pixels, mmap_mode="r+")
    own[-1] = 255 - own[-1]
    own.flush()

    with pytest.raises(InputError, match=r"is not the same as .*pixels\.npy; copy that file there again"):
        check_copy(project, address)
    project.close()
