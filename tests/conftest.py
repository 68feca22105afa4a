"""Every test has a home of its own: no test sees a project of the person who runs it."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tidal_core.config import PRESETS, QUICK

# Timings never fail a test: a busy machine takes ten times as long. And what passed here passes elsewhere: the examples
# of a property are the same in every run, and others with ``--hypothesis-profile explore``.
settings.register_profile("studio", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.register_profile("explore", settings.get_profile("studio"), derandomize=False, print_blob=True)
settings.load_profile("studio")


@pytest.fixture(autouse=True)
def tidal_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tidal-home"
    monkeypatch.setenv("TIDAL_HOME", str(folder))
    return folder


@pytest.fixture
def short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds of forty steps, for tests that ask whether a round works and not how well it learns."""
    monkeypatch.setitem(PRESETS, "quick", replace(QUICK, epochs=10, min_steps=40))
