"""Work done on this machine: in this process, or in several that end with it."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import psutil

from tidal_core.engine.executors.base import UNWATCHED, Result, Task, Watch, Work, check_here, gib
from tidal_core.errors import OutOfMemory, Stopped

_LOOK_SECONDS = 0.2  # between two looks at whether the process that it works for is still there
_opened: dict[str, Any] = {}  # in a process of its own: the worker of the work it was given last, by the work's mark


class LocalExecutor:
    """The default. ``processes`` = 1: in this process and thread, with what is loaded already."""

    far = False

    def __init__(self, processes: int = 1) -> None:
        self.processes = processes

    def run(
        self, work: Work[Task, Result], tasks: Sequence[Task], n_images: int, watch: Watch = UNWATCHED
    ) -> Iterator[tuple[int, Result]]:
        """See ``Executor``."""
        memory = work.memory(n_images)
        check_here(memory, n_images)
        if self.processes == 1 or len(tasks) < 2:
            return self._in_turn(work, tasks, watch)
        n = min(self.processes, len(tasks))
        free = psutil.virtual_memory().available
        if n * memory.worker + memory.here > free:
            raise OutOfMemory(
                f"{n} processes of {gib(memory.worker)} and results of {gib(memory.here)} are more than the "
                f"{gib(free)} that are free on this machine; use fewer processes."
            )
        return self._beside(work, tasks, watch)

    def _in_turn(self, work: Work[Task, Result], tasks: Sequence[Task], watch: Watch) -> Iterator[tuple[int, Result]]:
        worker = work.open() if len(tasks) else None
        for position, task in enumerate(tasks):
            if watch.should_stop():
                raise Stopped("the work was stopped before its end.")
            assert worker is not None  # there are tasks
            yield position, worker(task, watch)

    def _beside(self, work: Work[Task, Result], tasks: Sequence[Task], watch: Watch) -> Iterator[tuple[int, Result]]:
        from joblib import Parallel, delayed

        processes = Parallel(
            n_jobs=self.processes,
            return_as="generator_unordered",
            initializer=_end_with,
            initargs=(os.getpid(),),
        )
        mark = uuid.uuid4().hex
        results = processes(delayed(_call)(mark, work, position, task) for position, task in enumerate(tasks))
        for result in results:
            yield result
            if watch.should_stop():
                raise Stopped("the work was stopped before its end.")


LOCAL = LocalExecutor()


def _call(mark: str, work: Work[Task, Result], position: int, task: Task) -> tuple[int, Result]:
    if mark not in _opened:
        _opened.clear()
        _opened[mark] = work.open()
    result: Result = _opened[mark](task, UNWATCHED)
    return position, result


def _end_with(owner: int) -> None:
    """In a process that works for another: end when ``owner``, which started it, is gone, whatever is under way.

    Also one that was given nothing to do yet: joblib would keep it, and its memory, for minutes.
    """

    def watch() -> None:
        while os.getppid() == owner:
            time.sleep(_LOOK_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="tidal-owner-watch", daemon=True).start()
