"""Each benchmark's short form runs and ends with one JSON line; its figures are not judged here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def last_line(*words: str) -> dict[str, object]:
    done = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, object] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def test_the_digits_benchmark_trains_a_round_and_reports_its_accuracy() -> None:
    figures = last_line("benchmarks.digits", "--quick")
    assert figures["labels"] == 20
    assert isinstance(figures["accuracy"], float)
    assert figures["accuracy"] > 0.5


@pytest.mark.browser
def test_the_first_page_comes_up_without_torch() -> None:
    figures = last_line("benchmarks.startup", "--quick")
    assert figures["torch_imported"] is False
