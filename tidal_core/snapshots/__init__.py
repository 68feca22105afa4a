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
from typing import Any

from tidal_core.errors import InputError
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

    bytes: int
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
            values: dict[str, Any] = json.loads(text)
            if values["format"] != FORMAT:
                raise InputError(f"is no snapshot of this studio but {str(values['format'])[:60]!r}.")
            if values["version"] > VERSION:
                raise InputError(
                    f"was written by a newer version of TiDAL Studio ({str(values.get('app'))[:20]}; its format is "
                    f"{values['version']}, this version reads {VERSION}). Update the studio to restore it."
                )
            members = {
                str(name): Member(int(one["bytes"]), str(one["sha256"])) for name, one in values["members"].items()
            }
            texts = {name: str(values[name]) for name in ("format", "app", "created", "slug", "title")}
            numbers = {name: int(values[name]) for name in ("version", "schema")}
            return cls(**texts, **numbers, with_images=values["with_images"] is True, members=members)  # type: ignore[arg-type]
        except InputError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(f"has a manifest that cannot be read ({error}); take another copy of it.") from error


def is_safe(name: str) -> bool:
    """Whether a member may be called this: only what the studio itself writes, each in its place."""
    return _MEMBER.fullmatch(name) is not None
