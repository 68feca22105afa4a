"""What goes out with a model opens and refuses what the studio opens and refuses, and makes the same squares."""

import importlib.util
import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.images.photos import encoded, picture
from tidal_core.errors import ImageUnreadable
from tidal_core.export.model.sources import preprocessing_source
from tidal_core.images.squares import square_of

SIZE = 24
PHOTO = Image.fromarray(picture(60, 37, seed=3))
DEEP = np.asarray(PHOTO.convert("L")).astype(np.uint16)


@pytest.fixture(scope="module")
def opener(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The module preprocessing.py as it is written beside a model."""
    folder = tmp_path_factory.mktemp("opener")
    (folder / "preprocessing.py").write_text(preprocessing_source(), encoding="utf-8")
    facts = {"size": SIZE, "fit": "crop", "grayscale": False}
    (folder / "preprocessing.json").write_text(json.dumps(facts), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("preprocessing_beside_a_model", folder / "preprocessing.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def turned(kind: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(PHOTO, kind, exif=exif)


def see_through(kind: str = "PNG") -> bytes:
    image = PHOTO.convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(PHOTO.size))
    return encoded(image, kind)


def animated(kind: str) -> bytes:
    frames = [Image.fromarray(picture(40, 30, seed=seed)) for seed in range(3)]
    out = BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:], duration=50)
    return out.getvalue()


def claims(width: int, height: int) -> bytes:
    """A PNG whose header says more pixels than it has."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def broken_checksum() -> bytes:
    data = bytearray(encoded(PHOTO))
    data[-20] ^= 0xFF
    return bytes(data)


def palette_with_alpha() -> bytes:
    return encoded(PHOTO.convert("P", palette=Image.Palette.ADAPTIVE), transparency=3)


ODD: dict[str, Callable[[], bytes]] = {
    "plain.jpg": lambda: encoded(PHOTO, "JPEG"),
    "truncated.jpg": lambda: encoded(PHOTO, "JPEG")[:-200],
    "truncated.png": lambda: encoded(PHOTO)[:-80],
    "checksum.png": broken_checksum,
    "animated.gif": lambda: animated("GIF"),
    "animated.webp": lambda: animated("WEBP"),
    "pages.tif": lambda: animated("TIFF"),
    "print.jpg": lambda: encoded(PHOTO.convert("CMYK"), "JPEG"),
    "print.tif": lambda: encoded(PHOTO.convert("CMYK"), "TIFF"),
    "deep.png": lambda: encoded(Image.fromarray(DEEP * 257)),
    "twelve.png": lambda: encoded(Image.fromarray(DEEP * 16)),
    "twelve.tif": lambda: encoded(Image.fromarray(DEEP * 16), "TIFF"),
    "real.tif": lambda: encoded(Image.fromarray(DEEP.astype(np.float32) / 255), "TIFF"),
    **{f"turned{number}.jpg": lambda number=number: turned("JPEG", number) for number in range(1, 9)},
    "turned.tif": lambda: turned("TIFF", 6),
    "turned.png": lambda: turned("PNG", 8),
    "bomb.png": lambda: claims(60_000, 60_000),
    "long.png": lambda: claims(300_000, 10),
    "large.png": lambda: claims(20_000, 15_000),
    "palette.png": palette_with_alpha,
    "alpha.webp": see_through,
    "grey.png": lambda: encoded(PHOTO.convert("L")),
    "grey-alpha.png": lambda: encoded(PHOTO.convert("LA")),
    "bits.png": lambda: encoded(PHOTO.convert("1")),
    "png.jpg": lambda: encoded(PHOTO),
    "jpeg.png": lambda: encoded(PHOTO, "JPEG"),
    "no-suffix": lambda: encoded(PHOTO, "WEBP"),
    "photo.heic": lambda: encoded(PHOTO, "HEIF"),
    "photo.avif": lambda: encoded(PHOTO, "AVIF"),
    "photo.jp2": lambda: encoded(PHOTO, "JPEG2000"),
    "icon.ico": lambda: encoded(PHOTO, "ICO"),
    "photo.tga": lambda: encoded(PHOTO, "TGA"),
    "photo.ppm": lambda: encoded(PHOTO, "PPM"),
    "drawing.eps": lambda: encoded(PHOTO, "EPS"),
    "pages.pdf": lambda: encoded(PHOTO, "PDF"),
    "page.jpg": lambda: b"<!doctype html><html>not found</html>",
    "pointer.jpg": lambda: b"version https://git-lfs.github.com/spec/v1\n",
    "empty.jpg": lambda: b"",
    "zeros.jpg": lambda: bytes(1000),
    "words.png": lambda: b"hello",
}


def both(opener: ModuleType, folder: Path, name: str, data: bytes) -> tuple[object, object]:
    """The square, or the reason why there is none: of the studio, and of what goes out."""
    (folder / name).write_bytes(data)
    try:
        studio: object = square_of(data, name, SIZE).tolist()
    except ImageUnreadable as error:
        studio = error.reason
    try:
        shipped: object = opener.square(folder / name).tolist()
    except opener.ImageUnreadable as error:
        shipped = error.reason
    return studio, shipped


@pytest.mark.parametrize("name", ODD)
def test_a_file_is_read_alike_or_refused_alike(name: str, opener: ModuleType, tmp_path: Path) -> None:
    studio, shipped = both(opener, tmp_path, name, ODD[name]())

    assert shipped == studio


def test_some_of_the_odd_files_are_refused_and_most_are_not() -> None:
    refused = set()
    for name, make in ODD.items():
        try:
            square_of(make(), name, SIZE)
        except ImageUnreadable:
            refused.add(name)

    assert refused >= {"truncated.png", "checksum.png", "bomb.png", "long.png", "large.png", "drawing.eps", "pages.pdf"}
    assert not {"print.jpg", "twelve.png", "turned6.jpg", "palette.png", "photo.heic", "no-suffix"} & refused


SMALL = [
    encoded(Image.fromarray(picture(9, 7, seed=1)), kind)
    for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "ICO", "TGA", "JPEG2000")
]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_files_are_read_alike_or_refused_alike(
    data: st.DataObject, opener: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = bytearray(data.draw(st.sampled_from(SMALL)))
    for _ in range(data.draw(st.integers(0, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(len(whole) // 2, len(whole)))])

    studio, shipped = both(opener, tmp_path_factory.mktemp("damaged"), "image", cut)

    assert shipped == studio


def test_a_folder_and_a_file_that_is_not_there_are_refused(opener: ModuleType, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "gone.png"):
        with pytest.raises(opener.ImageUnreadable):
            opener.square(path)


def test_heic_photos_without_the_package_are_refused_with_its_name(opener: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "photo.heic").write_bytes(encoded(PHOTO, "HEIF"))
    program = (
        "import sys; sys.modules['pillow_heif'] = None; sys.modules['tidal_core'] = None\n"
        f"sys.path.insert(0, {str(Path(str(opener.__file__)).parent)!r})\n"
        "from preprocessing import ImageUnreadable, square\n"
        "try:\n    square(sys.argv[1])\n"
        "except ImageUnreadable as error:\n    print(error.reason)\n"
    )

    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "photo.heic")], capture_output=True, text=True, check=False
    )

    assert ended.stdout == "it is a HEIF photo, which needs the package pillow-heif\n"


def test_files_of_a_folder_are_taken_by_the_same_rule(opener: ModuleType, tmp_path: Path) -> None:
    for name in ("no-suffix", "words.txt", "photo.heic"):
        (tmp_path / name).write_bytes(b"hello" if name == "words.txt" else ODD[name]())

    assert [opener.is_image_file(tmp_path / name) for name in ("no-suffix", "words.txt", "photo.heic")] == [
        True,
        False,
        True,
    ]
    assert opener.is_left_out(".hidden.jpg")
