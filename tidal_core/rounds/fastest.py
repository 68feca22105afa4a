"""A new project computes in the fastest way of its machine: a short trial before its first round chooses it.

Once for a project, and never for the training that is the paper's. What it chose is kept in the settings, and with each
round: repeats, resumed rounds, experiments and projects of before go on as their configuration says. No torch here.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from contextlib import suppress

from tidal_core.config import ProjectSettings
from tidal_core.engine.speed_trial import SURE, WAYS, Speeds, quick_speeds, way_name
from tidal_core.errors import InputError, Stopped
from tidal_core.projects import Project

logger = logging.getLogger(__name__)

DEVICES = {"cpu": "the processor", "cuda": "the graphics card", "mps": "the graphics processor"}


def settle_speed(project: Project, *, threads: int = 1, should_stop: Callable[[], bool] | None = None) -> bool:
    """Choose precision and layout of a new project, if that is still to be done; False if it was asked to stop.

    Call it before the first thing that depends on them: the first round, or the features of the first images. It takes
    about three seconds at most, beside the imports; a trial that fails changes nothing but a line in the log.
    """
    settings = project.settings
    if not settings.find_fastest or settings.preset == "paper":
        return True
    if project.store.rounds.latest() is not None:  # what a round has begun with stays
        _keep(project, settings)
        return True
    config, n_classes = settings.train_config(), max(2, len(project.store.classes.all()))
    try:
        speeds = quick_speeds(config, settings.training_size, n_classes, threads=threads, should_stop=should_stop)
    except Stopped:
        return False
    except Exception as error:
        # Whatever is wrong, the round that follows says it to the person, or does without the trial.
        logger.exception("The speed trial of %s failed", project.slug)
        _keep(project, settings)
        project.store.log.add(f"The trial of the fastest way to compute failed: {error}", level="warning")
        return True
    _keep(project, settings, speeds)
    return True


def _keep(project: Project, before: ProjectSettings, speeds: Speeds | None = None) -> None:
    """Note that it is done, and what was found unless a person has chosen meanwhile."""
    now = project.settings
    chosen = dataclasses.replace(now, find_fastest=False)
    current = way_name(before.precision, before.channels_last)
    if speeds is not None and (now.precision, now.channels_last) == (before.precision, before.channels_last):
        best = speeds.worth_changing_to(current, SURE)
        device = DEVICES.get(speeds.device, speeds.device)
        if best is None:
            project.store.log.add(f"Rounds compute in {current}: on {device} nothing was found to be clearly faster.")
        else:
            precision, channels_last = next(way for way in WAYS if way_name(*way) == best)
            chosen = dataclasses.replace(chosen, precision=precision, channels_last=channels_last)
            project.store.log.add(
                f"Rounds compute in {best}: on {device} {speeds.times(best, current):.1f} times as fast as {current}."
            )
    with suppress(InputError):  # a person chooses at this very moment: the next round looks again
        project.store.settings.save(chosen, shown=now)
