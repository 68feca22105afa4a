"""Starts the race that the command ``demo`` asks for, once the project's first round is done.

A race trains in a process of its own; before that, it would take the time of the round that an audience waits for.
"""

from __future__ import annotations

import logging
import os
import threading

from tidal_core import json_checks, projects
from tidal_core.errors import TidalError
from tidal_core.records import RoundState
from tidal_core.server.studio import Studio

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5


class RaceStarter:
    """A thread that waits for the first round; it does nothing where no race is asked for."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tidal-race-starter", daemon=True)

    def start(self) -> None:
        """Begin to wait; called once."""
        if os.environ.get(projects.FIRST_RACE):
            self._thread.start()

    def stop(self) -> None:
        """Wait no longer; a race that was started goes on."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(2.0)

    def _run(self) -> None:
        from tidal_core.experiments import race  # with SciPy: the first page must not wait for it
        from tidal_core.experiments.files import Experiment, rounds_done

        try:
            asked = json_checks.decode(os.environ[projects.FIRST_RACE], race.AfterFirstRound)
            experiment = Experiment(projects.home() / "experiments" / asked.race)
            project = self._studio.project(asked.slug)
            while project.store.rounds.latest(RoundState.DONE) is None:
                if self._stop.wait(_LOOK_SECONDS):
                    return
            done, total = rounds_done(experiment)
            if done < total:
                race.start(experiment)
        except TidalError as error:
            logger.warning("The race was not started: %s", error)
