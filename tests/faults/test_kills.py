"""SIGKILL in the middle of a burst: with the real server, so it runs beside the browser tests."""

from pathlib import Path

import pytest

from benchmarks import kills


@pytest.mark.browser
def test_three_kills_in_a_burst_lose_no_acknowledged_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDAL_TOKEN", "")  # put back afterwards: the measurement sets its own

    found = kills.measure(3, tmp_path / "home")

    assert found["acknowledged"] > 0
    assert (found["lost"], found["duplicated"], found["unopened"]) == (0, 0, 0)
