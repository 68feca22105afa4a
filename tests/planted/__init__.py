"""The faults that ``tests.mutations`` plants, one file for each room of ``tidal_core``; a new file is a line here."""

from tests.planted import engine, experiments, labelling, method, rounds, store, strategies
from tests.planted.fault import Fault

FAULTS: list[Fault] = [
    fault for room in (method, engine, strategies, rounds, experiments, store, labelling) for fault in room.FAULTS
]
