"""The benchmark of imports runs in its quick form and prints its figures."""

import json
import subprocess
import sys
from pathlib import Path


def test_the_quick_form_prints_one_json_line_with_every_figure(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.ingest", "--quick"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )

    assert ended.returncode == 0, ended.stderr
    figures = json.loads(ended.stdout.splitlines()[-1])
    assert set(figures) == {
        "photos_per_s",
        "ratio",
        "ratio_same",
        "labels_200k_s",
        "csv_1m_s",
        "export_100k_s",
        "memory_growth_mb",
    }
