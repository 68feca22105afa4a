"""Small files with many pixels: refused by what their header says, or read in bounded memory."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.images.memory import megabytes
from tidal_core.errors import ImageUnreadable
from tidal_core.images import apart, reading
from tidal_core.images.reading import open_image, to_rgb
from tidal_core.images.squares import decoded_side, fit_square


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int = 8, colour: int = 2, *, whole: bool = False) -> bytes:
    """A PNG that says this size, with all of its pixels (zeros) or with next to none."""
    row = 1 + (width * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour] * depth + 7) // 8
    palette = chunk(b"PLTE", bytes(768)) + chunk(b"tRNS", bytes(256)) if colour == 3 else b""
    pixels = zlib.compress(bytes(row * height) if whole else b"", 1)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + palette + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def saved(mode: str, size: tuple[int, int], kind: str, **how: object) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, kind, **how)
    return buffer.getvalue()


def resized(jpeg: bytes, width: int, height: int) -> bytes:
    """A JPEG with another size in its header."""
    start = next(jpeg.index(bytes([0xFF, marker])) for marker in (0xC2, 0xC0) if bytes([0xFF, marker]) in jpeg)
    return jpeg[: start + 5] + struct.pack(">HH", height, width) + jpeg[start + 9 :]


def icon(width: int) -> bytes:
    inner = png(width, 16, whole=True)
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(inner), 22) + inner


def texts(kind: bytes) -> bytes:
    whole = png(8, 8)
    return whole[:33] + chunk(kind, b"a\0\0" + zlib.compress(bytes(200_000_000), 1)) + whole[33:]


def tiled(side: int) -> bytes:
    """A TIFF of 16 x 16 pixels whose one tile says that it is larger."""
    tags = {256: 16, 257: 16, 258: 8, 259: 8, 262: 1, 277: 1, 322: side, 323: side, 324: 8, 325: 4}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + bytes(4)


HOSTILE = {
    "a row of pixels": (lambda: png(100_000_000, 1), "200,000 are the limit for a side"),
    "a column of pixels": (lambda: png(1, 100_000_000), "200,000 are the limit for a side"),
    "a palette of 169 megapixels": (lambda: png(13_000, 13_000, colour=3), "150 megapixels are the limit for its kind"),
    "16 bits for each colour": (lambda: png(13_000, 13_000, 16, 6), "115 megapixels are the limit for its kind"),
    "a progressive JPEG": (
        lambda: resized(saved("RGB", (64, 64), "JPEG", progressive=True), 30_000, 30_000),
        "is a progressive JPEG of 30,000 x 30,000 pixels",
    ),
    "an icon with a large picture inside": (lambda: icon(60_000), "it holds a picture of 60,000 x 16 pixels"),
    "a tiled TIFF": (lambda: tiled(30_000), "it holds a picture of 30,000 x 30,000 pixels"),
    "a text of 200 MB": (lambda: texts(b"zTXt"), "Decompressed data too large|Too much memory used in text chunks"),
    "a colour profile of 200 MB": (lambda: texts(b"iCCP"), "Decompressed data too large"),
}


@pytest.mark.parametrize("named", HOSTILE)
def test_a_bomb_is_refused_by_its_header(named: str) -> None:
    make, words = HOSTILE[named]
    with pytest.raises(ImageUnreadable, match=words):
        open_image(make(), f"{named}.img", at_least=64)


def test_a_plain_jpeg_of_the_same_size_is_not_taken_for_a_bomb() -> None:
    data = resized(saved("RGB", (64, 64), "JPEG"), 30_000, 30_000)
    assert open_image(data, "a.jpg", at_least=64)[1].width == 30_000


def test_icons_and_tiles_of_their_own_size_are_read() -> None:
    assert open_image(saved("RGBA", (64, 64), "ICO"), "a.ico")[0].size == (64, 64)
    assert open_image(icon(16), "b.ico")[0].size == (16, 16)


def test_strips_are_the_same_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    colours = Image.fromarray(rng.integers(0, 256, (150, 31, 4), dtype=np.uint8), "RGBA")
    palette = colours.convert("RGB").quantize(16)
    palette.info["transparency"] = bytes(range(0, 256, 16))
    grey = Image.fromarray(rng.integers(0, 65_536, (150, 31), dtype=np.uint16))
    real = Image.fromarray(rng.normal(size=(150, 31)).astype(np.float32))
    modes = [colours.convert(mode) for mode in ("1", "L", "LA", "RGB", "RGBA", "CMYK", "YCbCr")]
    for image in (*modes, palette, grey, real):
        assert reading._in_strips(image).tobytes() == to_rgb(image).tobytes(), image.mode


@pytest.mark.parametrize(("depth", "colour", "most"), [(8, 3, 360), (8, 6, 420), (16, 0, 420)])
def test_a_large_image_takes_the_memory_that_is_said(tmp_path: Path, depth: int, colour: int, most: int) -> None:
    """30 megapixels: 200, 270 and 210 MB as measured; 500 to 900 MB when all of it was converted at once."""
    (tmp_path / "a.png").write_bytes(png(6_000, 5_000, depth, colour, whole=True))
    before = f"from tidal_core.images.reading import open_here; data = open({str(tmp_path / 'a.png')!r}, 'rb').read()"
    grown, printed = megabytes(before, "print(open_here(data, 'a.png', at_least=64)[0].size)")
    assert printed == "(6000, 5000)\n"
    assert grown < most


def test_a_large_image_is_decoded_apart_and_comes_back_smaller(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(6_000, 5_000, whole=True))
    before = f"from tidal_core.images.reading import open_image; data = open({str(tmp_path / 'a.png')!r}, 'rb').read()"
    grown, printed = megabytes(
        before, "image, facts = open_image(data, 'a.png', at_least=64); print(image.size, facts)"
    )
    assert printed.startswith("(2000, 1667) ImageFacts(width=6000, height=5000,")
    assert grown < 60  # the pixels sent and made an image: 20; 90 MB and more when decoded here


def test_a_large_image_is_the_same_wherever_it_is_decoded() -> None:
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)).resize((6_400, 4_800))
    turned = picture.getexif()
    turned[reading.ORIENTATION_TAG] = 6
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1, exif=turned)
    data, least = buffer.getvalue(), decoded_side(96)

    here, apart = reading.open_here(data, "a.png", at_least=least), open_image(data, "a.png", at_least=least)

    assert here[1] == apart[1]
    assert (apart[1].width, apart[1].height) == (4_800, 6_400)
    squares = [fit_square(image, 96).astype(np.int16) for image, _ in (here, apart)]
    assert np.abs(squares[0] - squares[1]).mean() < 3


@pytest.mark.skipif(sys.platform != "linux", reason="a limit of address space holds on Linux only")
def test_a_decoder_that_takes_more_than_it_may_ends_alone_and_its_image_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(apart, "OVERHEAD_BYTES", 0)
    with pytest.raises(ImageUnreadable, match=r"large\.png: decoding it took more than"):
        apart.decode_apart(png(6_000, 5_000, whole=True), "large.png", 64, memory=1_000_000)


def test_a_file_that_breaks_apart_is_refused_in_the_same_words() -> None:
    data = png(6_000, 5_000)  # its pixels are missing
    with pytest.raises(ImageUnreadable) as here:
        reading.open_here(data, "a.png", at_least=64)
    with pytest.raises(ImageUnreadable) as there:
        open_image(data, "a.png", at_least=64)
    assert str(here.value) == str(there.value)
