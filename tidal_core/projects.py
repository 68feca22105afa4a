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

import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from tidal_core.config import ProjectSettings
from tidal_core.errors import InputError, ProjectExists, ProjectNotFound
from tidal_core.files import for_this_user_only, sweep, tighten
from tidal_core.store import Store

FIRST_SHOWN = "TIDAL_PROJECT"
"""The environment variable with the slug of the project that pages show until another one is chosen."""


def home() -> Path:
    """The folder that holds all projects: ``$TIDAL_HOME``, or the platform's folder for user data.

    Whoever asks is going to work in it: from then on what this process makes is for this user alone.
    """
    for_this_user_only()
    chosen = os.environ.get("TIDAL_HOME")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_data_dir("tidal-studio"))


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
    """Slugs of all projects, by name; nothing is opened."""
    folders = (path.parent.name for path in (home() / "projects").glob("*/project.duckdb"))
    return sorted(name for name in folders if not name.startswith("."))  # hidden: still being restored


def create_project(name: str, settings: ProjectSettings | None = None, classes: tuple[str, ...] = ()) -> Project:
    """Make a project and open it. Raises ProjectExists when there is one of this name."""
    slug = slugify(name)
    folder = project_folder(slug)
    if (folder / "project.duckdb").exists():
        raise ProjectExists(f"There is already a project {slug!r} in {folder}; open it, or choose another name.")
    for subfolder in ("previews", "checkpoints", "exports"):
        (folder / subfolder).mkdir(parents=True, exist_ok=True)
    _tighten(folder)
    project = Project(slug, folder, Store(folder / "project.duckdb"))
    project.store.settings.save(settings or ProjectSettings(title=name))
    if classes:
        project.store.classes.add(classes)
    return project


def open_project(slug: str) -> Project:
    """Open a project. Raises ProjectNotFound, or ProjectInUse when another process owns its file."""
    folder = project_folder(slug)
    if not (folder / "project.duckdb").exists():
        known = ", ".join(project_slugs()) or "none yet"
        raise ProjectNotFound(f"There is no project {slug!r}; there are: {known}.")
    _tighten(folder)
    project = Project(slug, folder, Store(folder / "project.duckdb"))
    for written_to in (folder, project.checkpoints, project.exports):
        sweep(written_to)
    return project


def _tighten(folder: Path) -> None:
    """Keep a project, and the folders that are ours around it, from other users of this computer."""
    tighten(folder, skipped=("previews", "uploads", "features"))
    tighten(folder.parent, skipped=os.listdir(folder.parent))
    if home() == Path(platformdirs.user_data_dir("tidal-studio")):  # another one may hold other things, too
        tighten(home(), skipped=os.listdir(home()))
