"""One image file, opened safely: bytes in, RGB pixels and facts out.

What comes out is what a person would see in a viewer: EXIF orientation applied, transparency laid over white, the
first frame of an animation, 16 bits (or as many of them as are used) brought to 8. What cannot be shown (truncated, not
an image, absurdly large) is refused as ImageUnreadable with a reason and a remedy; nothing else is raised.

An exported model brings this module's own text with it (``export.model.sources``), so that its ``predict.py`` opens and
refuses what the studio does: it uses nothing but pillow, numpy and few names of ``errors``.

Colour profiles are not applied: every pixel goes to the model as it is stored. Formats that run other programs or
hold pages instead of pictures (EPS, PDF, WMF, PSD) are not opened.
"""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from PIL import Image, UnidentifiedImageError

from tidal_core.errors import ImageUnreadable, reason_of
from tidal_core.images.apart import decode_apart
from tidal_core.records import UInt8

_WANTED_FORMATS = (
    "JPEG",
    "PNG",
    "WEBP",
    "AVIF",
    "HEIF",
    "GIF",
    "BMP",
    "TIFF",
    "MPO",
    "PPM",
    "TGA",
    "JPEG2000",
    "ICO",
    "DIB",
)
SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".avif", ".heif", ".heic", ".gif"),
        *(".bmp", ".dib", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".jp2", ".j2k", ".jpx", ".ico"),
    }
)
READERS = 2  # threads that read and decode files
MAX_HEADER_PIXELS = 1_000_000_000  # a header that claims more is a bomb or a map, not a photo
MAX_SIDE = 200_000  # pixels: longer than any panorama
MAX_DECODED_PIXELS = 150_000_000  # what is really decoded
MAX_DECODED_BYTES = 1_500_000_000  # memory that decoding one image may take, its file not counted; see ``_cost``
LARGE_PIXELS = 25_000_000  # from here on one image at a time is decoded, so that workers do not add up their peaks
MIN_HASHED_PIXELS = 16  # two different digits of 8 x 8 pixels can be as alike as one photo saved twice
MAX_FRAME_CHECK_BYTES = 20_000_000  # finding out whether a file is animated reads all of it

# Formats whose usual suffix differs from the first letters of the format's name.
_SUFFIX_FORMATS = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"},
    "MPO": {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"},
    "PNG": {".png", ".apng"},
    "TIFF": {".tif", ".tiff"},
    "WEBP": {".webp"},
    "GIF": {".gif"},
    "BMP": {".bmp", ".dib"},
    "AVIF": {".avif", ".heif"},
    "HEIF": {".heif", ".heic"},
}
# Bytes for each pixel, as measured: what pillow keeps of a mode (4 where it is not here), what a format's decoder keeps
# beside, and what comes of it: RGB, the same turned upright, and its grey values for the hash.
_KEPT = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}
_DECODER = {"WEBP": 12, "AVIF": 12, "HEIF": 12, "JPEG2000": 16, "TIFF": 4, "GIF": 4}
_TO_RGB, _REAL_TO_RGB, _TURNED_AND_GREY = 4, 30, 5
_ROWS_AT_ONCE = 64  # of a large image that is brought to RGB
_LARGEST_ICON = 1_024  # pixels
_TILE_TAGS = (322, 323)  # of a TIFF: width and height of what it decodes at once
ORIENTATION_TAG = 0x0112
UPRIGHT = {  # what undoes each EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}

Apart = Callable[[bytes, str, int, int], tuple[Image.Image, dict[str, Any]]]
"""As ``apart.decode_apart``."""

_one_large_image = threading.Semaphore(1)

# Our own limits below replace pillow's, which would refuse an honest panorama and warn in other people's logs.
Image.MAX_IMAGE_PIXELS = MAX_HEADER_PIXELS
Image.init()
try:  # HEIF is patented in places, so its decoder is not a part of pillow: an extra of this studio
    import pillow_heif

    pillow_heif.register_heif_opener()
except ImportError:
    pass
FORMATS = tuple(kind for kind in _WANTED_FORMATS if kind in Image.OPEN)  # HEIF only where a plugin registered it


@dataclass(frozen=True)
class ImageFacts:
    """What is known of one file beside its pixels."""

    width: int  # pixels, as a person sees it: after EXIF orientation
    height: int
    bytes: int
    sha256: str  # of the file's bytes, hex
    phash: int | None  # 64-bit difference hash of what is seen, see ``perceptual_hash``; None below 16 pixels
    format: str  # pillow's name: "JPEG", "PNG", ...
    remarks: tuple[str, ...] = ()  # "animated: the first of its frames is taken", ...


def open_image(
    data: bytes, name: str, *, at_least: int | None = None, sha256: str | None = None
) -> tuple[Image.Image, ImageFacts]:
    """Decode one file's bytes to a loaded pillow image of mode RGB and its facts; ``sha256`` where it is known already.

    ``at_least`` allows an image to come smaller than it is, with both sides still at least that many pixels: a JPEG
    is decoded smaller, in powers of two, and one of more than ``LARGE_PIXELS`` is decoded in a process with a memory
    limit and averaged down. ``facts.width`` and ``facts.height`` are the file's own in any case. Raises
    ImageUnreadable.
    """
    return _open(data, name, at_least, sha256, decode_apart if at_least is not None else None)


def open_here(data: bytes, name: str, *, at_least: int | None = None) -> tuple[Image.Image, ImageFacts]:
    """As ``open_image``, in this process whatever the size."""
    return _open(data, name, at_least, None)


def _open(
    data: bytes, name: str, at_least: int | None, sha256: str | None, apart: Apart | None = None
) -> tuple[Image.Image, ImageFacts]:
    """``apart`` decodes a large image elsewhere; None: here."""
    if not data:
        raise ImageUnreadable(name, "the file is empty (0 bytes)", "copy it again from where it came from")
    try:
        _refuse_icons(data, name)
        if data.startswith(b"\x89PNG"):
            with Image.open(io.BytesIO(data), formats=("PNG",)) as file:
                file.verify()  # decoding alone overlooks data whose checksum is wrong
        with Image.open(io.BytesIO(data), formats=FORMATS) as file:
            return _decode(file, data, name, at_least, sha256, apart)
    except ImageUnreadable:
        raise
    except UnidentifiedImageError:
        missing = _missing_decoder(data)
        if missing is not None:
            raise ImageUnreadable(name, *missing) from None
        raise ImageUnreadable(name, _what_it_is(data), "remove it, or save it as JPEG or PNG") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageUnreadable(
            name,
            f"its header says that it has more than {MAX_HEADER_PIXELS // 1_000_000:,} megapixels",
            "cut it into tiles or save it smaller",
        ) from None
    except MemoryError:
        raise ImageUnreadable(name, "there is not enough memory to decode it", "save it smaller") from None
    except Exception as error:  # decoders raise nearly everything on broken data
        raise ImageUnreadable(name, _damage(error), "copy it again from where it came from") from error


def kind_of(data: bytes) -> str | None:
    """Pillow's name of what a file's bytes are ("JPEG", "WEBP"), by its header alone; None for what is not opened."""
    try:
        _refuse_icons(data, "")
        with Image.open(io.BytesIO(data), formats=FORMATS) as file:
            return file.format
    except Exception:  # decoders raise nearly everything on broken data
        return None


def perceptual_hash(image: Image.Image) -> int:
    """64 bits that hardly change when a picture is resized or saved again (difference hash, N. Krawetz, 2013).

    Bit i tells whether the picture gets brighter from one cell to the next on a grid of 9 by 8 grey cells. Pictures
    without structure all hash to 0: equal hashes are a reason to look at the pixels, not a proof.
    """
    grey = image.convert("L")
    blocks = min(grey.size) // 36  # whole blocks first, down to about 36 pixels: two thirds of the time, same cells
    small = (grey.reduce(blocks) if blocks > 1 else grey).resize((9, 8), Image.Resampling.BOX)
    cells = np.asarray(small, dtype=np.int16)  # (8, 9)
    bits = cells[:, 1:] > cells[:, :-1]  # (8, 8)
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _decode(
    file: Image.Image, data: bytes, name: str, at_least: int | None, sha256: str | None, apart: Apart | None
) -> tuple[Image.Image, ImageFacts]:
    """Check the header, decode, bring to RGB as seen."""
    kind = file.format or "unknown"
    width, height = file.size
    if max(width, height) > MAX_SIDE:
        raise ImageUnreadable(
            name,
            f"its header says {width:,} x {height:,} pixels; {MAX_SIDE:,} are the limit for a side",
            "cut it into tiles or save it smaller",
        )
    if width * height > MAX_HEADER_PIXELS:
        raise ImageUnreadable(
            name,
            f"its header says {width:,} x {height:,} pixels, more than {MAX_HEADER_PIXELS // 1_000_000:,} megapixels",
            "cut it into tiles or save it smaller",
        )
    if kind == "TIFF":
        _refuse_tiles(file, name)
    remarks = _remarks(file, kind, name, len(data))
    if at_least is not None:
        file.draft(None, (at_least, at_least))  # None keeps the mode
    pixels = file.size[0] * file.size[1]
    kept_whole = _kept_whole(data) * width * height if kind in {"JPEG", "MPO"} else 0
    most = min(MAX_DECODED_PIXELS, (MAX_DECODED_BYTES - kept_whole) // _cost(file, kind))
    if pixels > most:
        raise ImageUnreadable(
            name,
            f"it has {width:,} x {height:,} pixels; {max(most, 0) // 1_000_000} megapixels are the limit for its kind"
            if not kept_whole
            else f"it is a progressive JPEG of {width:,} x {height:,} pixels, which is too large to decode",
            "save it as a plain JPEG, or smaller",
        )
    if pixels > LARGE_PIXELS:
        with _one_large_image:
            if apart is not None and at_least is not None:
                image, told = apart(data, name, at_least, MAX_DECODED_BYTES)
                remarks = tuple(told.pop("remarks"))
                return image, ImageFacts(**{**told, "sha256": sha256 or told["sha256"]}, remarks=remarks)
            image = _in_strips(file)
    else:
        image = to_rgb(file)
    remarks += _about_depth(file)
    # Asked after decoding: pillow turns a TIFF itself, gives its size as turned, and says then that it is upright.
    orientation = orientation_of(file)
    if orientation != 1:
        image = image.transpose(UPRIGHT[orientation])
        if orientation >= 5:
            width, height = height, width
    facts = ImageFacts(
        width=width,
        height=height,
        bytes=len(data),
        sha256=sha256 or hashlib.sha256(data).hexdigest(),
        phash=perceptual_hash(image) if min(width, height) >= MIN_HASHED_PIXELS else None,
        format=kind,
        remarks=remarks,
    )
    return image, facts


def _cost(file: Image.Image, kind: str) -> int:
    """Bytes of memory for each pixel, at most, to decode a file whose header is read."""
    if file.mode in {"I", "F"}:
        converted = _REAL_TO_RGB
    else:
        converted = 0 if file.mode == "RGB" and "transparency" not in file.info else _TO_RGB
    return _KEPT.get(file.mode, 4) + _DECODER.get(kind, 0) + converted + _TURNED_AND_GREY


def _kept_whole(data: bytes) -> int:
    """Bytes that a JPEG's decoder keeps for each of the file's pixels, however small the image becomes.

    None where each part of the picture comes once; two for each colour where it comes in several scans.
    """
    position = 2
    colours = 0
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker, length = data[position + 1], int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == 0xFF:  # filling
            position += 1
            continue
        if marker in {0xC0, 0xC1, 0xC2, 0xC5, 0xC6, 0xC9, 0xCA, 0xCD, 0xCE} and position + 9 < len(data):
            colours = data[position + 9]
            if marker in {0xC2, 0xC6, 0xCA, 0xCE}:  # progressive
                return 2 * colours
        if marker == 0xDA:
            return 2 * colours if position + 4 < len(data) and data[position + 4] < colours else 0
        position += 2 + length
    return 0


def _refuse_tiles(file: Image.Image, name: str) -> None:
    """A tiled TIFF decodes whole tiles, whatever its own size. Raises ImageUnreadable."""
    width, height = (int(getattr(file, "tag_v2", {}).get(tag, 0)) for tag in _TILE_TAGS)
    if width * height > max(LARGE_PIXELS, 4 * file.size[0] * file.size[1]):
        raise _hides(name, width, height)


def _refuse_icons(data: bytes, name: str) -> None:
    """An icon's pictures have sizes of their own, and are decoded when the file is opened. Raises ImageUnreadable."""
    if data.startswith(b"\0\0\1\0"):
        width, height = _largest_icon(data)
        if max(width, height) > _LARGEST_ICON:
            raise _hides(name, width, height)


def _hides(name: str, width: int, height: int) -> ImageUnreadable:
    reason = f"it holds a picture of {width:,} x {height:,} pixels, which is larger than it says"
    return ImageUnreadable(name, reason, "save it again")


def _largest_icon(data: bytes) -> tuple[int, int]:
    """Width and height of the largest picture in an ICO file, as the pictures themselves say."""
    sizes = [(0, 0)]
    for entry in range(int.from_bytes(data[4:6], "little")):
        start = int.from_bytes(data[6 + 16 * entry + 12 : 6 + 16 * entry + 16], "little")
        if data[start : start + 4] == b"\x89PNG":
            sides = data[start + 16 : start + 20], data[start + 20 : start + 24]
            sizes.append((int.from_bytes(sides[0], "big"), int.from_bytes(sides[1], "big")))
        else:
            sides = data[start + 4 : start + 8], data[start + 8 : start + 12]
            sizes.append((int.from_bytes(sides[0], "little"), int.from_bytes(sides[1], "little") // 2))
    return max(sizes, key=max)


def _in_strips(file: Image.Image) -> Image.Image:
    """As ``to_rgb`` for a large image, a few rows at a time: all the rest of it is never there twice over."""
    file.load()
    if (file.mode == "RGB" and "transparency" not in file.info) or file.mode in {"I", "F"}:
        return to_rgb(file)  # as it is; real numbers are scaled by what the whole image holds
    width, height = file.size
    image = Image.new("RGB", file.size)
    for top in range(0, height, _ROWS_AT_ONCE):
        bottom = min(top + _ROWS_AT_ONCE, height)
        strip = file.crop((0, top, width, bottom))
        strip.info = dict(file.info)
        image.paste(to_rgb(strip), (0, top))
    return image


def to_rgb(file: Image.Image) -> Image.Image:
    """The first frame as loaded RGB: 8 bits a channel, transparency over white."""
    file.load()
    image: Image.Image = file
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        return Image.fromarray(to_8_bits(np.asarray(image))).convert("RGB")
    if image.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in image.info:
        seen = image.convert("RGBA")
        white = Image.new("RGBA", seen.size, "white")
        return Image.alpha_composite(white, seen).convert("RGB")
    return image.convert("RGB")


def to_8_bits(values: np.ndarray) -> UInt8:
    """Grey values of more than 8 bits, or real numbers, as 0-255 (H, W).

    Whole numbers up to 65,535 are of 8, 10, 12, 14 or 16 bits, the fewest that hold the largest of them, and the
    largest number of so many bits is white: cameras and scanners write 12 bits into files of 16. Others have no agreed
    white and are stretched between their own smallest and largest value. What is no number is black.
    """
    numbers = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(numbers.min()), float(numbers.max())
    if values.dtype.kind in "iu" and low >= 0 and high <= 65_535:
        white = next(2**bits - 1 for bits in (8, 10, 12, 14, 16) if high < 2**bits)
        scaled = numbers * (255.0 / white)
    elif values.dtype.kind == "f" and low >= 0 and high <= 1:
        scaled = numbers * 255.0
    else:
        scaled = (numbers - low) * (255.0 / (high - low) if high > low else 0.0)
    return np.rint(scaled).astype(np.uint8)


def _about_depth(file: Image.Image) -> tuple[str, ...]:
    """The remark on a loaded image whose grey values have fewer bits than its file."""
    if file.mode != "I" and not file.mode.startswith("I;16"):
        return ()
    low, high = cast("tuple[float, float]", file.getextrema())
    bits = next((bits for bits in (8, 10, 12, 14, 16) if high < 2**bits), 16)
    if low < 0 or bits == 16:
        return ()
    return (f"has values of {bits} bits in 16 (the largest is {high:,.0f}): {2**bits - 1:,} was taken as white",)


def orientation_of(file: Image.Image) -> int:
    """The EXIF orientation, 1 (upright) when there is none or it is broken."""
    try:
        value = file.getexif().get(ORIENTATION_TAG, 1)
    except Exception:  # broken EXIF blocks raise all sorts; the picture itself is fine
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _remarks(file: Image.Image, kind: str, name: str, size: int) -> tuple[str, ...]:
    """What a person should know although the image could be read."""
    remarks = []
    suffix = name[name.rfind(".") :].lower() if "." in name else ""
    if suffix in SUFFIXES and suffix not in _SUFFIX_FORMATS.get(kind, {suffix}):
        remarks.append(f"is a {kind} file named {suffix}")
    if kind in {"GIF", "WEBP", "PNG", "AVIF", "TIFF"} and size <= MAX_FRAME_CHECK_BYTES:
        try:
            if getattr(file, "is_animated", False):
                remarks.append("has several frames or pages: the first is taken")
        except Exception:  # a later frame is broken: the first one still counts
            remarks.append("has a broken later frame: the first is taken")
        file.seek(0)
    return tuple(remarks)


def _missing_decoder(data: bytes) -> tuple[str, str] | None:
    """Reason and remedy where a file is fine and this installation lacks what decodes it."""
    brand = data[8:12] if data[4:8] == b"ftyp" else b""
    if brand in _HEIF_BRANDS and "HEIF" not in FORMATS:
        return (
            "it is a HEIF photo, which needs the package pillow-heif",
            "install it (python -m pip install pillow-heif) and import again, or save the photo as JPEG",
        )
    if brand in _AVIF_BRANDS and "AVIF" not in FORMATS:
        return "it is an AVIF image, and pillow was built without AVIF here", "save it as JPEG or PNG"
    return None


def _what_it_is(data: bytes) -> str:
    """Why pillow does not know a file, as far as its first bytes tell."""
    start = data[:512].lstrip().lower()
    if not data.strip(b"\0"):
        return "it holds only zeros"
    if start.startswith((b"<!doctype html", b"<html")):
        return "it is a web page, not an image (a failed download?)"
    if start.startswith((b"<svg", b"<?xml")):
        return "it is an XML or SVG drawing, not a pixel image"
    if start.startswith(b"%pdf"):
        return "it is a PDF document"
    if start.startswith((b"pk\x03\x04", b"\x1f\x8b")):
        return "it is an archive"
    if start.startswith((b"version https://git-lfs",)):
        return "it is a Git LFS pointer: the image itself was not downloaded"
    if looks_like_an_image(data[:16]):
        return "its header is damaged"
    return "it is not an image of a known kind"


def _damage(error: Exception) -> str:
    return f"it is damaged or cut off ({reason_of(error)})"


def looks_like_an_image(start: bytes) -> bool:
    """Whether a file whose name does not tell begins like an image."""
    return (
        start.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"BM"))
        or (start[:4] == b"RIFF" and start[8:12] == b"WEBP")
        or (start[4:8] == b"ftyp" and start[8:12] in _AVIF_BRANDS | _HEIF_BRANDS)
    )
