"""A project as one file: ``writing`` makes it, ``restoring`` makes a project of it again.

The file is a zip without compression (weights and squares hardly get smaller, and writing it takes half the time):

    project.duckdb                      the project's file as it was at one moment
    pixels.npy                          squares at training size, those that the project refers to
    pixels.beyond                       which images are beyond the pixel cache's limit, if any are
    checkpoints/round-0007.safetensors  weights of the rounds that have them
    checkpoints/round-0008.resume       where the round under way goes on
    imports/import-001.csv              reports of imports
    images/000001.jpg                   original photos, only where asked for
    manifest.json                       what it is, and the SHA-256 of every other member

Previews are not in it: they are made again. Snapshots are read by this version of the format and by later ones.

May import: the ground, ``store``, ``images``. Never the engine, rounds or Streamlit. Add here: a member of the file.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from msgspec import Meta

from tidal_core import json_checks
from tidal_core.errors import InputError, reason_of
from tidal_core.images.pixels import FILE_NAMES

FORMAT = "tidal-studio-snapshot"
VERSION = 1
MANIFEST = "manifest.json"
DATABASE = "project.duckdb"
_PIXELS = "|".join(re.escape(name) for name in FILE_NAMES)
_MEMBER = re.compile(
    rf"project\.duckdb|{_PIXELS}|checkpoints/round-\d{{4,9}}\.(safetensors|resume)|imports/import-\d{{3,9}}\.csv"
    r"|images/\d{6,10}(\.[a-z0-9]{1,5})?"
)


@dataclass(frozen=True)
class Member:
    """One file of a snapshot."""

    bytes: Annotated[int, Meta(ge=0)]
    sha256: str  # hex


@dataclass(frozen=True)
class Manifest:
    """What a snapshot is."""

    format: str
    version: int  # of the format
    app: str  # the studio's version that wrote it
    schema: int  # steps of ``store.migrations`` that the project's file has
    created: str  # ISO 8601, UTC
    slug: str
    title: str
    with_images: bool
    members: dict[str, Member]

    def to_json(self) -> str:
        """As it stands in ``manifest.json``."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1)

    @classmethod
    def from_json(cls, text: bytes) -> Manifest:
        """Raises InputError, in words that follow the file's name, when it is none or not one for this version."""
        try:
            values = json_checks.decode(text, dict[str, Any])
            head = json_checks.convert(values, _Head)
            readable = head.format == FORMAT and head.version <= VERSION
            manifest = json_checks.convert(values, cls) if readable else None
        except InputError as error:
            raise InputError(
                f"has a manifest that cannot be read ({reason_of(error)}); use another copy of the file."
            ) from error
        if head.format != FORMAT:
            raise InputError(
                f"is not a snapshot of this studio but {head.format[:60]!r}; choose a file written by `backup`."
            )
        if manifest is None:
            raise InputError(
                f"was written by a newer version of TiDAL Studio ({head.app[:20]}; its format is {head.version}, this "
                f"version reads up to {VERSION}). Update the studio to restore it."
            )
        return manifest


@dataclass(frozen=True)
class _Head:
    """What every version's manifest says of itself."""

    format: str
    version: Annotated[int, Meta(ge=1)]
    app: str = "unknown"


def is_safe(name: str) -> bool:
    """Whether a member may be called this: only what the studio itself writes, each in its place."""
    return _MEMBER.fullmatch(name) is not None
