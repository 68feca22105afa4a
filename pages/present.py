"""Present: the story of a project on a large screen, one thought at a time, next by key."""

from __future__ import annotations

from tidal_core.ui import present
from tidal_core.ui.blind import may_look
from tidal_core.ui.runtime import current_project

project = current_project()
if may_look(project, "Present", titled=False):
    present.show(project)
