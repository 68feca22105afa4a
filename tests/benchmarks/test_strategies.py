"""The benchmark of strategies runs; its timings decide nothing."""

import json
import subprocess
import sys

from tidal_core import strategies


def test_the_quick_run_measures_every_strategy_and_ends_with_one_line_of_json() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.strategies", "--quick"], capture_output=True, text=True, check=True
    )

    found = json.loads(done.stdout.splitlines()[-1])
    assert set(found["strategies"]) == set(strategies.names())
    assert found["slowest_s"] > 0
    assert found["slowest_cpu_s"] > 0
    assert found["peak_gb"] > 0
