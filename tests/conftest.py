"""Every test has a home of its own: no test sees a project of the person who runs it."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def tidal_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tidal-home"
    monkeypatch.setenv("TIDAL_HOME", str(folder))
    return folder
