"""The engine's benchmarks run; their timings decide nothing."""

import importlib
import json
import sys

import pytest


@pytest.mark.parametrize(
    ("name", "options", "figure"),
    [
        ("td_overhead", ["--precision", "bfloat16"], "overhead_pct"),
        ("training", [], "speedup"),
        ("scoring", ["--backbone", "resnet18"], "ratio"),
        ("paper_round", [], "seconds"),
        ("round_time", [], "seconds"),
    ],
)
def test_the_quick_run_ends_with_one_line_of_json(
    name: str, options: list[str], figure: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [name, "--quick", *options])

    importlib.import_module(f"benchmarks.{name}").main()

    assert isinstance(json.loads(capsys.readouterr().out.splitlines()[-1])[figure], float)
