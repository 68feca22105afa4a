"""Twenty annotators and two browsers label one project while it trains: whom it hands what, what it keeps, how fast.

    python -m benchmarks.annotators [--seconds 120] [--double SHARE] [--quick]

Starts the real server on a project of small images whose rounds begin every 20 labels. Twenty people do over HTTP what
the labelling page does (take some images, answer one at a time on a kept connection, say every two seconds what they
hold, take more); two more do it in a real Chromium. Each person rests a second and a half before an answer, a half
more or less. ``--double``: a share of images that is asked of two people. Prints one JSON line last:
  answers            acknowledged answers of the twenty
  browser_answers    keys of the two that were pressed on a painted image and stored
  rounds             that ended meanwhile
  double_served      images handed to one person while another one held them or had answered them, but for those that
                     are asked again on purpose
  answered_twice     images with answers that stand of two people
  lost               acknowledged answers, or keys on a painted image, that are not in the file as they were given
  answer_p50_ms, answer_p95_ms   of the twenty: from an answer that is sent to its acknowledgement
  open_p95_ms        the same of taking images
  memory_growth_mb   resident memory of the server, medians: the last tenth of the time against the tenth after the
                     first round was done, when training has loaded what it needs; where none was, after the first third
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import statistics
import tempfile
import threading
import time
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from playwright.sync_api import sync_playwright

from benchmarks.key_latency import SLUG, prepare, settings_of
from tests.browser.driver import Key, Labelling, launch
from tests.browser.server import Server
from tidal_core.projects import open_project
from tidal_core.records import AnswerKind, RoundState

PEOPLE = 20
HELD = 8  # images that a person takes at once
FEW = 4  # with fewer, more are taken
REST = 1.5  # seconds between an answer and the next, a half more or less
ALIVE = 2.0  # seconds between two words that a tab is alive
PATIENCE = 120.0


@dataclass
class Tally:
    """What was handed out and acknowledged."""

    holders: dict[int, str] = field(default_factory=dict)  # image -> tab
    double_served: int = 0
    acknowledged: dict[str, tuple[int, int]] = field(default_factory=dict)  # event -> image, class
    answer_ms: list[float] = field(default_factory=list)
    open_ms: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    has_trained: threading.Event = field(default_factory=threading.Event)  # a ranking is served
    lock: threading.Lock = field(default_factory=threading.Lock)


class Person(threading.Thread):
    """Someone who labels over HTTP until told to stop."""

    def __init__(self, number: int, url: str, token: str, tally: Tally, stop: threading.Event) -> None:
        super().__init__(name=f"person-{number}")
        self.tab, self.tally, self.stop = f"tab-{number}", tally, stop
        self._rng = np.random.default_rng(number)
        self._client = httpx.Client(base_url=f"{url}/api/p/{SLUG}/", headers={"X-Tidal-Token": token}, timeout=PATIENCE)
        self.begun = threading.Event()  # the first answer was acknowledged
        self._held: list[dict[str, Any]] = []
        self._spoke = 0.0

    def run(self) -> None:
        """Label until told to stop."""
        try:
            with self._client:
                self._take("open", fresh=True)
                while not self.stop.wait(REST * self._rng.uniform(0.5, 1.5)):
                    self._step()
        except (httpx.HTTPError, KeyError, ValueError) as error:
            with self.tally.lock:
                self.tally.failures.append(f"{self.tab}: {error!r}")

    def _step(self) -> None:
        if self._held:
            self._answer(self._held[0])
        if len(self._held) < FEW:
            self._take("queue")
        if time.monotonic() - self._spoke > ALIVE:
            held = [item["image"] for item in self._held]
            status, _ = self._post("status", {"tab": self.tab, "annotator": self.tab, "held": held})
            self._spoke = time.monotonic()
            if status["ranking"] > 0:
                self.tally.has_trained.set()

    def _post(self, path: str, body: dict[str, Any]) -> tuple[dict[str, Any], float]:
        began = time.perf_counter()
        for is_last in (False, False, True):
            try:
                answer = self._client.post(path, json=body)
                break
            except httpx.TransportError:  # an idle connection that was just closed: sent again, as the page does
                if is_last:
                    raise
        took = 1000 * (time.perf_counter() - began)
        answer.raise_for_status()
        return answer.json(), took

    def _take(self, path: str, *, fresh: bool = False) -> None:
        held = [item["image"] for item in self._held]
        wanted = {"tab": self.tab, "annotator": self.tab, "n": HELD - len(held), "held": held, "fresh": fresh}
        body, took = self._post(path, wanted)
        with self.tally.lock:
            self.tally.open_ms.append(took)
            for item in body["items"]:
                holder = self.tally.holders.setdefault(item["image"], self.tab)
                self.tally.double_served += holder != self.tab and item["purpose"] != "again"
        self._held += body["items"]

    def _answer(self, item: dict[str, Any]) -> None:
        event, class_id = uuid.uuid4().hex, int(self._rng.integers(1, 10))
        sent = {
            "id": event,
            "kind": "label",
            "image": item["image"],
            "class": class_id,
            "annotator": self.tab,
            "purpose": item["purpose"],
            "round": item.get("round"),
        }
        body, took = self._post("answers", {"answers": [sent], "tab": self.tab})
        (result,) = body["results"]
        with self.tally.lock:
            self.tally.answer_ms.append(took)
            if result["refused"] is None:
                self.tally.acknowledged[event] = (item["image"], class_id)
        self._held.remove(item)
        self.begun.set()


def press_keys(url: str, browsers: int, seconds: float) -> list[list[Key]]:
    """Keys in so many browsers in turn, for so long; those of each."""
    with sync_playwright() as playwright:
        browser = launch(playwright, webgl=False)
        tabs = [
            Labelling(browser.new_context(viewport={"width": 1280, "height": 800}).new_page(), url, SLUG).open()
            for _ in range(browsers)
        ]
        until, number = time.monotonic() + seconds, 0
        while time.monotonic() < until:
            number += 1
            for tab in tabs:
                tab.page.keyboard.press("123456789"[number % 9])
                tab.page.wait_for_timeout(1000 * REST / browsers)
        for tab in tabs:
            tab.wait_saved()
        pressed = [tab.pressed_keys() for tab in tabs]
        browser.close()
    return pressed


def check(tally: Tally, pressed: list[list[Key]]) -> dict[str, int]:
    """Compare what was acknowledged and pressed with what is in the file."""
    project = open_project(SLUG)
    stored = [s.answer for s in project.store.answers.all() if s.answer.kind is AnswerKind.LABEL]
    keys = {record.id: record.key for record in project.store.classes.all()}
    rounds = sum(record.state is RoundState.DONE for record in project.store.rounds.all())
    project.close()
    by_event = {answer.event_id: (answer.image_id, answer.class_id) for answer in stored}
    lost = sum(by_event.get(event) != given for event, given in tally.acknowledged.items())
    others = Counter((a.image_id, keys[a.class_id or 0]) for a in stored if not a.annotator.startswith("tab-"))
    wanted = Counter((key.image, key.key) for tab in pressed for key in tab if key.image is not None)
    people_of: defaultdict[int | None, set[str]] = defaultdict(set)
    for answer in stored:
        if answer.annotator.startswith("tab-"):
            people_of[answer.image_id].add(answer.annotator)
    for number, tab in enumerate(pressed):
        for key in tab:
            people_of[key.image].add(f"browser-{number}")
    people_of.pop(None, None)  # keys that came while no image was painted
    return {
        "answers": len(tally.acknowledged),
        "browser_answers": sum((wanted & others).values()),
        "rounds": rounds,
        "double_served": tally.double_served,
        "answered_twice": sum(len(people) > 1 for people in people_of.values()),
        "lost": lost + sum((wanted - others).values()),
    }


class Memory(threading.Thread):
    """Reads every second how much memory a process has."""

    def __init__(self, pid: int, stop: threading.Event, has_trained: threading.Event) -> None:
        super().__init__(name="memory")
        self._process, self._stop_reading, self._has_trained = psutil.Process(pid), stop, has_trained
        self.megabytes: list[float] = []
        self._untrained = 0  # how many of these were read before a round was done

    def run(self) -> None:
        """Read until told to stop."""
        while not self._stop_reading.wait(min(1.0, 0.2 + len(self.megabytes) / 100)):
            try:
                self.megabytes.append(self._process.memory_info().rss / 1e6)
                self._untrained += not self._has_trained.is_set()
            except psutil.NoSuchProcess:  # the benchmark has failed, and says why
                return

    def growth(self) -> float:
        """The last tenth against the tenth after the first round, or the first third where no round was; medians."""
        n = len(self.megabytes)
        tenth, first = max(1, n // 10), self._untrained if self._untrained < n else n // 3
        return statistics.median(self.megabytes[-tenth:]) - statistics.median(self.megabytes[first : first + tenth])


def measure(
    home: Path, *, images: int, people: int, browsers: int, seconds: float, double: float = 0.0
) -> dict[str, Any]:
    """All figures."""
    token = os.environ["TIDAL_TOKEN"] = secrets.token_urlsafe(32)
    prepare(home, images)
    settings_of(rounds_enabled=True, labels_per_round=20, double_share=double)
    tally, stop = Tally(), threading.Event()
    with Server(home) as server:
        everyone = [Person(number, server.url, token, tally, stop) for number in range(people)]
        memory = Memory(server.pid, stop, tally.has_trained)
        for thread in (*everyone, memory):
            thread.start()
        if browsers:
            pressed = press_keys(server.url, browsers, seconds)
        else:
            pressed = []
            for person in everyone:
                person.begun.wait(PATIENCE)
            stop.wait(seconds)
        stop.set()
        for thread in (*everyone, memory):
            thread.join()
    for failure in tally.failures:
        print(failure, flush=True)
    return {
        **check(tally, pressed),
        "failures": len(tally.failures),
        "answer_p50_ms": round(statistics.median(tally.answer_ms), 1),
        "answer_p95_ms": round(float(np.percentile(tally.answer_ms, 95)), 1),
        "open_p95_ms": round(float(np.percentile(tally.open_ms, 95)), 1),
        "memory_growth_mb": round(memory.growth(), 1),
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--double", type=float, default=0.0, help="share of images that is asked of two people")
    parser.add_argument("--quick", action="store_true", help="two people and no browser, for two seconds")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tidal-annotators-"))
    size: dict[str, Any] = (
        {"images": 120, "people": 2, "browsers": 0, "seconds": 2.0}
        if options.quick
        else {"images": 4_000, "people": PEOPLE, "browsers": 2, "seconds": options.seconds}
    )
    try:
        print(json.dumps({"benchmark": "annotators", **measure(folder / "home", **size, double=options.double)}))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
