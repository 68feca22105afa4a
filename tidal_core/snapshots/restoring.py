"""A snapshot becomes a project again. The file may come from anywhere, so nothing in it is believed.

Members are those that a snapshot has, under those names, of the size and hash that the manifest says. Everything is
unpacked beside the projects, opened, and brought to this version's tables; only then it is given the project's name.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

from tidal_core.errors import InputError, ProjectExists, SchemaTooNew, StoreError
from tidal_core.files import atomic, sweep
from tidal_core.images.pixels import FILE_NAMES, PixelStore
from tidal_core.images.sources import consent, uri_path
from tidal_core.projects import home, project_folder, slugify
from tidal_core.records import CONTENT_HASH, ImageRecord, Progress
from tidal_core.snapshots import DATABASE, MANIFEST, Manifest, is_safe
from tidal_core.snapshots.writing import image_member
from tidal_core.store import Store
from tidal_core.store.migrations import MIGRATIONS

_CHUNK = 1 << 20
_LARGEST_MANIFEST = 200_000_000  # bytes: more than a million photos


@dataclass(frozen=True)
class Restored:
    """A project that was made of a snapshot."""

    slug: str
    folder: Path
    manifest: Manifest
    images: int
    hosts: tuple[str, ...]  # that its images come from: nothing is fetched before a person says yes
    missing: tuple[str, ...]  # originals that are not where they were: URIs


def restore(file: Path, name: str | None = None, *, progress: Progress | None = None) -> Restored:
    """Make a project of a snapshot, under its own name or another one.

    Raises InputError for what is no whole snapshot, SchemaTooNew for one of a newer version and ProjectExists when
    there is a project of this name; then nothing has changed.
    """
    file = file.expanduser()
    try:
        with zipfile.ZipFile(file) as archive:
            manifest = _checked(archive, file)
            slug = slugify(name) if name is not None else slugify(manifest.slug)
            _refuse_existing(slug)
            folder = project_folder(slug)
            folder.parent.mkdir(parents=True, exist_ok=True)
            sweep(folder.parent)
            try:
                with atomic(folder, durable=True) as unpacked:
                    _unpack(archive, manifest, file, unpacked, progress or (lambda done, total: None))
                    return _ours(file, manifest, unpacked, slug, name)
            except OSError:
                _refuse_existing(slug)  # made meanwhile
                raise
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise InputError(
            f"{error.filename or file} cannot be read ({error.strerror}); check the file name and its permissions."
        ) from error
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise InputError(f"{file} is not a snapshot, or is incomplete; use another copy of the file.") from error


def _checked(archive: zipfile.ZipFile, file: Path) -> Manifest:
    """The manifest, once everything that can be told without unpacking is as it says."""
    infos = archive.infolist()
    names = [info.filename for info in infos]
    if MANIFEST not in names:
        raise InputError(
            f"{file} is not a snapshot of this studio: it has no {MANIFEST}. Choose a file written by `backup`."
        )
    if archive.getinfo(MANIFEST).file_size > _LARGEST_MANIFEST:
        raise InputError(
            f"{file} is not a snapshot of this studio: its {MANIFEST} is too large. Choose a file written by `backup`."
        )
    try:
        manifest = Manifest.from_json(archive.read(MANIFEST))
    except InputError as error:
        raise InputError(f"{file} {error}") from error
    if manifest.schema > len(MIGRATIONS):
        raise SchemaTooNew(
            f"{file} was written by a newer version of TiDAL Studio ({manifest.app}; its tables are at step "
            f"{manifest.schema}, this version knows {len(MIGRATIONS)}). Update the studio to restore it."
        )
    unsafe = [name for name in names if name != MANIFEST and not is_safe(name)]
    if unsafe:
        raise InputError(f"{file} contains {unsafe[0][:80]!r}, which is not part of a snapshot; nothing was restored.")
    if len(set(names)) != len(names) or {*names} - {MANIFEST} != {*manifest.members} or DATABASE not in names:
        raise InputError(f"{file} does not contain the files that its manifest lists; use another copy of the file.")
    for info in infos:
        expected = manifest.members.get(info.filename)
        if info.compress_type != zipfile.ZIP_STORED or (expected is not None and info.file_size != expected.bytes):
            raise InputError(f"{file}: {info.filename} does not match the manifest; use another copy of the file.")
    needed, free = (
        sum(expected.bytes for expected in manifest.members.values()),
        shutil.disk_usage(_existing(home())).free,
    )
    if needed > free:
        raise InputError(
            f"{file} needs {needed / 1e6:,.0f} MB and {free / 1e6:,.0f} MB are free in {home()}; free some space, or "
            "set TIDAL_HOME to another folder."
        )
    return manifest


def _existing(folder: Path) -> Path:
    return next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())


def _refuse_existing(slug: str) -> None:
    folder = project_folder(slug)
    if folder.exists():
        raise ProjectExists(
            f"There is already a project {slug!r} in {folder}; restore under another name: --name OTHER."
        )


def _unpack(archive: zipfile.ZipFile, manifest: Manifest, file: Path, unpacked: Path, progress: Progress) -> None:
    total, done = sum(expected.bytes for expected in manifest.members.values()), 0
    for folder in ("previews", "checkpoints", "exports"):
        (unpacked / folder).mkdir(parents=True)
    for name, expected in manifest.members.items():
        target = unpacked / (
            "originals/restored/" + name.removeprefix("images/") if name.startswith("images/") else name
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        try:
            with archive.open(name) as member, target.open("xb") as out:
                while chunk := member.read(_CHUNK):
                    out.write(chunk)
                    digest.update(chunk)
                    done += len(chunk)
                    progress(done, total)
        except OSError as error:
            raise InputError(
                f"{file} could not be unpacked to {unpacked} ({error.strerror}); free some space there."
            ) from error
        if digest.hexdigest() != expected.sha256:
            raise InputError(
                f"{file}: {name} is damaged (its hash differs from the manifest); use another copy of the file."
            )


def _ours(file: Path, manifest: Manifest, unpacked: Path, slug: str, name: str | None) -> Restored:
    """What ``_opened`` makes of it. Raises InputError for a project's file with anything that no studio wrote."""
    try:
        return _opened(manifest, unpacked, slug, name)
    except SchemaTooNew:
        raise
    except (StoreError, ValueError) as error:  # a value that no record can have is a ValueError
        reason = str(error).replace(str(unpacked / DATABASE), DATABASE)
        raise InputError(f"{file} is not restored: {reason}") from error


def _refuse_strange_values(store: Store, images: list[ImageRecord]) -> None:
    """What files are called by must be what the studio writes. Raises ValueError."""
    store.settings.load()
    store.rounds.all()
    for image in images:
        if not CONTENT_HASH.fullmatch(image.sha256):
            raise ValueError(f"image {image.id} has the hash {image.sha256[:80]!r}, which no file has.")


def _opened(manifest: Manifest, unpacked: Path, slug: str, name: str | None) -> Restored:
    """Open what was unpacked, which brings it to this version's tables, and note where its photos will lie."""
    folder = project_folder(slug)
    with Store(unpacked / DATABASE) as store:
        if name is not None:
            store.settings.save(replace(store.settings.load(), title=name))
        # Answers that wait in a browser were meant for the project that this is a copy of.
        store.settings.set("project_id", secrets.token_hex(8))
        images = store.images.all()
        _refuse_strange_values(store, images)
        photos = {
            image.id: folder / "originals" / "restored" / image_member(image).removeprefix("images/")
            for image in images
            if image_member(image) in manifest.members
        }
        store.images.set_uris({image_id: str(path) for image_id, path in photos.items()})
        with PixelStore(unpacked / FILE_NAMES[0]) as pixels:
            if photos:
                pixels.move(
                    {image.pixel_row: (str(photos[image.id]), image.name) for image in images if image.id in photos}
                )
            if store.images.next_pixel_row():
                pixels.open(at_least=store.images.next_pixel_row())
    consent.forget(folder)
    hosts = consent.hosts_of(image.uri for image in images)
    return Restored(slug, folder, manifest, len(images), hosts, _missing([i.uri for i in images if i.id not in photos]))


def _missing(uris: list[str]) -> tuple[str, ...]:
    paths = ((uri, uri_path(uri)) for uri in uris if "://" not in uri)
    return tuple(uri for uri, path in paths if path is not None and not path.exists())
