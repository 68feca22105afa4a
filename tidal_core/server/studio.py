"""The running studio: the projects that are open in this process, and the worker that trains for them.

There is one in a process, made by ``ui.runtime.get_studio``: project files belong to one process, and two workers
would train the same round twice.
"""

from __future__ import annotations

import logging
import os
import secrets
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tidal_core import files, json_checks, projects
from tidal_core.access.sessions import Access, NoLogin
from tidal_core.config import ProjectSettings
from tidal_core.errors import InputError, ProjectClosed, ProjectError, ProjectExists, TidalError
from tidal_core.images.pixels import cached_spec, needs_refill, note_spec
from tidal_core.labelling.autopilot import AT_THE_START, Autopilot, Takeoff
from tidal_core.labelling.desk import desk_of
from tidal_core.ownership import Owner, announce, withdraw
from tidal_core.projects import Project
from tidal_core.rounds.due import check_training, round_due
from tidal_core.rounds.queue_plan import fill_queue
from tidal_core.rounds.worker import Worker
from tidal_core.store.settings import DAMAGE, with_changes

if TYPE_CHECKING:
    from tidal_core.images.importers.base import ImportOptions
    from tidal_core.images.ingest import LabelUse
    from tidal_core.images.jobs import ImportJob, Job, RefillJob

logger = logging.getLogger(__name__)

DEMO = "digits"
DEMO_IMAGES = 1_797
DEMO_SETTINGS = ProjectSettings(title="Handwritten digits", training_size=16, audit_share=0.0)


class Studio:
    """Open projects and their worker. Thread-safe."""

    def __init__(self, *, with_worker: bool = True) -> None:
        # Chosen by whoever starts the server where a program is to call the routes, else new for each process.
        self.token = os.environ.get("TIDAL_TOKEN") or secrets.token_urlsafe(32)
        self.access: Access = NoLogin()  # another one where people sign in
        self.owner: Owner | None = None  # set once it is known where this process answers
        self._lock = threading.RLock()
        self._open: dict[str, Project] = {}
        self._jobs: dict[str, Job] = {}
        self._autopilots: dict[str, Autopilot] = {}
        self._opener: threading.Thread | None = None
        self._closed = False
        self.worker = Worker(self.open_projects)
        if with_worker:
            self.worker.start()

    def reachable_at(self, address: str) -> None:
        """Answer for the projects of this process at ``address``, and write that into the folder of each.

        The token is another one than the pages': whoever may look at a page may not take the whole project away.
        """
        with self._lock:
            self.owner = Owner.of(os.getpid(), address, secrets.token_urlsafe(32))
            for project in self._open.values():
                self._announce(project)

    def _announce(self, project: Project) -> None:
        if self.owner is None:
            return
        try:
            announce(project.folder, self.owner)
        except OSError as error:
            # The studio works without; only the command line cannot ask it then.
            logger.warning("Where %s can be asked could not be written down: %s", project.slug, error)

    def open_projects(self) -> list[Project]:
        """The projects that are open now."""
        with self._lock:
            return list(self._open.values())

    def project(self, slug: str) -> Project:
        """An open project, opened now if need be.

        Raises ProjectNotFound, ProjectInUse when another process owns its file, ProjectClosed once the studio closes.
        """
        with self._lock:
            if self._closed:
                raise ProjectClosed("The studio is closing; start it again.")
            project = self._open.get(slug)
            if project is None:
                project = projects.open_project(slug)
                self._take_in(project)
            return project

    def _take_in(self, project: Project) -> None:
        """Keep a project open from now on; what was under way in it goes on."""
        if project.store.queue.count() == 0:
            fill_queue(project)
        self._open[project.slug] = project
        self._announce(project)
        self.worker.wake()
        if needs_refill(project):  # the studio was closed before it was whole
            self.start_refill(project)

    @contextmanager
    def glance(self, slug: str) -> Iterator[Project]:
        """A project for a moment: one that is not open is closed again. Nobody else opens it meanwhile.

        Raises what ``project`` raises.
        """
        with self._lock:
            if self._closed:
                raise ProjectClosed("The studio is closing; start it again.")
            project = self._open.get(slug)
            if project is not None:
                yield project
                return
            project = projects.open_project(slug)
            try:
                yield project
            finally:
                if project is not self._open.get(slug):
                    project.close()

    def create(self, name: str, settings: ProjectSettings | None = None, classes: tuple[str, ...] = ()) -> Project:
        """Make a project and open it. Raises ProjectExists."""
        with self._lock:
            project = projects.create_project(name, settings, classes)
            self._open[project.slug] = project
            self._announce(project)
            return project

    def demo(self) -> Project:
        """The demo project of handwritten digits, made when it is opened for the first time."""
        with self._lock:
            is_open = DEMO in self._open
            if DEMO not in projects.project_slugs():
                make_demo().close()
            project = self.project(DEMO)
            if not is_open and complete_demo(project):
                fill_queue(project)
            return project

    def autopilot(self, project: Project) -> Autopilot:
        """The one autopilot of an open project, whoever asks for it; it stands still until it is started."""
        with self._lock:
            return self._autopilots.setdefault(project.slug, Autopilot(desk_of(project), self.worker))

    def autopilot_flies(self, slug: str) -> bool:
        """Whether a project's autopilot answers now; asked with every look of a labelling page."""
        pilot = self._autopilots.get(slug)
        return pilot is not None and pilot.flies

    def start_import(
        self,
        project: Project,
        sources: str | Sequence[str],
        *,
        labels: LabelUse = "none",
        options: ImportOptions | None = None,
        hide_near_duplicates: bool = False,
    ) -> ImportJob:
        """Import a source, or several, into a project in a thread of its own.

        Raises InputError while another import runs.
        """
        with self._lock:
            # Decoders come in here, not with the first page.
            from tidal_core.images.importers.base import ImportOptions
            from tidal_core.images.jobs import ImportJob

            job = self._running_job(project)
            if job is not None:
                raise InputError(
                    f"{job.title.capitalize()} of {project.title!r} is running; wait until it ends, or cancel it "
                    "on the Project page."
                )

            self.worker.expect_rounds()  # its images will be looked at: by a person, and by the model

            def when_done() -> None:
                fill_queue(project)
                self.worker.wake()

            started = ImportJob(
                project,
                sources=(sources,) if isinstance(sources, str) else tuple(sources),
                labels=labels,
                hide_near_duplicates=hide_near_duplicates,
                options=options or ImportOptions(),
                when_done=when_done,
            )
            started.start()
            self._jobs[project.slug] = started
            return started

    def _running_job(self, project: Project) -> Job | None:
        """The import into a project, or the filling of its cache, that is under way."""
        job = self._jobs.get(project.slug)
        return job if job is not None and job.running else None

    def change_settings(
        self, project: Project, settings: ProjectSettings, *, shown: ProjectSettings | None = None
    ) -> bool:
        """Keep a project's settings; where they ask for other pixels, fill its cache anew in the background.

        With ``shown``, the settings that they were made of, only what differs is kept. Returns whether a filling began.
        Raises InputError, with nothing kept, when others have changed the same settings since they were shown, or an
        import into the project is in the way.
        """
        with self._lock:
            before, job = project.settings, self._running_job(project)
            if shown is not None:
                settings = with_changes(before, shown, settings)
            check_training(settings)
            other_pixels = (before.pixels, before.pixel_cache_gb) != (settings.pixels, settings.pixel_cache_gb)
            if other_pixels and job is not None and not (job.can_begin_anew and job.stop()):
                raise InputError(
                    f"{job.title.capitalize()} of {project.title!r} is running; change size, fit, colour or cache "
                    "when it has ended, or cancel it on the Project page."
                )
            note_spec(project, cached_spec(project))  # before the settings say otherwise
            project.store.settings.save(settings, shown=before)
            project.store.settings.remove(DAMAGE)  # somebody has looked at them
            if settings.consensus == "majority":
                project.store.people.forget_crowdlab()
            self.worker.wake()
            refill = other_pixels or (job is None and needs_refill(project))
            if refill and project.store.images.count():
                self.start_refill(project)
            return refill

    def start_refill(self, project: Project) -> RefillJob:
        """Bring the pixel cache to what the settings ask for, in a thread of its own."""
        with self._lock:
            from tidal_core.images.jobs import RefillJob

            job = RefillJob(project, when_done=self.worker.wake)
            job.start()
            self._jobs[project.slug] = job
            return job

    def import_job(self, slug: str) -> Job | None:
        """The last import into a project, or filling of its cache, since the studio started, running or ended."""
        with self._lock:
            return self._jobs.get(slug)

    def open_in_background(self) -> None:
        """Open the demo, and each project with work to go on with, in a thread, while the first page is loading.

        The others are opened when someone looks at them: an open one has threads and memory of its own. What another
        process owns is left to it.
        """
        self._opener = threading.Thread(target=self._open_all, name="tidal-opener")
        self._opener.start()

    def _open_all(self) -> None:
        self._take_off()
        for place in (Path(tempfile.gettempdir()), projects.home(), projects.home() / "projects"):
            files.sweep(place)
        try:
            slugs = projects.project_slugs()
        except ProjectError as error:
            logger.warning("%s", error)  # each page says it
            return
        for slug in dict.fromkeys((DEMO, *slugs)):
            if self._closed:
                return
            try:
                self.demo() if slug == DEMO else self._open_if_unfinished(slug)
                files.sweep(projects.project_folder(slug) / "previews", below=True)
            except Exception as error:
                # One broken project must not keep the others closed; whoever opens it is told then.
                logger.warning("The project %s was not opened: %s", slug, error)

    def _take_off(self) -> None:
        """Start the autopilot that whoever started the studio asks for."""
        asked = os.environ.get(AT_THE_START)
        if not asked:
            return
        try:
            takeoff = json_checks.decode(asked, Takeoff)
            project = self.demo() if takeoff.slug == DEMO else self.project(takeoff.slug)
            self.autopilot(project).start(takeoff.plan)
        except TidalError as error:
            logger.warning("The autopilot was not started: %s", error)

    def _open_if_unfinished(self, slug: str) -> None:
        with self.glance(slug) as project:
            unfinished = project.store.rounds.active() is not None or round_due(project).ready
            if slug not in self._open and (unfinished or needs_refill(project)):
                self._take_in(project)

    def close(self) -> None:
        """Stop the worker and let every project's file go; within about five seconds."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            jobs = list(self._jobs.values())
            autopilots = list(self._autopilots.values())
        for pilot in autopilots:
            pilot.close()
        if self._opener is not None:
            self._opener.join(2.0)
        for job in jobs:
            job.cancel()
        for job in jobs:
            job.wait(2.0)
        if not self.worker.stop():
            logger.warning("The worker did not end within 5 seconds; its round goes on at the next start.")
        with self._lock:
            for project in self._open.values():
                if self.owner is not None:
                    withdraw(project.folder, self.owner)
                project.close()
            self._open.clear()


def make_demo() -> Project:
    """The demo project, opened; scikit-learn's 1,797 handwritten digits, 500 of them the test split.

    Made where it is not there, whole or not at all.
    """
    from tidal_core.images.ingest import ingest

    with suppress(ProjectExists), projects.making(DEMO, DEMO_SETTINGS) as made:
        ingest(made, "digits", labels="known")
    return projects.open_project(DEMO)


def complete_demo(demo: Project) -> bool:
    """Finish a demo that an earlier version was interrupted in making; whether there was anything to finish.

    A person's own project of this name is no demo.
    """
    from tidal_core.images.ingest import ingest

    images = demo.store.images.all()
    never_set = not images and demo.store.settings.is_new()
    is_demo = demo.title == DEMO_SETTINGS.title and all(image.uri.startswith("digits:") for image in images)
    if len(images) >= DEMO_IMAGES or not (never_set or is_demo):
        return False
    demo.store.settings.save(DEMO_SETTINGS)
    ingest(demo, "digits", labels="known")
    return True
