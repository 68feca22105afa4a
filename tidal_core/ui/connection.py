"""What every page says while the studio does not run: that it has stopped, what is kept, and how to start it again.

Streamlit's own dialog would lie over the labelling component and take its keys; ``streamlit_internals`` turns it off.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

USUAL_PORT = 8501


@cache
def _component() -> Any:
    return st.components.v2.component(
        "tidal_connection", js=Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
    )


def start_again(root: Path, port: int) -> tuple[str, str]:
    """The folder to be in ("" for any) and the command that starts the studio of ``root`` at the same address.

    At another port a browser would not find the answers that it keeps.
    """
    if not (root / "Makefile").exists():
        return "", f"tidal-studio --port {port}"
    return str(root), "make run" if port == USUAL_PORT else f".venv/bin/streamlit run app.py --server.port {port}"


def watch_connection(root: Path, token: str) -> None:
    """Let the page of this run notice when the studio stops. ``root`` is the folder of the front door.

    The ``token`` of a studio that was started again reaches the answers that wait in the browser, on whatever page.
    """
    folder, command = start_again(root, int(st.get_option("server.port")))
    _component()(key="connection", data={"folder": folder, "command": command, "token": token}, height=1)
