"""A project of a million images on a small machine: does it open, label, rank, browse and export?

    python -m benchmarks.million [--rows N] [--only work|rank|browser] [--quick]

A made-up project (the demo's digits over and over, 2 % with a label, one finished round, an audit sample, features of
every image as long as the pretrained model's). Ranking and export run in a process of their own, then the real server
and a real Chromium of 1440 x 900 pixels are driven. Prints one JSON line last:
  open_s             from the address of the labelling page to its first image, of a project that was closed
  key_p95_ms         from a key to the next image painted; key_p50_ms the median
  rank_s             from the trained head to the new queue: scores, exact dynamics, choice, all stored
  gallery_first_s, gallery_filter_ms   from the choice to all thumbnails of the new screen, 95th percentile
  export_s           predictions of every image as Parquet
  memory_gb          the most memory of its own (no file's pages) that the server or the ranking had
  file_gb            the project's file; features_gb what the features of all images take beside it
  cpu_ms             processor time of what pages and answers ask for: to compare runs of 10,000, 100,000, 1,000,000
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

from benchmarks.gallery import CHOICES, filter_times
from benchmarks.key_latency import STOPWATCH, label, percentiles
from benchmarks.made_up import Size, make
from tests.browser.driver import Browsing, Labelling, launch
from tests.browser.server import Server
from tidal_core.config import PRESETS
from tidal_core.engine.backbones import stage_channels
from tidal_core.export.tables import export
from tidal_core.export.tables.base import ExportOptions
from tidal_core.images.ingest import draw_audit_order
from tidal_core.labelling.desk import desk_of
from tidal_core.projects import Project, open_project
from tidal_core.records import RoundProgress, RoundState
from tidal_core.rounds import audit, queue_plan
from tidal_core.rounds.due import claim_round, count_for_round
from tidal_core.rounds.features import wanted
from tidal_core.store.collection import Moment
from tidal_core.store.where import Where, parse

SLUG = "million"
PARTS = ("work", "rank", "browser")
CLASSES = 10
QUICK_ROWS = 600
BLOCK = 20_000  # images whose features are written at once, all with the same noise
PAGE = 512  # rows of the gallery's list that a browser asks for first
EVERY = 0.05  # seconds between two looks at a process's memory
Figures = dict[str, Any]


def prepare(rows: int, *, features: bool) -> float:
    """Make the project; how many GB its features take."""
    labelled = max(60, rows // 50)
    project = make(SLUG, Size(labelled=labelled, pool=rows - labelled, test=0, rounds=1, epochs=3, classes=CLASSES))
    try:
        draw_audit_order(project)
        strategy, preset = ("exact-herding", "frozen") if features else ("tidal-entropy", "quick")
        project.store.settings.save(
            replace(project.settings, preset=preset, strategy=strategy, audit_share=0.1, rounds_enabled=False)
        )
        return write_features(project) if features else 0.0
    finally:
        project.close()


def write_features(project: Project) -> float:
    """Features in groups, one a class, so that a head has something to learn; how many GB they are."""
    store = wanted(project)
    assert store is not None
    channels = stage_channels(PRESETS["frozen"].backbone)
    rng = np.random.default_rng(0)
    noise = rng.random((BLOCK, sum(channels)), dtype=np.float32).astype(np.float16)
    centres = rng.random((CLASSES, sum(channels)), dtype=np.float32).astype(np.float16)
    table = project.store.database.arrays("SELECT pixel_row, known_class - 1 AS known FROM images ORDER BY id")
    rows, groups = np.asarray(table["pixel_row"], np.int64), np.asarray(table["known"], np.int64)
    for start in range(0, len(rows), BLOCK):
        part = slice(start, start + BLOCK)
        store.write(rows[part], noise[: len(rows[part])] + centres[groups[part]], channels)
    return store.path.stat().st_size / 1e9


class Memory(threading.Thread):
    """The most memory that a process had for itself, without the pages of files that it reads."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._status, self._ended, self.most_gb = Path(f"/proc/{pid}/status"), threading.Event(), 0.0

    def run(self) -> None:
        """Look until told to stop, or the process ends."""
        while not self._ended.wait(EVERY):
            try:
                lines = self._status.read_text().splitlines()
            except OSError:
                return
            kilobytes = next((int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)
            self.most_gb = max(self.most_gb, kilobytes / 1e6)

    def __enter__(self) -> Memory:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()


@contextmanager
def _project() -> Any:
    project = open_project(SLUG)
    try:
        yield project
    finally:
        project.close()


def work() -> Figures:
    """Processor time of single questions, each the second time that it is asked."""
    with _project() as project:
        desk, collection = desk_of(project), project.store.collection
        everything = parse("", project.store.classes.all())
        unsure = parse("margin<0.2", project.store.classes.all())
        asked: dict[str, Callable[[], object]] = {
            "counts": lambda: count_for_round(project),
            "next": lambda: desk.next("tab", 20, fresh=True),
            "history": lambda: desk.history("ada", None, 20),
            "sheet": lambda: desk.sheet("tab", 60, None, ()),
            "rankable": lambda: audit.rankable(project),
            "fill_queue": lambda: queue_plan.fill_queue(project),
            "gallery_page": lambda: page_of(collection.now(), everything),
            "gallery_whole": lambda: collection.chosen(everything).octets(),
            "gallery_filter": lambda: collection.now().count(unsure),
            "find": lambda: project.store.images.find("page 0012"),
        }

        def page_of(moment: Moment, where: Where) -> bytes:
            ids = collection.listings.keep("me", moment.ids(where)).image_ids
            return moment.shown(ids[:PAGE].astype(np.int64)).octets()

        took: dict[str, float] = {}
        began = time.process_time()
        collection.now()
        took["gallery_read"] = round(1000 * (time.process_time() - began), 1)
        for name, ask in asked.items():
            ask()
            began = time.process_time()
            ask()
            took[name] = round(1000 * (time.process_time() - began), 1)
    return {"cpu_ms": took}


def rank() -> Figures:
    """A round on stored features, and the export of what it says."""
    from tidal_core.rounds.run import RoundRun  # torch comes in here, in a process of its own

    began: dict[RoundState, float] = {}

    def report(progress: RoundProgress) -> None:
        began.setdefault(progress.state, time.perf_counter())

    with _project() as project, Memory(os.getpid()) as memory:
        record = claim_round(project, started_by="person")
        RoundRun(project, record, report=report, should_stop=lambda: False).run()
        assert project.store.rounds.get(record.id).state is RoundState.DONE
        start = time.perf_counter()
        target = project.exports / "predictions.parquet"
        report_of_export = export(project, target, options=ExportOptions("predictions", overwrite=True))
        exported = time.perf_counter() - start
    return {
        "rank_s": round(began[RoundState.DONE] - began[RoundState.SCORING], 2),
        "train_s": round(began[RoundState.SCORING] - began[RoundState.TRAINING], 2),
        "export_s": round(exported, 2),
        "exported_rows": report_of_export.rows,
        "rank_memory_gb": round(memory.most_gb, 2),
    }


def browse(home: Path, keys: int, choices: Sequence[dict[str, str]]) -> Figures:
    """The labelling page and the gallery in a browser."""
    with Server(home) as server, sync_playwright() as playwright, Memory(_pid(server)) as memory:
        browser = launch(playwright, webgl=False)
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        page.add_init_script(STOPWATCH)
        began = time.perf_counter()
        labelling = Labelling(page, server.url, SLUG).open()
        labelling.wait_painted()
        opened = time.perf_counter() - began
        label(labelling, min(10, keys))
        p50, p95 = percentiles(label(labelling, keys))
        labelling.wait_saved()
        page.close()
        began = time.perf_counter()
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        gallery = Browsing(page, server.url, SLUG).open()
        first = time.perf_counter() - began
        times = filter_times(gallery, choices, 0.2)
        browser.close()
    return {
        "open_s": round(opened, 2),
        "key_p50_ms": p50,
        "key_p95_ms": p95,
        "gallery_first_s": round(first, 2),
        "gallery_filter_ms": round(float(np.percentile(times, 95)), 1),
        "gallery_filter_p50_ms": round(float(np.percentile(times, 50)), 1),
        "server_memory_gb": round(memory.most_gb, 2),
    }


def _pid(server: Server) -> int:
    assert server._process is not None
    return server._process.pid


def measure(home: Path, rows: int, *, keys: int, choices: Sequence[dict[str, str]], parts: Sequence[str]) -> Figures:
    """All figures, or those of some parts."""
    os.environ["TIDAL_HOME"] = str(home)
    figures: Figures = {"rows": rows}
    began = time.perf_counter()
    # A process of its own for each part: what one leaves in memory is not the next one's. Few images leave little.
    tasks = 1 if rows > QUICK_ROWS else None
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), max_tasks_per_child=tasks) as pool:
        figures["features_gb"] = round(pool.submit(prepare, rows, features="rank" in parts).result(), 2)
        figures["made_s"] = round(time.perf_counter() - began, 1)
        for part, run in (("work", work), ("rank", rank)):
            if part in parts:
                figures |= pool.submit(run).result()
                print(part, json.dumps(figures), flush=True)
    if "browser" in parts:
        figures |= browse(home, keys, choices)
    figures["memory_gb"] = max(figures.get("rank_memory_gb", 0.0), figures.get("server_memory_gb", 0.0))
    figures["file_gb"] = round((home / "projects" / SLUG / "project.duckdb").stat().st_size / 1e9, 3)
    return figures


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="images (default: a million)")
    parser.add_argument("--only", choices=PARTS, help="one part of the figures")
    parser.add_argument("--quick", action="store_true", help="600 images, 5 keys, two choices")
    options = parser.parse_args()
    rows, keys, choices = (QUICK_ROWS, 5, CHOICES[:2]) if options.quick else (options.rows, 100, CHOICES)
    folder = Path(tempfile.mkdtemp(prefix="tidal-million-"))
    parts = (options.only,) if options.only else PARTS
    try:
        print(json.dumps(measure(folder / "home", rows, keys=keys, choices=choices, parts=parts)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
