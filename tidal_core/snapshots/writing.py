"""Writing a snapshot: one file, whole or not there, while labelling and training go on.

The order makes it consistent: first the checkpoint of the round under way (``unfinished``), then the project's file,
then weights and squares. Epochs that the project's file knows beyond the checkpoint are trained again, bit for bit;
the other way round they would be missing. Weights and squares that the file refers to are never changed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Self

from tidal_core import __version__
from tidal_core.errors import DISK_FULL, ImageUnreadable, InputError
from tidal_core.files import atomic_file, sweep
from tidal_core.images.pixels import PixelStore, cached_spec
from tidal_core.images.reading import SUFFIXES
from tidal_core.images.sources import read_original, uri_path
from tidal_core.projects import Project
from tidal_core.records import ImageRecord, ImportProblem, Progress, RoundState
from tidal_core.snapshots import DATABASE, FORMAT, MANIFEST, VERSION, Manifest, Member

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Backup:
    """A snapshot that was written."""

    path: Path
    bytes: int
    manifest: Manifest
    own_photos: int = 0  # images that lie in the project's own folder and are not in the snapshot
    problems: tuple[ImportProblem, ...] = ()  # photos that could not be read


def unfinished(folder: Path) -> dict[str, bytes]:
    """The checkpoints of a round under way, by name: to be read before the project's file is."""
    checkpoints = {}
    for path in sorted((folder / "checkpoints").glob("round-*.resume")):
        try:
            checkpoints[path.name] = path.read_bytes()
        except FileNotFoundError:
            continue  # the round has ended
    return checkpoints


def check_target(target: Path, force: bool) -> None:
    """Raises InputError where no snapshot may be written."""
    if target.is_dir():
        raise InputError(f"{target} is a folder; give the name of a file, such as {target / 'backup.zip'}.")
    if target.suffix.lower() != ".zip":
        raise InputError(f"{target.name!r} does not end with .zip, and a snapshot is a zip file; choose such a name.")
    if target.exists() and not force:
        raise InputError(f"{target} already exists; choose another name, or replace it with --force.")
    if not target.parent.is_dir():
        raise InputError(f"there is no folder {target.parent} for {target.name}; create it, or choose another folder.")


def backup(
    project: Project,
    target: Path,
    going_on: Mapping[str, bytes],
    *,
    with_images: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> Backup:
    """Write the project to ``target``; ``going_on`` is what ``unfinished`` said before the project was opened.

    Raises InputError when the target may not be written or there is no room for it; then nothing is left of it.
    """
    target = Path(os.path.abspath(target.expanduser()))
    check_target(target, force)
    sweep(target.parent)
    writer = None
    try:
        with atomic_file(target, durable=True, private=True, replacing=force) as file:
            writer = _Writer(file, progress or (lambda done, total: None))
            with writer:
                with project.store.snapshot() as snapshot:
                    writer.total = snapshot.size + _bytes_beside(project, with_images)
                    writer.add(DATABASE, snapshot.chunks(_CHUNK))
                report = _rest(writer, project, going_on, with_images)
            size = file.tell()
    except OSError as error:
        if isinstance(error, FileExistsError):
            check_target(target, force)
        free, needed = shutil.disk_usage(target.parent).free, writer.total if writer is not None else 0
        why = "the disk is full" if error.errno in DISK_FULL else error.strerror or str(error)
        raise InputError(
            f"the snapshot {target} could not be written: {why}. It needs about {needed / 1e6:,.0f} MB, and "
            f"{free / 1e6:,.0f} MB are free there; free some space, or write it elsewhere."
        ) from error
    return Backup(target, size, *report)


def _rest(
    writer: _Writer, project: Project, going_on: Mapping[str, bytes], with_images: bool
) -> tuple[Manifest, int, tuple[ImportProblem, ...]]:
    store = project.store
    rows = store.images.next_pixel_row()
    if rows:
        _add_pixels(writer, project, rows)
    for record in store.rounds.all():
        resume = f"round-{record.id:04d}.resume"
        if record.state is RoundState.TRAINING and resume in going_on:
            writer.add(f"checkpoints/{resume}", [going_on[resume]])
        if record.checkpoint is not None and (project.checkpoints / record.checkpoint).exists():
            writer.add_file(f"checkpoints/{record.checkpoint}", project.checkpoints / record.checkpoint)
    for path in sorted((project.folder / "imports").glob("import-*.csv")):
        writer.add_file(f"imports/{path.name}", path)
    images = store.images.all()
    problems: list[ImportProblem] = []
    own = 0
    for image in images:
        if with_images and not image.uri.startswith("digits:"):
            try:
                writer.add(image_member(image), [read_original(project.folder, image.uri, image.name, image.sha256)])
            except ImageUnreadable as error:
                problems.append(ImportProblem(image.name, error.reason, error.remedy))
        elif not with_images:
            photo = uri_path(image.uri)
            own += photo is not None and photo.is_relative_to(project.folder)
    manifest = Manifest(
        format=FORMAT,
        version=VERSION,
        app=__version__,
        schema=store.schema,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        slug=project.slug,
        title=project.title,
        with_images=with_images,
        members=dict(writer.members),
    )
    writer.add(MANIFEST, [manifest.to_json().encode()])
    return manifest, own, tuple(problems)


def image_member(image: ImageRecord) -> str:
    """What an original photo is called in a snapshot."""
    suffix = PurePosixPath(image.name).suffix.lower()
    return f"images/{image.id:06d}{suffix if suffix in SUFFIXES else ''}"


def _bytes_beside(project: Project, with_images: bool) -> int:
    """About how many bytes come after the project's file."""
    weights = sum(path.stat().st_size for path in project.checkpoints.glob("round-*.safetensors"))
    side = project.settings.training_size
    photos = sum(image.bytes for image in project.store.images.all()) if with_images else 0
    return weights + project.store.images.next_pixel_row() * side * side * 3 + photos


def _add_pixels(writer: _Writer, project: Project, rows: int) -> None:
    """What holds the first rows of the pixel store."""
    size, pixels = cached_spec(project).size, PixelStore(project.pixels)
    if pixels.side != size:
        raise InputError(
            f"the images of {project.slug!r} are being processed again ({pixels.side} pixels instead of {size}); "
            "take the snapshot when that is finished."
        )
    for name, chunks in pixels.files(rows):
        writer.add(name, chunks)


class _Writer:
    """The zip while it is written: counts and hashes what goes in."""

    def __init__(self, file: BinaryIO, progress: Progress) -> None:
        self._target = _Target(file)
        self.archive = zipfile.ZipFile(self._target, "w", zipfile.ZIP_STORED)
        self.members: dict[str, Member] = {}
        self.total = 0
        self._done = 0
        self._progress = progress

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._target.is_given_up = True
        self.archive.close()

    def add(self, name: str, chunks: Iterable[bytes]) -> None:
        """One member, a chunk at a time."""
        digest, size = hashlib.sha256(), 0
        info = zipfile.ZipInfo(name, time.localtime()[:6])
        info.external_attr = 0o600 << 16
        with self.archive.open(info, "w", force_zip64=True) as member:
            for chunk in chunks:
                member.write(chunk)
                digest.update(chunk)
                size += len(chunk)
                self._done += len(chunk)
                self._progress(self._done, max(self.total, self._done))
        self.members[name] = Member(size, digest.hexdigest())

    def add_file(self, name: str, path: Path) -> None:
        """One member from a file."""
        with path.open("rb") as file:
            self.add(name, iter(lambda: file.read(_CHUNK), b""))


class _Target:
    """The file that the zip is written to, until it is given up: what comes then goes nowhere.

    A zip that is closed is finished with its directory, also where the disk is full already; and one that is not closed
    would be when nobody has it any more.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.is_given_up = False

    def write(self, data: bytes) -> int:
        return len(data) if self.is_given_up else self._file.write(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def flush(self) -> None:
        if not self.is_given_up:
            self._file.flush()

    def close(self) -> None:
        """Whoever opened the file closes it."""
