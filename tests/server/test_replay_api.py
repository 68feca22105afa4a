"""What the page Replay is sent: one answer with all rounds, or why there is none."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from benchmarks.made_up import Size, make
from tests.helpers.served import Served
from tidal_core.export.replay.collect import replay_info
from tidal_core.figures.replay import packed


def test_all_rounds_come_in_one_answer_as_they_are_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDAL_HOME", str(tmp_path))
    make("made-up", Size(labelled=30, pool=20, test=20, rounds=2, epochs=3)).close()
    served = Served(n=6)

    without = served.get("replay")
    answer = served.get("replay", slug="made-up")

    assert without.status_code == 400
    assert "No round of 'tiny' has ended yet" in without.json()["error"]
    (length,) = struct.unpack_from(">I", answer.content)
    head, octets = packed(replay_info(served.studio.project("made-up")))
    assert json.loads(answer.content[4 : 4 + length]) == head
    assert answer.content[4 + length :] == octets
    assert (4 + length) % 4 == 0
    served.close()
