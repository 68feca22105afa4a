"""Every error this library raises on purpose, as one tree.

    TidalError
    ├── ProjectError
    │   ├── ProjectNotFound      no project of this name
    │   ├── ProjectExists        a project of this name already exists
    │   ├── ProjectInUse         another process owns the project's file
    │   └── ProjectClosed        the project was closed, and somebody still asks it
    ├── StoreError
    │   ├── SchemaTooNew         the file was written by a newer version
    │   ├── SettingsTooNew       so were the project's settings
    │   └── NotFound             an id that the store does not have
    ├── ListGone                 a list of images that a page was shown, and that is no longer remembered
    ├── DiskFull                 no room for what was to be written; nothing has changed
    ├── RoundStateError          a round cannot go from this state to that one
    ├── InputError               a value given by a person or a program that cannot be used (also a ValueError)
    │   ├── ImageUnreadable      one image that cannot be read; imports report it and go on
    │   └── TooFewClasses        a margin of fewer than two classes
    ├── NotAllowed               a person without the role that it takes, or without a login
    ├── TrainingDiverged         the loss is not a number
    ├── OutOfMemory              not even a batch of one fits on the device, or an estimate is more than there is
    ├── WorkersLost              machines of a cluster that computed for us ended again and again
    └── Stopped                  work that was asked to stop before its end (a cancelled round, the app closing)

A message names the thing, the value and the remedy: it is shown to people as it stands.
"""

import errno
import re

_CLASSES = re.compile(r"\b[A-Z]\w*(?:Error|Exception)\b(?:: *)?")
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})  # the numbers by which a disk says that it is full


class TidalError(Exception):
    """The base of all errors raised on purpose: catching it catches nothing else."""


class ProjectError(TidalError):
    """A project cannot be opened or created."""


class ProjectNotFound(ProjectError):
    """No project of this name."""


class ProjectExists(ProjectError):
    """A project of this name already exists."""


class ProjectInUse(ProjectError):
    """Another process owns the project's file."""

    def __init__(self, message: str, *, pid: int | None = None) -> None:
        super().__init__(message)
        self.pid = pid


class ProjectClosed(ProjectError):
    """The project was closed (the studio ends, or it is being replaced), and somebody still asks it."""


class StoreError(TidalError):
    """The project's file cannot do what was asked."""


class SchemaTooNew(StoreError):
    """The file was written by a newer version of the studio."""


class SettingsTooNew(StoreError):
    """The project's settings were written by a newer version of the studio."""


class NotFound(StoreError):
    """An id that the store does not have."""


class ListGone(TidalError):
    """A list of images that a page was shown, and that is no longer remembered: the page asks for it anew."""


class DiskFull(TidalError):
    """There is no room on the disk for what was to be written; what was there before is as it was."""


class RoundStateError(TidalError):
    """A round cannot go from the state it is in to the one asked for."""


class InputError(TidalError, ValueError):
    """A value given by a person or a program that cannot be used."""


class ImageUnreadable(InputError):
    """One image that cannot be read: which, why, and what a person can do about it."""

    def __init__(self, name: str, reason: str, remedy: str = "") -> None:
        super().__init__(f"{name}: {reason}" + (f"; {remedy}" if remedy else "") + ".")
        self.name = name
        self.reason = reason
        self.remedy = remedy


class TooFewClasses(InputError):
    """A margin, or a round, of fewer classes than it needs."""


class NotAllowed(TidalError):
    """A person asks for what their role may not do, or has not signed in."""


class TrainingDiverged(TidalError):
    """The loss is not a number."""


class OutOfMemory(TidalError):
    """Not even a batch of one fits on the device, or what was estimated is more than there is."""


class WorkersLost(TidalError):
    """Machines or processes of a cluster that computed for us ended again and again."""


class Stopped(TidalError):
    """Work that was asked to stop before its end."""


def reason_of(error: BaseException) -> str:
    """What an error of another library says, for the middle of a sentence: one line, without names of classes."""
    lines = str(error).strip().splitlines()
    text = _CLASSES.sub("", lines[0]).strip(" .:")[:200] if lines else ""
    if isinstance(error, KeyError):  # its text is the key alone
        return f"an entry {text} is missing in it"
    if isinstance(error, MemoryError):
        return "there is not enough memory"
    return text or "the details are in the terminal that runs this"
