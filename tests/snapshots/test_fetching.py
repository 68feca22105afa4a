"""A project from elsewhere fetches nothing and copies no file of this machine that a person did not agree to."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

from tests.helpers.serving import run_command
from tests.helpers.tiny import tiny_project
from tidal_core.commands.opening import allow_fetching
from tidal_core.config import ProjectSettings
from tidal_core.errors import ImageUnreadable, InputError
from tidal_core.export.tables import checked
from tidal_core.export.tables.base import ExportOptions
from tidal_core.images.ingest import ingest
from tidal_core.images.pixels import PixelStore
from tidal_core.images.previews import preview
from tidal_core.images.sources import read_original
from tidal_core.images.sources.consent import allow, allowed_hosts, host_of, unasked_hosts
from tidal_core.projects import Project, create_project, home, open_project, project_folder
from tidal_core.snapshots.restoring import restore
from tidal_core.snapshots.writing import backup

HOST = "memory://photos"


@pytest.fixture
def bucket() -> Iterator[MemoryFileSystem]:
    memory = fsspec.filesystem("memory", use_listings_cache=False)
    memory.store.clear()
    buffer = io.BytesIO()
    Image.effect_noise((40, 32), 60).convert("RGB").save(buffer, "PNG")
    memory.pipe_file("/photos/cat/1.png", buffer.getvalue())
    yield memory
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]


@pytest.fixture
def snapshot(bucket: MemoryFileSystem, tmp_path: Path) -> Path:
    """A snapshot of a project whose images lie elsewhere; nothing fetched is kept on this machine."""
    project = create_project("remote", ProjectSettings(training_size=16))
    assert ingest(project, HOST, labels="answers").labels == 1
    assert allowed_hosts(project.folder) == {HOST}
    backup(project, tmp_path / "b.zip", {})
    project.close()
    shutil.rmtree(home() / "cache")
    return tmp_path / "b.zip"


def fetched() -> list[Path]:
    return [path for path in (home() / "cache").rglob("*") if path.is_file()]


@pytest.fixture
def restored(snapshot: Path) -> Iterator[Project]:
    assert restore(snapshot, "again").hosts == (HOST,)
    with open_project("again").store as store:
        yield Project("again", project_folder("again"), store)


def test_nothing_is_fetched_for_a_restored_project_before_a_person_says_yes(restored: Project, tmp_path: Path) -> None:
    image = restored.store.images.get(1)
    assert unasked_hosts(restored.folder, restored.store.images.addresses()) == (HOST,)
    with pytest.raises(ImageUnreadable, match=f"it is at {HOST}, and nobody has said yet .* --fetch {HOST}"):
        preview(image, 1_024, restored.previews)
    options = ExportOptions()
    exporter, target = checked(tmp_path / "tree", "imagefolder", options)
    assert [problem.name for problem in exporter.write(restored, target, options).problems] == ["cat/1.png"]
    assert len(backup(restored, tmp_path / "c.zip", {}, with_images=True).problems) == 1
    assert fetched() == []
    assert PixelStore(restored.pixels).png(image.pixel_row).startswith(b"\x89PNG")  # what can be shown until then

    allow(restored.folder, [HOST])

    assert preview(image, 1_024, restored.previews)[0]
    assert len(fetched()) == 1
    assert unasked_hosts(restored.folder, restored.store.images.addresses()) == ()


def test_a_yes_belongs_to_one_project_and_not_to_the_next_of_its_name(snapshot: Path) -> None:
    first = restore(snapshot, "again").folder
    allow(first, [HOST])
    assert allowed_hosts(restore(snapshot, "another").folder) == set()
    shutil.rmtree(first)
    assert allowed_hosts(restore(snapshot, "again").folder) == set()


def test_a_folder_that_was_copied_in_by_hand_is_asked_about_as_well(restored: Project) -> None:
    allow(restored.folder, [HOST])
    copied = shutil.copytree(restored.folder, restored.folder.with_name("copied"))
    with pytest.raises(ImageUnreadable, match="nobody has said yet"):
        preview(restored.store.images.get(1), 1_024, copied / "previews")


def test_images_beyond_the_pixel_cache_are_not_fetched_either(bucket: MemoryFileSystem) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 32), "red").save(buffer, "PNG")
    bucket.pipe_file("/photos/dog/1.png", buffer.getvalue())
    project = create_project("beyond", ProjectSettings(training_size=16, pixel_cache_gb=1e-9))
    ingest(project, HOST)
    project.close()
    shutil.rmtree(home() / "cache")
    (home() / "fetched-from" / "beyond.json").unlink()
    assert (PixelStore(project.pixels)[1] == 128).all()  # a grey square stands for it
    assert fetched() == []


def test_a_restored_project_copies_no_file_but_the_one_that_was_imported(tmp_path: Path) -> None:
    private = tmp_path / "private.txt"
    private.write_bytes(b"a key")
    project = tiny_project(6, test=0)
    project.store.images.set_uris({1: str(private)})
    done = backup(project, tmp_path / "b.zip", {}, with_images=True)
    assert "the file is not the one that was imported" in done.problems[0].reason
    assert b"a key" not in (tmp_path / "b.zip").read_bytes()
    project.close()


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://user:secret@Example.com:8000/a.jpg?b#c", "https://example.com:8000"),
        ("s3://bucket/a.jpg", "s3://bucket"),
        ("https://[::1", "https://[::1"),
        ("/photos/a.jpg", None),
        ("file:///photos/a.jpg", None),
        ("digits:17", None),
    ],
)
def test_a_question_is_about_a_host_and_shows_no_password(address: str, host: str | None) -> None:
    assert host_of(address) == host


def test_a_damaged_list_of_hosts_allows_none(restored: Project) -> None:
    allow(restored.folder, [HOST])
    (home() / "fetched-from" / "again.json").write_bytes(b'["memory://pho')
    assert allowed_hosts(restored.folder) == set()
    with pytest.raises(ImageUnreadable, match="nobody has said yet"):
        read_original(restored.folder, f"{HOST}/cat/1.png", "1.png")


def test_a_command_fetches_what_it_is_told_to_and_restore_says_so(snapshot: Path) -> None:
    ended = run_command("restore", snapshot, "--name", "by command")
    assert f"Its images come from {HOST}. Nothing is fetched" in ended.stdout
    folder = project_folder("by-command")
    assert allowed_hosts(folder) == set()
    allow_fetching("by-command", [f"{HOST}/cat"])
    assert allowed_hosts(folder) == {HOST}
    with pytest.raises(InputError, match="--fetch 'photos' is no address"):
        allow_fetching("by-command", ["photos"])
