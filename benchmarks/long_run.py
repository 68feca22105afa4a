"""Twenty-four hours of labelling in minutes: does anything grow that need not?

    python -m benchmarks.long_run [--rounds 100] [--answers 20000] [--seconds 540] [--quick]

``streamlit run app.py`` on 1,797 digits of 8 pixels, with a round of two epochs for 200 answers, and four of its pages
open in Chromium all the time (Training, Dynamics, Uncertainty, Progress). A person answers over HTTP and asks after
each batch for what the labelling page and the gallery ask for (status, history, the next images, the list, counts and a
filter); then the studio is stopped and the project opened once more. The figures are of the studio's process. Prints
one JSON line last:
  rounds, answers            that ended and were acknowledged; fewer than asked for where time was up
  memory_mb, handles, threads, file_mb, log_mb   of each: the mean of the first and of the last third of the rounds, and
                             the slope a round of a straight line through the last two thirds
  curve_rounds_kept          rounds whose whole curves are in the file; curve_rounds_set what the setting says
  file_closed_mb             the file after the studio let it go; file_opened_mb once it was opened again
  file_held_mb               of that, what something lies in
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from tests.browser.server import ROOT, Server
from tidal_core.config import ProjectSettings
from tidal_core.images.ingest import ingest
from tidal_core.projects import create_project, open_project
from tidal_core.records import RoundState
from tidal_core.store.compacting import empty_bytes

SLUG = "long"
CLASSES = 10
PAGES = ("training", "dynamics", "uncertainty", "progress")
SHORT_ROUNDS = """
from dataclasses import replace
from streamlit.web.cli import main
from tidal_core import config

config.PRESETS["quick"] = replace(config.PRESETS["quick"], epochs=2, min_steps=0)
main()
"""
PATIENCE = 600.0  # seconds for one round at the most
BATCH = 50  # answers that are sent at once
MEASURES = ("memory_mb", "handles", "threads", "file_mb", "log_mb")
Figures = dict[str, Any]


@dataclass
class Readings:
    """What the server's process and files had after each round."""

    process: psutil.Process
    file: Path
    rows: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in MEASURES})

    def take(self) -> None:
        """One of each."""
        log = Path(f"{self.file}.wal")
        now = {
            "memory_mb": self.process.memory_full_info().uss / 1e6,
            "handles": float(self.process.num_fds()),
            "threads": float(self.process.num_threads()),
            "file_mb": self.file.stat().st_size / 1e6,
            "log_mb": log.stat().st_size / 1e6 if log.exists() else 0.0,
        }
        for name, value in now.items():
            self.rows[name].append(value)

    def figures(self) -> Figures:
        """First third, last third, slope."""
        found: Figures = {}
        for name, values in self.rows.items():
            third = max(1, len(values) // 3)
            later = values[third:] if len(values) > 3 else values
            slope = float(np.polyfit(np.arange(len(later)), later, 1)[0]) if len(later) > 1 else 0.0
            found[name] = {
                "first": round(float(np.mean(values[:third])), 2),
                "last": round(float(np.mean(values[-third:])), 2),
                "slope": round(slope, 4),
            }
        return found


def prepare(home: Path, per_round: int) -> None:
    """A project of digits; rounds train a small network on squares of 8 pixels."""
    os.environ["TIDAL_HOME"] = str(home)
    settings = ProjectSettings(
        title=SLUG, training_size=8, labels_per_round=per_round, audit_share=0.0, rounds_enabled=False
    )
    names = tuple(str(number) for number in range(CLASSES))
    project = create_project(SLUG, settings, names)
    try:
        ingest(project, "digits")
        project.store.settings.save(replace(project.settings, rounds_enabled=True))
    finally:
        project.close()


@contextmanager
def open_pages(url: str, names: tuple[str, ...]) -> Iterator[Callable[[], None]]:
    """Pages in Chromium, until the block ends; what is given takes in what they tell, to be called now and then."""
    if not names:
        yield lambda: None
        return
    from playwright.sync_api import sync_playwright

    from tests.browser.driver import launch

    with sync_playwright() as playwright:
        browser = launch(playwright, webgl=False)
        context = browser.new_context()
        pages = [context.new_page() for _ in names]
        for page, name in zip(pages, names, strict=True):
            page.goto(f"{url}/{name}?project={SLUG}")
            page.get_by_role("heading", level=1).first.wait_for(timeout=1_000 * PATIENCE)
        yield lambda: pages[0].wait_for_timeout(1)
        browser.close()


class Person:
    """Labels over HTTP: again and again the same images, each time as another class, so that every label is new."""

    def __init__(self, client: httpx.Client, images: list[int]) -> None:
        self._client, self._images, self._n = client, images, 0

    def answer(self, n: int) -> int:
        """n labels; how many were acknowledged."""
        events = []
        for _ in range(n):
            turn, place = divmod(self._n, len(self._images))
            self._n += 1
            events.append(
                {
                    "id": f"long-run-{self._n:07d}",
                    "kind": "label",
                    "image": self._images[place],
                    "class": (place + turn) % CLASSES + 1,
                    "annotator": "ada",
                    "purpose": "query",
                }
            )
        results = self._post("answers", {"answers": events, "tab": "tab-long"})["results"]
        return sum(result["refused"] is None for result in results)

    def look(self) -> None:
        """What open pages ask for."""
        self._post("status", {"tab": "tab-long", "held": []})
        self._post("history", {"annotator": "ada", "limit": 20})
        self._post("queue", {"tab": "tab-long", "n": 5, "held": [], "fresh": True})
        for path in ("collection", "collection/counts", "collection?where=disagrees&sort=margin"):
            self._client.get(path).raise_for_status()

    def rounds_done(self) -> int:
        """The newest round that is done."""
        return max(0, int(self._post("status", {"tab": "tab-long", "held": []})["ranking"]))

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self._client.post(path, json=body)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


def measure(home: Path, rounds: int, answers: int, seconds: float, pages: tuple[str, ...]) -> Figures:
    """All figures; not longer than ``seconds``, after which fewer rounds are said to have been played."""
    per_round = answers // rounds
    prepare(home, per_round)
    project = open_project(SLUG)
    images, path = project.store.images.unlabelled_ids().tolist(), project.store.database.path
    project.close()
    acknowledged, done, until = 0, 0, time.monotonic() + seconds
    token = os.environ["TIDAL_TOKEN"] = secrets.token_urlsafe(32)
    studio = [sys.executable, "-c", SHORT_ROUNDS, "run", ROOT / "app.py", "--server.port"]
    with (
        Server(home, program=studio) as server,
        httpx.Client(
            base_url=f"{server.url}/api/p/{SLUG}/", headers={"X-Tidal-Token": token}, timeout=PATIENCE
        ) as client,
        open_pages(server.url, pages) as take_in,
    ):
        person = Person(client, images)
        readings = Readings(psutil.Process(server.pid), path)
        while done < rounds and time.monotonic() < until:
            for start in range(0, per_round, BATCH):
                acknowledged += person.answer(min(BATCH, per_round - start))
                person.look()
            while (now := person.rounds_done()) <= done and time.monotonic() < until:
                take_in()
                time.sleep(0.05)
            done = now
            readings.take()
    return {"rounds": done, "answers": acknowledged, **readings.figures(), **_afterwards(path)}


def _afterwards(path: Path) -> Figures:
    closed = path.stat().st_size / 1e6
    project = open_project(SLUG)
    try:
        kept, wanted = project.store.curves.rounds_kept(), project.settings.curve_rounds
        n_done = sum(record.state is RoundState.DONE for record in project.store.rounds.all())
        with project.store.database.reading() as cursor:
            _, held = empty_bytes(cursor)
    finally:
        project.close()
    return {
        "curve_rounds_kept": len(kept),
        "curve_rounds_set": wanted,
        "rounds_in_file": n_done,
        "file_closed_mb": round(closed, 2),
        "file_opened_mb": round(path.stat().st_size / 1e6, 2),
        "file_held_mb": round(held / 1e6, 2),
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100, help="rounds to play (default 100)")
    parser.add_argument("--answers", type=int, default=20_000, help="answers in all of them (default 20,000)")
    parser.add_argument("--seconds", type=float, default=540.0, help="to end after, with fewer rounds (default 540)")
    parser.add_argument("--quick", action="store_true", help="one round of 40 answers, no pages open")
    options = parser.parse_args()
    rounds, answers = (1, 40) if options.quick else (options.rounds, options.answers)
    folder = Path(tempfile.mkdtemp(prefix="tidal-long-"))
    try:
        pages = () if options.quick else PAGES
        print(json.dumps(measure(folder / "home", rounds, answers, options.seconds, pages)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
