"""What a backup of a running studio costs the person who labels: the longest wait for a label to be stored.

    python -m benchmarks.snapshot [--quick]

Starts the real server on a made-up project with curves of several rounds, sends a label every 20 ms from one
connection, and in turns lets be and takes a snapshot with the command line. Rounds train all the while. Prints one
JSON line last; milliseconds from sending a label to its acknowledgement:
  quiet_ms    median, 99th percentile and longest without a backup
  backup_ms   the same while backups run
  file_mb     the project's file
  snapshot_s  seconds of each backup, the start of the command included
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx
import numpy as np

from benchmarks.made_up import Size, make
from tests.browser.server import Server
from tidal_core.config import PixelSpec
from tidal_core.images.pixels import PixelStore

PAUSE = 0.02  # seconds between labels


class Labeller(threading.Thread):
    """Sends one label after another and notes how long each took, and in which part of the measurement."""

    def __init__(self, url: str, token: str, images: int) -> None:
        super().__init__()
        self.url, self.headers, self.images = url, {"X-Tidal-Token": token}, images
        self.part = "quiet"
        self.waits: dict[str, list[float]] = {"quiet": [], "backup": []}
        self.stop = threading.Event()

    def run(self) -> None:
        """Until stopped."""
        rng = np.random.default_rng(0)
        with httpx.Client(timeout=60.0, trust_env=False) as client:
            while not self.stop.is_set():
                event = {
                    "id": secrets.token_hex(16),
                    "kind": "label",
                    "image": int(rng.integers(1, self.images + 1)),
                    "class": int(rng.integers(1, 11)),
                    "purpose": "query",
                }
                part, began = self.part, time.perf_counter()
                client.post(f"{self.url}/answers", json={"answers": [event]}, headers=self.headers).raise_for_status()
                self.waits[part].append(1000 * (time.perf_counter() - began))
                time.sleep(PAUSE)


def measure(size: Size, pairs: int, quiet_seconds: float, home: Path) -> dict[str, object]:
    """The figures."""
    os.environ["TIDAL_HOME"] = str(home)
    token = os.environ["TIDAL_TOKEN"] = secrets.token_urlsafe(32)
    project = make("large", size)
    n = size.labelled + size.pool + size.test
    side = project.settings.training_size
    with PixelStore(project.pixels).writer(PixelSpec(side)) as cache:
        cache.write(0, np.random.default_rng(0).integers(0, 256, (n, side, side, 3), dtype=np.uint8))
    file = project.folder / "project.duckdb"
    project.close()
    seconds = []
    with Server(home) as server:
        labeller = Labeller(f"{server.url}/api/p/large", token, size.labelled + size.pool)
        labeller.start()
        time.sleep(3)  # the first answer opens the project
        labeller.waits["quiet"].clear()
        for number in range(pairs):
            labeller.part = "quiet"
            time.sleep(quiet_seconds)
            labeller.part = "backup"
            began = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "tidal_core", "backup", "large", str(home / f"{number}.zip")], check=True
            )
            seconds.append(round(time.perf_counter() - began, 1))
        labeller.stop.set()
        labeller.join()
        megabytes = round(file.stat().st_size / 1e6, 1)
    return {
        **{f"{part}_ms": figures(waits) for part, waits in labeller.waits.items()},
        "file_mb": megabytes,
        "snapshot_s": seconds,
    }


def figures(waits: list[float]) -> dict[str, float]:
    """Median, 99th percentile and longest, in milliseconds, with their number."""
    return {
        "n": len(waits),
        "median": round(statistics.median(waits), 1),
        "p99": round(float(np.quantile(waits, 0.99)), 1),
        "longest": round(max(waits), 1),
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small project, one backup")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tidal-snapshot-"))
    size = Size() if options.quick else Size(labelled=3_000, pool=40_000, test=2_000, rounds=8, epochs=40, first=500)
    try:
        print(json.dumps(measure(size, 1 if options.quick else 4, 3.0 if options.quick else 8.0, folder / "home")))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
