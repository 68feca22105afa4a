"""What the browser is sent of an image."""

import hashlib
import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.images.photos import encoded, picture, record, save
from tidal_core.errors import ImageUnreadable
from tidal_core.images.previews import Packed, pack, preview, thumbnail, unpack
from tidal_core.records import ImageRecord


def known(path: Path) -> ImageRecord:
    return record(str(path), hashlib.sha256(path.read_bytes()).hexdigest())


def shown(body: bytes) -> Image.Image:
    with Image.open(io.BytesIO(body)) as image:
        image.load()
        return image


def test_a_large_photo_is_scaled_to_the_screen(tmp_path: Path) -> None:
    image = known(save(tmp_path / "a.png", kind="PNG", size=(2_000, 1_500)))

    body, kind = preview(image, 1_024, tmp_path / "previews")

    assert kind == "image/jpeg"
    assert shown(body).size == (1_024, 768)


def test_a_tiny_image_is_sent_losslessly_and_unscaled(tmp_path: Path) -> None:
    image = known(save(tmp_path / "a.png", kind="PNG", size=(8, 8)))

    body, kind = preview(image, 1_024, tmp_path / "previews")

    assert kind == "image/png"
    assert np.array_equal(np.asarray(shown(body)), picture(8, 8))


def test_a_jpeg_that_fits_is_sent_as_it_is(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", size=(500, 375))

    assert preview(known(path), 1_024, tmp_path / "previews") == (path.read_bytes(), "image/jpeg")
    assert not (tmp_path / "previews").exists()


def test_a_turned_jpeg_is_sent_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = known(save(tmp_path / "a.jpg", size=(500, 375), exif=exif))

    body, _ = preview(image, 1_024, tmp_path / "previews")

    assert shown(body).size == (375, 500)


def test_a_thumbnail_is_small_webp(tmp_path: Path) -> None:
    body, kind = thumbnail(known(save(tmp_path / "a.jpg", size=(500, 375))), tmp_path / "previews")

    assert kind == "image/webp"
    assert shown(body).size == (160, 120)


def test_a_preview_is_made_once_and_outlives_its_original(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", kind="PNG", size=(2_000, 1_500))
    image = known(path)
    first = preview(image, 1_024, tmp_path / "previews")
    path.unlink()

    assert preview(image, 1_024, tmp_path / "previews") == first


def test_an_original_that_is_gone_is_named(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg")
    image = known(path)
    path.unlink()

    with pytest.raises(ImageUnreadable, match=r"a\.jpg: the file is not there"):
        preview(image, 160, tmp_path / "previews")


def test_a_file_whose_content_changed_is_not_shown_as_the_old_image(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", seed=1)
    image = known(path)
    save(path, seed=2)

    with pytest.raises(ImageUnreadable, match="content has changed"):
        preview(image, 160, tmp_path / "previews")


def test_the_original_is_never_changed(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", kind="PNG", size=(600, 400))
    before = (path.read_bytes(), path.stat().st_mtime_ns)

    preview(known(path), 300, tmp_path / "previews")

    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_a_folder_that_cannot_be_written_costs_only_speed(tmp_path: Path) -> None:
    image = known(save(tmp_path / "a.png", kind="PNG", size=(600, 400)))
    (tmp_path / "previews").write_text("a file where the folder should be")

    body, _ = preview(image, 300, tmp_path / "previews")

    assert shown(body).size == (300, 200)


def test_transparent_pixels_are_white_in_previews(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(np.zeros((300, 300, 4), dtype=np.uint8)))

    body, _ = preview(known(tmp_path / "a.png"), 160, tmp_path / "previews")

    assert np.asarray(shown(body)).min() >= 250


def test_a_pack_gives_back_every_image_in_order() -> None:
    images = [Packed(7, "image/png", b"one"), Packed(3, "image/webp", b""), Packed(9, "image/jpeg", b"three\0")]

    assert unpack(pack(images)) == images
    assert unpack(pack([])) == []


def test_the_frame_of_a_pack_is_the_documented_one() -> None:
    assert pack([Packed(7, "image/png", b"xy")]) == b'\x00\x00\x00\x15[[7, "image/png", 2]]xy'


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit on the size of files")
def test_a_preview_that_does_not_fit_on_the_disk_leaves_no_part_of_it(tmp_path: Path) -> None:
    import resource

    path = save(tmp_path / "a.jpg", size=(900, 700))
    image = record(str(path), hashlib.sha256(path.read_bytes()).hexdigest())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # bytes
    try:
        assert thumbnail(image, tmp_path / "previews")[1] == "image/webp"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert [path for path in (tmp_path / "previews").rglob("*") if path.is_file()] == []
