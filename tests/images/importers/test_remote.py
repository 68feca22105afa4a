"""Trees that lie elsewhere: fsspec's memory and a real web server stand for buckets."""

from __future__ import annotations

import errno
import functools
import http.server
import io
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

from tests.images.photos import save
from tidal_core.config import ProjectSettings
from tidal_core.errors import ImageUnreadable, InputError
from tidal_core.images.importers import scan
from tidal_core.images.importers.base import FoundImage
from tidal_core.images.ingest import ingest
from tidal_core.images.previews import preview
from tidal_core.images.sources import read_uri, uri_path
from tidal_core.images.sources.remote import why_not
from tidal_core.projects import Project, create_project, home
from tidal_core.records import ImportProblem, Split


@pytest.fixture
def bucket() -> Iterator[MemoryFileSystem]:
    memory = fsspec.filesystem("memory", use_listings_cache=False)
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]
    yield memory
    memory.store.clear()


@pytest.fixture
def project() -> Iterator[Project]:
    made = create_project("remote", ProjectSettings(training_size=16))
    yield made
    made.close()


def png(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((20, 16), 40 + seed % 60).convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


def items(source: str) -> list[FoundImage | ImportProblem]:
    return list(scan(source).items)


class _Server(http.server.SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        for word, status in {"forbidden": 403, "broken": 500}.items():
            if word in self.path:
                self.send_error(status)
                return
        super().do_GET()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    folder = tmp_path / "web"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Server, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", folder
    server.shutdown()
    thread.join()
    server.server_close()


def test_labels_and_splits_are_those_of_a_local_tree(bucket: MemoryFileSystem) -> None:
    for path in ("train/cat/img10.png", "train/cat/img2.png", "val/dog/1.png", "test/cat/1.png", "test/.hidden.png"):
        bucket.pipe_file(f"/photos/{path}", png(1))

    source_scan = scan("memory://photos")
    images = [item for item in source_scan.items if isinstance(item, FoundImage)]

    assert [found_class.name for found_class in source_scan.classes] == ["cat", "dog"]
    assert source_scan.title == "photos"
    assert [(image.name, image.label, image.split, image.uri) for image in images] == [
        ("test/cat/1.png", "cat", Split.TEST, "memory://photos/test/cat/1.png"),
        ("train/cat/img2.png", "cat", Split.POOL, "memory://photos/train/cat/img2.png"),
        ("train/cat/img10.png", "cat", Split.POOL, "memory://photos/train/cat/img10.png"),
        ("val/dog/1.png", "dog", Split.POOL, "memory://photos/val/dog/1.png"),
    ]


def test_an_import_keeps_the_uri_and_reads_through_the_cache_afterwards(
    bucket: MemoryFileSystem, project: Project
) -> None:
    bucket.pipe_file("/photos/cat/1.png", png(1))
    bucket.pipe_file("/photos/cat/notes.txt", b"hello")
    bucket.pipe_file("/photos/dog/no-suffix", png(2))
    bucket.pipe_file("/photos/dog/cut.png", png(3)[:40])

    report = ingest(project, "memory://photos", labels="answers")
    image = project.store.images.get(1)
    data = bucket.cat_file("/photos/cat/1.png")
    bucket.store.clear()

    assert (report.read, report.labels) == (2, 2)
    assert {problem.name for problem in report.problems} == {"cat/notes.txt", "dog/cut.png"}
    assert image.uri == "memory://photos/cat/1.png"
    assert uri_path(image.uri) is None
    assert read_uri(image.uri) == data
    assert preview(image, 256, project.previews)[0]
    assert sum(path.is_file() for path in (home() / "cache" / "remote").rglob("*")) == 3


def test_a_file_that_is_gone_is_named_and_leaves_nothing_in_the_cache(bucket: MemoryFileSystem) -> None:
    with pytest.raises(ImageUnreadable, match="it is not there; put it back"):
        read_uri("memory://photos/gone.png", "gone.png")
    assert not [path for path in (home() / "cache").rglob("*") if path.is_file()]


class Entry(dict[str, Any]):
    """A line of a listing, whose end can be noticed."""

    __hash__ = object.__hash__  # type: ignore[assignment]


class Large(MemoryFileSystem):
    """A bucket of 1,000 folders of 100 images that are made up when they are asked for."""

    protocol = "large"
    listed: list[str]
    kept: weakref.WeakSet[Entry]  # lines of its listings that somebody still has

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + path.removeprefix("large://").strip("/")

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        type(self).listed.append(path)
        folder = path.strip("/")
        if not folder:
            return [{"name": f"/c{folder:04d}", "size": 0, "type": "directory"} for folder in range(1_000)]
        lines = [Entry(name=f"/{folder}/{number:03d}.png", size=200, type="file") for number in range(100)]
        type(self).kept.update(lines)
        return lines

    def get_file(self, rpath: str, lpath: str, **_: Any) -> None:
        buffer = io.BytesIO()
        Image.new("RGB", (20, 16), (int(rpath[2:6]) % 256, int(rpath[-7:-4]), 7)).save(buffer, "PNG")
        Path(lpath).write_bytes(buffer.getvalue())


def test_a_hundred_thousand_images_are_listed_as_they_are_needed(project: Project) -> None:
    fsspec.register_implementation("large", Large, clobber=True)
    Large.listed, Large.kept = [], weakref.WeakSet()
    stop_after = iter(range(10**9))

    report = ingest(project, "large://", should_stop=lambda: next(stop_after) >= 300)

    assert report.read == 300
    assert len(Large.listed) < 10  # of 1,001 folders: the images came before the listing ended

    images, most_kept, alive = 0, 0, weakref.WeakSet[FoundImage]()
    for item in scan("large://").items:
        assert isinstance(item, FoundImage)
        images += 1
        alive.add(item)
        most_kept = max(most_kept, len(alive), len(Large.kept))
    assert images == 100_000
    assert most_kept <= 300  # images, or lines of listings, that are held at a time: those of some folders


def test_a_tree_is_read_from_a_web_servers_listings(web: tuple[str, Path], project: Project) -> None:
    address, folder = web
    for seed, name in enumerate(["cat/a b.jpg", "cat/ä#1.jpg", "dog/2.jpg"]):
        save(folder / "photos" / name, seed=seed)
    save(folder / "outside.png")

    report = ingest(project, f"{address}/photos/", labels="answers")

    images = project.store.images.all()
    assert [(image.name, image.uri) for image in images] == [
        ("cat/a b.jpg", f"{address}/photos/cat/a%20b.jpg"),
        ("cat/ä#1.jpg", f"{address}/photos/cat/%C3%A4%231.jpg"),
        ("dog/2.jpg", f"{address}/photos/dog/2.jpg"),
    ]
    assert (report.read, report.labels, report.problems) == (3, 3, ())
    assert [read_uri(image.uri) for image in images] == [
        (folder / "photos" / image.name).read_bytes() for image in images
    ]


def test_what_a_web_server_refuses_is_a_line_of_the_report(web: tuple[str, Path], project: Project) -> None:
    address, folder = web
    for name in ("cat/1.jpg", "cat/forbidden.jpg", "cat/broken.jpg", "forbidden folder/1.jpg"):
        save(folder / name, seed=len(name))

    report = ingest(project, address)

    assert report.read == 1
    assert {problem.name: problem.reason for problem in report.problems} == {
        "cat/broken.jpg": "the server answered 500",
        "cat/forbidden.jpg": "access is denied",
        "forbidden folder": "the folder cannot be listed: access is denied",
    }


def test_a_place_that_cannot_be_listed_is_one_message(web: tuple[str, Path], bucket: MemoryFileSystem) -> None:
    address, _ = web
    for source, message in {
        f"{address}/nowhere": "cannot be listed: it is not there",
        f"{address}/forbidden": "cannot be listed: access is denied",
        "http://127.0.0.1:9/photos": "cannot be listed: it could not be downloaded",
        "memory://nowhere": "cannot be listed: it is not there",
    }.items():
        with pytest.raises(InputError, match=message):
            scan(source)


def test_a_missing_package_is_named_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(
        InputError, match=r"reading s3:// needs a package .*: python -m pip install s3fs, and start the studio again"
    ):
        scan("s3://bucket/photos")


def test_a_protocol_that_nobody_speaks_is_said() -> None:
    with pytest.raises(InputError, match="Protocol not known: gopher"):
        scan("gopher://host/photos")


def test_a_full_disk_is_not_taken_for_a_fault_of_the_server() -> None:
    reason, remedy = why_not(OSError(errno.ENOSPC, "No space left on device"))

    assert "disk" in reason
    assert "make room" in remedy
