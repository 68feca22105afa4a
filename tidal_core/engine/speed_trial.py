"""Which precision and layout are fastest here: a trial of seconds that proposes them for a project.

The proposal, once taken, is stored with the project's settings and with each of its rounds, and never made again for
them: repeats, resumed rounds and experiments take what their configuration says, because another precision gives other
weights. ``Trial`` plays it in a process of its own, so that a round that trains meanwhile comes out as it would have.

``quick_speeds`` is for a new project, that no round has trained yet: in this process, and over in about three seconds
whatever the network, for somebody waits for the first round. ``first_round_seconds`` says how long that one takes.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tidal_core.config import JsonConfig, PixelSpec, Precision, Seeds, TrainConfig
from tidal_core.errors import Stopped, TidalError
from tidal_core.files import scratch

if TYPE_CHECKING:  # torch comes with the trial, not with the page that starts one
    from tidal_core.engine.training import Training
    from tidal_core.records import TrainImages, UInt8

WORTH = 1.1  # another precision or layout is proposed only if it is at least this many times as fast as the current one
SURE = 1.25  # the same where nobody is asked: a short trial on a busy machine takes a tenth for more than it is
QUICK_SECONDS = 2.5  # of ``quick_speeds``; a step that is slower than those before it may end later
QUICK_TURNS = 5  # of all ways in it, where there is time
QUICK_IMAGES = 4  # in its batches on a CPU, where ways compare alike in small ones; elsewhere they are whole
STEPS = 3  # of a round that are timed to say how long it takes
Way = tuple[Precision, bool]  # precision, channels last
WAYS: tuple[Way, ...] = (
    ("float32", False),
    ("float32", True),
    ("bfloat16", False),
    ("bfloat16", True),
)


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

    def worth_changing_to(self, current: str, worth: float = WORTH) -> str | None:
        """The fastest way if it is at least ``worth`` times as fast as the ``current`` one, else None."""
        best = max(self.images_per_second, key=self.images_per_second.__getitem__, default=current)
        return best if best != current and self.times(best, current) >= worth else None


def measure_speeds(config: TrainConfig, side: int, n_classes: int, *, threads: int = 1, rounds: int = 3) -> Speeds:
    """How fast ``config`` trains with each precision and layout.

    ``side``: pixels of the training images. Each way trains two batches of made-up images ``rounds`` times, in turns.
    """
    from tidal_core.engine.devices import synchronize
    from tidal_core.records import TrainImages

    n = 2 * config.batch_size
    with scratch("trial") as folder:
        path = folder / "pixels.npy"
        np.save(path, np.random.default_rng(0).integers(0, 256, (n, side, side, 3), dtype=np.uint8))
        images = TrainImages(path, np.arange(n), np.arange(n) % n_classes, n_classes)
        trials = {
            way: _started(dataclasses.replace(config, precision=way[0], channels_last=way[1]), images, threads, rounds)
            for way in WAYS
        }
        seconds: dict[Way, list[float]] = {way: [] for way in WAYS}
        for _ in range(rounds):
            for way, trial in trials.items():
                began = time.perf_counter()
                next(trial)
                synchronize(trial.device)
                seconds[way].append(time.perf_counter() - began)
        for trial in trials.values():
            trial.close()
        device = next(iter(trials.values())).device.type
    return Speeds(device, {way_name(*way): n / statistics.median(times) for way, times in seconds.items()})


def _started(config: TrainConfig, images: TrainImages, threads: int, rounds: int) -> Training:
    trial = _training(config, images, threads, epochs=rounds + 1)
    next(trial)  # loads pixels, chooses kernels
    return trial


def _training(config: TrainConfig, images: TrainImages, threads: int, *, epochs: int) -> Training:
    from tidal_core.engine.model import build_model
    from tidal_core.engine.train_inputs import TrainOptions
    from tidal_core.engine.training import train

    config = dataclasses.replace(config, epochs=epochs, min_steps=0, max_steps=0)
    model = build_model(config, images.n_classes, Seeds())
    return train(config, images, model, Seeds(), TrainOptions(threads=threads))


Step = Callable[[], object]
"""Does one batch and waits for its end."""


def quick_speeds(
    config: TrainConfig, side: int, n_classes: int, *, threads: int = 1, should_stop: Callable[[], bool] | None = None
) -> Speeds:
    """As ``measure_speeds``, of as many ways as fit in ``QUICK_SECONDS``; where the body is frozen, of its features.

    The configured way is always among them, bfloat16 only where the device has instructions for it; empty where there
    is nothing to compare it with. Raises Stopped when ``should_stop`` says so, and what training raises.
    """
    from tidal_core.engine.devices import computes_bfloat16, pick_device
    from tidal_core.engine.optimizers import load_torchs_optimizers
    from tidal_core.records import TrainImages

    device = pick_device()
    n = min(config.batch_size, QUICK_IMAGES) if device.type == "cpu" else config.batch_size
    current: Way = (config.precision, config.channels_last)
    ways = [current, *(way for way in reversed(WAYS) if way != current)]  # the most promising ones first
    if not computes_bfloat16(device):
        ways = [way for way in ways if way[0] == "float32" or way == current]
    if config.body == "frozen":  # its extractor is always channels last, and the head's batches are nothing
        ways = [current, *(way for way in ways if way[1] and way[0] != current[0])]
    if len(ways) < 2:
        return Speeds(device.type, {})
    load_torchs_optimizers()  # seconds once a process, which the round will need as well
    squares = np.random.default_rng(0).integers(0, 256, (n, side, side, 3), dtype=np.uint8)
    with scratch("trial") as folder:
        path = folder / "pixels.npy"
        np.save(path, squares)
        images = TrainImages(path, np.arange(n), np.arange(n) % n_classes, n_classes)
        with ExitStack() as trials:
            starts = {way: _starter(config, way, squares, images, threads, trials) for way in ways}
            seconds = race(starts, time.perf_counter, QUICK_SECONDS, should_stop)
    return Speeds(device.type, {way_name(*way): n / step for way, step in seconds.items()})


def race(
    starts: Mapping[Way, Callable[[], Step]],
    clock: Callable[[], float],
    limit: float,
    should_stop: Callable[[], bool] | None = None,
) -> dict[Way, float]:
    """The seconds of a step of each way: the least of some turns, which other programs disturb least.

    ``starts`` makes each way ready to step. A way is left out if its first step and a turn of all would not end within
    ``limit`` seconds by ``clock``; without two ways to compare the answer is empty. Raises Stopped.
    """

    def seconds_of(work: Callable[[], object]) -> float:
        if should_stop is not None and should_stop():
            raise Stopped("The speed trial was stopped; it starts again with the first round.")
        before = clock()
        work()
        return clock() - before

    began, slowest = clock(), 0.0
    steps: dict[Way, Step] = {}
    for way, start in starts.items():
        if steps and clock() - began + (len(steps) + 2) * slowest > limit:
            break
        steps[way] = start()
        slowest = max(slowest, seconds_of(steps[way]))  # the first step, which chooses kernels
    least = dict.fromkeys(steps, float("inf"))
    if len(steps) < 2:
        return {}
    for _ in range(QUICK_TURNS):
        turn_began = clock()
        for way, step in steps.items():
            least[way] = min(least[way], seconds_of(step))
        if turn_began - began + 2 * (clock() - turn_began) > limit:  # another turn would not end in time
            break
    return least


def _starter(
    config: TrainConfig, way: Way, squares: UInt8, images: TrainImages, threads: int, trials: ExitStack
) -> Callable[[], Step]:
    """What makes a way ready to step; the training that it starts is closed with ``trials``."""
    from tidal_core.engine.devices import synchronize
    from tidal_core.engine.features.extract import Extractor

    def features() -> Step:
        extractor = Extractor(config.backbone, threads=threads, precision=way[0])
        return lambda: extractor(squares)  # its answer is on the CPU, so that it has ended

    def training() -> Step:
        changed = dataclasses.replace(
            config, precision=way[0], channels_last=way[1], head_epochs=0, batch_size=len(squares)
        )
        trial = trials.enter_context(closing(_training(changed, images, threads, epochs=QUICK_TURNS + 1)))

        def step() -> None:
            next(trial)
            synchronize(trial.device)

        return step

    return features if config.body == "frozen" else training


def first_round_seconds(config: TrainConfig, side: int, n_classes: int, n_labels: int, *, threads: int = 1) -> float:
    """About how long a round of ``n_labels`` trains here: some of its steps, on made-up images of ``side`` pixels.

    Where the body is frozen the steps are of its head, on made-up features. Raises what training raises.
    """
    from tidal_core.engine.backbones import stage_channels
    from tidal_core.engine.devices import pick_device, synchronize
    from tidal_core.engine.features.store import FeatureStore
    from tidal_core.engine.published_weights import feature_key
    from tidal_core.engine.schedule import batches_of, planned_epochs
    from tidal_core.records import TrainImages

    rng, device = np.random.default_rng(0), pick_device()
    n = min(n_labels, config.batch_size)
    rows = np.arange(n)
    with scratch("trial") as folder:
        pixels, features = folder / "pixels.npy", None
        np.save(pixels, rng.integers(0, 256, (n, side, side, 3), dtype=np.uint8))
        if config.body == "frozen":
            store = FeatureStore(folder, feature_key(config.backbone, PixelSpec(side), config.precision))
            channels = stage_channels(config.backbone)
            store.write(rows, rng.random((n, sum(channels)), dtype=np.float32).astype(np.float16), channels)
            features = store.path
        images = TrainImages(pixels, rows, rows % n_classes, n_classes, features)
        # Closed: what is left of a training when the process ends makes torch abort it.
        with closing(_training(dataclasses.replace(config, head_epochs=0), images, threads, epochs=1 + STEPS)) as steps:
            next(steps)  # loads images, chooses kernels
            began = time.perf_counter()
            for _ in range(STEPS):
                next(steps)
            synchronize(device)
            step = (time.perf_counter() - began) / STEPS
    return step * planned_epochs(config, n_labels) * batches_of(n_labels, config.batch_size)


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
