"""What a full disk costs: refusals in words, and nothing else, it is claimed.

    python -m benchmarks.full_disk [--quick] [--turns N]

Fills a small disk of its own (a tmpfs; where none may be mounted, no file of this process may grow beyond a limit) to a
random number of bytes during each of these: labelling over the routes, a round, an import, an export of labels and of a
model, a backup, a restore, the first start. What the disk refused is then done again with room, in the same process,
and every project is opened and compared with what was promised. Prints one JSON line last:
  disk          "tmpfs" or "limit"
  refused       what was asked on a full disk and refused
  acknowledged  answers that were acknowledged, with and without room
  lost          acknowledged answers that are not in the file
  unreadable    projects that do not open
  stuck         what does not work again once there is room
  raw_messages  refusals that are not in our words: an internal error, a library's exception
  seconds       of the whole run
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
from PIL import Image

from tests.helpers.disks import FileLimit, NoSmallDisk, SmallDisk, small_disk
from tests.helpers.gates import wait_for
from tests.helpers.served import Served
from tests.helpers.tiny import label_next, tiny_project
from tidal_core.config import PRESETS, QUICK
from tidal_core.errors import TidalError
from tidal_core.export.model import export_model
from tidal_core.export.tables import export
from tidal_core.export.tables.base import ExportOptions
from tidal_core.images.ingest import ingest
from tidal_core.images.new_project import new_project
from tidal_core.projects import open_project, project_slugs
from tidal_core.records import RoundState
from tidal_core.rounds.due import claim_round
from tidal_core.rounds.queue_plan import fill_queue
from tidal_core.rounds.run import RoundRun
from tidal_core.rounds.worker import Worker
from tidal_core.server.studio import DEMO, DEMO_IMAGES, Studio
from tidal_core.snapshots.restoring import restore
from tidal_core.snapshots.writing import backup, unfinished
from tidal_core.store.database import Database

DISK_MB = 24
LEFT_AT_MOST = 400_000  # bytes that are still free on the full disk
RAW = re.compile(r"Internal error|Traceback|Exception|SafetensorError|OSError|Errno|os error|TransactionContext|FATAL")


@dataclass
class Tally:
    """What was promised, and what went wrong."""

    acknowledged: dict[str, set[str]] = field(default_factory=dict)  # event ids by project, until they were looked for
    answers: int = 0  # acknowledged
    refused: int = 0
    lost: int = 0
    unreadable: int = 0
    stuck: int = 0
    raw_messages: int = 0

    def refuse(self, message: str) -> None:
        """Note a refusal, and whether it is in our words."""
        self.refused += 1
        if RAW.search(message):
            self.raw_messages += 1
            print(f"raw: {message}", flush=True)

    def attempt(self, action: Callable[[], object]) -> bool:
        """Whether the action was done; how it was refused is noted."""
        try:
            action()
        except TidalError as error:
            self.refuse(str(error))
        except Exception as error:
            self.refuse(f"Internal error: {type(error).__name__}: {error}")
        else:
            return True
        return False


class Turn:
    """One round over everything, each on a home of its own on the disk."""

    def __init__(self, disk: SmallDisk | FileLimit, beside: Path, rng: np.random.Generator, tally: Tally) -> None:
        self.disk, self.beside, self.rng, self.tally = disk, beside, rng, tally

    def run(self) -> None:
        """Everything, one after the other."""
        parts = (self.labelling, self.round, self.imports, self.exports, self.restores, self.first_start)
        for number, part in enumerate(parts):
            home = self.disk.folder / f"home-{number}"
            os.environ["TIDAL_HOME"] = str(home)
            try:
                part()
            finally:
                self.disk.free()
                self.check()
                shutil.rmtree(home, ignore_errors=True)

    def again(self, action: Callable[[], object]) -> None:
        """Do it on a full disk, and then with room: it must work."""
        self.disk.fill(int(self.rng.integers(0, LEFT_AT_MOST)))
        done = self.tally.attempt(action)
        self.disk.free()
        if not done:
            try:
                action()
            except Exception as error:
                print(f"stuck: {type(error).__name__}: {error}", flush=True)
                self.tally.stuck += 1

    def labelling(self) -> None:
        """Answers over the routes, and a checkpoint that finds no room, until the disk takes no more."""
        served = Served(n=200)
        acknowledged = self.tally.acknowledged.setdefault("tiny", set())
        try:
            for full in (False, True, False):
                if full:
                    self.disk.fill(int(self.rng.integers(0, 20_000)))
                    with patch.object(Database, "_has_room", lambda _: True):
                        served.project.store.checkpoint()
                for _ in range(20):
                    label = {**served.label({"image": 1, "purpose": "seed", "round": None}), "note": "x" * 500}
                    label["image"] = int(self.rng.integers(1, 201))
                    answer = served.post("answers", {"answers": [label]})
                    if answer.status_code == 200:
                        acknowledged.add(str(label["id"]))
                        self.tally.answers += 1
                    elif full and answer.status_code == 507:
                        self.tally.refuse(answer.json()["error"])
                    else:
                        self.tally.stuck += 1
                self.disk.free()
        finally:
            served.close()

    def round(self) -> None:
        """A round of the worker's thread."""
        with closing(tiny_project()) as project:
            fill_queue(project)
            label_next(project, 6)
            claim_round(project, started_by="person")
            self.disk.fill(int(self.rng.integers(0, LEFT_AT_MOST)))
            worker = Worker(lambda: [project])
            worker.start()
            try:
                wait_for(lambda: worker._told or not project.store.rounds.active())
                self.disk.free()
                wait_for(lambda: not project.store.rounds.active())
                record = project.store.rounds.get(1)
                if record.state is RoundState.FAILED:
                    self.tally.refuse(record.error or "")
                    worker.ask(project.slug)
                    wait_for(lambda: len(project.store.rounds.all()) == 2 and not project.store.rounds.active())
                last = project.store.rounds.latest()
                self.tally.stuck += last is None or last.state is not RoundState.DONE
            finally:
                worker.stop(60.0)

    def imports(self) -> None:
        """A folder of photos into a new project, under the same name until it is there."""
        photos = self.beside / "photos"
        if not photos.exists():
            photos.mkdir()
            for number in range(30):
                noise = self.rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
                Image.fromarray(noise).save(photos / f"{number}.png")

        def bring_in() -> None:
            known = "photos" in project_slugs()
            with closing(open_project("photos") if known else new_project("photos", str(photos))) as project:
                ingest(project, str(photos))
                if project.store.images.count() != 30:
                    raise AssertionError(f"{project.store.images.count()} of 30 photos were imported")

        self.again(bring_in)

    def exports(self) -> None:
        """Labels, a model and a snapshot of a project with a finished round, to the disk."""
        with closing(tiny_project()) as project:
            fill_queue(project)
            label_next(project, 6)
            record = claim_round(project, started_by="person")
            RoundRun(project, record, report=lambda _: None, should_stop=lambda: False).run()
            options = ExportOptions(overwrite=True)
            self.again(lambda: export(project, self.disk.folder / "labels.csv", None, options))
            self.again(lambda: export(project, self.disk.folder / "labels.parquet", None, options))
            self.again(lambda: export_model(project, None, "safetensors"))
            snapshot = self.disk.folder / "backup.zip"
            self.again(lambda: backup(project, snapshot, unfinished(project.folder), force=True))
            shutil.copyfile(snapshot, self.beside / snapshot.name)
            snapshot.unlink()

    def restores(self) -> None:
        """The snapshot of ``exports``, from elsewhere to the disk."""
        self.again(lambda: restore(self.beside / "backup.zip", "again"))
        with closing(open_project("again")) as project:
            self.tally.lost += project.store.answers.count() != 6

    def first_start(self) -> None:
        """The demo, made at the first look at it."""
        studio = Studio(with_worker=False)
        try:
            self.again(studio.demo)
            self.tally.stuck += studio.project(DEMO).store.images.count() != DEMO_IMAGES
        finally:
            studio.close()

    def check(self) -> None:
        """Open every project of the home and look for what was promised."""
        for slug in project_slugs():
            try:
                with closing(open_project(slug)) as project:
                    stored = {answer.answer.event_id for answer in project.store.answers.all()}
                    project.settings  # noqa: B018  # read from the file
            except Exception as error:
                print(f"unreadable: {slug}: {error}", flush=True)
                self.tally.unreadable += 1
                continue
            self.tally.lost += len(self.tally.acknowledged.pop(slug, set()) - stored)


def measure(turns: int, folder: Path, seed: int = 0) -> dict[str, object]:
    """The figures."""
    began = time.perf_counter()
    tally, rng = Tally(), np.random.default_rng(seed)
    with _disk(folder / "disk") as (kind, disk), patch.dict(PRESETS, quick=replace(QUICK, epochs=2, min_steps=6)):
        for number in range(turns):
            beside = folder / f"beside-{number}"
            beside.mkdir()
            Turn(disk, beside, rng, tally).run()
            print(f"turn {number + 1}: {tally.refused} refused, {tally.answers} acknowledged", flush=True)
    return {
        "disk": kind,
        "turns": turns,
        "refused": tally.refused,
        "acknowledged": tally.answers,
        "lost": tally.lost,
        "unreadable": tally.unreadable,
        "stuck": tally.stuck,
        "raw_messages": tally.raw_messages,
        "seconds": round(time.perf_counter() - began, 1),
    }


@contextmanager
def _disk(folder: Path) -> Iterator[tuple[str, SmallDisk | FileLimit]]:
    try:
        with small_disk(folder, DISK_MB) as disk:
            yield "tmpfs", disk
    except NoSmallDisk as error:
        print(f"No small disk ({error.strerror}): files are limited instead.", flush=True)
        limit = FileLimit(folder)
        try:
            yield "limit", limit
        finally:
            limit.free()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one turn")
    parser.add_argument("--turns", type=int, default=20)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tidal-full-disk-"))
    try:
        print(json.dumps(measure(1 if options.quick else options.turns, folder)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
