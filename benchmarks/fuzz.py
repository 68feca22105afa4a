"""Hostile input for every address and every reader, from a seed: nothing breaks and nothing is told, it is claimed.

    python -m benchmarks.fuzz [--quick] [--minutes M] [--seed S]

Half of the time goes to requests: every row of ``server.web.ENDPOINTS`` with what nobody should send, straight into
the application with its guard, for a project of small images. The other half goes to readers: images, tables (CSV, TSV,
JSON Lines, COCO, Parquet), archives (zip, tar), snapshots and stored settings that were good and of which bytes were
changed, cut off, doubled or replaced. Outside addresses are caught where sockets are opened. Prints one JSON line last:
  requests          sent
  readings          files and texts read
  server_errors     answers of 5xx other than 503 and 507, or none
  raw_messages      answers and reports that show the insides of a program
  leaked_paths      answers that name a folder of this computer
  crashes           readings that ended in an error that is not one of ours
  outside_requests  connections to elsewhere that were tried
  seconds           of the whole run
The first example of each fault is printed above.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import socket
import tarfile
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tests.helpers import hostile
from tests.helpers.served import Served
from tidal_core import json_checks
from tidal_core.config import ProjectSettings
from tidal_core.errors import TidalError
from tidal_core.images.ingest import ingest
from tidal_core.projects import create_project
from tidal_core.server import web
from tidal_core.snapshots.restoring import restore
from tidal_core.snapshots.writing import backup

QUICK_REQUESTS, QUICK_READINGS = 20, 3
COUNTS = ("requests", "readings", "server_errors", "raw_messages", "leaked_paths", "crashes", "outside_requests")


class Tally(Counter[str]):
    """How often each thing happened; the first of each fault is printed."""

    def fault(self, name: str, example: object) -> None:
        """Count a fault."""
        if not self[name]:
            print(f"{name}: {str(example)[:1000]}", flush=True)
        self[name] += 1


def watch_sockets(tally: Tally) -> None:
    """Refuse, and count, every connection to elsewhere from now on."""
    connect = socket.socket.connect

    def only_here(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and address[0] not in {"127.0.0.1", "::1", "localhost"}:
            tally.fault("outside_requests", address)
            raise ConnectionRefusedError(f"{address} is elsewhere")
        connect(self, address)  # type: ignore[arg-type]

    socket.socket.connect = only_here  # type: ignore[method-assign]


def send(served: Served, random: Random, inside: tuple[str, ...], tally: Tally) -> None:
    """One request."""
    assert served.studio.owner is not None
    endpoint = random.choice(web.ENDPOINTS)
    tokens = {"token": served.studio.token, "owner": served.studio.owner.token}
    sent = hostile.request(endpoint, random, slug="tiny", images=75, **tokens)
    got = served.exchange(sent)
    tally["requests"] += 1
    for fault in hostile.faults(got, sent, inside):
        tally.fault(fault, (sent.method, sent.path, sent.query[:200], got.status, got.text[:300]))


def samples(folder: Path, project_file: bytes) -> dict[str, bytes]:
    """A good file for each reader, by name."""
    pictures = {}
    for kind in ("png", "jpeg", "gif", "tiff", "webp", "bmp"):
        out = io.BytesIO()
        Image.effect_noise((24, 24), 60).convert("RGB").save(out, kind)
        pictures[f"a.{kind}"] = out.getvalue()
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with (
        zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive,
        tarfile.open(fileobj=tarred, mode="w:gz") as tar,
    ):
        for name, body in pictures.items():
            archive.writestr(f"cat/{name}", body)
            member = tarfile.TarInfo(f"dog/{name}")
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    for name, body in pictures.items():  # what tables and descriptions name
        (folder / name).write_bytes(body)
    columns = pa.table({"image": list(pictures.values()), "label": ["cat"] * len(pictures)})
    parquet = io.BytesIO()
    pq.write_table(columns, parquet)
    coco = {
        "images": [{"id": number, "file_name": name} for number, name in enumerate(pictures)],
        "annotations": [{"id": number, "image_id": number, "category_id": 1} for number in range(len(pictures))],
        "categories": [{"id": 1, "name": "cat"}],
    }
    return {
        **pictures,
        "labels.csv": ("image,label\n" + "".join(f"{name},cat\n" for name in pictures)).encode(),
        "labels.tsv": ("image\tlabel\n" + "".join(f"{name}\tdog\n" for name in pictures)).encode(),
        "labels.jsonl": "\n".join(json.dumps({"image": name, "label": "cat"}) for name in pictures).encode(),
        "coco.json": json.dumps(coco).encode(),
        "rows.parquet": parquet.getvalue(),
        "photos.zip": zipped.getvalue(),
        "photos.tar.gz": tarred.getvalue(),
        "project.snapshot": project_file,
        "settings.json": json.dumps(asdict(ProjectSettings(title="tiny"))).encode(),
    }


def damaged(body: bytes, random: Random) -> bytes:
    """A file of which something is not as it was; in a small one the change is often a hostile text."""
    changed = bytearray(body)
    for _ in range(random.choice([1, 1, 2, 8])):
        place = random.randrange(len(changed) or 1)
        what = random.randrange(5)
        if what == 0:
            changed[place : place + 1] = bytes([random.randrange(256)])
        elif what == 1:
            del changed[place:]
        elif what == 2:
            changed[place:place] = changed[max(0, place - 40) : place]
        elif what == 3:
            changed[place : place + random.randrange(20)] = b""
        else:
            text = random.choice(hostile.TEXTS)[:5_000].encode("utf-8", "surrogatepass")
            changed[place : place + len(text)] = text
    return bytes(changed)


def read(name: str, body: bytes, folder: Path, number: int) -> list[str]:
    """Give a file to its reader; what it says to people. Raises TidalError where it refuses the whole."""
    if name == "settings.json":
        return [str(json_checks.decode(body, ProjectSettings))]
    file = folder / name
    file.write_bytes(body)
    if name == "project.snapshot":
        restore(file, f"restored {number}")
        return []
    project = create_project(f"read {number}")
    try:
        report = ingest(project, str(file))
    finally:
        project.close()
        shutil.rmtree(project.folder, ignore_errors=True)
    return [f"{problem.reason} {problem.remedy}" for problem in report.problems]


def read_one(good: dict[str, bytes], random: Random, folder: Path, tally: Tally) -> None:
    """One damaged file and its reader."""
    name = random.choice(sorted(good))
    place = folder / str(tally["readings"])
    place.mkdir()
    for beside in (file for file in folder.iterdir() if file.is_file()):
        shutil.copy(beside, place)
    body = damaged(good[name], random)
    try:
        messages = read(name, body, place, tally["readings"])
    except TidalError as error:
        messages = [str(error)]
    except (Exception, RecursionError) as error:
        messages = []
        tally.fault("crashes", (name, repr(error)))
    tally["readings"] += 1
    for message in messages:
        raw = None if name == "settings.json" else hostile.RAW.search(message)
        if raw is not None and raw[0].encode() not in body:
            tally.fault("raw_messages", (name, message))
    shutil.rmtree(place, ignore_errors=True)


def measure(go_on: Callable[[Tally], bool], home: Path, seed: int) -> dict[str, float | int]:
    """Requests and readings in turn; the figures."""
    began = time.perf_counter()
    os.environ["TIDAL_HOME"] = str(home)
    tally, random = Tally(), Random(seed)
    watch_sockets(tally)
    served = Served()
    served.studio.reachable_at("http://127.0.0.1:8501")
    folder = home.parent / "files"
    folder.mkdir()
    snapshot = home.parent / "tiny.zip"
    backup(served.project, snapshot, {})
    good = samples(folder, snapshot.read_bytes())
    inside = (str(home.parent), str(Path.home()))
    share = [0.0, 0.0]  # seconds for requests and for readings
    while go_on(tally):
        which = int(share[1] < share[0])
        since = time.perf_counter()
        read_one(good, random, folder, tally) if which else send(served, random, inside, tally)
        share[which] += time.perf_counter() - since
    served.close()
    return {**{name: tally[name] for name in COUNTS}, "seconds": round(time.perf_counter() - began, 1)}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help=f"at least {QUICK_REQUESTS} requests, then {QUICK_READINGS} readings"
    )
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes

    def go_on(tally: Tally) -> bool:
        if options.quick:
            return tally["requests"] < QUICK_REQUESTS or tally["readings"] < QUICK_READINGS
        return time.monotonic() < end

    folder = Path(tempfile.mkdtemp(prefix="tidal-fuzz-"))
    try:
        print(json.dumps(measure(go_on, folder / "home", options.seed)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
