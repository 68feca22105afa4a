"""How long a person waits: from starting the server to the first image painted in a browser that is already open.

    python -m benchmarks.startup [--quick] [--runs N]

Prints one JSON line: ``first_page_s`` (median over runs of a studio that has been used before), ``first_run_s``
(median with an empty home: the demo project is made on the way), ``bare_s`` (the floor: a Streamlit page of one line,
started and opened the same way in the same run) and ``torch_imported`` (whether the process had loaded torch when the
first image was on screen; it should not have). Each page is opened by a browser with an empty cache.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.browser.driver import Labelling, launch
from tests.browser.server import Server


def one_start(browser: Browser, home: Path) -> tuple[float, bool]:
    """Seconds to the first painted image, and whether torch was loaded by then."""
    context = browser.new_context()
    began = time.monotonic()
    with Server(home) as server:
        Labelling(context.new_page(), server.url).open()
        seconds = time.monotonic() - began
        torch = server.has_loaded("libtorch")
        context.close()
    return seconds, torch


def bare_start(browser: Browser, folder: Path) -> float:
    """Seconds from starting Streamlit on a page of one line to that line on screen."""
    script = folder / "bare.py"
    script.write_text("import streamlit as st\nst.title('Nothing else')\n", encoding="utf-8")
    context = browser.new_context()
    page = context.new_page()
    began = time.monotonic()
    with Server(folder / "bare-home", script=script) as server:
        page.goto(server.url, wait_until="commit")
        page.get_by_text("Nothing else").wait_for()
        seconds = time.monotonic() - began
        context.close()
    return seconds


def main() -> None:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one start of each kind: does it work at all?")
    options = parser.parse_args()
    runs = 1 if options.quick else options.runs
    first, later, bare, torch = [], [], [], False
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = launch(playwright)
        for run in range(runs):
            home = Path(folder) / str(run)
            for times in (first, later):  # an empty home, then the same home again
                seconds, loaded = one_start(browser, home)
                times.append(round(seconds, 2))
                torch |= loaded
            bare.append(round(bare_start(browser, Path(folder)), 2))
        browser.close()
    figures = {
        "first_page_s": statistics.median(later),
        "first_run_s": statistics.median(first),
        "bare_s": statistics.median(bare),
        "torch_imported": torch,
        "n": runs,
        "all_first_page_s": later,
        "all_first_run_s": first,
        "all_bare_s": bare,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
