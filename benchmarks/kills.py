"""What a SIGKILL costs, in the middle of a burst of answers or of any other work: nothing, it is claimed.

    python -m benchmarks.kills [--quick] [--kills N] [--of server,import,...]

Starts the real server on the demo project, sends answers from four connections at once, kills the server at a random
moment, opens the project's file, and starts again on the same file. Every answer that was not acknowledged is sent
again under its old id after the next start, as the browser's outbox does. Rounds are switched off: the worker writes
through the same lock. The other nine tenths of the kills are of the work in ``killed_work``: imports, pixel caches,
features, rounds, backups, exports, restores, classes, experiments, the first start. Prints one JSON line last:
  kills         how often a process was killed; each_kind: of each kind of work, at most
  ended         times that the work had ended before the kill, which are not among them
  acknowledged  answers that were acknowledged
  resent        answers sent again because no acknowledgement had come
  lost          what was acknowledged, or there before, and is not in the file, or not as it was sent
  duplicated    what is in the file more than once
  unopened      times that a project or a file could not be read after a kill
  different     times that the work, taken up again, came out otherwise than without a kill, or left something lying
  seconds       of the whole run
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import tempfile
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.killed_work import KINDS, kill_often
from benchmarks.killed_work import Tally as Work
from tests.browser.server import Server
from tidal_core.projects import open_project
from tidal_core.server.studio import DEMO, make_demo

CONNECTIONS = 4
LONGEST_BURST = 0.8  # seconds
PATIENCE = 120.0  # seconds until a request counts as not answered: the server that would answer is alive till the kill
Event = dict[str, Any]


@dataclass
class Tally:
    """What has been sent and what has been promised."""

    acknowledged: dict[str, Event] = field(default_factory=dict)
    waiting: dict[str, Event] = field(default_factory=dict)
    resent: int = 0
    lost: set[str] = field(default_factory=set)
    duplicated: int = 0
    unopened: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def prepare(home: Path) -> None:
    """The demo project with rounds off below ``home``."""
    os.environ["TIDAL_HOME"] = str(home)
    project = make_demo()
    project.store.settings.save(replace(project.settings, rounds_enabled=False))
    project.close()


def send(url: str, headers: dict[str, str], events: list[Event], tally: Tally, client: httpx.Client) -> bool:
    """One POST; False when the server did not answer. What was acknowledged is noted only then."""
    try:
        answer = client.post(url, json={"answers": events}, headers=headers)
        answer.raise_for_status()
    except httpx.HTTPError:
        return False
    with tally.lock:
        for result in answer.json()["results"]:
            if result["refused"] is None:
                tally.acknowledged[result["id"]] = tally.waiting.pop(result["id"])
    return True


def make_events(n: int, rng: np.random.Generator, tally: Tally) -> list[Event]:
    """n labels of random images, noted as not acknowledged."""
    events: list[Event] = [
        {
            "id": uuid.uuid4().hex,
            "kind": "label",
            "image": int(rng.integers(1, 1298)),
            "class": int(rng.integers(1, 11)),
            "purpose": "seed",
        }
        for _ in range(n)
    ]
    with tally.lock:
        tally.waiting |= {event["id"]: event for event in events}
    return events


def burst(url: str, headers: dict[str, str], tally: Tally, stop: threading.Event, seed: int) -> None:
    """One connection that answers as fast as it can until the server is gone."""
    rng = np.random.default_rng(seed)
    with httpx.Client(timeout=PATIENCE) as client:
        while not stop.is_set():
            events = make_events(int(rng.integers(1, 4)), rng, tally)
            if not send(url, headers, events, tally, client):
                return


def check(tally: Tally) -> None:
    """Open the file as the next start would, and compare it with what was promised."""
    try:
        project = open_project(DEMO)
    except Exception as error:
        print(f"not opened: {error}", flush=True)
        tally.unopened += 1
        return
    stored = [(s.answer.event_id, s.answer.image_id, s.answer.class_id) for s in project.store.answers.all()]
    seqs = [s.seq for s in project.store.answers.all()]
    project.close()
    counts = Counter(event_id for event_id, _, _ in stored)
    tally.duplicated += sum(n - 1 for n in counts.values()) + (len(seqs) - len(set(seqs)))
    stored_ids = set(stored)
    for event_id, event in tally.acknowledged.items():
        if (event_id, event["image"], event["class"]) not in stored_ids:
            tally.lost.add(event_id)


def measure(kills: int, home: Path, seed: int = 0) -> dict[str, float | int]:
    """Kill the server ``kills`` times; the figures."""
    began = time.perf_counter()
    rng = np.random.default_rng(seed)
    token = os.environ["TIDAL_TOKEN"] = secrets.token_urlsafe(32)
    headers = {"X-Tidal-Token": token}
    prepare(home)
    tally = Tally()
    server = Server(home)
    url = f"{server.url}/api/p/{DEMO}/answers"
    try:
        for number in range(kills):
            server.start()
            with httpx.Client(timeout=PATIENCE) as client:
                again = list(tally.waiting.values())
                tally.resent += len(again)
                again += make_events(1, rng, tally)  # the first request also opens the project: before the burst
                for start in range(0, len(again), 50):
                    send(url, headers, again[start : start + 50], tally, client)
            stop = threading.Event()
            threads = [
                threading.Thread(target=burst, args=(url, headers, tally, stop, seed + 1000 * number + i))
                for i in range(CONNECTIONS)
            ]
            for thread in threads:
                thread.start()
            time.sleep(float(rng.uniform(0.05, LONGEST_BURST)))
            server.kill()
            stop.set()
            for thread in threads:
                thread.join()
            check(tally)
            print(f"kill {number + 1}: {len(tally.acknowledged)} acknowledged, {len(tally.waiting)} not", flush=True)
    finally:
        server.kill()
    return {
        "server": kills,
        "acknowledged": len(tally.acknowledged),
        "resent": tally.resent,
        "lost": len(tally.lost),
        "duplicated": tally.duplicated,
        "unopened": tally.unopened,
        "seconds": round(time.perf_counter() - began, 1),
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the server and each kind of work once")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--of", default=",".join(("server", *KINDS)), help="kinds of work, with commas between")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    kinds = options.of.split(",")
    of_work = [name for name in kinds if name != "server"]
    n_server = (1 if options.quick else max(1, options.kills // 10 if of_work else options.kills)) * ("server" in kinds)
    each = 1 if options.quick else max(1, -(-(options.kills - n_server) // max(1, len(of_work))))
    folder, began = Path(tempfile.mkdtemp(prefix="tidal-kills-")), time.perf_counter()
    tally, figures = Work(), dict[str, float | int]()
    try:
        for number, name in enumerate(of_work):
            kill_often(KINDS[name], folder / name.replace(" ", "-"), each, options.seed + number, tally)
            print(f"{name}: {tally.kills} killed so far, {tally.ended} had ended", flush=True)
        if n_server:
            figures = measure(n_server, folder / "home", options.seed)
        faults = {
            "lost": tally.lost,
            "duplicated": tally.doubled,
            "unopened": tally.unopened,
            "different": tally.different,
        }
        totals = {name: counter.total() + figures.get(name, 0) for name, counter in faults.items()}
        by_kind = {name: {kind: n for kind, n in counter.items() if n} for name, counter in faults.items()}
        print(
            json.dumps(
                {
                    "kills": tally.kills + n_server,
                    "ended": tally.ended,
                    **figures,
                    **totals,
                    "faults_of_work": {name: kinds for name, kinds in by_kind.items() if kinds},
                    "each_kind": each,
                    "seconds": round(time.perf_counter() - began, 1),
                }
            )
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
