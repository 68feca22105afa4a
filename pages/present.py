"""Present: the story of a project on a large screen, one thought at a time, next by key."""

from __future__ import annotations

from tidal_core.ui import present
from tidal_core.ui.runtime import current_project

present.show(current_project())
