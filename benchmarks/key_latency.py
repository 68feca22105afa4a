"""How long from a key to the next image on screen, and whether any key is lost, doubled or given to another image.

    python -m benchmarks.key_latency [--quick]

Starts the real server on a project of 2,000 CIFAR-10 images (noise where the shared data is missing) and drives a
real Chromium; each part has a project of its own, so that none uses up what the next one needs. A key's time is from
its event to the frame that shows the next image: an animation frame plus the message that follows its paint.
Prints one JSON line last:
  p50_ms, p95_ms                    300 labels, rounds switched off
  training_p50_ms, training_p95_ms  300 labels while a round trains
  training_share                    share of these keys that a round really was training at
  lost, duplicated, misattributed   over 1,000 keys at 20 a second: keys pressed on a painted image without a stored
                                    answer; answers stored twice; answers for another image or class than was painted
  unpainted                         of these keys, those that came while no image was painted, and answered nothing
  grid_page_ms                      median of 5: from the key to a sheet of 60 thumbnails on screen
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from tests.browser.driver import Labelling, launch
from tests.browser.server import Server
from tests.helpers.finished import finish_round
from tidal_core.config import ProjectSettings
from tidal_core.images.ingest import ingest
from tidal_core.projects import create_project, open_project
from tidal_core.records import AnswerKind

CIFAR = Path(os.environ.get("TIDAL_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data")) / "cifar10"
NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SLUG = "speed"
PARTS = ("idle", "training", "grid")
Figures = dict[str, float | int]

# Times of keys, taken in the page: from the event's own time stamp to the mark that the image has been painted.
STOPWATCH = """
window.tidalTimes = [];
window.tidalTraining = [];
(() => {
  let pressed = null;
  window.addEventListener("keydown", (event) => {
    const root = window.tidalRoot();
    if (root && Number(root.dataset.painted)) pressed = [event.timeStamp, Number(root.dataset.painted)];
  }, true);
  const watch = () => {
    const root = window.tidalRoot && window.tidalRoot();
    if (!root) return setTimeout(watch, 50);
    new MutationObserver(() => {
      const now = Number(root.dataset.painted);
      if (!pressed || !now || now === pressed[1]) return;
      window.tidalTimes.push(performance.now() - pressed[0]);
      const status = root.getRootNode().__tidalLabeller.status;
      window.tidalTraining.push(Boolean(status.round && status.round.epoch));
      pressed = null;
    }).observe(root, { attributes: true, attributeFilter: ["data-painted"] });
  };
  watch();
})();
"""


def make_images(folder: Path, n: int) -> None:
    """n images of 32 x 32 as files, below folders named after their classes."""
    if (CIFAR / "test.parquet").exists():
        import pyarrow.parquet as pq

        table = pq.read_table(CIFAR / "test.parquet").slice(0, n)
        rows = [(row["image"]["bytes"], row["label"]) for row in table.to_pylist()]
    else:
        rng = np.random.default_rng(0)
        rows = []
        for i in range(n):
            buffer = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(buffer, "PNG")
            rows.append((buffer.getvalue(), i % len(NAMES)))
    for number, (body, label) in enumerate(rows):
        class_folder = folder / NAMES[label]
        class_folder.mkdir(parents=True, exist_ok=True)
        suffix = "jpg" if body.startswith(b"\xff\xd8") else "png"
        (class_folder / f"{number:05d}.{suffix}").write_bytes(body)


def prepare(home: Path, n: int) -> None:
    """The project of n images with ten classes on the keys 1 to 9 and a letter; rounds off."""
    os.environ["TIDAL_HOME"] = str(home)
    make_images(home / "photos", n)
    settings = ProjectSettings(title=SLUG, training_size=32, rounds_enabled=False, audit_share=0.1)
    project = create_project(SLUG, settings, classes=NAMES)
    ingest(project, str(home / "photos"))
    project.close()


def settings_of(**changes: Any) -> None:
    """Change the project's settings while no server runs."""
    project = open_project(SLUG)
    project.store.settings.save(replace(project.settings, **changes))
    project.close()


def label(labelling: Labelling, n: int, *, pause: float = 0.0) -> list[float]:
    """Label n images, each when it is on screen; the times in milliseconds."""
    labelling.page.evaluate("() => { window.tidalTimes = []; window.tidalTraining = []; }")
    for i in range(n):
        labelling.press("123456789"[i % 9])
        if pause:
            labelling.page.wait_for_timeout(pause)
    times: list[float] = labelling.page.evaluate("() => window.tidalTimes")
    return times


def percentiles(times: list[float]) -> tuple[float, float]:
    """Median and 95th percentile, to a tenth of a millisecond."""
    return round(float(np.percentile(times, 50)), 1), round(float(np.percentile(times, 95)), 1)


def train_while_labelling(labelling: Labelling, n: int) -> tuple[list[float], float]:
    """Wait until a round trains, then label n images; the times of those during a round, and their share."""
    label(labelling, 25)
    training_or_done = (
        "() => { const root = window.tidalRoot(), lab = root.getRootNode().__tidalLabeller;"
        " return Boolean(lab.status.round?.epoch) || Number(root.dataset.ranking) > 0; }"
    )
    labelling.page.wait_for_function(training_or_done)
    times = label(labelling, n)
    at: list[bool] = labelling.page.evaluate("() => window.tidalTraining")
    during = [t for t, busy in zip(times, at, strict=True) if busy]
    return during or times, len(during) / len(times)


def count_faults(keys: list[Any], home: Path) -> Figures:
    """Compare what was pressed on painted images with what is stored."""
    os.environ["TIDAL_HOME"] = str(home)
    project = open_project(SLUG)
    class_keys = {record.id: record.key for record in project.store.classes.all()}
    stored = Counter(
        (s.answer.image_id, class_keys[s.answer.class_id or 0])
        for s in project.store.answers.all()
        if s.answer.kind is AnswerKind.LABEL
    )
    project.close()
    pressed = Counter((key.image, key.key) for key in keys if key.image is not None and key.key in "123456789")
    per_image = Counter(image for image, _ in stored.elements())
    expected = Counter(image for image, _ in pressed.elements())
    return {
        "lost": sum((expected - per_image).values()),
        "duplicated": sum((per_image - expected).values()),
        "misattributed": sum(n for pair, n in (stored - pressed).items() if expected[pair[0]]),
        "unpainted": sum(key.image is None for key in keys),
    }


def open_tab(browser: Browser, server: Server) -> Labelling:
    """The labelling page in a new tab, with the stopwatch."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.add_init_script(STOPWATCH)
    return Labelling(page, server.url, SLUG).open()


def measure_idle(browser: Browser, home: Path, labels: int, keys: int) -> Figures:
    """Rounds off: time per key, then keys at 20 a second and what became of each."""
    figures: Figures = {}
    with Server(home) as server:
        labelling = open_tab(browser, server)
        label(labelling, 10)
        figures["p50_ms"], figures["p95_ms"] = percentiles(label(labelling, labels))
        for i in range(keys):
            labelling.page.keyboard.press("123456789"[i % 9])
            labelling.page.wait_for_timeout(50)
        labelling.wait_saved()
        pressed = labelling.pressed_keys()
    return figures | count_faults(pressed, home)


def measure_training(browser: Browser, home: Path, labels: int) -> Figures:
    """The same while rounds train."""
    settings_of(rounds_enabled=True, labels_per_round=20)
    with Server(home) as server:
        labelling = open_tab(browser, server)
        times, share = train_while_labelling(labelling, labels)
        labelling.wait_saved()
    p50, p95 = percentiles(times)
    return {"training_p50_ms": p50, "training_p95_ms": p95, "training_share": round(share, 2)}


def measure_grid(browser: Browser, home: Path) -> Figures:
    """A sheet of 60, with made-up scores: 200 images in each predicted class."""
    project = open_project(SLUG)
    finish_round(project)
    project.close()
    with Server(home) as server:
        return {"grid_page_ms": grid_page(open_tab(browser, server))}


def measure(home: Path, *, images: int, labels: int, keys: int, parts: Sequence[str] = PARTS) -> Figures:
    """All figures, or those of some parts."""
    figures: Figures = {}
    with sync_playwright() as playwright:
        browser = launch(playwright, webgl=False)
        for part in parts:
            part_home = home / part
            prepare(part_home, images)
            if part == "idle":
                figures |= measure_idle(browser, part_home, labels, keys)
            elif part == "training":
                figures |= measure_training(browser, part_home, labels)
            else:
                figures |= measure_grid(browser, part_home)
            print(part, json.dumps(figures), flush=True)
        browser.close()
    return figures


def grid_page(labelling: Labelling) -> float:
    """Median milliseconds from asking for a sheet of 60 thumbnails to seeing it."""
    page = labelling.page
    page.evaluate("() => { window.tidalRoot().getRootNode().__tidalLabeller.grid.size = 60; }")
    page.keyboard.press("g")
    times = []
    for turn in range(6):
        page.wait_for_function("() => window.tidalRoot().dataset.sheet.split(' ').length === 60")
        if turn:  # the first one also wakes up what is used for the first time
            times.append(float(page.evaluate("() => Number(window.tidalRoot().dataset.sheetMs)")))
        page.keyboard.press("Escape")
        page.wait_for_timeout(300)
    return round(float(np.median(times)), 1)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="60 images, 15 labels, 15 keys, nothing else")
    parser.add_argument("--only", choices=PARTS, help="one part of the figures")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tidal-keys-"))
    images, labels, keys = (60, 15, 15) if options.quick else (2000, 300, 1000)
    parts = ("idle",) if options.quick else (options.only,) if options.only else PARTS
    try:
        print(json.dumps(measure(folder / "home", images=images, labels=labels, keys=keys, parts=parts)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
