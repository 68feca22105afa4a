"""What a screen of the presenter's view is."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tidal_core.access.people import Role
from tidal_core.projects import Project


class Act(NamedTuple):
    """What a key, or its button, brings about from a screen."""

    key: str  # "Enter", or a letter
    label: str
    do: Callable[[], str]  # returns why it was refused, "" where it was not
    role: Role = Role.OWNER  # what it takes, where people sign in; what labels says so


class Page(NamedTuple):
    """What a screen shows now; texts are Markdown."""

    title: str
    sentence: str
    exhibit: Callable[[], None] | None  # draws
    acts: tuple[Act, ...] = ()  # the first one is the usual one
    note: str = ""  # small, at the foot


class Screen(NamedTuple):
    """One thought."""

    page: Callable[[Project, int], Page]  # of the project, in so many pixels of height for a figure
    version: Callable[[Project], tuple[object, ...]]  # changes when the screen is to be drawn anew
