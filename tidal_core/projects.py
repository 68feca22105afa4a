"""Project folders: where a project lives and how one is made, found and opened.

$TIDAL_HOME (default: the platform's folder for user data)
  projects/<slug>/
    project.duckdb   everything that is known (see ``store``)
    pixels.npy       uint8 memory map at training size
    previews/        images sized for the screen
    features/        what a frozen body says of each image, where there is one
    checkpoints/     weights, one file per round
    exports/
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from tidal_core.config import ProjectSettings
from tidal_core.errors import DISK_FULL, InputError, ProjectError, ProjectExists, ProjectNotFound, reason_of
from tidal_core.files import atomic, disk_full, for_this_user_only, sweep, tighten
from tidal_core.store import Store, is_begun

logger = logging.getLogger(__name__)

_FILE = "project.duckdb"
_SUBFOLDERS = ("previews", "checkpoints", "exports")

FIRST_RACE = "TIDAL_RACE"
"""The variable of the environment that names a race for the studio to start, see ``experiments.race``."""

FIRST_SHOWN = "TIDAL_PROJECT"
"""The environment variable with the slug of the project that pages show until another one is chosen."""


def home() -> Path:
    """The folder that holds all projects: ``$TIDAL_HOME``, or the platform's folder for user data.

    Whoever asks is going to work in it: from then on what this process makes is for this user alone.
    """
    for_this_user_only()
    chosen = os.environ.get("TIDAL_HOME")
    try:
        return Path(chosen).expanduser() if chosen else Path(platformdirs.user_data_dir("tidal-studio"))
    except RuntimeError as error:  # "~nobody": a user that is not there
        raise ProjectError(
            f"TIDAL_HOME is {chosen!r}, which names no folder ({reason_of(error)}); set it to another one."
        ) from error


def check_home(*, to_write: bool = False) -> Path:
    """The folder of all projects. Raises ProjectError where it cannot be one; ``to_write``: made if it is not there."""
    folder = home() / "projects"
    why = None
    try:
        if to_write:
            folder.mkdir(parents=True, exist_ok=True)
        for path in (home(), folder):
            if not path.is_dir() and os.path.lexists(path):
                why = "it is no folder"
        if to_write and not os.access(folder, os.W_OK | os.X_OK):
            why = "it cannot be written"
    except OSError as error:
        if error.errno in DISK_FULL:
            raise disk_full(folder) from error
        why = error.strerror or str(error)
    if why is not None:
        raise ProjectError(
            f"The folder of projects, {folder}, cannot be used: {why}. Let this user write there, or set TIDAL_HOME to "
            "another folder and start the studio again."
        )
    return folder


def slugify(name: str) -> str:
    """A folder name for a project's name: lower case, ASCII, dashes. Raises InputError when nothing is left."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60].strip("-")
    if not slug:
        raise InputError(
            f"The project name {name!r} has no letter or digit; add at least one, for the name of its folder."
        )
    return slug


@dataclass(frozen=True)
class Project:
    """An open project. Close it, or its file stays owned by this process."""

    slug: str
    folder: Path
    store: Store

    @property
    def pixels(self) -> Path:
        """The memory map of images at training size."""
        return self.folder / "pixels.npy"

    @property
    def previews(self) -> Path:
        """Images sized for the screen."""
        return self.folder / "previews"

    @property
    def checkpoints(self) -> Path:
        """Weights, one file per round."""
        return self.folder / "checkpoints"

    @property
    def features(self) -> Path:
        """What a frozen body says of each image, one folder for each body and kind of squares."""
        return self.folder / "features"

    @property
    def exports(self) -> Path:
        """Where exports go unless told otherwise."""
        return self.folder / "exports"

    @property
    def settings(self) -> ProjectSettings:
        """The current settings, read from the file."""
        return self.store.settings.load()

    @property
    def title(self) -> str:
        """What people call the project."""
        return self.settings.title or self.slug

    def close(self) -> None:
        """Let the file go."""
        self.store.close()


def project_folder(slug: str) -> Path:
    """Where a project of this slug lives, whether or not it is there."""
    if slugify(slug) != slug:
        raise ProjectNotFound(f"There is no project {slug!r}; names of project folders look like {slugify(slug)!r}.")
    return home() / "projects" / slug


def project_slugs() -> list[str]:
    """Slugs of all projects, by name; nothing is opened. What is still being made or restored is none."""
    files = check_home().glob(f"*/{_FILE}")
    return sorted(path.parent.name for path in files if not path.parent.name.startswith(".") and is_begun(path))


@contextmanager
def making(name: str, settings: ProjectSettings | None = None, classes: tuple[str, ...] = ()) -> Iterator[Project]:
    """A project that is being made, open: it lies beside its place, and takes it, closed, when the block ends well.

    Raises ProjectExists when there is one of this name, also at the end; then, and on any other error, nothing is left.
    """
    slug = slugify(name)
    folder = project_folder(slug)
    sweep(check_home(to_write=True))
    _make_room_for(folder)
    try:
        with atomic(folder, durable=True) as beside:
            for subfolder in _SUBFOLDERS:
                (beside / subfolder).mkdir(parents=True)
            _tighten(beside)
            project = Project(slug, beside, Store(beside / _FILE))
            try:
                project.store.settings.save(settings or ProjectSettings(title=name))
                if classes:
                    project.store.classes.add(classes)
                yield project
            finally:
                project.close()
    except OSError:
        _make_room_for(folder)  # made meanwhile
        raise


def _make_room_for(folder: Path) -> None:
    """Raises ProjectExists where a new project's folder would lie; what an interrupted making has left goes."""
    if not folder.exists():
        return
    if is_begun(folder / _FILE):
        raise ProjectExists(f"There is already a project {folder.name!r} in {folder}; open it, or choose another name.")
    if any(path.is_file() and path.name != _FILE and path.stat().st_size for path in folder.rglob("*")):
        raise ProjectExists(
            f"The folder {folder} holds files, but no project; move it elsewhere, or choose another name."
        )
    shutil.rmtree(folder)


def create_project(name: str, settings: ProjectSettings | None = None, classes: tuple[str, ...] = ()) -> Project:
    """Make a project and open it. Raises ProjectExists when there is one of this name."""
    with making(name, settings, classes):
        pass
    return open_project(slugify(name))


def open_project(slug: str) -> Project:
    """Open a project; settings that are damaged are repaired, which is said.

    Raises ProjectNotFound, ProjectInUse when another process owns its file, SchemaTooNew or SettingsTooNew for one of a
    newer version, StoreError for a file that cannot be opened.
    """
    folder = project_folder(slug)
    if not is_begun(folder / _FILE):
        known = ", ".join(project_slugs()) or "none yet"
        raise ProjectNotFound(f"There is no project {slug!r}; there are: {known}.")
    _tighten(folder)
    project = Project(slug, folder, Store(folder / _FILE))
    try:
        damage = project.store.settings.repair()
        if damage is not None:
            logger.warning("%s: %s", slug, damage)
    except BaseException:
        project.close()
        raise
    for written_to in (folder, project.checkpoints, project.exports):
        sweep(written_to)
    return project


def _tighten(folder: Path) -> None:
    """Keep a project, and the folders that are ours around it, from other users of this computer."""
    tighten(folder, skipped=("previews", "uploads", "features"))
    tighten(folder.parent, skipped=os.listdir(folder.parent))
    if home() == Path(platformdirs.user_data_dir("tidal-studio")):  # another one may hold other things, too
        tighten(home(), skipped=os.listdir(home()))
