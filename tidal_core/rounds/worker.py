"""The background thread that runs rounds, one at a time over all open projects. No SQL, no Streamlit.

torch is imported in the thread, once images are looked at and there is nothing else to do: nobody waits for it before
the first page, nor in the first round if the first labels leave a pause. A round is stopped by a flag that the training
asks before each batch; the thread is joined when the app closes, and what was interrupted goes on at the next start.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from tidal_core.errors import DiskFull, ProjectClosed, Stopped, TidalError
from tidal_core.files import in_words
from tidal_core.images.pixels import is_waiting
from tidal_core.records import FeatureProgress, RoundProgress, RoundRecord, RoundState
from tidal_core.rounds.due import claim_round, end_round, round_due
from tidal_core.rounds.fastest import settle_speed
from tidal_core.rounds.feature_work import FeatureWork
from tidal_core.rounds.foreseen import foresee_first_round
from tidal_core.rounds.maps import MapWork

if TYPE_CHECKING:
    from tidal_core.projects import Project

logger = logging.getLogger(__name__)

POLL_SECONDS = 2.0  # answers wake the worker at once; this is for what nobody announces


class Worker:
    """Runs rounds of the projects that ``projects`` lists, when they are due or asked for."""

    def __init__(self, projects: Callable[[], Iterable[Project]]) -> None:
        self._projects = projects
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._asked: set[str] = set()
        self._cancelled: set[str] = set()
        self._progress: dict[str, RoundProgress] = {}
        self._unended: dict[str, tuple[int, str]] = {}  # rounds that failed and why, until the disk can take it
        self._told: dict[str, str] = {}  # what the log has been told of a project: not again every two seconds
        self._features = FeatureWork()
        self._feature_progress: dict[str, FeatureProgress] = {}
        self._maps = MapWork()
        self._maps_wanted: set[str] = set()
        self._rounds_expected = threading.Event()
        self._loaded = False  # whether what a round imports was
        self._thread = threading.Thread(target=self._run, name="tidal-worker")

    def start(self) -> None:
        """Begin; called once."""
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> bool:
        """Ask the thread to end and wait for it; False if it did not end in ``timeout`` seconds."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def wake(self) -> None:
        """Look at once whether a round is due: labels came in, settings changed."""
        self._features.try_now()
        self._wake.set()

    def ask(self, slug: str) -> None:
        """Start a round of a project as soon as the worker is free, however few labels are new."""
        with self._lock:
            self._asked.add(slug)
        self._wake.set()

    def cancel(self, slug: str) -> None:
        """End the project's round as cancelled; what it has recorded stays."""
        with self._lock:
            self._cancelled.add(slug)
            self._asked.discard(slug)
        self._wake.set()

    def progress(self, slug: str) -> RoundProgress | None:
        """Where the project's round is; None while none runs."""
        with self._lock:
            return self._progress.get(slug)

    def feature_progress(self, slug: str) -> FeatureProgress | None:
        """How far the features of the project's images are; None while none are computed."""
        with self._lock:
            return self._feature_progress.get(slug)

    def expect_map(self, slug: str) -> None:
        """Somebody looks at a project's map: the better one is computed when there is nothing else to do."""
        with self._lock:
            self._maps_wanted.add(slug)

    def map_share(self, slug: str) -> float | None:
        """How much of a project's map by neighbours is done; None while none is computed."""
        return self._maps.share(slug)

    def expect_rounds(self) -> None:
        """Images came or are looked at, so labels may come: load what a round needs in the next quiet moment.

        Features of images are computed from then on, too.
        """
        self._rounds_expected.set()

    @property
    def rounds_expected(self) -> bool:
        """Whether images came or have been looked at since the start."""
        return self._rounds_expected.is_set()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            busy = False
            for project in list(self._projects()):
                if self._stop.is_set():
                    return
                try:
                    busy |= self._visit(project)
                    self._told.pop(project.slug, None)
                except DiskFull as error:
                    if self._told.get(project.slug) is None:
                        logger.warning("%s", error)
                    self._told[project.slug] = str(error)
                except ProjectClosed as error:
                    logger.info("%s", error)  # it was listed a moment ago
                except Exception:
                    # The thread must outlive whatever one project does: a full disk, a damaged file.
                    logger.exception("The worker could not look after the project %s", project.slug)
            if not busy and not self._wake.wait(POLL_SECONDS) and self.rounds_expected and not self._loaded:
                self._load()

    def _load(self) -> None:
        """Import what a round needs: our own code with torch, then torch's optimisers and the compiler they bring.

        Five seconds of one core altogether, in two steps, so that a studio that closes waits for one of them at most.
        """
        self._loaded = True
        try:
            for load in (_load_run, _load_optimizers):
                if self._stop.is_set():
                    return
                load()
        except Exception:
            # The first round says it to the person; here nobody asked for anything yet.
            logger.exception("What a round needs could not be loaded")

    def _visit(self, project: Project) -> bool:
        if project.slug in self._unended:
            self._end_failed(project, *self._unended[project.slug])
        record = project.store.rounds.active()
        if record is None:
            if is_waiting(project.folder):  # a new pixel cache takes its place first
                return False
            with self._lock:
                self._cancelled.discard(project.slug)
                asked = project.slug in self._asked
                self._asked.discard(project.slug)
            due = round_due(project)
            if not (due.ready or (asked and due.startable)):
                return (self.rounds_expected and self._compute_features(project)) or self._compute_map(project)
            if not settle_speed(project, should_stop=self._stop.is_set):
                return False
            try:
                record = claim_round(project, started_by="person" if asked else "labels")
            except DiskFull:
                raise  # its words have no room either; looked at again soon
            except TidalError as error:
                project.store.log.add(str(error), level="warning")
                return False
        self._run_round(project, record)
        return True

    def _compute_features(self, project: Project) -> bool:
        """Some of the features that are missing, until labels come in; whether there were any to compute."""

        def note(progress: FeatureProgress) -> None:
            with self._lock:
                self._feature_progress[project.slug] = progress

        more = False
        if not settle_speed(project, should_stop=self._stop.is_set):
            return False
        foresee_first_round(project)
        try:
            more = self._features.some(
                project, progress=note, should_stop=self._stop.is_set, interrupted=self._wake.is_set
            )
        finally:
            if not more:
                with self._lock:
                    self._feature_progress.pop(project.slug, None)
        return more

    def _compute_map(self, project: Project) -> bool:
        """Some of the map that somebody looks at, until labels come in; whether there was any to compute."""
        with self._lock:
            if project.slug not in self._maps_wanted:
                return False
        more = False
        try:
            more = self._maps.some(project, should_stop=lambda: self._stop.is_set() or self._wake.is_set())
        finally:
            if not more:  # what could not be computed is tried again when somebody looks again
                with self._lock:
                    self._maps_wanted.discard(project.slug)
        return more

    def _run_round(self, project: Project, record: RoundRecord) -> None:
        from tidal_core.rounds.run import RoundRun  # torch comes in here, in this thread

        try:
            RoundRun(
                project,
                record,
                report=lambda progress: self._note(project.slug, progress),
                should_stop=lambda: self._stop.is_set() or self._is_cancelled(project.slug),
            ).run()
        except Stopped:
            if self._is_cancelled(project.slug):
                end_round(project, record.id, RoundState.CANCELLED)
        except Exception as error:
            named = in_words(error, project.folder) if isinstance(error, OSError) else error
            expected = isinstance(named, TidalError)
            message = (
                str(named) if expected else f"Internal error (details in the log): {type(named).__name__}: {named}"
            )
            if isinstance(error, OSError | DiskFull):
                message += " Then press “Train now” on the Training page."
            logger.warning("Round %d of %s failed: %s", record.id, project.slug, message, exc_info=not expected)
            self._end_failed(project, record.id, message)
        finally:
            with self._lock:
                self._progress.pop(project.slug, None)
                self._cancelled.discard(project.slug)

    def _end_failed(self, project: Project, round_id: int, message: str) -> None:
        """Note that a round has failed, now or as soon as the disk has room for it."""
        self._unended[project.slug] = round_id, message
        end_round(project, round_id, RoundState.FAILED, message)
        del self._unended[project.slug]

    def _is_cancelled(self, slug: str) -> bool:
        with self._lock:
            return slug in self._cancelled

    def _note(self, slug: str, progress: RoundProgress) -> None:
        with self._lock:
            self._progress[slug] = progress


def _load_run() -> None:
    import tidal_core.rounds.run  # noqa: F401  # with torch


def _load_optimizers() -> None:
    from tidal_core.engine.optimizers import load_torchs_optimizers

    load_torchs_optimizers()
