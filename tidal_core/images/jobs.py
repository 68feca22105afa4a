"""Imports and fillings of the pixel cache in the background: start one, look at it, cancel it, read its report.

The thread is the job's own; a page polls ``progress`` and never waits. Leaving the page does not end the job, closing
the studio does (``stop``), and started again it goes on where it was.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

from tidal_core.errors import TidalError, reason_of
from tidal_core.images.importers.base import ImportOptions
from tidal_core.images.ingest import LabelUse, ingest
from tidal_core.images.pixels import refill
from tidal_core.images.reports import combined, keep_problems
from tidal_core.projects import Project
from tidal_core.records import ImportProgress, ImportReport


@dataclass
class Job(ABC):
    """Work on the images of a project. ``report``, ``error`` or both are set when it has ended."""

    project: Project
    when_done: Callable[[], None] | None = None  # called in the job's thread at its end, however it ended
    progress: ImportProgress | None = None
    report: ImportReport | None = None
    error: str | None = None  # for people
    _stop: threading.Event = field(default_factory=threading.Event, repr=False)
    _thread: threading.Thread | None = field(default=None, repr=False)

    title = "the work"
    can_begin_anew = False  # whether it may be stopped when something else is asked

    def start(self) -> Job:
        """Begin; returns at once."""
        self._thread = threading.Thread(target=self._run, name="import")
        self._thread.start()
        return self

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._thread is not None and self._thread.is_alive()

    def cancel(self) -> None:
        """Ask it to end after the files at hand; what was read stays."""
        self._stop.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for its end; returns whether it has ended."""
        if self._thread is not None:
            self._thread.join(seconds)
        return not self.running

    def stop(self, seconds: float = 5.0) -> bool:
        """Cancel and wait: for the studio's shutdown."""
        self.cancel()
        return self.wait(seconds)

    @abstractmethod
    def _work(self) -> ImportReport | None:
        """Do it, in the job's thread; None where ``error`` says all that there is to say."""

    def _show(self, step: ImportProgress) -> None:
        self.progress = step

    def _run(self) -> None:
        try:
            self.report = self._work()
            self._keep_problems()
        except TidalError as error:
            self.error = str(error)
        except Exception as error:  # a page must show that it ended, whatever ended it
            self.error = (
                f"{self.title} failed because of an internal error (details in the terminal that runs the studio): "
                f"{reason_of(error)}."
            )
            raise
        finally:
            if self.when_done is not None:
                self.when_done()

    def _keep_problems(self) -> None:
        """A full disk costs the table of problems, not the report of what was done."""
        if self.report is None:
            return
        try:
            keep_problems(self.project, self.report)
        except OSError as error:
            self.error = (
                f"The table of problems could not be saved in {self.project.folder / 'imports'} "
                f"({error.strerror or error}); make room on the disk. The problems are still listed here."
            )


@dataclass
class ImportJob(Job):
    """One import, of one source after the other; one that cannot be read does not keep the others out."""

    sources: tuple[str, ...] = ()
    labels: LabelUse = "none"
    hide_near_duplicates: bool = False
    options: ImportOptions = field(default_factory=ImportOptions)

    title = "the import"

    def _work(self) -> ImportReport | None:
        reports: list[ImportReport] = []
        errors: list[str] = []
        for source in self.sources:
            try:
                report = ingest(
                    self.project,
                    source,
                    labels=self.labels,
                    hide_near_duplicates=self.hide_near_duplicates,
                    options=self.options,
                    progress=self._show,
                    should_stop=self._stop.is_set,
                )
            except TidalError as error:
                errors.append(str(error))
                continue
            reports.append(report)
            if report.cancelled:
                break
        self.error = "\n\n".join(errors) or None
        return combined(reports) if reports else None


@dataclass
class RefillJob(Job):
    """One filling of the pixel cache."""

    title = "the processing of the images"
    can_begin_anew = True

    def _work(self) -> ImportReport:
        return refill(self.project, progress=self._show, should_stop=self._stop.is_set)
