"""How smoothly a replay plays.

    python -m benchmarks.replay [--quick] [--plotly]

A made-up project of four rounds, the last with 2,000 labelled images and 60 epochs, the real server and a real Chromium
of 1440 x 900 pixels without a graphics card. Prints one JSON line last:
  frames_per_s       frames a second on the page while the last round plays at 20 epochs a second: each draws the data
                     map of all images, the curves, the accuracy
  frame_p95_ms       95th percentile of the time between two of them
  moments_share      of the epochs gone through, how many were painted at least once
  paint_ms           one whole frame, median
  seek_ms            from a step of the slider to the frame of a round whose statistics are not at hand, median
  open_s             from the request to the first frame; another page was open before
  fetched_mb         what the page fetches of the rounds
  page_frames_per_s  as frames_per_s, of the exported page, opened from the disk
  page_mb            its size, and page_estimate_mb what was said before
  webp_s, webp_mb    making the animation, and its size
  memory_mb          of the tab's process after all that, with what it shares with other processes
With --plotly also what the way not taken would give: the map alone (as many points, nothing beside them) moved by
Plotly.restyle, frames a second as SVG (plotly_svg_frames_per_s) and as WebGL emulated by the CPU
(plotly_webgl_frames_per_s).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright
from plotly.offline import get_plotlyjs

from benchmarks.gallery import tab_megabytes
from benchmarks.made_up import Size, make
from tests.browser.driver import BROWSER_MS, FIND_REPLAY, launch
from tests.browser.server import Server
from tidal_core.export.replay import write_replay
from tidal_core.export.replay.collect import replay_info
from tidal_core.export.replay.page import estimated_bytes
from tidal_core.figures.replay import packed

LARGE = Size(labelled=2_010, pool=2_000, test=200, rounds=4, epochs=60, first=500)
SMALL = Size(labelled=60, pool=60, test=40, rounds=2, epochs=12)
SLUG = "replayed"
SPEED = 20  # epochs a second
PLAY = """async (speed) => {
  const player = window.tidalPlayer();
  const { story } = player;
  player.root.querySelector(".speed").value = speed;
  player.go(story.rounds.at(-1).first);
  const painted = new Set();
  const paint = player.paint.bind(player);
  player.paint = (at = player.at) => { painted.add(Math.floor(at)); paint(at); };
  player.play();
  const gaps = [];
  await new Promise((done) => {
    let before = null;
    const step = (now) => {
      if (before !== null) gaps.push(now - before);
      before = now;
      if (player.playing && player.heldUntil === 0) requestAnimationFrame(step);
      else done();
    };
    requestAnimationFrame(step);
  });
  player.pause();
  player.paint = paint;
  return { gaps, share: painted.size / story.rounds.at(-1).epochs.length };
}"""
TIMES = """(times) => {
  const player = window.tidalPlayer();
  const { story } = player;
  const of = (act) => {
    const began = performance.now();
    act();
    player.map.context.getImageData(0, 0, 1, 1);
    return performance.now() - began;
  };
  const last = story.rounds.at(-1);
  const paint = Array.from({ length: times }, (_, k) => of(() => player.paint(last.first + (k % last.epochs.length))));
  const seek = Array.from({ length: times }, (_, k) => {
    story.atHand.clear();
    return of(() => player.go(story.rounds[k % story.rounds.length].first, { quietly: true }));
  });
  return { paint, seek };
}"""


PLOTLY = """async ([kind, n, seconds]) => {
  const numbers = () => Float32Array.from({ length: n }, Math.random);
  const marker = { size: 5, color: Array.from({ length: n }, (_, i) => `hsl(${36 * (i % 10)} 60% 50%)`) };
  const points = { type: kind, mode: "markers", x: numbers(), y: numbers(), marker };
  await Plotly.newPlot("figure", [points], { width: 560, height: 480 });
  const began = performance.now();
  let frames = 0;
  while (performance.now() - began < 1000 * seconds) {
    await Plotly.restyle("figure", { x: [numbers()], y: [numbers()] });
    await new Promise(requestAnimationFrame);
    frames += 1;
  }
  return (1000 * frames) / (performance.now() - began);
}"""


def moved_by_plotly(points: int, seconds: float = 4.0) -> dict[str, float]:
    """Frames a second of a map of points whose every frame is a restyle."""
    frames = {}
    with sync_playwright() as playwright:
        for kind, name in (("scatter", "svg"), ("scattergl", "webgl")):
            browser = launch(playwright, webgl=kind == "scattergl")
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.set_content('<div id="figure"></div>')
            page.add_script_tag(content=get_plotlyjs())
            frames[f"plotly_{name}_frames_per_s"] = round(page.evaluate(PLOTLY, [kind, points, seconds]), 1)
            browser.close()
    return frames


def played(page: Page) -> tuple[float, float, float]:
    """Frames a second, the 95th percentile of the milliseconds between two, and the share of epochs painted."""
    found: dict[str, Any] = page.evaluate(PLAY, SPEED)
    gaps = np.array(found["gaps"])
    return 1000 / float(gaps.mean()), float(np.percentile(gaps, 95)), float(found["share"])


def opened(browser: Browser, address: str) -> tuple[Page, float]:
    """A replay in a tab, and the seconds until its first frame."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(BROWSER_MS)
    page.add_init_script(FIND_REPLAY)
    began = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_function("() => window.tidalPlayer()", polling=5)
    return page, time.perf_counter() - began


def measure(home: Path, size: Size, times: int) -> dict[str, float]:
    """All figures."""
    os.environ["TIDAL_HOME"] = str(home)
    project = make(SLUG, size)
    info = replay_info(project)
    estimate, fetched = estimated_bytes(project, info), len(packed(info)[1])
    exported = write_replay(project, home.parent / "replay.html")
    began = time.perf_counter()
    animation = write_replay(project, home.parent / "replay.webp")
    seconds = time.perf_counter() - began
    project.close()
    with Server(home) as server, sync_playwright() as playwright:
        browser = launch(playwright, webgl=False)
        first = browser.new_page()
        first.goto(f"{server.url}/project?project={SLUG}")
        first.get_by_role("heading", name="Project").first.wait_for(timeout=BROWSER_MS)
        first.close()
        page, opens = opened(browser, f"{server.url}/replay?project={SLUG}")
        page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
        frames, late, share = played(page)
        took = page.evaluate(TIMES, times)
        memory = tab_megabytes(browser)
        alone, _, _ = played(opened(browser, exported.as_uri())[0])
        browser.close()
    return {
        "images": len(info.image_ids),
        "epochs": size.epochs,
        "frames_per_s": round(frames, 1),
        "frame_p95_ms": round(late, 1),
        "moments_share": round(share, 3),
        "paint_ms": round(float(np.median(took["paint"])), 2),
        "seek_ms": round(float(np.median(took["seek"])), 2),
        "open_s": round(opens, 2),
        "fetched_mb": round(fetched / 1e6, 3),
        "page_frames_per_s": round(alone, 1),
        "page_mb": round(exported.stat().st_size / 1e6, 2),
        "page_estimate_mb": round(estimate / 1e6, 2),
        "webp_s": round(seconds, 1),
        "webp_mb": round(animation.stat().st_size / 1e6, 2),
        "memory_mb": round(memory, 1),
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="55 images, two rounds of 12 epochs")
    parser.add_argument("--plotly", action="store_true", help="also the map moved by Plotly.restyle")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tidal-replay-"))
    try:
        figures = measure(folder / "home", *((SMALL, 5) if options.quick else (LARGE, 60)))
        if options.plotly:
            figures |= moved_by_plotly(int(figures["images"]))
        print(json.dumps(figures))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
