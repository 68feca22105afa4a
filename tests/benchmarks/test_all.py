"""Each benchmark's short form runs and ends with one JSON line. Speeds are not judged here: what may be is."""

import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.pages import PAGES
from tidal_core import strategies

ROOT = Path(__file__).parents[2]
BENCHMARKS = {
    path.stem
    for path in (ROOT / "benchmarks").glob("*.py")
    if '__name__ == "__main__"' in path.read_text(encoding="utf-8")
}
Figures = dict[str, Any]

HERE: dict[str, tuple[list[str], Callable[[Figures], bool]]] = {
    "autopilot": ([], lambda found: 0 < found["first_answer_s"] <= found["result_s"] and found["accuracy"] > 0.3),
    "coverage": (
        [],
        lambda found: all(way["coverage"] > 0.5 and way["named_rightly"] == 1 for way in found["ways"].values()),
    ),
    "digits": ([], lambda found: found["labels"] == 20 and found["accuracy"] > 0.5),
    "first_labels": ([], lambda found: 0 <= found["accuracy_5"] <= 1 and 0 <= found["accuracy_10"] <= 1),
    "frozen": (
        [],
        lambda found: (
            min(found["features_per_s"], found["ratio"], found["exact_td_s"]) > 0 and -1 <= found["accuracy_gap"] <= 1
        ),
    ),
    "full_disk": (
        [],
        lambda found: (
            (found["lost"], found["unreadable"], found["stuck"], found["raw_messages"]) == (0, 0, 0, 0)
            and min(found["refused"], found["acknowledged"]) > 0
        ),
    ),
    "finish": (
        [],
        lambda found: (
            found["missed_share"] == 0
            and found["drawn 90%"]["left"] > 0
            and found["drawn life"]["lives"] == 1
        ),
    ),
    "ingest": (
        [],
        lambda found: (
            set(found)
            == {
                "photos_per_s", "ratio", "ratio_same", "labels_200k_s", "csv_1m_s", "export_100k_s", "memory_growth_mb",
            }
        ),
    ),
    "low_budget": (
        [],
        lambda found: {
            (each["runs"], each["best_other"], -100 <= each["to_random_low"] <= each["to_random"])
            for each in found["experiments"].values()
        } == {(2, "random", True)},
    ),
    "many_classes": ([], lambda found: found["seconds"] > 0),
    "measuring": ([], lambda found: 0 <= found["even_accuracy"][0] <= 100 and found["early_audit_width"][0] > 0),
    "pages": ([], lambda found: set(found["pages"]) == set(PAGES) and found["slowest_query_ms"] > 0),
    "paper_round": ([], lambda found: found["seconds"] > 0),
    "review": ([], lambda found: 0 <= found["made_up"]["combined"]["at_10"][0] <= 1),
    "round_time": ([], lambda found: found["seconds"] > 0),
    "scale_cost": (
        [],
        lambda found: (
            [each["images"] for each in found["sizes"]] == [10**6, 10**7, 10**8]
            and all(each["hours"]["all"] > 0 < each["gb"]["all"] for each in found["sizes"])
        ),
    ),
    "scoring": (["--backbone", "resnet18"], lambda found: found["ratio"] > 0),
    "separability": ([], lambda found: 0 <= found["td_entropy_auroc"] <= 1),
    "strategies": (
        [],
        lambda found: (
            set(found["strategies"]) == set(strategies.names())
            and min(found["slowest_s"], found["slowest_cpu_s"], found["peak_gb"]) > 0
        ),
    ),
    "structure": ([], lambda found: found["rooms"] > 0),
    "td_overhead": (["--precision", "bfloat16"], lambda found: isinstance(found["overhead_pct"], float)),
    "training": ([], lambda found: min(found["speedup"], found["bfloat16_ratio"]) > 0),
}  # fmt: skip
"""Options and what its figures must say, of those that need no browser."""

OF_ITS_OWN: dict[str, Callable[[Figures], bool]] = {
    "long_run": lambda found: (
        (found["rounds"], found["answers"]) == (1, 40)
        and 0 < found["file_opened_mb"] <= found["file_closed_mb"]
        and min(found[name]["last"] for name in ("memory_mb", "handles", "threads", "file_mb")) > 0
    ),
    "ray": lambda found: found["local"] > 0 and found["same_bytes"],
}
"""What runs in a process of its own: it starts a studio, or Ray, which keeps the token of a process's first cluster."""

WITH_A_SERVER: dict[str, Callable[[Figures], bool]] = {
    "key_latency": lambda found: (
        (found["lost"], found["duplicated"], found["misattributed"]) == (0, 0, 0)
        and 0 < found["p50_ms"] <= found["p95_ms"]
    ),
    "gallery": lambda found: (
        found["images"] == 260
        and min(found[name] for name in ("first_page_s", "filter_ms", "scroll_fps", "bulk_10k_s", "memory_mb")) > 0
    ),
    "fuzz": lambda found: (
        min(found["requests"], found["readings"]) > 0
        and (found["server_errors"], found["leaked_paths"], found["crashes"], found["outside_requests"]) == (0, 0, 0, 0)
    ),
    "kills": lambda found: (
        found["kills"] + found["ended"] == 11
        and (found["lost"], found["duplicated"], found["unopened"], found["different"]) == (0, 0, 0, 0)
    ),
    "million": lambda found: (
        (found["rows"], found["exported_rows"]) == (600, 600)
        and min(found[name] for name in ("open_s", "key_p95_ms", "rank_s", "gallery_filter_ms", "memory_gb", "file_gb"))
        > 0
    ),
    "annotators": lambda found: (
        found["answers"] > 0
        and abs(found["memory_growth_mb"]) < 10_000
        and (found["double_served"], found["answered_twice"], found["lost"], found["failures"]) == (0, 0, 0, 0)
    ),
    "replay": lambda found: (
        found["images"] == 55
        and 0 < found["moments_share"] <= 1
        and min(found[name] for name in ("frames_per_s", "page_frames_per_s", "paint_ms", "webp_s", "memory_mb")) > 0
        and abs(found["page_mb"] - found["page_estimate_mb"]) <= 0.02
    ),
    "snapshot": lambda found: (
        min(found["quiet_ms"]["n"], found["backup_ms"]["n"]) > 0 and len(found["snapshot_s"]) == 1
    ),
    # Not whether torch was there: on a slow machine the worker has begun to load it before the image is painted. That
    # no page needs it is for ``test_imports``.
    "startup": lambda found: min(found["first_page_s"], found["first_run_s"], found["bare_s"]) > 0,
}
"""The same of those that start a real server."""


def test_every_benchmark_is_run() -> None:
    assert {*HERE, *OF_ITS_OWN, *WITH_A_SERVER} == BENCHMARKS


@pytest.mark.parametrize("name", sorted(HERE))
def test_the_quick_run_ends_with_one_line_of_json(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options, holds = HERE[name]
    monkeypatch.setattr(sys, "argv", [name, "--quick", *options])

    importlib.import_module(f"benchmarks.{name}").main()

    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert holds(figures), figures


def test_training_is_timed_in_one_precision_where_one_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["training", "--quick", "--precision", "bfloat16"])

    importlib.import_module("benchmarks.training").main()

    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["precision"] == "bfloat16"
    assert figures["speedup"] > 0
    assert "bfloat16_ratio" not in figures


def figures_of_a_process(name: str) -> Figures:
    """The last line of the short form, run in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--quick"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", sorted(OF_ITS_OWN))
def test_the_quick_run_in_a_process_of_its_own_ends_with_one_line_of_json(name: str) -> None:
    figures = figures_of_a_process(name)

    assert OF_ITS_OWN[name](figures), figures


@pytest.mark.browser
@pytest.mark.parametrize("name", sorted(WITH_A_SERVER))
def test_the_quick_run_with_a_server_ends_with_one_line_of_json(name: str) -> None:
    figures = figures_of_a_process(name)

    assert WITH_A_SERVER[name](figures), figures
