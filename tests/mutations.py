"""Faults planted one at a time in the code that results rest on, and whether the tests notice.

    python -m tests.mutations [--only PART] [--jobs N]

Each fault is one place of one module, wrong (``tests/planted``, a file for each room). It is planted in a copy of the
project, and the tests that guard the module run there until one fails. ``--only`` takes the faults whose module or
description contains PART. A fault that survives is a missing test. Prints one JSON line last:
  planted    faults
  caught     those that a test noticed
  share      caught / planted; at least 0.97 is wanted
  survivors  the others
It runs by itself and not with the other tests: some 20 minutes on two cores.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from tests.planted import FAULTS, Fault

ROOT = Path(__file__).parents[1]
COPIED = ("tidal_core", "tests", "pages", "benchmarks", "app.py", "pyproject.toml", "README.md", "docs")
HANGS_AFTER = 900.0  # seconds at least: tests that a fault has brought to a standstill have noticed it
# What all tests import and no fault is in: imported once, before a process is split off for each fault.
BEFORE = ("pytest", "numpy", "scipy.stats", "torch", "torchvision", "duckdb", "pyarrow", "PIL.Image")


def run(fault: Fault | None, tests: Sequence[str], folder: Path, hangs_after: float | None = None) -> tuple[int, str]:
    """The exit status of pytest in a copy of the project, and what it printed; in a process of its own.

    Killed after ``hangs_after`` seconds, if that is given.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        output = io.StringIO()
        status = 99
        try:
            os.chdir(folder)
            sys.path[:] = [str(folder), *(path for path in sys.path if Path(path or ".").resolve() != ROOT)]
            os.environ["TIDAL_HOME"] = str(folder / "home")
            for name in [name for name in sys.modules if name.split(".")[0] in {"tests", "tidal_core"}]:
                del sys.modules[name]  # those of the project itself, by which this program was started
            if fault is not None:
                plant(fault, folder)
            import pytest

            with redirect_stdout(output), redirect_stderr(output):
                status = int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", *(f"tests/{test}" for test in tests)]))
        except BaseException:
            output.write(traceback.format_exc())
        finally:
            with os.fdopen(writing, "w") as pipe:
                pipe.write(output.getvalue()[-2_000:])
            os._exit(status)
    os.close(writing)
    ending = None
    if hangs_after is not None:
        ending = threading.Timer(hangs_after, os.kill, (child, signal.SIGKILL))  # threads that wait for each other, say
        ending.start()
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if ending is not None:
        ending.cancel()
    return status, text


def plant(fault: Fault, folder: Path) -> None:
    """Put the fault into the copy."""
    file = folder / "tidal_core" / fault.module
    file.write_text(file.read_text(encoding="utf-8").replace(fault.right, fault.wrong, 1), encoding="utf-8")


def copied(folder: Path) -> Path:
    """The project once more below ``folder``."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    (folder / ".streamlit").mkdir()
    shutil.copy(ROOT / ".streamlit" / "config.toml", folder / ".streamlit" / "config.toml")
    return folder


def tried(faults: Sequence[Fault], jobs: int, hangs_after: float) -> Iterator[tuple[Fault, bool]]:
    """Each fault, and whether it was caught."""

    def one(fault: Fault) -> tuple[Fault, bool]:
        with tempfile.TemporaryDirectory(prefix="tidal-mutations-") as scratch:
            status, _ = run(fault, fault.tests, copied(Path(scratch)), hangs_after)
        return fault, status != 0

    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(one, faults)


def missing(faults: Sequence[Fault]) -> list[str]:
    """Faults that cannot be planted, since the module does not read so any more."""
    sources = {fault.module: (ROOT / "tidal_core" / fault.module).read_text(encoding="utf-8") for fault in faults}
    return [f"{fault.module}: {fault.what}" for fault in faults if fault.right not in sources[fault.module]]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="a part of the module or the description")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    faults = [fault for fault in FAULTS if options.only in f"{fault.module}: {fault.what}"]
    if gone := missing(faults):
        sys.exit(f"{len(gone)} faults cannot be planted; write them as the modules read now:\n" + "\n".join(gone))
    os.environ["OMP_NUM_THREADS"] = "1"
    for module in BEFORE:
        importlib.import_module(module)
    tests = sorted({test for fault in faults for test in fault.tests})
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tidal-mutations-") as scratch:
        status, text = run(None, tests, copied(Path(scratch)))
    # All tests took so long here: those of one fault hang when they take twice as long, on however slow a machine.
    hangs_after = max(HANGS_AFTER, 2 * (time.monotonic() - begin))
    if status:
        sys.exit(f"The tests fail with nothing planted, so that they would catch anything:\n{text}")
    survivors = []
    for fault, is_caught in tried(faults, options.jobs, hangs_after):
        print(f"{'caught  ' if is_caught else 'SURVIVED'} {fault.module}: {fault.what}", flush=True)
        if not is_caught:
            survivors.append(f"{fault.module}: {fault.what}")
    result: dict[str, Any] = {"planted": len(faults), "caught": len(faults) - len(survivors)}
    print(json.dumps({**result, "share": round(result["caught"] / max(1, len(faults)), 3), "survivors": survivors}))


if __name__ == "__main__":
    main()
