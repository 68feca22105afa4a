"""One image file, opened safely."""

import hashlib
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, features

from tests.images.photos import encoded, picture, pixels_of
from tidal_core.errors import ImageUnreadable
from tidal_core.images import reading
from tidal_core.images.reading import open_image, perceptual_hash


def test_a_png_comes_out_as_it_went_in() -> None:
    pixels = picture()
    data = encoded(pixels)

    read, facts = pixels_of(data, "a.png")

    assert np.array_equal(read, pixels)
    assert (facts.width, facts.height, facts.format, facts.bytes) == (40, 30, "PNG", len(data))
    assert facts.sha256 == hashlib.sha256(data).hexdigest()
    assert facts.remarks == ()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])  # pillow turns a TIFF by itself
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int, kind: str) -> None:
    upright = picture(48, 32)
    stored = {  # how a camera held that way stores what is upright
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation

    read, facts = pixels_of(encoded(np.ascontiguousarray(stored), kind, exif=exif), f"turned.{kind.lower()}")

    assert np.array_equal(read, upright)
    assert (facts.width, facts.height) == (48, 32)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        *(("L", kind) for kind in ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")),
        *(("P", kind) for kind in ("PNG", "GIF", "BMP")),
        *(("CMYK", kind) for kind in ("JPEG", "TIFF")),
        ("1", "PNG"),
        ("RGB", "PPM"),
        ("RGB", "TGA"),
        ("RGB", "JPEG2000"),
    ],
)
def test_every_mode_becomes_rgb_of_about_the_same_brightness(mode: str, kind: str) -> None:
    grey = Image.fromarray(picture()).convert("L")
    image = Image.fromarray(np.asarray(grey.convert("RGB"))).convert(mode)

    read, _ = pixels_of(encoded(image, kind), "a")

    assert read.shape == (30, 40, 3)
    assert read.dtype == np.uint8
    assert abs(float(read.mean()) - float(np.asarray(grey).mean())) < 8


def test_sixteen_bits_are_brought_to_eight() -> None:
    deep = np.linspace(0, 65_535, 40 * 30).reshape(30, 40).astype(np.uint16)

    read, _ = pixels_of(encoded(Image.fromarray(deep)), "scan.png")

    assert read[..., 0].min() == 0
    assert read[..., 0].max() == 255
    assert np.array_equal(read[..., 0], np.rint(deep / 257).astype(np.uint8))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14])
def test_fewer_bits_in_sixteen_are_stretched_by_what_holds_them_and_it_is_said(bits: int, kind: str) -> None:
    white = 2**bits - 1
    deep = np.linspace(0, white - 5, 40 * 30).reshape(30, 40).astype(np.uint16)

    read, facts = pixels_of(encoded(Image.fromarray(deep), kind), "scan")

    assert np.array_equal(read[..., 0], np.rint(deep * (255 / white)).astype(np.uint8))
    assert facts.remarks == (
        f"has values of {bits} bits in 16 (the largest is {white - 5:,}): {white:,} was taken as white",
    )
    _, facts = pixels_of(encoded(Image.fromarray(deep + np.uint16(60_000 - white)), kind), "scan")
    assert facts.remarks == ()


def test_real_numbers_are_stretched_and_what_is_no_number_is_black() -> None:
    heights = np.array([[-10.0, 0.0], [10.0, np.nan]], dtype=np.float32)

    read, _ = pixels_of(encoded(Image.fromarray(heights), "TIFF"), "map.tif")

    assert read[0, :, 0].tolist() == [0, 128]
    assert read[1, 0, 0] == 255
    assert read[1, 1, 0] == 128  # nothing known counts as 0, the middle of -10 to 10


def test_transparency_lies_over_white() -> None:
    pixels = np.zeros((2, 2, 4), dtype=np.uint8)
    pixels[0, 0] = (255, 0, 0, 255)

    read, _ = pixels_of(encoded(pixels), "icon.png")

    assert read[0, 0].tolist() == [255, 0, 0]
    assert read[1, 1].tolist() == [255, 255, 255]


def test_a_transparent_palette_lies_over_white() -> None:
    image = Image.new("P", (2, 1), 0)
    image.putpalette([0, 0, 0, 200, 0, 0])
    image.putpixel((1, 0), 1)

    read, _ = pixels_of(encoded(image, "GIF", transparency=0), "old.gif")

    assert read[0].tolist() == [[255, 255, 255], [200, 0, 0]]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_an_animation_is_taken_and_said(kind: str) -> None:
    first, second = (Image.fromarray(picture(seed=seed)) for seed in (1, 2))
    data = encoded(first, kind, save_all=True, append_images=[second])
    alone, _ = pixels_of(encoded(first, kind), "one")

    read, facts = pixels_of(data, "film")

    assert float(np.abs(read.astype(int) - alone).mean()) < 4  # palettes and compression may differ a little
    assert any("first is taken" in remark for remark in facts.remarks)


@pytest.mark.parametrize("kind", ["WEBP", "AVIF"])
def test_modern_formats_are_read(kind: str) -> None:
    if not features.check(kind.lower()):
        pytest.skip(f"this pillow was built without {kind}")

    read, facts = pixels_of(encoded(picture(), kind, quality=90), f"a.{kind.lower()}")

    assert facts.format == kind
    assert float(np.abs(read.astype(int) - picture()).mean()) < 8


def test_a_progressive_jpeg_is_read() -> None:
    read, _ = pixels_of(encoded(picture(), "JPEG", progressive=True, quality=95), "a.jpg")

    assert float(np.abs(read.astype(int) - picture()).mean()) < 4


def test_a_jpeg_may_be_decoded_smaller_but_its_facts_are_its_own() -> None:
    data = encoded(picture(640, 480), "JPEG")

    image, facts = open_image(data, "large.jpg", at_least=64)

    assert image.size == (80, 60) or min(image.size) >= 64
    assert image.size < (640, 480)
    assert (facts.width, facts.height) == (640, 480)


def test_an_image_named_as_another_kind_is_read_with_a_remark() -> None:
    _, facts = pixels_of(encoded(picture(), "PNG"), "photo.JPG")

    assert facts.remarks == ("is a PNG file named .jpg",)


def bomb_png(side: int) -> bytes:
    """A valid header that claims side x side pixels, and next to no data."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"\0" * 5_000, "only zeros"),
        (b"this is a text\n", "not an image"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"%PDF-1.7", "PDF"),
        (b"PK\x03\x04rest", "archive"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS"),
        (b"\xff\xd8\xff\xe0", "damaged"),
        (encoded(picture(), "JPEG")[:-400], "cut off"),
        (encoded(picture(300, 200))[:2_000], "cut off"),
        (encoded(picture(), "WEBP")[:60], ""),
        (encoded(picture(), "GIF")[:100], "header is damaged"),
        (encoded(picture(), "TIFF")[:200], ""),
        (bomb_png(20_000), "megapixels"),
        (bomb_png(40_000), "megapixels"),
        (bomb_png(60_000), "megapixels"),
        (bomb_png(300), "cut off"),
    ],
    ids=range(18),
)
def test_what_cannot_be_shown_is_refused_with_name_reason_and_remedy(data: bytes, reason: str) -> None:
    with pytest.raises(ImageUnreadable) as caught:
        pixels_of(data, "holiday.jpg")

    assert caught.value.name == "holiday.jpg"
    assert reason in caught.value.reason
    assert caught.value.remedy
    assert str(caught.value).startswith("holiday.jpg: ")


def test_broken_exif_does_not_refuse_the_picture() -> None:
    read, _ = pixels_of(encoded(picture(), "JPEG", exif=b"Exif\0\0broken"), "a.jpg")

    assert read.shape == (30, 40, 3)


def test_a_picture_saved_smaller_and_worse_keeps_its_perceptual_hash() -> None:
    original = Image.fromarray(picture(400, 300, seed=3))
    again, _ = open_image(encoded(original.resize((200, 150)), "JPEG", quality=60), "again.jpg")
    different = Image.fromarray(picture(400, 300, seed=4))

    near = (perceptual_hash(original) ^ perceptual_hash(again)).bit_count()
    far = (perceptual_hash(original) ^ perceptual_hash(different)).bit_count()

    assert near <= 4
    assert far >= 12


def test_the_perceptual_hash_counts_steps_to_brighter_cells() -> None:
    rising = Image.fromarray(np.tile(np.arange(9, dtype=np.uint8) * 20, (8, 1)))

    assert perceptual_hash(rising) == 2**64 - 1
    assert perceptual_hash(rising.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) == 0


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
def test_photos_of_telephones_are_read_upright(kind: str) -> None:
    if kind not in reading.FORMATS:
        pytest.skip(f"nothing here decodes {kind}: requirements-dev.txt was not installed, or pillow lacks it")
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter to see it upright
    data = encoded(picture(80, 60), kind, quality=95, exif=exif.tobytes())

    pixels, facts = pixels_of(data, f"photo.{'heic' if kind == 'HEIF' else 'avif'}")

    assert (facts.format, facts.width, facts.height, facts.remarks) == (kind, 60, 80, ())
    assert np.abs(pixels.astype(int) - np.rot90(picture(80, 60), -1)).mean() < 8


def test_without_the_decoder_of_heif_its_package_is_named() -> None:
    program = """
import sys
sys.modules["pillow_heif"] = None  # as where it is not installed
from tidal_core.errors import ImageUnreadable
from tidal_core.images.reading import open_image
try:
    open_image(b"\\0\\0\\0\\x1cftypheic" + bytes(400), "IMG_1.HEIC")
except ImageUnreadable as error:
    print(error.reason, "|", error.remedy)
"""
    ended = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert "needs the package pillow-heif | install it (python -m pip install pillow-heif)" in ended.stdout
