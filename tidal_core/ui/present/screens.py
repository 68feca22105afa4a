"""The screens of the presenter's view, in their order."""

from __future__ import annotations

from tidal_core.ui.address import SCREENS as NAMES
from tidal_core.ui.present import against_random, beginning, outcome, reasons
from tidal_core.ui.present.page import Screen

SCREENS: dict[str, Screen] = {
    "collection": Screen(beginning.collection, beginning.collection_version),
    "first": Screen(beginning.first, beginning.first_version),
    "round": Screen(beginning.first_round, beginning.round_version),
    "unsure": Screen(reasons.unsure, reasons.version),
    "next": Screen(reasons.asked_next, reasons.version),
    "gain": Screen(against_random.gain, against_random.version),
    "mistake": Screen(outcome.mistake, outcome.mistake_version),
    "finish": Screen(outcome.finish, outcome.version),
}
"""By the name in the address."""
assert tuple(SCREENS) == NAMES
