"""One thing wrong in a module, and the tests that must notice it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One thing wrong: ``right`` becomes ``wrong`` where it first stands in the module."""

    what: str
    module: str  # below tidal_core
    tests: tuple[str, ...]  # files or test ids below tests that guard it
    right: str
    wrong: str


def in_module(module: str, tests: str, *cases: tuple[str, str, str]) -> list[Fault]:
    """Faults of one module, each (what is wrong, right, wrong); ``tests``: paths below tests, with blanks between."""
    return [Fault(what, module, tuple(tests.split()), right, wrong) for what, right, wrong in cases]
