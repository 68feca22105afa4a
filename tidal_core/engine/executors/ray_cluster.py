"""Work done by the machines of a Ray cluster (https://ray.io), or by a Ray of its own on this machine.

A worker is an actor that reserves its cores and its estimated memory, opens the work, and is given short tasks two at a
time: the next one lies there when one is done, and no more results wait than are fetched. A worker that is lost takes
nothing with it: its tasks go to others, and another is started in its place.

Ray is an extra. It is started in the main thread of a command's own process only, never beside pages: it takes signals
and starts processes, and a page's thread may end at any moment.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import sys
import threading
import time
import warnings
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Self

from tidal_core.engine.executors.base import UNWATCHED, Memory, Result, Task, Watch, Work, check_here, gib
from tidal_core.engine.executors.ray_worker import Host, Orders, Place, versions
from tidal_core.errors import InputError, OutOfMemory, Stopped, WorkersLost, reason_of
from tidal_core.files import mark, scratch

INSTALL = "python -m pip install -r requirements-ray.txt, or of the package: pip install 'tidal-studio[ray]'"
OWN = "local"  # the address that starts a Ray of our own on this machine
TRIES = 3  # of a task, and of starting a worker, before it is given up
CONNECT_SECONDS = 10.0
OWN_STORE_BYTES = 512 * 2**20  # for results on their way, on this machine
_LOOK_SECONDS = 0.2  # between two looks at whether to stop
_SAY_WAITING_SECONDS = 20.0


@dataclass(eq=False)
class _Started:
    """A worker that was asked for."""

    actor: Any
    place: Place | None = None  # None until it has opened the work
    positions: set[int] = field(default_factory=set)  # of the tasks that it has


class RayExecutor:
    """Use it in a ``with`` block, which connects and lets go.

    ``address``: "local" for a Ray of our own that ends with the block; "auto" for the cluster that this machine is
    part of; HOST:PORT of one. ``workers``: at most so many; default all that cores and memory allow. Raises InputError
    where Ray is not installed, or there is no cluster, or it runs without tokens.
    """

    far = True

    def __init__(self, address: str = OWN, workers: int | None = None) -> None:
        self.address, self.workers = address, workers
        self.places: list[Place] = []  # of all workers that have opened a work, for whoever wants to know
        self.lost = 0  # workers
        self._ray: Any = None
        self._own = ExitStack()  # the folder of a Ray of our own

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("Ray is started in the main thread of a process of its own, never in a page's thread")
        ray = _prepared(self.address)
        if self.address not in (OWN, "auto"):
            _check_listens(self.address)
        try:
            for attempt in range(1, (TRIES if self.address == OWN else 1) + 1):
                try:
                    self._connect(ray)
                    break
                except Exception:  # the plain class, where a Ray of our own is not up in the 30 s that it gives itself
                    self._own.close()
                    if attempt == TRIES or self.address != OWN:
                        raise
        except ray.exceptions.AuthenticationError as error:
            raise InputError(
                f"the Ray cluster at {self.address} asks for a token that this machine does not have; copy the file "
                "~/.ray/auth_token of its first machine, or set RAY_AUTH_TOKEN_PATH to a copy of it (docs/scale.md)."
            ) from error
        except Exception as error:
            if self.address == OWN:
                raise InputError(
                    f"Ray could not be started on this machine ({reason_of(error)}); try again when it is less busy."
                ) from error
            raise _no_cluster(self.address, f"{reason_of(error)}, or its token is another") from error
        self._ray = ray
        return self

    def _connect(self, ray: Any) -> None:
        options: dict[str, Any] = {"address": self.address}
        if self.address == OWN:
            options |= {
                "num_cpus": max(os.cpu_count() or 1, self.workers or 1),
                "object_store_memory": OWN_STORE_BYTES,
                "include_dashboard": False,
            }
            if sys.platform == "linux":  # elsewhere the path would be too long for Ray's sockets
                options["_temp_dir"] = str(self._own.enter_context(scratch("r")))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # what Ray will do one day
            ray.init(**options, log_to_driver=False, logging_level=logging.ERROR, namespace="tidal-studio")

    def __exit__(self, *_: object) -> None:
        self._ray.shutdown()
        self._ray = None
        self._own.close()

    def run(
        self, work: Work[Task, Result], tasks: Sequence[Task], n_images: int, watch: Watch = UNWATCHED
    ) -> Iterator[tuple[int, Result]]:
        """See ``Executor``. ``watch.say`` hears of workers that are lost."""
        memory = work.memory(n_images)
        check_here(memory, n_images)
        n_workers = min(self._room(work, memory, watch), len(tasks))
        return self._done(work, tasks, memory, n_workers, watch)

    def _room(self, work: Work[Any, Any], memory: Memory, watch: Watch) -> int:
        """How many workers there is room for. Raises OutOfMemory, in words with the figures, where there is none."""
        threads = work.threads
        machines = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        gpus = any(machine.get("GPU") for machine in machines)
        by_cores = [int(machine.get("CPU", 0) // threads) for machine in machines]
        if gpus:
            by_cores = [
                min(cores, int(machine.get("GPU", 0))) for cores, machine in zip(by_cores, machines, strict=True)
            ]
        by_memory = [int(machine.get("memory", 0) // memory.worker) for machine in machines]
        fitting = sum(min(pair) for pair in zip(by_cores, by_memory, strict=True))
        most = max((machine.get("memory", 0) for machine in machines), default=0)
        if not sum(by_cores):
            raise InputError(
                f"a worker takes {threads} cores and none of {len(machines)} machines of the cluster at {self.address} "
                "has so many; use fewer threads, or add a machine."
            )
        if not fitting:
            raise OutOfMemory(
                f"a worker needs {gib(memory.worker)} and the largest of {len(machines)} machines has {gib(most)} for "
                "workers; add a machine with more memory."
            )
        wanted = min(self.workers or sum(by_cores), sum(by_cores))
        if fitting < wanted:
            watch.say(
                f"{fitting} workers instead of {wanted}: each needs {gib(memory.worker)}, and the {len(machines)} "
                f"machines have {gib(sum(machine.get('memory', 0) for machine in machines))} for workers."
            )
        store = min(machine.get("object_store_memory", 0) for machine in machines)
        on_their_way = (1 + work.ahead) * wanted * memory.result
        if on_their_way > store:
            watch.say(
                f"Results of {gib(on_their_way)} can wait at a time and Ray keeps {gib(store)} of "
                "them in memory; it writes the rest to disk, which is slower."
            )
        return min(fitting, wanted)

    def _done(
        self, work: Work[Task, Result], tasks: Sequence[Task], memory: Memory, n_workers: int, watch: Watch
    ) -> Iterator[tuple[int, Result]]:
        ray = self._ray
        with ExitStack() as stack:
            orders = ray.put(
                Orders(
                    ray.cloudpickle.dumps(work),
                    versions(),
                    tuple(stack.enter_context(mark(folder, "shared")) for folder in work.folders),
                    self.address != OWN,
                )
            )
            crew = _Crew(ray, tasks, 1 + work.ahead, orders, _options(ray, work.threads, memory), watch)
            stack.callback(crew.dismiss)
            self.places = crew.places
            for _ in range(n_workers):
                crew.start()
            while crew.left:
                if watch.should_stop():
                    raise Stopped("the work was stopped before its end.")
                watch.meanwhile()
                yield from crew.finished()
                self.lost = crew.lost


class _Crew:
    """The workers of one work, and which of them has which tasks."""

    def __init__(
        self, ray: Any, tasks: Sequence[Any], at_once: int, orders: Any, options: dict[str, Any], watch: Watch
    ) -> None:
        self.ray, self.tasks, self.at_once, self.orders, self.watch = ray, tasks, at_once, orders, watch
        self.kind = ray.remote(**options)(Host)
        self.waiting = deque(range(len(tasks)))
        self.left = len(tasks)  # without a result yet
        self.tries: Counter[int] = Counter()  # how often each task was lost, by its position
        self.failed_starts = 0  # in a row
        self.workers: list[_Started] = []
        self.pending: dict[Any, tuple[_Started, int | None]] = {}  # None: it opens the work
        self.places: list[Place] = []
        self.lost = 0  # workers
        self.waits_since = time.monotonic()  # or since it last said so

    def start(self) -> None:
        """Ask for a worker; it begins when the cluster has room for it."""
        worker = _Started(self.kind.remote())
        self.workers.append(worker)
        self.pending[worker.actor.open.remote(self.orders)] = worker, None

    def finished(self) -> Iterator[tuple[int, Any]]:
        """What has been done since the last look; waits for a moment where there is nothing."""
        ready, _ = self.ray.wait(list(self.pending), num_returns=1, timeout=_LOOK_SECONDS)
        if not ready and not any(worker.place for worker in self.workers):
            self._say_waiting()
        for reference in ready:
            worker, position = self.pending.pop(reference, (None, None))
            if worker is None:  # of a worker that was lost meanwhile
                continue
            errors = self.ray.exceptions
            try:
                value = self.ray.get(reference)
            except errors.RayActorError as error:
                self._lose(worker, _why_lost(error))
                continue
            except errors.ObjectLostError:  # done, and gone with its machine
                worker.positions.discard(position)
                self._again(position)
                self._feed()
                continue
            except errors.RayTaskError as error:
                raise _in_words(error) from error
            if position is None:
                worker.place = value
                self.places.append(value)
                self.failed_starts = 0
            else:
                worker.positions.discard(position)
                self.left -= 1
                yield position, value
            self._feed()

    def _feed(self) -> None:
        for worker in self.workers:
            while worker.place is not None and self.waiting and len(worker.positions) < self.at_once:
                position = self.waiting.popleft()
                worker.positions.add(position)
                self.pending[worker.actor.do.remote(self.tasks[position])] = worker, position

    def _lose(self, worker: _Started, reason: str) -> None:
        """Give the tasks of a worker that is gone to others, and start another. Raises WorkersLost after TRIES."""
        self.workers.remove(worker)
        self.pending = {of: (who, what) for of, (who, what) in self.pending.items() if who is not worker}
        with suppress(Exception):  # it may only be out of reach
            self.ray.kill(worker.actor)
        self.lost += 1
        if worker.place is None:
            self.failed_starts += 1
            if self.failed_starts >= TRIES:
                raise WorkersLost(
                    f"{TRIES} workers in a row ended before they could begin ({reason}); see that TiDAL Studio and "
                    "what it needs are installed on every machine of the cluster, as here (docs/scale.md)."
                )
        where = "A worker" if worker.place is None else f"The worker {worker.place.pid} on {worker.place.machine}"
        self.watch.say(f"{where} was lost ({reason}); its {len(worker.positions)} tasks go to another.")
        for lost in sorted(worker.positions, reverse=True):
            self._again(lost)
        self.start()
        self._feed()

    def _again(self, position: int | None) -> None:
        if position is None:
            return
        self.tries[position] += 1
        if self.tries[position] >= TRIES:
            raise WorkersLost(
                f"the same part of the work was lost with {TRIES} workers, so it is given up; look at the memory of "
                "the cluster's machines, and start again: what was finished is kept."
            )
        self.waiting.appendleft(position)

    def _say_waiting(self) -> None:
        if time.monotonic() - self.waits_since > _SAY_WAITING_SECONDS:
            self.waits_since = time.monotonic()
            self.watch.say("No worker has begun yet; the cluster's cores and memory may be in use by others.")

    def dismiss(self) -> None:
        """End all workers, whatever they do."""
        for worker in self.workers:
            with suppress(Exception):
                self.ray.kill(worker.actor)


def _options(ray: ModuleType, threads: int, memory: Memory) -> dict[str, Any]:
    """What a worker reserves. One that is lost is started anew by ``_Crew``, not by Ray, which would wait for it."""
    on_gpus = any(node["Alive"] and node["Resources"].get("GPU") for node in ray.nodes())
    return {
        "num_cpus": threads,
        "num_gpus": 1 if on_gpus else 0,
        "memory": memory.worker,
        "max_restarts": 0,
        "scheduling_strategy": "SPREAD",
    }


def _why_lost(error: Any) -> str:
    """For the middle of a sentence; what Ray says of a worker that could not begin is a traceback."""
    text = str(error).strip()
    if "No module named 'tidal_core'" in text:
        return "TiDAL Studio is not installed there"
    return text.splitlines()[-1][:200] if "creation task" in text else reason_of(error)


def _in_words(error: Any) -> BaseException:
    """What a task raised, as if it had been raised here."""
    return error.cause if isinstance(error.cause, BaseException) else RuntimeError(str(error))


def _check_listens(address: str) -> None:
    """Raises InputError where nothing listens at HOST:PORT: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise InputError(f"--address {address} is no address of a Ray cluster; give auto, or HOST:PORT.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, reason_of(error)) from error


def _no_cluster(address: str, reason: str) -> InputError:
    return InputError(
        f"no Ray cluster answers at {address} ({reason}); start one as docs/scale.md says and run this command on one "
        "of its machines, or leave --address out to use this machine alone."
    )


def _prepared(address: str) -> Any:
    """Ray, told before it is loaded to ask for tokens and to send nothing home. Raises InputError without it."""
    if address == OWN:
        own_token = Path.home() / ".ray" / "auth_token"
        named = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
        if not named and not own_token.exists():
            os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)  # of this process and its workers alone
    if os.environ.setdefault("RAY_AUTH_MODE", "token") != "token":
        raise InputError(
            f"RAY_AUTH_MODE is {os.environ['RAY_AUTH_MODE']!r}: whoever reaches the cluster's ports could then run "
            "programs on its machines. Set RAY_AUTH_MODE=token on each of them and here (docs/scale.md)."
        )
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise InputError(f"--executor ray needs Ray, which is not installed; run: {INSTALL}.") from error
    return ray
