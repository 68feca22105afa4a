"""A new project for the images of a source: the settings that suit them, then the project. The import comes after."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from tidal_core.config import PRETRAINED_FROM, PRETRAINED_PRESETS, ProjectSettings
from tidal_core.images.importers.base import ImportOptions
from tidal_core.images.suggest import Proposal, propose, training_for
from tidal_core.projects import Project, create_project

REASON = "training_reason"
"""The note in a project on why it trains as it does; projects of earlier versions have none."""


def new_project(
    name: str,
    source: str | None,
    *,
    size: int | None = None,
    preset: str | None = None,
    classes: tuple[str, ...] = (),
    options: ImportOptions | None = None,
    create: Callable[[str, ProjectSettings, tuple[str, ...]], Project] = create_project,
) -> Project:
    """Make a project for a source (None: its images come later) and open it; nothing is imported yet.

    The source is looked at before anything is made, so that a slip in its path leaves no project behind. ``size`` is
    the side in pixels of what the model sees and ``preset`` the training, else what suits the images; ``create`` makes
    the project, for a studio that keeps it open. Raises InputError when the source cannot be read, ProjectExists when
    there is one of this name.
    """
    title = " ".join(name.split())
    proposal = propose(source, title, options) if source else Proposal(ProjectSettings(title=title), "")
    settings, reason = dataclasses.replace(proposal.settings, find_fastest=True), proposal.reason
    if preset is None and size is not None and size < PRETRAINED_FROM and settings.preset in PRETRAINED_PRESETS:
        preset = "quick"
    if preset is not None and preset != settings.preset:
        settings, reason = with_training(settings, preset, proposal.side), "You chose this training."
    if size is not None:
        settings = dataclasses.replace(settings, training_size=size)
    project = create(name, settings, classes)
    if reason:
        project.store.settings.set(REASON, reason)
    return project


def suit(project: Project, source: str) -> None:
    """Settings for images whose source was named after the project was made; before their import. Raises InputError."""
    find_fastest = project.settings.find_fastest
    proposal = propose(source, project.title)
    project.store.settings.save(dataclasses.replace(proposal.settings, find_fastest=find_fastest))
    project.store.settings.set(REASON, proposal.reason)


def with_training(settings: ProjectSettings, preset: str, side: float) -> ProjectSettings:
    """Settings with another training, and the size, strategy and labels per round that go with it.

    ``side`` is the images' median shortest side in pixels. Between two trainings that see images alike, and for images
    that are small anyhow, less is changed.
    """
    pretrained = preset in PRETRAINED_PRESETS
    suited = training_for(max(side, PRETRAINED_FROM) if pretrained else 0)
    if pretrained != (settings.preset in PRETRAINED_PRESETS):
        settings = dataclasses.replace(settings, training_size=suited.training_size, fit=suited.fit)
    if "frozen" in (preset, settings.preset):
        of_preset = suited if preset == "frozen" else ProjectSettings()
        settings = dataclasses.replace(
            settings, strategy=of_preset.strategy, labels_per_round=of_preset.labels_per_round
        )
    return dataclasses.replace(settings, preset=preset)


def could_gain(project: Project) -> bool:
    """Whether the project was made before the pretrained model was there, and would be more accurate with it."""
    store = project.store
    return (
        project.settings.preset == "quick"
        and store.settings.get(REASON) is None
        and store.images.median_side() >= PRETRAINED_FROM
    )


def reason_of(project: Project) -> str:
    """Why the project trains as it does, one sentence; empty where that is not known."""
    return project.store.settings.get(REASON) or ""
