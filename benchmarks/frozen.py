"""Frozen features of a pretrained body: how fast they are computed, and exact dynamics from them.

    python -m benchmarks.frozen [--quick]

``features_per_s``: photos of 224 pixels to features, one thread. ``ratio``: to a bare forward pass of the same folded
network over tensors that are ready, in turns. ``exact_td_s``: the heads of 20 epochs over 100,000 images, 10 classes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.engine import say
from tidal_core.config import FROZEN, PixelSpec, Seeds
from tidal_core.engine.exact_dynamics import HeadHistory, exact_p_bar
from tidal_core.engine.features.extract import Extractor, extract
from tidal_core.engine.features.store import FeatureStore
from tidal_core.engine.folding import folded
from tidal_core.engine.model import build_model
from tidal_core.engine.pretrained import build_pretrained
from tidal_core.engine.published_weights import EFFICIENTNET_LITE0, feature_key

NAME = EFFICIENTNET_LITE0.backbone
CPU = torch.device("cpu")


def extraction(images: int, side: int, rounds: int) -> tuple[float, float]:
    """Images per second from the pixel file to the feature file, and the median ratio to bare forward passes."""
    extractor = Extractor(NAME, device=CPU, threads=1)
    bare = folded(build_pretrained(NAME)).to(memory_format=torch.channels_last)
    squares = np.random.default_rng(0).integers(0, 256, (images, side, side, 3), dtype=np.uint8)
    ready = torch.from_numpy(squares).permute(0, 3, 1, 2).float().div_(128).sub_(1)  # channels last already
    speeds, ratios = [], []
    with tempfile.TemporaryDirectory(prefix="tidal-benchmark-") as folder:
        pixels = Path(folder) / "pixels.npy"
        np.save(pixels, squares)
        for turn in range(rounds + 1):
            store = FeatureStore(Path(folder) / str(turn), feature_key(NAME, PixelSpec(side)))
            began = time.perf_counter()
            extract(extractor, pixels, store, np.arange(images))
            ours = images / (time.perf_counter() - began)
            began = time.perf_counter()
            with torch.inference_mode():
                for batch in torch.split(ready, extractor.batch_size):
                    bare(batch)
            if turn:  # the first one chooses kernels
                speeds.append(ours)
                ratios.append(ours / (images / (time.perf_counter() - began)))
    return statistics.median(speeds), statistics.median(ratios)


def exact_dynamics(images: int, threads: int) -> float:
    """Seconds for p-bar of so many images from the heads of 20 epochs, 10 classes."""
    torch.set_num_threads(threads)
    rng = np.random.default_rng(0)
    key = feature_key(NAME, PixelSpec(224))
    model = build_model(FROZEN, 10, Seeds(), CPU)
    stages = model.backbone.stage_channels
    heads = HeadHistory(20)
    for epoch in range(1, 21):
        heads.note(epoch, model)
    with tempfile.TemporaryDirectory(prefix="tidal-benchmark-") as folder:
        store = FeatureStore(Path(folder), key)
        for start in range(0, images, 5_000):
            rows = np.arange(start, min(start + 5_000, images))
            store.write(rows, rng.random((len(rows), sum(stages)), dtype=np.float32).astype(np.float16), stages)
        features = store.read()
        began = time.perf_counter()
        exact_p_bar(heads, model, features, np.arange(images))
        return time.perf_counter() - began


def main() -> None:
    """Measure and print one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few small images")
    options = parser.parse_args()
    quick = options.quick
    speed, ratio = extraction(16, 64, 1) if quick else extraction(64, 224, 5)
    seconds = exact_dynamics(2_000 if quick else 100_000, threads=2)
    say("frozen", options, features_per_s=round(speed, 1), ratio=round(ratio, 2), exact_td_s=round(seconds, 2))


if __name__ == "__main__":
    main()
