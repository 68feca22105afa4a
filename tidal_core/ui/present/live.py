"""What a screen brings about where its data are not there yet: answers by the autopilot, and the round that follows."""

from __future__ import annotations

from tidal_core.errors import TidalError
from tidal_core.figures.words.present import FIRST
from tidal_core.labelling.autopilot import Autopilot, Plan, why_not
from tidal_core.labelling.desk import desk_of
from tidal_core.projects import Project
from tidal_core.records import RoundState
from tidal_core.rounds.due import round_due
from tidal_core.ui.present.page import Act
from tidal_core.ui.runtime import get_studio

FIRST_SPEED = 2.0  # answers a second: an audience sees each one
MISTAKES = 0.15
"""Share of its answers that the autopilot gets wrong, so that there is a wrong label to be found."""


def pilot_of(project: Project) -> Autopilot:
    """The project's autopilot."""
    return get_studio().autopilot(project)


def by_hand(project: Project) -> str:
    """What a person does where no autopilot can."""
    if not project.store.images.count():
        return "There are no images yet: add some on the page Project."
    return "Label on the page Label; this screen goes on by itself."


def can_fly(project: Project) -> bool:
    """Whether images are left whose class is known."""
    return not why_not(desk_of(project))


def flies(project: Project) -> bool:
    """Whether the autopilot answers now."""
    return pilot_of(project).flies


def state_of(project: Project) -> tuple[object, ...]:
    """Changes when a round begins, ends or fails, or the autopilot starts or stops."""
    latest = project.store.rounds.latest()
    return (latest.id, latest.state) if latest else (0, ""), flies(project)


def first_labels(project: Project, given: int) -> tuple[Act, ...]:
    """Let the autopilot give the first labels, one by one."""
    if flies(project):
        return (Act("Enter", "Pause the autopilot", lambda: _pause(project)),)
    if not can_fly(project):
        return ()
    plan = Plan(per_second=FIRST_SPEED, seed=project.settings.seed, labels=FIRST - given)
    return (Act("Enter", f"Let the autopilot label {FIRST - given}", lambda: _fly(project, plan)),)


def next_round(
    project: Project, words: str = "Let the autopilot go on to the next round", mistakes: float = 0.0
) -> tuple[Act, ...]:
    """Let the autopilot answer what the next round needs, and wait until it has ended; or start one that is due."""
    if project.store.rounds.active() is not None or flies(project):
        return ()
    latest = project.store.rounds.latest()
    due = round_due(project)
    if due.startable and latest is not None and latest.state is RoundState.FAILED:
        return (Act("Enter", "Try again", lambda: _train(project)),)
    if not can_fly(project) or (not project.settings.rounds_enabled and due.startable):
        return (Act("Enter", "Train now", lambda: _train(project)),) if due.startable else ()
    plan = Plan(per_second=None, mistakes=mistakes, seed=project.settings.seed)
    return (Act("Enter", words, lambda: _fly(project, plan)),)


def _fly(project: Project, plan: Plan) -> str:
    try:
        pilot_of(project).start(plan)
    except TidalError as error:
        return str(error)
    return ""


def _pause(project: Project) -> str:
    pilot_of(project).pause()
    return ""


def _train(project: Project) -> str:
    get_studio().worker.ask(project.slug)
    return ""
