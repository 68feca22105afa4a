"""Which Chromium the browser tests drive: ``python -m tests.browser.chromium`` finds or installs one.

In this order: the one that ``TIDAL_CHROMIUM`` names, one that is on the machine, Playwright's own, the system's
package. If none can be had it fails and says what to install: browser tests are never skipped silently.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.helpers.gates import WAIT_SECONDS

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "microsoft-edge-stable")
MAC = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
REMEDY = (
    "No Chromium was found and none could be installed. Install Chromium or Chrome (Debian, Ubuntu: apt-get install "
    "chromium; Fedora: dnf install chromium; macOS: brew install --cask chromium), or set TIDAL_CHROMIUM to the path "
    "of one, then run `make test` again."
)


class NoChromium(RuntimeError):
    """There is no browser to test with."""


def _works(path: str | Path) -> bool:
    """Whether the browser starts and says its version."""
    try:
        done = subprocess.run([str(path), "--version"], capture_output=True, timeout=WAIT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _playwrights_own() -> str | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() and _works(path) else None


def on_the_machine() -> str | None:
    """A Chromium that needs no installing, or None. Raises NoChromium when TIDAL_CHROMIUM names none that starts."""
    chosen = os.environ.get("TIDAL_CHROMIUM")
    if chosen:
        if not _works(chosen):
            raise NoChromium(f"TIDAL_CHROMIUM names {chosen!r}, which does not start. {REMEDY}")
        return chosen
    for program in (*filter(None, map(shutil.which, NAMES)), *MAC):
        if _works(program):
            return program
    return None


def find() -> str:
    """The Chromium to drive. Raises NoChromium; installs nothing."""
    found = on_the_machine() or _playwrights_own()
    if found is None:
        raise NoChromium(REMEDY)
    return found


def install() -> str:
    """The Chromium to drive, installed if need be. Raises NoChromium."""
    found = on_the_machine() or _playwrights_own()
    if found:
        return found
    print("Installing Playwright's Chromium", flush=True)
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)
    found = _playwrights_own()
    if found:
        return found
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        print("Installing the system's Chromium with apt-get", flush=True)
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], check=False, env=quiet)
        subprocess.run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-liberation"],
            check=False,
            env=quiet,
            stdout=subprocess.DEVNULL,  # a hundred lines of what is unpacked
        )
        found = on_the_machine()
    if found is None:
        raise NoChromium(REMEDY)
    return found


if __name__ == "__main__":
    try:
        print(install())
    except NoChromium as error:
        sys.exit(str(error))
