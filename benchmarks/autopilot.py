"""From nothing to the first round's result: ``python -m benchmarks.autopilot [--data flowers] [--race] [--quick]``.

``tidal-studio demo`` with the autopilot in an empty home, until the first round is done and its ranking is served, in
seconds since the command was typed: ``answers_s`` the server answers, ``first_answer_s`` the autopilot has answered,
``round_s`` the first round has begun, ``result_s`` it is done. ``accuracy``: on the test images. Medians over the
starts. Flowers: a folder of 350 photos in five classes, at their own size. ``race``: the race beside it, as it
is with a folder. ``--quick`` is a small made-up folder in this process, without a server: to see that it runs.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any
from urllib.request import Request, urlopen

from benchmarks.engine import say
from benchmarks.round_time import SHARED
from tests.browser.server import Server
from tests.helpers.gates import wait_for
from tests.helpers.squares import squares
from tidal_core import config
from tidal_core.commands.demo import project_of_folder
from tidal_core.experiments import race
from tidal_core.experiments.files import Experiment
from tidal_core.labelling.autopilot import Plan
from tidal_core.projects import open_project
from tidal_core.server.studio import Studio

_TOKEN = "of-the-benchmark"
_LOOK_SECONDS = 0.05


def measure(arguments: list[str], slug: str) -> dict[str, float]:
    """One start of the command in an empty home."""
    with tempfile.TemporaryDirectory(prefix="tidal-benchmark-") as folder:
        home = Path(folder) / "home"
        program = [sys.executable, "-m", "tidal_core", "demo", *arguments, "--port"]
        started = time.monotonic()
        with Server(home, program=program, variables={"TIDAL_TOKEN": _TOKEN}) as server:
            times = {"answers_s": time.monotonic() - started}
            while "result_s" not in times:
                now = ask(server.url, slug)
                since = time.monotonic() - started
                if now["labelled"]:
                    times.setdefault("first_answer_s", since)
                if now["round"] or now["ranking"] > 0:
                    times.setdefault("round_s", since)
                if now["ranking"] > 0:
                    times["result_s"] = since
                time.sleep(_LOOK_SECONDS)
            server.stop()
        for each in (home / "experiments").glob("race-*"):  # it would outlive the folder
            race.stop(Experiment(each))
            wait_for(lambda each=each: Experiment(each).owner is None, "the end of the race")  # type: ignore[misc]
        return times | {"accuracy": accuracy(home, slug)}


def ask(url: str, slug: str) -> dict[str, Any]:
    """How the project stands, as a labelling page asks."""
    request = Request(
        f"{url}/api/p/{slug}/status",
        data=b"{}",
        headers={"X-Tidal-Token": _TOKEN, "Content-Type": "application/json"},
    )
    with urlopen(request) as answer:
        state: dict[str, Any] = json.load(answer)
    return state


def accuracy(home: Path, slug: str) -> float:
    """The first round's, on the test images."""
    os.environ["TIDAL_HOME"] = str(home)
    project = open_project(slug)
    try:
        return project.store.metrics.series("accuracy", "test")[0].value
    finally:
        project.close()


def measure_here(of_each: int = 20) -> dict[str, float]:
    """As ``measure``, in this process, on made-up squares of three colours and with a short round."""
    config.PRESETS["quick"] = dataclasses.replace(config.QUICK, epochs=5, min_steps=20)
    with tempfile.TemporaryDirectory(prefix="tidal-benchmark-") as folder:
        home = Path(folder) / "home"
        os.environ["TIDAL_HOME"] = str(home)
        images = squares(Path(folder) / "squares", of_each, side=24)
        started = time.monotonic()
        project_of_folder(images).close()
        studio = Studio()
        try:
            project = studio.project("squares")
            pilot = studio.autopilot(project)
            pilot.start(Plan(per_second=None))
            wait_for(lambda: project.store.answers.last_seq(), "the first answer")
            answered = time.monotonic() - started
            wait_for(lambda: not pilot.flies, "the first round")
            times = {"first_answer_s": answered, "result_s": time.monotonic() - started}
            return times | {"accuracy": project.store.metrics.series("accuracy", "test")[0].value}
        finally:
            studio.close()


def main() -> None:
    """Measure and print one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=("digits", "flowers"), default="digits")
    parser.add_argument("--speed", default="5")
    parser.add_argument("--race", action="store_true")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="made-up squares, in this process: to see that it runs")
    options = parser.parse_args()
    if options.quick:
        starts = [measure_here()]
    else:
        what = [str(SHARED / "flowers")] if options.data == "flowers" else []
        arguments = [*what, "--autopilot", "--speed", options.speed, "--race" if options.race else "--no-race"]
        starts = [measure(arguments, options.data) for _ in range(options.runs)]
    print(starts)
    say("autopilot", options, **{key: round(median(each[key] for each in starts), 3) for key in starts[0]})


if __name__ == "__main__":
    main()
