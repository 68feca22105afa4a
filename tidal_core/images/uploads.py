"""Files that a browser sends, kept in the project's own folder and imported from there."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from tidal_core.files import atomic_file, sweep
from tidal_core.projects import Project

_COPIED_AT_ONCE = 1 << 20
_ARCHIVES = {".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz"}
_TABLES = {".csv", ".tsv", ".jsonl", ".json", ".parquet"}


def keep_uploads(project: Project, files: Iterable[tuple[str, BinaryIO]]) -> list[Path]:
    """Store uploaded files in the project's folder; returns the sources to import, see ``store_uploads``."""
    return store_uploads(project.folder / "originals" / "uploads", files)


def store_uploads(uploads: Path, files: Iterable[tuple[str, BinaryIO]]) -> list[Path]:
    """Store uploaded files under safe names; returns the sources to import: images' folder, archives, then tables.

    Only the last part of a name counts, whatever path a browser claims. A file sent again is the same file: it goes by
    its content where its name is taken. Images that come with a table lie in a folder of their own below it, so that
    the names in the table mean them and not older ones that are called alike.
    """
    named = [(_safe_name(name), file) for name, file in files]
    tables = [(name, file) for name, file in named if Path(name).suffix.lower() in _TABLES]
    folder = uploads
    if tables:
        digest = hashlib.sha256()
        for _, file in tables:
            while chunk := file.read(_COPIED_AT_ONCE):
                digest.update(chunk)
            file.seek(0)
        folder = folder / f"with-table-{digest.hexdigest()[:12]}"
    (folder / "images").mkdir(parents=True, exist_ok=True)
    sweep(folder, below=True)
    sources: list[Path] = []
    for name, file in sorted(named, key=lambda upload: Path(upload[0]).suffix.lower() in _TABLES):
        suffix = Path(name).suffix.lower()
        is_image_or_unknown = suffix not in _ARCHIVES | _TABLES
        target = _store(folder / "images" if is_image_or_unknown else folder, name, file)
        source = folder / "images" if is_image_or_unknown else target
        if source not in sources:
            sources.append(source)
    return sources


def _safe_name(name: str) -> str:
    last = re.split(r"[/\\]", name)[-1]
    plain = re.sub(r"[\x00-\x1f\x7f]", "_", last).lstrip(".").strip()
    plain = plain.encode("utf-8", "replace").decode("utf-8")
    stem, suffix = Path(plain).stem, Path(plain).suffix
    while len((stem + suffix).encode()) > 200:
        stem = stem[:-1] if stem else stem
        suffix = suffix if stem else suffix[:20]
    return (stem + suffix) or "unnamed"


def _store(folder: Path, name: str, file: BinaryIO) -> Path:
    """Equal content under an equal name stays as it is; other content goes by its hash."""
    target = folder / name
    if target.exists():
        digest = _digest(file)
        with target.open("rb") as earlier:
            if _digest(earlier) == digest:
                return target
        target = folder / f"{target.stem}-{digest[:8]}{target.suffix}"
    with atomic_file(target, keep_equal=True) as out:
        shutil.copyfileobj(file, out, _COPIED_AT_ONCE)
    return target


def _digest(file: BinaryIO) -> str:
    """SHA-256 of what a file holds, hex; it can be read from its start afterwards."""
    digest = hashlib.sha256()
    while chunk := file.read(_COPIED_AT_ONCE):
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()
