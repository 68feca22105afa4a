"""How long things take in a project on this machine, said before anybody waits for them. No torch until it is measured.

Until a round has finished, its length is that of a short trial of its steps; the speed of the features is that of the
first block of them.
"""

from __future__ import annotations

import logging

from tidal_core.config import ProjectSettings
from tidal_core.engine.speed_trial import first_round_seconds
from tidal_core.projects import Project
from tidal_core.rounds.due import usual_seconds
from tidal_core.rounds.features import seconds_for_all
from tidal_core.text import seconds_in_words

logger = logging.getLogger(__name__)


def foresee_first_round(project: Project, *, threads: int = 1) -> None:
    """Measure some steps of the first round, once for a project and its training; a trial that fails is logged."""
    settings, notes = project.settings, project.store.settings
    note = _note(settings)
    if notes.get(note) is not None or usual_seconds(project) is not None:
        return
    notes.set(note, "")  # whatever comes of it, it is not tried again and again
    config, n_classes = settings.train_config(), max(2, len(project.store.classes.all()))
    n_labels = max(settings.labels_per_round, n_classes)
    try:
        seconds = first_round_seconds(config, settings.training_size, n_classes, n_labels, threads=threads)
    except Exception:
        # Whatever is wrong, the round says it to the person.
        logger.exception("How long a round of %s takes could not be measured", project.slug)
    else:
        notes.set(note, f"{seconds:.3g}")


def sentences(project: Project) -> list[str]:
    """How long looking at the images and a round take, as far as that is known: none to two sentences for people."""
    lines = []
    looking = seconds_for_all(project) if project.settings.train_config().body == "frozen" else None
    if looking is not None:
        images = project.store.images.count()
        lines.append(f"Looking at all {images:,} images once takes about {seconds_in_words(looking)} here.")
    usual = usual_seconds(project)
    if usual is not None:
        lines.append(f"A round takes about {seconds_in_words(usual)}.")
    elif trial := project.store.settings.get(_note(project.settings)):
        lines.append(f"The first round trains for about {seconds_in_words(float(trial))}.")
    return lines


def _note(settings: ProjectSettings) -> str:
    """The name of the note on how long a first round with these settings trains."""
    network = settings.quick_network if settings.preset == "quick" else settings.backbone
    return f"first_round_seconds {settings.preset} {network} {settings.training_size}"
