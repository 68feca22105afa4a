"""How fast images come in and labels come in and go out.

    python -m benchmarks.ingest [--quick]

Prints one JSON line last:
  photos_per_s      photos of about 500 x 375 read, checked, hashed, cached and stored with two workers
  ratio             that to a bare loop which only reads, decodes and resizes the same files with as many workers,
                    and lets JPEG decode to twice the size, as people write it
  ratio_same        that to the same loop with JPEGs decoded as the import decodes them, which is less work
  labels_200k_s     seconds for 200,000 labels from a CSV, on images that the project has
  csv_1m_s          seconds to go through a CSV of a million rows
  memory_growth_mb  growth of the resident memory between the import's 1,000th and 100,000th image
  export_100k_s     seconds for 100,000 labels to Parquet
"""

from __future__ import annotations

import argparse
import csv
import gc
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from tidal_core.config import ProjectSettings
from tidal_core.export.tables import export
from tidal_core.images.importers import scan
from tidal_core.images.importers.base import FoundImage
from tidal_core.images.ingest import ingest
from tidal_core.images.reading import READERS
from tidal_core.images.squares import REDUCING_GAP
from tidal_core.projects import Project, create_project
from tidal_core.records import ImageRecord, ImageStatus, ImportProgress, Split
from tidal_core.store.answers import ImportedLabels

FLOWERS = Path(os.environ.get("TIDAL_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data")) / "flowers"
SIZE = 96  # pixels, as in the prototype's figures


def make_photos(folder: Path, n: int) -> list[Path]:
    """n different JPEGs of 500 x 375: the shared flowers scaled, or noise over soft colours where there are none."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    originals = sorted(FLOWERS.rglob("*.jpg"))[:50] if FLOWERS.exists() else []
    bases = [np.asarray(Image.open(path).convert("RGB").resize((500, 375))) for path in originals] or [
        np.asarray(Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((500, 375)))
        for _ in range(10)
    ]
    paths = []
    for number in range(n):
        pixels = np.roll(bases[number % len(bases)], int(rng.integers(0, 500)), axis=1)
        pixels[:8, :8] = np.unpackbits(np.array([number], dtype=">u4").view(np.uint8)).repeat(6).reshape(8, 8, 3) * 255
        path = folder / f"{number:05d}.jpg"
        Image.fromarray(pixels).save(path, quality=90)
        paths.append(path)
    return paths


def bare_loop(paths: list[Path], gap: float = 2.0) -> float:
    """Images per second of a loop that only reads, decodes (drafted to ``gap`` times the size) and resizes."""
    drafted = math.ceil(gap * SIZE)

    def one(path: Path) -> None:
        with Image.open(path) as image:
            image.draft(None, (drafted, drafted))
            side = min(image.size)
            left, top = (image.width - side) / 2, (image.height - side) / 2
            box = (left, top, left + side, top + side)
            np.asarray(image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=box))

    started = time.perf_counter()
    with ThreadPoolExecutor(READERS) as pool:
        for _ in pool.map(one, paths):
            pass
    return len(paths) / (time.perf_counter() - started)


def studio_loop(paths: list[Path], number: int) -> float:
    """Images per second of the whole import into a fresh project."""
    project = create_project(f"photos {number}", ProjectSettings(training_size=SIZE))
    started = time.perf_counter()
    report = ingest(project, str(paths[0].parent))
    seconds = time.perf_counter() - started
    project.close()
    if report.read != len(paths):
        raise SystemExit(f"{report.read} of {len(paths)} photos were read: {report.problems[:3]}")
    return len(paths) / seconds


def photos(folder: Path, n: int, repeats: int) -> tuple[float, float, float]:
    """Median images per second, and the median ratios to the two bare loops run just before."""
    paths = make_photos(folder / "photos", n)
    bare_loop(paths)  # both read from the page cache
    studio_loop(paths, repeats)  # the first insert of a process imports half a second of Arrow
    speeds, ratios, same = [], [], []
    for number in range(repeats):
        bare, alike = bare_loop(paths), bare_loop(paths, REDUCING_GAP)
        speeds.append(studio_loop(paths, number))
        ratios.append(speeds[-1] / bare)
        same.append(speeds[-1] / alike)
        print(f"photos: bare {bare:.0f}/s, decoded alike {alike:.0f}/s, studio {speeds[-1]:.0f}/s", file=sys.stderr)
    return statistics.median(speeds), statistics.median(ratios), statistics.median(same)


def filled_project(name: str, folder: Path, n: int) -> tuple[Project, list[Path]]:
    """A project that knows n images; their files are there, and empty: nobody reads them."""
    project = create_project(name, ProjectSettings(training_size=32))
    folder.mkdir(parents=True)
    paths = [folder / f"{number:06d}.jpg" for number in range(n)]
    for path in paths:
        path.touch()
    records = [
        ImageRecord(
            id=number + 1,
            uri=str(path),
            name=path.name,
            sha256=f"{number:064x}",
            width=32,
            height=32,
            bytes=0,
            split=Split.POOL,
            known_class=None,
            status=ImageStatus.READY,
            pixel_row=number,
            audit_order=number,
        )
        for number, path in enumerate(paths)
    ]
    project.store.images.add(records)
    return project, paths


def labels_from_csv(folder: Path, n: int) -> float:
    """Seconds for n labels from a CSV on images that the project has."""
    project, paths = filled_project("labels", folder / "labelled", n)
    table = folder / "labels.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label"])
        writer.writerows([str(path), f"class {number % 20}"] for number, path in enumerate(paths))
    started = time.perf_counter()
    report = ingest(project, str(table), labels="answers")
    seconds = time.perf_counter() - started
    project.close()
    if report.labels != n:
        raise SystemExit(f"{report.labels} of {n} labels came in: {report.problems[:3]}")
    return seconds


def rows_of_csv(folder: Path, n: int) -> float:
    """Seconds to go through a CSV of n rows, without the store."""
    table = folder / "rows.csv"
    with table.open("w", encoding="utf-8") as file:
        file.write("path,label\n")
        file.writelines(f"{number}.jpg,class {number % 20}\n" for number in range(n))
    started = time.perf_counter()
    count = sum(isinstance(item, FoundImage) for item in scan(str(table)).items)
    if count != n:
        raise SystemExit(f"{count} of {n} rows came")
    return time.perf_counter() - started


def export_labels(folder: Path, n: int) -> float:
    """Seconds for n labels to Parquet."""
    project, _ = filled_project("export", folder / "exported", n)
    project.store.classes.add([f"class {number}" for number in range(20)])
    ids = list(range(1, n + 1))
    project.store.answers.import_labels(ImportedLabels(ids, [1 + i % 20 for i in ids], ["me"] * n))
    started = time.perf_counter()
    report = export(project, folder / "labels.parquet")
    seconds = time.perf_counter() - started
    project.close()
    if report.rows != n:
        raise SystemExit(f"{report.rows} of {n} labels were written")
    return seconds


def memory_growth(folder: Path, n: int) -> float:
    """Growth in MB of the resident memory between image 1,000 (or a tenth) and image n of one import."""
    small = folder / "small"
    for start in range(0, n, 1_000):
        (small / f"{start:06d}").mkdir(parents=True)
    image = bytearray(_tiny_png())
    for number in range(n):  # a comment at the end makes each file's content its own
        (small / f"{number // 1_000 * 1_000:06d}" / f"{number}.png").write_bytes(image + number.to_bytes(4, "big"))
    project = create_project("memory", ProjectSettings(training_size=16))
    process = psutil.Process()
    sizes: dict[int, int] = {}
    first = min(1_000, n // 10)

    def look(step: ImportProgress) -> None:
        if step.read >= first:
            sizes.setdefault(first, process.memory_info().rss)

    ingest(project, str(small), progress=look)
    gc.collect()
    sizes[n] = process.memory_info().rss
    project.close()
    return (sizes[n] - sizes[first]) / 1e6


def _tiny_png() -> bytes:
    from tidal_core.images.squares import png_bytes

    return png_bytes(Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)))


def parts(arguments: list[str] | None = None) -> Iterator[tuple[str, float]]:
    """Each figure as it is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few seconds, figures without meaning")
    quick = parser.parse_args(arguments).quick
    before = os.environ.get("TIDAL_HOME")
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["TIDAL_HOME"] = f"{scratch}/home"
        try:
            folder = Path(scratch)
            speed, ratio, same = photos(folder, 20 if quick else 500, 1 if quick else 5)
            yield "photos_per_s", speed
            yield "ratio", ratio
            yield "ratio_same", same
            yield "labels_200k_s", labels_from_csv(folder, 500 if quick else 200_000)
            yield "csv_1m_s", rows_of_csv(folder, 1_000 if quick else 1_000_000)
            yield "export_100k_s", export_labels(folder, 500 if quick else 100_000)
            yield "memory_growth_mb", memory_growth(folder, 200 if quick else 100_000)
        finally:
            os.environ.pop("TIDAL_HOME")
            if before is not None:
                os.environ["TIDAL_HOME"] = before


def main() -> None:
    """Print the figures as one JSON line."""
    figures = {}
    for name, value in parts():
        figures[name] = round(value, 3)
        print(f"{name}: {value:.3f}", file=sys.stderr)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
