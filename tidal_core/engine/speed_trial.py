"""Which precision and layout are fastest here: a trial of seconds that proposes them for a project.

The proposal, once taken, is stored with the project's settings and with each of its rounds, and never made again for
them: repeats, resumed rounds and experiments take what their configuration says, because another precision gives other
weights. ``Trial`` plays it in a process of its own, so that a round that trains meanwhile comes out as it would have.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tidal_core.config import JsonConfig, Precision, Seeds, TrainConfig
from tidal_core.errors import TidalError

if TYPE_CHECKING:  # torch comes with the trial, not with the page that starts one
    from tidal_core.engine.training import Training
    from tidal_core.records import TrainImages

WORTH = 1.1  # another precision or layout is proposed only if it is at least this many times as fast as the current one
WAYS: tuple[tuple[Precision, bool], ...] = (
    ("float32", False),
    ("float32", True),
    ("bfloat16", False),
    ("bfloat16", True),
)  # precision, channels last


def way_name(precision: str, channels_last: bool) -> str:
    """What a way to compute is called: "bfloat16, channels last"."""
    return f"{precision}{', channels last' if channels_last else ''}"


@dataclass(frozen=True)
class Speeds(JsonConfig):
    """The speeds that a trial measured."""

    device: str
    images_per_second: dict[str, float]  # of each way, by ``way_name``

    def times(self, way: str, current: str) -> float:
        """How many times as fast ``way`` is as the ``current`` one."""
        return self.images_per_second[way] / self.images_per_second[current]

    def worth_changing_to(self, current: str) -> str | None:
        """The fastest way if it is at least ``WORTH`` times as fast as the ``current`` one, else None."""
        best = max(self.images_per_second, key=self.images_per_second.__getitem__)
        return best if self.times(best, current) >= WORTH else None


def measure_speeds(config: TrainConfig, side: int, n_classes: int, *, threads: int = 1, rounds: int = 3) -> Speeds:
    """How fast ``config`` trains with each precision and layout.

    ``side``: pixels of the training images. Each way trains two batches of made-up images ``rounds`` times, in turns.
    """
    from tidal_core.engine.devices import synchronize
    from tidal_core.records import TrainImages

    n = 2 * config.batch_size
    with tempfile.TemporaryDirectory(prefix="tidal-trial-") as folder:
        path = Path(folder) / "pixels.npy"
        np.save(path, np.random.default_rng(0).integers(0, 256, (n, side, side, 3), dtype=np.uint8))
        images = TrainImages(path, np.arange(n), np.arange(n) % n_classes, n_classes)
        trials = {
            way: _started(dataclasses.replace(config, precision=way[0], channels_last=way[1]), images, threads, rounds)
            for way in WAYS
        }
        seconds: dict[tuple[Precision, bool], list[float]] = {way: [] for way in WAYS}
        for _ in range(rounds):
            for way, trial in trials.items():
                began = time.perf_counter()
                next(trial)
                synchronize(trial.device)
                seconds[way].append(time.perf_counter() - began)
        device = next(iter(trials.values())).device.type
    return Speeds(device, {way_name(*way): n / statistics.median(times) for way, times in seconds.items()})


def _started(config: TrainConfig, images: TrainImages, threads: int, rounds: int) -> Training:
    from tidal_core.engine.model import build_model
    from tidal_core.engine.train_inputs import TrainOptions
    from tidal_core.engine.training import train

    config = dataclasses.replace(config, epochs=rounds + 1, min_steps=0)
    model = build_model(config, images.n_classes, Seeds())
    trial = train(config, images, model, Seeds(), TrainOptions(threads=threads))
    next(trial)  # loads pixels, chooses kernels
    return trial


class Trial:
    """A trial under way in a process of its own; it is looked at, not waited for."""

    def __init__(self, config: TrainConfig, side: int, n_classes: int) -> None:
        request = json.dumps({"config": dataclasses.asdict(config), "side": side, "n_classes": n_classes})
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tidal_core.engine.speed_trial", request],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,  # some lines at most: the pipe holds them until they are read
            text=True,
            cwd=Path(__file__).parents[2],
        )
        self._speeds: Speeds | None = None

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def result(self) -> Speeds:
        """The measured speeds, after waiting for its end. Raises TidalError if the process failed."""
        if self._speeds is None:
            output = self._process.communicate()[0].strip().splitlines()
            if self._process.returncode:
                why = output[-1] if output else f"its process ended with {self._process.returncode}"
                raise TidalError(f"The speed trial stopped early: {why}")
            self._speeds = Speeds.from_dict(json.loads(output[-1]))
        return self._speeds

    def stop(self) -> None:
        """End it; there is no result then."""
        self._process.kill()
        self._process.communicate()


def main() -> None:
    """The process of a ``Trial``: the request as JSON in, the speeds as the last line out."""
    request = json.loads(sys.argv[1])
    speeds = measure_speeds(TrainConfig.from_dict(request["config"]), request["side"], request["n_classes"])
    print(json.dumps(dataclasses.asdict(speeds)))


if __name__ == "__main__":
    main()
