"""The motivating experiment: ``python -m benchmarks.separability [--data FOLDER] [--per-class N] [--quick]``.

AUROC of minor against major classes by training dynamics and by the snapshot. On a CPU the small network and, by
default, 500 images per major class; with a GPU, or ``--full``, ResNet-18 and all of them, as published.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import tempfile
import time
from pathlib import Path

from tidal_core.experiments import datasets
from tidal_core.experiments.motivating import CONFIG, measure
from tidal_core.experiments.separation import PUBLISHED, Separation

SHARED = Path(os.environ.get("TIDAL_SHARED_DATA") or Path(__file__).parents[2] / "shared/data")


def main() -> None:
    """Play it and print one JSON line."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="150 digits and 3 epochs, for a test")
    parser.add_argument("--data", type=Path, default=SHARED / "cifar10", help="holds train.parquet, test.parquet")
    parser.add_argument("--per-class", type=int, default=500, help="images of each major class on a CPU; 0 for all")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--full", action="store_true", help="ResNet-18 and all images, as published")
    options = parser.parse_args()

    full = options.full or torch.cuda.is_available()
    config = CONFIG
    if full:
        config = dataclasses.replace(CONFIG, backbone="resnet18", batch_size=128)
    if options.quick:
        config = dataclasses.replace(config, epochs=3)
    per_class = 15 if options.quick else 0 if full else options.per_class
    started = time.perf_counter()
    separations: list[Separation] = []
    with tempfile.TemporaryDirectory() as scratch:
        if options.quick:
            dataset = datasets.prepare("digits", Path(scratch))
        else:
            parts = ",".join(str(options.data / f"{part}.parquet") for part in ("train", "test"))
            dataset = datasets.prepare(f"parquet:{parts}", Path(scratch))
        for seed in range(options.seeds):
            run = measure(dataset, config=config, per_class=per_class, seed=seed, threads=torch.get_num_threads())
            while True:
                try:
                    record = next(run)
                except StopIteration as end:
                    separations.append(end.value)
                    break
                print(f"seed {seed} epoch {record.epoch}: training accuracy {record.train_accuracy:.3f}", flush=True)

    def mean(values: list[float]) -> float:
        return round(sum(values) / len(values), 4)

    print(
        json.dumps(
            {
                "td_entropy_auroc": mean([separation.auroc["td_entropy"] for separation in separations]),
                "td_margin_auroc": mean([separation.auroc["td_margin"] for separation in separations]),
                "snapshot_entropy_auroc": mean([separation.auroc["entropy"] for separation in separations]),
                "snapshot_margin_auroc": mean([separation.auroc["margin"] for separation in separations]),
                "held_out": {
                    name: mean([separation.held_out[name] for separation in separations]) for name in PUBLISHED
                },
                "train_accuracy": mean([separation.train_accuracy for separation in separations]),
                "images": len(separations[0].minor),
                "backbone": config.backbone,
                "epochs": config.epochs,
                "seeds": options.seeds,
                "seconds": round(time.perf_counter() - started, 1),
                "published": PUBLISHED,
            }
        )
    )


if __name__ == "__main__":
    main()
