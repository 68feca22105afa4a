"""A folder of everything that can be wrong with a file: each ends in the report with a reason, nothing else suffers."""

import gzip
import io
import os
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pytest
from PIL import Image

from tests.images.photos import encoded, picture, save
from tests.images.test_reading import bomb_png
from tidal_core.images.ingest import ingest
from tidal_core.projects import Project

JPEG = encoded(picture(200, 150), "JPEG")
PNG = encoded(picture(200, 150))


def zipped(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.jpg", data)
    return buffer.getvalue()


def tarred(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("a.jpg")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def damaged(data: bytes, at: int, by: bytes = b"\xff" * 64) -> bytes:
    return data[:at] + by + data[at + len(by) :]


def bomb_gif() -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", 65_535, 65_535, 0x80, 0, 0) + b"\0" * 6 + b",\0\0\0\0\xff\xff\xff\xff\0"


def bomb_bmp() -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + head


# Content that must be refused; names are given by the test.
BROKEN: dict[str, bytes] = {
    "empty.jpg": b"",
    "one byte.jpg": b"\xff",
    "zeros.jpg": b"\0" * 100_000,
    "text.jpg": b"not an image at all\n" * 100,
    "html.jpg": b"<!DOCTYPE html><html><body>404</body></html>",
    "svg.png": b"<svg xmlns='http://www.w3.org/2000/svg'><rect/></svg>",
    "xml.png": b"<?xml version='1.0'?><a/>",
    "pdf.jpg": b"%PDF-1.7\n%binary",
    "postscript.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
    "lfs.png": b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 3\n",
    "zip.jpg": zipped(JPEG),
    "gzip.jpg": gzip.compress(JPEG),
    "tar.jpg": tarred(JPEG),
    "video.jpg": b"\0\0\0\x18ftypmp42" + b"\0" * 500,
    "wave.jpg": b"RIFF\x24\0\0\0WAVEfmt " + b"\0" * 500,
    "python.jpg": b"import os\n",
    "random.jpg": np.random.default_rng(1).bytes(5_000),
    "random with a jpeg's start.jpg": b"\xff\xd8\xff\xe0" + np.random.default_rng(2).bytes(5_000),
    "random with a png's start.png": b"\x89PNG\r\n\x1a\n" + np.random.default_rng(3).bytes(5_000),
    "only a jpeg's start.jpg": b"\xff\xd8\xff",
    "only a png's start.png": b"\x89PNG\r\n\x1a\n",
    "cut jpeg.jpg": JPEG[: len(JPEG) // 2],
    "cut in the header.jpg": JPEG[:100],
    "cut progressive.jpg": encoded(picture(200, 150), "JPEG", progressive=True)[:1_500],
    "cut png.png": PNG[: len(PNG) // 2],
    "cut gif.gif": encoded(picture(200, 150), "GIF")[:900],
    "cut webp.webp": encoded(picture(200, 150), "WEBP")[:200],
    "cut tiff.tif": encoded(picture(200, 150), "TIFF")[:5_000],
    "cut bmp.bmp": encoded(picture(200, 150), "BMP")[:5_000],
    "cut avif.avif": encoded(picture(200, 150), "AVIF")[:300],
    "cut jpeg 2000.jp2": encoded(picture(200, 150), "JPEG2000")[:200],
    "damaged png.png": damaged(PNG, 200),
    "wrong checksum.png": damaged(PNG, 16, b"\0\0\0\x05"),
    "damaged webp.webp": damaged(encoded(picture(200, 150), "WEBP"), 20, b"\xff" * 200),
    "bomb 400 megapixels.png": bomb_png(20_000),
    "bomb 2 gigapixels.png": bomb_png(45_000),
    "bomb 4 gigapixels.png": bomb_png(65_000),
    "bomb.gif": bomb_gif(),
    "bomb.bmp": bomb_bmp(),
    "no pixels.png": bomb_png(0),
    "endless text.png": PNG[:33] + struct.pack(">I", 0x7FFFFFFF) + b"zTXt" + zlib.compress(b"a" * 100),
}


def link_to_nowhere(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere at all"))


def link_to_itself(path: Path) -> None:
    path.symlink_to(path)


# Things that are no regular file.
STRANGE: dict[str, Callable[[Path], None]] = {
    "folder.jpg": Path.mkdir,
    "pipe.jpg": os.mkfifo,
    "link to nowhere.jpg": link_to_nowhere,
    "link to itself.jpg": link_to_itself,
}

# Names that must make no difference.
NAMES = [
    "with space.jpg",
    "quote'.jpg",
    'double".jpg',
    "semi;colon.jpg",
    "back\\slash.jpg",
    "new\nline.jpg",
    "tab\t.jpg",
    "escape\x1b[31m.jpg",
    "<script>.jpg",
    "=formula.jpg",
    "-option.jpg",
    "%41.jpg",
    "#hash?query.jpg",
    "花の写真.jpg",
    "Ünïcödé.jpg",
    "e\u0301 combining.jpg",
    "\u202eright to left.jpg",
    "x" * 251 + ".jpg",
    "UPPER.JPG",
    "two.dots.jpg",
]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name, data in BROKEN.items():
        (folder / name).write_bytes(data)
    for name, make in STRANGE.items():
        make(folder / name)
    for seed, name in enumerate(NAMES):
        save(folder / name, seed=seed)
    return folder


def test_every_broken_file_is_in_the_report_with_name_reason_and_remedy(project: Project, corpus: Path) -> None:
    report = ingest(project, str(corpus))

    problems = {problem.name: problem for problem in report.problems}
    assert set(problems) == set(BROKEN) | set(STRANGE)
    assert len(problems) >= 40
    for name, problem in problems.items():
        assert problem.reason, name
        assert problem.remedy or name == "folder.jpg", name
        assert str(corpus) not in problem.reason, name


def test_nothing_else_is_disturbed(project: Project, corpus: Path) -> None:
    report = ingest(project, str(corpus))

    assert report.read == len(NAMES)
    assert {image.name for image in project.store.images.all()} == {normalize("NFC", name) for name in NAMES}


def test_the_same_files_in_an_archive_end_alike(project: Project, corpus: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "corpus.zip", "w") as archive:
        for path in sorted(corpus.iterdir()):
            if path.is_file() and not path.is_symlink():
                archive.write(path, path.name)

    report = ingest(project, str(tmp_path / "corpus.zip"))

    problems = {problem.name for problem in report.problems}
    assert problems >= set(BROKEN)
    assert report.read == len(NAMES) - len(problems - set(BROKEN))


def test_a_file_that_vanishes_or_changes_while_it_is_imported_is_named(project: Project, tmp_path: Path) -> None:
    for seed in range(3):
        save(tmp_path / "p" / f"{seed}.jpg", seed=seed)
    removed = False

    def remove() -> bool:
        nonlocal removed
        if not removed:
            (tmp_path / "p" / "2.jpg").unlink()
            removed = True
        return False

    (tmp_path / "p" / "2.jpg").touch()
    report = ingest(project, str(tmp_path / "p"), should_stop=remove)

    assert report.read == 2


def test_a_file_that_may_not_be_read_is_named(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "p" / "open.jpg", seed=1)
    save(tmp_path / "p" / "closed.jpg", seed=2)
    read = Path.read_bytes

    def guarded(path: Path) -> bytes:
        if path.name == "closed.jpg":
            raise PermissionError(13, "Permission denied")  # a privileged user would be let in: refuse in any case
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", guarded)

    report = ingest(project, str(tmp_path / "p"))

    assert report.read == 1
    assert [(problem.name, problem.reason) for problem in report.problems] == [
        ("closed.jpg", "the studio is not allowed to read it")
    ]


def test_a_hundred_megapixels_are_read_as_jpeg_in_little_memory(project: Project, tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    Image.new("L", (10_000, 10_000), 90).save(tmp_path / "p" / "huge.jpg", quality=30)

    report = ingest(project, str(tmp_path / "p"))

    assert (report.read, report.problems) == (1, ())
    assert project.store.images.get(1).width == 10_000


def test_a_project_survives_the_loss_of_its_pixel_cache(project: Project, tmp_path: Path) -> None:
    from tidal_core.images.pixels import PixelStore

    save(tmp_path / "p" / "1.jpg", seed=1)
    ingest(project, str(tmp_path / "p"))
    shutil.rmtree(project.previews)
    project.pixels.unlink()
    save(tmp_path / "p" / "2.jpg", seed=2)

    assert ingest(project, str(tmp_path / "p")).read == 1
    assert PixelStore(project.pixels)[1].any()
