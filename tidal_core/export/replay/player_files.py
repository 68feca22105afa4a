"""The player's own files, for whoever mounts it: the exported page, and the studio's page Replay."""

from __future__ import annotations

import importlib.resources
from functools import cache

_SCRIPTS = ("story", "draw", "player")  # in this order: each uses what stands before it


@cache
def player_file(name: str) -> str:
    """One file of ``player/``."""
    return (importlib.resources.files("tidal_core.export.replay") / "player" / name).read_text(encoding="utf-8")


@cache
def player_script() -> str:
    """The player as one script; ``shared_script`` stands before it."""
    return "\n".join(player_file(f"{name}.js") for name in _SCRIPTS)


@cache
def shared_script() -> str:
    """What all of the studio's components use; read as a file, because importing ``ui`` would import Streamlit."""
    return (importlib.resources.files("tidal_core") / "ui" / "labeller" / "shared.js").read_text(encoding="utf-8")
