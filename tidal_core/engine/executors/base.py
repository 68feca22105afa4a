"""What work is, who does it, and the memory that it takes, estimated before it starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import psutil

from tidal_core.errors import OutOfMemory

Task = TypeVar("Task")
Result = TypeVar("Result")
Task_contra = TypeVar("Task_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)

PROCESS_BYTES = 800 * 2**20
"""A process with torch and this package, before it holds a model or an image: 0.65 GiB on Linux, and some room."""
FLOATS_OF_PIXEL = 2 * 64
"""What a network holds of a pixel at its widest: two layers of 64 channels, in float32."""


def _nothing(_: int) -> None:
    pass


@dataclass(frozen=True)
class Watch:
    """How whoever waits for results looks on."""

    should_stop: Callable[[], bool] = lambda: False
    """Asked before each task, and where the work is done in this process within it; yes raises Stopped."""
    progress: Callable[[int], None] = _nothing
    """Told how many images of the task that is under way are done; only where the work is done in this process."""
    say: Callable[[str], None] = lambda _: None
    """Told in words what happens to workers."""
    meanwhile: Callable[[], None] = lambda: None
    """Called several times a second while other machines compute."""


UNWATCHED = Watch()


@dataclass(frozen=True)
class Memory:
    """An estimate, in bytes."""

    worker: int  # of one worker's process, at most
    result: int  # of one task's result on its way
    here: int  # of the process that collects all results, on top of what it has


class Work(Protocol[Task_contra, Result_co]):
    """What is to be done, as a value that can be pickled and sent: paths or addresses, never pixels."""

    @property
    def threads(self) -> int:
        """torch's in each worker, on a CPU: cores that a worker takes."""

    @property
    def folders(self) -> tuple[Path, ...]:
        """Folders that each worker must find at the same path, with the same content; none that lie at addresses."""

    @property
    def ahead(self) -> int:
        """Tasks that a worker on another machine is given beyond the one that it does: 0 for long ones."""

    def memory(self, n_images: int) -> Memory:
        """What it takes with so many images in all."""

    def open(self) -> Callable[[Task_contra, Watch], Result_co]:
        """Load and open what tasks need, once for each worker: a function that does one task after another.

        Raises InputError where it cannot be had. The function raises Stopped when its ``watch`` says so, and TidalError
        for what cannot be done.
        """


class Executor(Protocol):
    """A place where work is done."""

    @property
    def far(self) -> bool:
        """Whether workers may be on other machines: nobody sees what they print, and locks of files may not hold."""

    def run(
        self, work: Work[Task, Result], tasks: Sequence[Task], n_images: int, watch: Watch = UNWATCHED
    ) -> Iterator[tuple[int, Result]]:
        """The position of each task and its result, in the order in which they are finished.

        ``n_images``: in all tasks. Raises Stopped when ``watch`` says so, OutOfMemory before anything is started where
        the estimate is more than there is, and the TidalError of a task that cannot be done.
        """


def gib(n_bytes: float) -> str:
    """Bytes in words: "3.2 GiB"."""
    return f"{n_bytes / 2**30:,.1f} GiB"


def activation_bytes(batch: int, side: int) -> int:
    """What a network holds of a batch of squares on its way forward; rather too much than too little."""
    return batch * side * side * FLOATS_OF_PIXEL * 4


def check_here(memory: Memory, n_images: int) -> None:
    """Raises OutOfMemory where the results of ``n_images`` do not fit into this machine's free memory."""
    free = psutil.virtual_memory().available
    if memory.here > free:
        raise OutOfMemory(
            f"the results of {n_images:,} images need {gib(memory.here)} in this process and {gib(free)} are free on "
            "this machine; close other programs that use it, or use a machine with more memory."
        )
