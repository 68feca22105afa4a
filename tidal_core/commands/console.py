"""What commands write with: standard output for results, standard error for progress and what went wrong."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

SHOWN_PROBLEMS = 20


def called_as() -> str:
    """How this command was started, for messages that say what to type next."""
    return "tidal-studio" if Path(sys.argv[0]).stem == "tidal-studio" else "python -m tidal_core"


def unusable(error: OSError) -> str:
    """What a command says where a file or folder refused what nobody else has put into words."""
    from tidal_core.files import in_words
    from tidal_core.projects import home

    return str(in_words(error, home()))


@contextmanager
def progress_bar(what: str = "reading") -> Iterator[Callable[[int, int | None], None]]:
    """A progress bar on a terminal, nothing where the output goes to a file."""
    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task(what, total=None, speed="")

        def show(done: int, total: int | None) -> None:
            speed = progress.tasks[0].speed or progress.tasks[0].finished_speed
            progress.update(task, completed=done, total=total, speed=f"{speed:,.0f} per second" if speed else "")

        yield show


@contextmanager
def bytes_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar of bytes, for what takes longer than a moment; nothing where the output goes to a file."""
    columns = (TextColumn(what), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def stopped_by_ctrl_c(under_way: str = "the current files") -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C ends the work after what is under way, so that it is reported; the second stops it at once."""
    stopping = False

    def stop(signum: int, frame: FrameType | None) -> None:
        nonlocal stopping
        if stopping:
            raise KeyboardInterrupt
        stopping = True
        err.print(f"Stopping after {under_way}; press Ctrl-C again to stop immediately.")

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield lambda: stopping
    finally:
        signal.signal(signal.SIGINT, before)
