"""How fast the pages are on a large project: ``python -m benchmarks.pages [--runs N] [--only cost]``.

A made-up project of 20,000 labelled and 100,000 pool images, 10 rounds of 60 epochs (10.7 million curve points). For
each page: seconds from the request to the first figure painted in Chromium (``over_bare_s``: more than a Streamlit app
of one line takes, opened in turn with it; medians), milliseconds of the slowest answer of the store and of all (first
visit, nothing cached), megabytes sent beside the browser's own program. ``life_s``: from a click on a point of the data
map to that image's life painted. ``one_page_cost_pct``, ``four_pages_cost_pct``: how much longer a round takes with the
page Training open, and with three more, refreshing; the browser that shows them computes on the same cores, which
counts too. Median of the ratios of rounds in turn, with the lowest and the highest.

The last line is JSON. ``--quick`` measures a small project without a browser.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.made_up import Size, make

LARGE = Size(labelled=20_000, pool=100_000, test=2_000, rounds=10, epochs=60, first=15_500)
SMALL = Size(labelled=40, pool=60, test=30, rounds=2, epochs=5)
SLUG = "measured"
PAGES = {
    "training": "training",
    "life": "dynamics?view=life",
    "map": "dynamics?view=map",
    "groups": "dynamics?view=groups",
    "uncertainty": "uncertainty",
    "progress": "progress",
}
DRAWN = """() => [...document.querySelectorAll(".js-plotly-plot")]
  .some((plot) => plot.querySelector(".scatterlayer .trace, .barlayer .trace, .gl-container canvas"))"""
LIFE_DRAWN = """(image) => [...document.querySelectorAll("strong")].some((one) => one.textContent === `Image ${image}`)
  && !!document.querySelector(".st-key-life .js-plotly-plot .scatterlayer .trace")"""


@contextmanager
def timed(store: Any, queries: list[tuple[str, float]]) -> Iterator[None]:
    """Every public method of the store notes its milliseconds while the block runs; inner calls count once."""
    depth = [0]

    def wrap(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def run(*args: Any, **kwargs: Any) -> Any:
            depth[0] += 1
            began = time.perf_counter()
            try:
                return method(*args, **kwargs)
            finally:
                depth[0] -= 1
                if not depth[0]:
                    queries.append((name, 1000 * (time.perf_counter() - began)))

        return run

    wrapped = []
    for family_name, family in vars(store).items():
        for name in dir(type(family)):
            method = getattr(family, name)
            if family_name != "database" and not name.startswith("_") and callable(method):
                setattr(family, name, wrap(f"{family_name}.{name}", method))
                wrapped.append((family, name))
    try:
        yield
    finally:
        for family, name in wrapped:
            delattr(family, name)


def queries() -> dict[str, dict[str, Any]]:
    """Milliseconds of the store's answers per page, each page opened for the first time in this process."""
    import streamlit as st
    from streamlit.testing.v1 import AppTest

    from tidal_core.ui.runtime import get_studio

    st.cache_resource.clear()
    st.cache_data.clear()
    studio = get_studio()
    studio.worker.stop()
    result = {}
    try:
        store = studio.project(SLUG).store
        for name, address in PAGES.items():
            page, _, query = address.partition("?view=")
            test = AppTest.from_file(str(Path(__file__).parent.parent / "app.py"), default_timeout=120)
            test.session_state["project"] = SLUG
            if query:
                test.query_params["view"] = query
            queries: list[tuple[str, float]] = []
            st.cache_data.clear()
            with timed(store, queries):
                test.switch_page(f"pages/{page}.py").run()
            if test.exception:
                raise RuntimeError(f"{name}: {test.exception}")
            slowest = max(queries, key=lambda query: query[1])
            result[name] = {
                "slowest_query": slowest[0],
                "slowest_query_ms": round(slowest[1], 1),
                "queries_ms": round(sum(ms for _, ms in queries), 1),
            }
    finally:
        studio.close()
        st.cache_resource.clear()
    return result


BARE = """import plotly.graph_objects as go
import streamlit as st


def first() -> None:
    st.title("First")


def second() -> None:
    st.title("Second")
    st.plotly_chart(go.Figure(go.Scatter(x=[1, 2, 3], y=[1, 3, 2], mode="lines")))


st.navigation([st.Page(first, title="First"), st.Page(second, title="Second", url_path="second")]).run()
"""


def in_the_browser(home: Path, scratch: Path, repeats: int = 5) -> tuple[dict[str, dict[str, float]], float, float]:
    """First figure and megabytes of each page, the bare app's first figure, and the seconds from a click to a life.

    Medians. The bare app, a line of three points, is opened in turn with the pages: what no page can beat.
    """
    from playwright.sync_api import sync_playwright

    from tests.browser.driver import launch
    from tests.browser.server import Server

    script = scratch / "bare.py"
    script.write_text(BARE, encoding="utf-8")
    taken: dict[str, list[float]] = {name: [] for name in (*PAGES, "")}
    sent: dict[str, float] = {}
    with Server(home) as server, Server(scratch, script=script) as bare, sync_playwright() as playwright:
        browser = launch(playwright)
        context = browser.new_context(viewport={"width": 1440, "height": 1000})
        # The browser has the programs then, and the servers their modules.
        for url, heading in ((f"{server.url}/project?project=digits", "Project"), (bare.url, "First")):
            first = context.new_page()
            first.goto(url)
            first.get_by_role("heading", name=heading).first.wait_for(timeout=120_000)
            first.close()
        for _ in range(1 + repeats):  # the first of each fills the caches
            for name in taken:
                page, bytes_sent = context.new_page(), [0]
                _count(page, bytes_sent)
                joint = "&" if "?" in PAGES.get(name, "") else "?"
                began = time.perf_counter()
                page.goto(
                    f"{server.url}/{PAGES[name]}{joint}project={SLUG}" if name else f"{bare.url}/second",
                    wait_until="commit",
                )
                page.wait_for_function(DRAWN, timeout=120_000)
                taken[name].append(time.perf_counter() - began)
                page.wait_for_timeout(1_500)
                sent.setdefault(name, bytes_sent[0] / 1e6)
                page.close()
        lives = _lives(context.new_page(), server.url)
        browser.close()
    later = {
        name: [ours - base for ours, base in zip(seconds, taken[""], strict=True)] for name, seconds in taken.items()
    }
    result = {
        name: {
            "first_visit_s": round(taken[name][0], 2),
            "first_figure_s": round(statistics.median(taken[name][1:]), 2),
            "over_bare_s": round(statistics.median(later[name][1:]), 2),
            "mb": round(sent[name], 2),
        }
        for name in PAGES
    }
    return result, round(statistics.median(taken[""][1:]), 2), lives


def _count(page: Any, sent: list[int]) -> None:
    """Count what the server sends beside its static files."""

    def frame(payload: str | bytes) -> None:
        sent[0] += len(payload)

    def answer(response: Any) -> None:
        if "/static/" not in response.url:
            sent[0] += int(response.headers.get("content-length") or 0)

    page.on("websocket", lambda socket: socket.on("framereceived", frame))
    page.on("response", answer)


def _lives(page: Any, url: str) -> float:
    """Median seconds from a click on a point of the data map to that image's life."""
    from tests.browser.driver import press, rest_on

    page.goto(f"{url}/dynamics?view=map&project={SLUG}")
    page.wait_for_function(DRAWN, timeout=120_000)
    page.wait_for_timeout(2_000)
    taken = []
    for rank in (0, 1, 2, 3, 4):
        point = page.evaluate(_POINT, rank)
        rest_on(page, point["x"], point["y"])
        image = page.evaluate(_RESTED)  # where points lie close, the label may be the neighbour's
        began = time.perf_counter()
        press(page)
        page.wait_for_function(LIFE_DRAWN, arg=image, timeout=60_000)
        taken.append(time.perf_counter() - began)
        page.wait_for_timeout(1_500)
    return round(statistics.median(taken), 2)


# The point of the map that is so-and-so far from the left: nothing lies on top of those.
_POINT = """(rank) => {
  const plot = document.querySelector("[class*='st-key-map-'] .js-plotly-plot");
  const trace = plot._fullData[0], { xaxis, yaxis } = plot._fullLayout, box = plot.getBoundingClientRect();
  const order = [...trace.x.keys()].sort((a, b) => trace.x[a] - trace.x[b]);
  const place = order[rank * 3];
  return { x: box.x + xaxis._offset + xaxis.l2p(trace.x[place]),
           y: box.y + yaxis._offset + yaxis.l2p(trace.y[place]) };
}"""

_RESTED = """() => Number(document.querySelector("[class*='st-key-map-'] .js-plotly-plot")._hoverdata[0].customdata)"""


WATCHED = ("training", "dynamics", "uncertainty", "progress")


def round_seconds(home: Path, open_pages: int) -> float:
    """Seconds of the first round on 300 digits in a fresh studio, with so many pages open on it."""
    import dataclasses

    from playwright.sync_api import sync_playwright

    from tests.browser.driver import launch
    from tests.browser.screenshots import training_for_long
    from tests.browser.server import Server
    from tidal_core.projects import open_project
    from tidal_core.records import RoundState

    os.environ["TIDAL_HOME"] = str(home)
    project = training_for_long(labels=300)
    settings = project.settings
    project.store.settings.save(dataclasses.replace(settings, preset="quick", rounds_enabled=False))
    project.close()
    # The round is started by hand once the pages are there, so that their first drawing is not counted.
    with Server(home) as server, sync_playwright() as playwright:
        browser = launch(playwright, webgl=False)
        context = browser.new_context()
        pages = [context.new_page() for _ in WATCHED[: max(1, open_pages)]]
        for page, name in zip(pages, WATCHED, strict=False):
            page.goto(f"{server.url}/{name}?project=live")
            page.get_by_role("heading", level=1).first.wait_for(timeout=120_000)
        pages[0].get_by_role("button", name="Train now").click()
        if not open_pages:
            pages[0].get_by_role("button", name="Cancel this round").wait_for(timeout=120_000)
            browser.close()
        _wait_for_round(home)
        if open_pages:
            browser.close()
    project = open_project("live")
    record = project.store.rounds.latest(RoundState.DONE)
    project.close()
    if record is None or record.started_at is None or record.finished_at is None:
        raise RuntimeError("The round did not end.")
    return (record.finished_at - record.started_at).total_seconds()


def _wait_for_round(home: Path) -> None:
    """The weights appear when the training ends, the resume file goes when the round is done."""
    folder = home / "projects/live/checkpoints"
    end = time.monotonic() + 240
    while time.monotonic() < end:
        if list(folder.glob("*.safetensors")) and not list(folder.glob("*.resume")):
            time.sleep(2.0)
            return
        time.sleep(0.2)
    raise RuntimeError("The round took longer than 240 s.")


def training_cost(scratch: Path, runs: int) -> dict[str, Any]:
    """Rounds alone, with one page open and with four, in turns."""
    taken: dict[int, list[float]] = {0: [], 1: [], 4: []}
    for run in range(runs):
        for pages, seconds in taken.items():
            seconds.append(round_seconds(scratch / f"watched-{pages}-{run}", pages))
            print(f"a round with {pages} pages open: {seconds[-1]:.1f} s", flush=True)
    found: dict[str, Any] = {"round_alone_s": round(statistics.median(taken[0]), 2)}
    for name, pages in (("one_page", 1), ("four_pages", 4)):
        costs = sorted(100 * (watched / alone - 1) for watched, alone in zip(taken[pages], taken[0], strict=True))
        found[f"{name}_cost_pct"] = [round(value, 1) for value in (statistics.median(costs), costs[0], costs[-1])]
    return found


def measure(*, quick: bool, runs: int) -> dict[str, Any]:
    """Everything."""
    before = os.environ.get("TIDAL_HOME")
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch) / "home"
        os.environ["TIDAL_HOME"] = str(home)
        try:
            began = time.perf_counter()
            make(SLUG, SMALL if quick else LARGE).close()
            result: dict[str, Any] = {"made_s": round(time.perf_counter() - began, 1)}
            pages: dict[str, dict[str, Any]] = queries()
            if not quick:
                seen, bare, life = in_the_browser(home, Path(scratch))
                pages = {name: {**pages[name], **seen[name]} for name in pages}
                result["life_s"] = life
                result["slowest_over_bare_s"] = max(page["over_bare_s"] for page in pages.values())
                result["bare_first_figure_s"] = bare
                result["largest_mb"] = max(page["mb"] for page in pages.values())
                result |= training_cost(Path(scratch), runs)
            result["slowest_query_ms"] = max(page["slowest_query_ms"] for page in pages.values())
        finally:
            if before is None:
                del os.environ["TIDAL_HOME"]
            else:
                os.environ["TIDAL_HOME"] = before
    return {"pages": pages, **result}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small project, without a browser")
    parser.add_argument("--runs", type=int, default=2, help="rounds without, with one and with four pages (default 2)")
    parser.add_argument("--only", choices=("cost",), help="only what open pages cost a round")
    options = parser.parse_args()
    if options.only:
        with tempfile.TemporaryDirectory() as scratch:
            print(json.dumps(training_cost(Path(scratch), options.runs)))
    else:
        print(json.dumps(measure(quick=options.quick, runs=options.runs)))


if __name__ == "__main__":
    main()
