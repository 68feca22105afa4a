"""Frozen features of a data set: computed once for each body and size of images, and shared by all runs.

They lie beside what is prepared of the data set. One process computes, under a lock of the operating system that ends
with it; others wait, and find them done. What was computed before a kill stays. Every image has its features before a
run begins, because a training standardises them by mean and deviation of all that are there (no label is looked at).
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from filelock import FileLock, Timeout

from tidal_core.config import PixelSpec
from tidal_core.engine.executors import LOCAL, Executor
from tidal_core.engine.features.extract import extract, extractor_of
from tidal_core.engine.features.store import FeatureStore
from tidal_core.engine.published_weights import feature_key
from tidal_core.errors import InputError, Stopped
from tidal_core.experiments.datasets import Dataset
from tidal_core.experiments.protocol import Protocol
from tidal_core.records import FeatureProgress, Int64

Say = Callable[[str], None]

SAY_SECONDS = 5.0  # between two lines about the progress, at least
_LOOK_SECONDS = 0.5  # between two looks at whether the process that computes has ended


def features_of(dataset: Dataset, protocol: Protocol) -> FeatureStore | None:
    """What the runs of a protocol train on, complete or not; None where the body trains. Raises InputError."""
    train = protocol.train
    if train.body != "frozen":
        return None
    own_side = dataset.side
    key = feature_key(train.backbone, PixelSpec(max(own_side, protocol.enlarge_to)), train.precision)
    if key.side != own_side:  # a project's squares may be made anew at this size, and these show more
        key = dataclasses.replace(key, fit=f"enlarged from {own_side}")
    return FeatureStore(dataset.features, key)


def compute_features(
    dataset: Dataset,
    protocol: Protocol,
    *,
    say: Say | None = None,
    should_stop: Callable[[], bool] | None = None,
    executor: Executor = LOCAL,
) -> None:
    """Compute the features that a protocol's runs train on and that are missing, or wait for the process that does.

    ``say`` hears of the progress; ``executor``: where they are computed. Raises Stopped when ``should_stop`` says so,
    and InputError where they cannot be computed or written.
    """
    store, rows = features_of(dataset, protocol), np.union1d(dataset.pool_rows, dataset.test_rows)
    if store is None or not len(store.missing(rows)):
        return
    say = say or (lambda _: None)
    try:
        dataset.features.mkdir(parents=True, exist_ok=True)
        with _alone(dataset, store, say, should_stop):
            complete = _compute(dataset, protocol, store, rows, say, should_stop, executor)
    except OSError as error:
        raise InputError(
            f"The features of {dataset.name} cannot be written in {dataset.features} ({error.strerror or error}); free "
            "space on the disk, and start again: what was computed is kept."
        ) from error
    if not complete:
        raise _stopped(dataset)


@contextmanager
def _alone(dataset: Dataset, store: FeatureStore, say: Say, should_stop: Callable[[], bool] | None) -> Iterator[None]:
    """Hold the lock of the features, once no other process computes them. Raises Stopped."""
    lock = FileLock(dataset.features / f"{store.key.name}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        say(f"Another process computes the features of {dataset.name}; this one waits for it.")
        try:
            lock.acquire(poll_interval=_LOOK_SECONDS, cancel_check=should_stop)
        except Timeout as error:
            raise _stopped(dataset) from error
    try:
        yield
    finally:
        lock.release()


def _compute(
    dataset: Dataset,
    protocol: Protocol,
    store: FeatureStore,
    rows: Int64,
    say: Say,
    should_stop: Callable[[], bool] | None,
    executor: Executor,
) -> bool:
    """Whether all have been computed."""
    if not len(store.missing(rows)):  # by the process that was waited for
        return True
    last_said = -SAY_SECONDS

    def tell(progress: FeatureProgress) -> None:
        nonlocal last_said
        if progress.done < progress.total and time.monotonic() - last_said < SAY_SECONDS:
            return
        last_said = time.monotonic()
        say(
            f"Features of {dataset.name} at {store.key.side} pixels: {progress.done:,} of {progress.total:,} images, "
            f"{progress.images_per_second:,.0f} images/s, {progress.seconds_left or 0:,.0f} s left"
        )

    return extract(
        extractor_of(store.key.backbone, store.key.precision),
        dataset.pixels,
        store,
        rows,
        side=store.key.side,
        progress=tell,
        should_stop=should_stop,
        say=say,
        executor=executor,
    )


def _stopped(dataset: Dataset) -> Stopped:
    return Stopped(f"The features of {dataset.name} are not complete; start again to compute the rest.")
