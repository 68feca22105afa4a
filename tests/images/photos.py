"""Pictures that the tests make themselves."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tidal_core.images.reading import ImageFacts, open_image
from tidal_core.records import ImageRecord, ImageStatus, Split, UInt8

FLOWERS = Path(os.environ.get("TIDAL_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")) / "flowers"


def picture(width: int = 40, height: int = 30, seed: int = 0) -> UInt8:
    """Smooth colours (H, W, 3) with a bright top left corner, different for each seed."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 200, (4, 5, 3), dtype=np.uint8)
    smooth = np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    smooth[: height // 3, : width // 3] = 255
    return smooth


def encoded(pixels: UInt8 | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def save(path: Path, seed: int = 0, kind: str = "JPEG", size: tuple[int, int] = (40, 30), **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(picture(*size, seed=seed), kind, **options))
    return path


def record(uri: str, sha256: str, **values: Any) -> ImageRecord:
    """An image as the store would give it."""
    defaults: dict[str, Any] = {
        "id": 1,
        "name": Path(uri).name,
        "width": 40,
        "height": 30,
        "bytes": 1,
        "split": Split.POOL,
        "known_class": None,
        "status": ImageStatus.READY,
        "pixel_row": 0,
        "audit_order": 0,
    }
    return ImageRecord(uri=uri, sha256=sha256, **{**defaults, **values})


def pixels_of(data: bytes, name: str) -> tuple[np.ndarray, ImageFacts]:
    """A file's pixels (H, W, 3) and facts, as an import reads them."""
    image, facts = open_image(data, name)
    return np.asarray(image), facts
