"""Long work that a page starts and watches: an import in a thread of its own.

The page polls ``job.progress``; the thread belongs to the studio, so closing the browser does not stop it and closing
the studio does.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from tidal_core.errors import TidalError
from tidal_core.projects import Project
from tidal_core.queueing import fill_queue
from tidal_core.records import ImportReport

if TYPE_CHECKING:
    from tidal_core.images.importers.base import ImportOptions
    from tidal_core.images.ingest import ImportProgress, LabelUse

logger = logging.getLogger(__name__)


class ImportJob:
    """One import under way. ``report`` is None until it has ended well, ``error`` is for people."""

    def __init__(
        self,
        project: Project,
        source: str,
        *,
        labels: LabelUse = "none",
        options: ImportOptions | None = None,
        hide_near_duplicates: bool = False,
        when_done: Callable[[], None] | None = None,
    ) -> None:
        self.project, self.source = project, source
        self.progress: ImportProgress | None = None
        self.report: ImportReport | None = None
        self.error: str | None = None
        self._labels, self._options, self._hide = labels, options, hide_near_duplicates
        self._when_done = when_done or (lambda: None)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"import-{project.slug}")

    def start(self) -> None:
        """Begin; called once."""
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether it is still at work."""
        return self._thread.is_alive()

    def cancel(self) -> None:
        """Stop after the file under way; what was read stays."""
        self._stop.set()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the end; False if it did not come in ``timeout`` seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _note(self, progress: ImportProgress) -> None:
        self.progress = progress

    def _run(self) -> None:
        from tidal_core.images.ingest import ingest  # decoders come in here, not with the first page

        try:
            self.report = ingest(
                self.project,
                self.source,
                labels=self._labels,
                hide_near_duplicates=self._hide,
                options=self._options,
                progress=self._note,
                should_stop=self._stop.is_set,
            )
            fill_queue(self.project)
        except TidalError as error:
            self.error = str(error)
        except Exception as error:
            logger.exception("The import of %s failed", self.source)
            self.error = f"The import stopped: {type(error).__name__}: {error}"
        finally:
            self._when_done()
