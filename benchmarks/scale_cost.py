"""What 1, 10 and 100 million images cost, reckoned from what one image costs on this machine.

    python -m benchmarks.scale_cost [--workers 1] [--images-per-s 31.6] [--quick]

Measured here, in processor seconds so that other work on the machine does not count: making a square of a photo of 500
pixels, a head with its exact dynamics on stored features, storing a round, reading the gallery's columns. Taken from
the option: images a second through the pretrained body (``benchmarks.frozen`` measures it). Import, features and scores
can be split among workers; storing and reading the columns belong to the one process that owns the file. Prints one
JSON line last: for each size the hours of each stage, the GB on disk and in memory, and ``first_limit``, what ends
first on a machine of 24 GB and 250 GB of disk.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.made_up import Size, make
from tidal_core.config import PRESETS
from tidal_core.engine.backbones import stage_channels
from tidal_core.store.image_facts import Keeper

SIZES = (10**6, 10**7, 10**8)
CLASSES, EPOCHS = 10, 20
MEMORY_GB, DISK_GB = 24.0, 250.0
PREVIEW_BYTES, SQUARE_BYTES = 12_000, 224 * 224 * 3
SLUG = "scale"
Figures = dict[str, Any]


def seconds_each(n: int, work: Callable[[], object], turns: int = 3) -> float:
    """Processor seconds an image: the median of so many turns over n images."""
    times = []
    for _ in range(turns):
        began = time.process_time()
        work()
        times.append((time.process_time() - began) / n)
    return median(times)


def measured(rows: int) -> dict[str, float]:
    """Seconds an image of each stage, and bytes an image of the file and of the columns in memory."""
    photo = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((500, 375), Image.Resampling.BICUBIC).save(photo, "JPEG", quality=90)

    def square() -> None:
        for _ in range(20):
            Image.open(io.BytesIO(photo.getvalue())).convert("RGB").resize((224, 224))

    channels = stage_channels(PRESETS["frozen"].backbone)
    features = torch.rand((min(rows, 8_192), sum(channels)), dtype=torch.float32).half()
    heads = torch.rand((channels[-1], EPOCHS * CLASSES))

    def head() -> None:
        points = torch.nn.functional.normalize(features[:, -channels[-1] :].float(), dim=1)
        (points @ heads).view(-1, EPOCHS, CLASSES).softmax(dim=2)

    began = time.process_time()
    project = make(SLUG, Size(labelled=60, pool=rows - 60, test=0, rounds=1, epochs=2, classes=CLASSES))
    store_seconds = (time.process_time() - began) / rows
    try:
        database = project.store.database
        read_seconds = seconds_each(rows, lambda: Keeper(database).facts(), turns=1)
        in_memory = Keeper(database).facts().table.nbytes / rows
        in_file = database.path.stat().st_size / rows
    finally:
        project.close()
    return {
        "import_s": seconds_each(20, square),
        "score_s": seconds_each(len(features), head),
        "store_s": store_seconds,
        "browse_s": read_seconds,
        "file_bytes": in_file,
        "memory_bytes": in_memory,
        "features_bytes": 2.0 * sum(channels),
    }


def cost(images: int, of_one: dict[str, float], images_per_s: float, workers: int) -> Figures:
    """Hours, GB and what ends first, of so many images."""
    hours = {
        "import": images * of_one["import_s"] / workers / 3600,
        "features": images / images_per_s / workers / 3600,
        "score_a_round": images * of_one["score_s"] / workers / 3600,
        "store_a_round": images * of_one["store_s"] / 3600,
        "open_gallery": images * of_one["browse_s"] / 3600,
    }
    disk = {
        "squares": images * SQUARE_BYTES / 1e9,
        "features": images * of_one["features_bytes"] / 1e9,
        "previews": images * PREVIEW_BYTES / 1e9,
        "file_a_round": images * of_one["file_bytes"] / 1e9,
    }
    memory = images * of_one["memory_bytes"] / 1e9
    limits = [("memory", memory / MEMORY_GB), ("disk", sum(disk.values()) / DISK_GB)]
    worst = max(limits, key=lambda limit: limit[1])
    return {
        "images": images,
        "hours": {**_rounded(hours, 3), "all": round(sum(hours.values()), 3)},
        "gb": {**_rounded(disk, 1), "all": round(sum(disk.values()), 1)},
        "gallery_memory_gb": round(memory, 2),
        "first_limit": worst[0] if worst[1] > 1 else "none",
    }


def _rounded(values: dict[str, float], digits: int) -> dict[str, float]:
    return {name: round(value, digits) for name, value in values.items()}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=1, help="machines that import, compute features and score")
    parser.add_argument("--images-per-s", type=float, default=31.6, help="through the pretrained body, one worker")
    parser.add_argument("--quick", action="store_true", help="measured on 2,000 images instead of 50,000")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="tidal-scale-"))
    os.environ["TIDAL_HOME"] = str(folder / "home")
    try:
        of_one = measured(2_000 if options.quick else 50_000)
        sizes = [cost(images, of_one, options.images_per_s, options.workers) for images in SIZES]
        shown = {name: float(f"{value:.4g}") for name, value in of_one.items()}
        print(json.dumps({"workers": options.workers, "of_one_image": shown, "sizes": sizes}))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
