"""A whole round as the studio runs it: ``python -m benchmarks.round_time``.

``seconds`` from the claim of the labels to the new ranking, curves and scores stored: 300 labels, a pool of 10,000
CIFAR-10 images at 32 pixels (random pixels of that size where the data are not there), ``small``, one torch thread. The
median over rounds; the first of a process, which also warms torch up, is given apart. ``cpu_seconds`` are those that
the process computed: on a busy machine the better estimate of what a quiet one would take.
"""

from __future__ import annotations

import io
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
from PIL import Image

from benchmarks.engine import arguments, say
from tidal_core.config import PixelSpec, ProjectSettings
from tidal_core.images.pixels import PixelStore
from tidal_core.projects import Project, create_project
from tidal_core.records import Answer, AnswerKind, ImageRecord, ImageStatus, Int64, Split, UInt8
from tidal_core.rounds.due import claim_round
from tidal_core.rounds.run import RoundRun

SHARED = Path(os.environ.get("TIDAL_SHARED_DATA") or Path(__file__).parents[2] / "shared/data")


def cifar(n: int) -> tuple[UInt8, Int64]:
    """n CIFAR-10 images (n, 32, 32, 3) and their classes, or noise if the data are not there."""
    path = SHARED / "cifar10" / "test.parquet"
    rng = np.random.default_rng(0)
    if not path.exists():
        return rng.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8), np.arange(n) % 10
    table = parquet.read_table(path)
    order = rng.permutation(table.num_rows)  # the shared file is sorted by class
    table, rows = table.take(order), np.arange(n) % table.num_rows
    images = [record["bytes"].as_py() for record in table["image"].take(rows[: table.num_rows])]
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(image)).convert("RGB")) for image in images])
    return pixels[rows], table["label"].to_numpy()[rows]


def project_of(labels: int, pool: int) -> Project:
    """A project of these images, the first ``labels`` of them labelled."""
    pixels, classes = cifar(labels + pool)
    settings = ProjectSettings(title="CIFAR-10", training_size=32, audit_share=0.0, augmentation="flip-crop")
    project = create_project("round-time", settings, tuple(f"class {number}" for number in range(10)))
    with PixelStore(project.pixels).writer(PixelSpec(32)) as cache:
        cache.write(0, pixels)
    ids = np.array([class_record.id for class_record in project.store.classes.all()])[classes]
    project.store.images.add(
        [
            ImageRecord(
                id=i + 1,
                uri=f"/cifar/{i}.png",
                name=f"{i}.png",
                sha256=f"{i:064x}",
                width=32,
                height=32,
                bytes=3072,
                split=Split.POOL,
                known_class=int(ids[i]),
                status=ImageStatus.READY,
                pixel_row=i,
                audit_order=i,
            )
            for i in range(labels + pool)
        ]
    )
    project.store.answers.record(
        [Answer(f"label-{i}", AnswerKind.LABEL, i + 1, class_id=int(ids[i])) for i in range(labels)]
    )
    return project


def main() -> None:
    """Run it and print the figures."""
    options = arguments(__doc__ or "", backbone=False)
    labels, pool = (12, 50) if options.quick else (300, 10_000)
    rounds = 1 if options.quick else 1 + (options.pairs or 3)
    seconds, computed = [], []
    with tempfile.TemporaryDirectory(prefix="tidal-benchmark-") as home:
        before = os.environ.get("TIDAL_HOME")
        os.environ["TIDAL_HOME"] = home
        try:
            project = project_of(labels, pool)
            for _ in range(rounds):
                began, work = time.perf_counter(), time.process_time()
                record = claim_round(project, started_by="person")
                RoundRun(project, record, report=lambda _: None, should_stop=lambda: False).run()
                seconds.append(time.perf_counter() - began)
                computed.append(time.process_time() - work)
            project.close()
        finally:
            os.environ.pop("TIDAL_HOME")
            if before is not None:
                os.environ["TIDAL_HOME"] = before
    say(
        "round_time",
        options,
        seconds=round(statistics.median(seconds[1:] or seconds), 2),
        cpu_seconds=round(statistics.median(computed[1:] or computed), 2),
        first_seconds=round(seconds[0], 2),
        labels=labels,
        pool=pool,
        rounds=max(rounds - 1, 1),
    )


if __name__ == "__main__":
    main()
