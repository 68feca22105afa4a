"""The labelling benchmarks run to the end and print their figures; with the real server, beside the browser tests."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.browser


def quick(name: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--quick"],
        cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, timeout=170, check=True,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def test_key_latency_finds_no_key_lost_doubled_or_misattributed() -> None:
    found = quick("key_latency")

    assert (found["lost"], found["duplicated"], found["misattributed"]) == (0, 0, 0)
    assert 0 < found["p50_ms"] <= found["p95_ms"]


def test_kills_loses_nothing() -> None:
    found = quick("kills")

    assert (found["kills"], found["lost"], found["duplicated"], found["unopened"]) == (1, 0, 0, 0)


def test_labels_go_on_while_a_snapshot_is_taken() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.snapshot", "--quick"],
        cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, timeout=170, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout.strip().splitlines()[-1])

    assert min(found["quiet_ms"]["n"], found["backup_ms"]["n"]) > 0
    assert len(found["snapshot_s"]) == 1
