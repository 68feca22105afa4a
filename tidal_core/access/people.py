"""Who asks, and in which role. Without a login there is one person, the owner, whose name the browser says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from tidal_core.errors import NotAllowed

LONGEST_NAME = 60  # letters; answers keep no more


class Role(Enum):
    """What a person may do."""

    ANNOTATOR = "annotator"  # label and look at everything
    OWNER = "owner"  # also change classes and settings, train, import, export, delete

    def may(self, needed: Role) -> bool:
        """Whether what ``needed`` may do, this role may do, too."""
        return self is Role.OWNER or needed is Role.ANNOTATOR


@dataclass(frozen=True)
class Person:
    """One who has come in."""

    name: str  # what their answers carry; "" where the browser says it, as nobody has signed in
    role: Role

    @property
    def signed_in(self) -> bool:
        """Whether the studio knows the name by itself, whatever a browser says."""
        return bool(self.name)

    def require(self, needed: Role, what: str) -> None:
        """Raises NotAllowed where this person's role does not do; ``what`` as in "Only an owner can train"."""
        if not self.role.may(needed):
            raise NotAllowed(only_owners(what, self))

    def answers_as(self, named: str | None) -> str:
        """The annotator of an answer that a browser says is by ``named``: what the studio knows goes before."""
        return self.name or clean_name(named or "") or "me"


HERE = Person("", Role.OWNER)
"""Whoever sits at this computer, while there is no login."""


NOT_PEOPLE = frozenset({"autopilot", "import"})
"""Names that answers carry which nobody gave at the labelling page."""


def clean_name(name: str) -> str:
    """A name on one line, without signs that are not seen, not longer than answers keep."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in name).split())[:LONGEST_NAME].strip()


def only_owners(what: str, person: Person) -> str:
    """Why a person who is no owner may not do something."""
    return (
        f"Only an owner can {what}. You are signed in as {person.name}, an annotator: you can label and look at "
        "everything. Ask an owner of this studio, or sign in as one."
    )
