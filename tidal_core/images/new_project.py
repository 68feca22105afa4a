"""A new project for the images of a source: the settings that suit them, then the project. The import comes after."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from tidal_core.config import ProjectSettings
from tidal_core.images.importers.base import ImportOptions
from tidal_core.images.suggest import suggest_settings
from tidal_core.projects import Project, create_project


def new_project(
    name: str,
    source: str | None,
    *,
    size: int | None = None,
    classes: tuple[str, ...] = (),
    options: ImportOptions | None = None,
    create: Callable[[str, ProjectSettings, tuple[str, ...]], Project] = create_project,
) -> Project:
    """Make a project for a source (None: its images come later) and open it; nothing is imported yet.

    The source is looked at before anything is made, so that a slip in its path leaves no project behind. ``size`` is
    the side in pixels of what the model sees, else what suits the images; ``create`` makes the project, for a studio
    that keeps it open. Raises InputError when the source cannot be read, ProjectExists when there is one of this name.
    """
    title = " ".join(name.split())
    settings = suggest_settings(source, title, options) if source else ProjectSettings(title=title)
    settings = dataclasses.replace(settings, find_fastest=True)
    if size is not None:
        settings = dataclasses.replace(settings, training_size=size)
    return create(name, settings, classes)


def suit(project: Project, source: str) -> None:
    """Settings for images whose source was named after the project was made; before their import. Raises InputError."""
    find_fastest = project.settings.find_fastest
    suited = suggest_settings(source, project.title)
    project.store.settings.save(dataclasses.replace(suited, find_fastest=find_fastest))
