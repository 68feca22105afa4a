"""The project's settings, and the log of its worker."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import NamedTuple

from tidal_core.config import PixelSpec, ProjectSettings
from tidal_core.errors import InputError
from tidal_core.store.columns import first_row, utc_now
from tidal_core.store.database import Database

DAMAGE = "settings-damage"
"""Key of the note that settings were damaged, for people."""


def with_changes(now: ProjectSettings, shown: ProjectSettings, wanted: ProjectSettings) -> ProjectSettings:
    """``now`` with what somebody changed who was ``shown`` settings and ``wanted`` others.

    Raises InputError where one of them is neither as it was shown nor as it is wanted any more.
    """
    changed = {
        field.name: getattr(wanted, field.name)
        for field in dataclasses.fields(ProjectSettings)
        if getattr(wanted, field.name) != getattr(shown, field.name)
    }
    for name, value in changed.items():
        if getattr(now, name) not in (getattr(shown, name), value):
            raise InputError(
                f"The setting {name} was changed from {getattr(shown, name)!r} to {getattr(now, name)!r} meanwhile, "
                "perhaps in another tab. Nothing was saved: look at the settings as they are now, and save again."
            )
    return dataclasses.replace(now, **changed)


class Settings:
    """The table ``settings``: the project's settings as JSON under one key, a few notes under others."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def get(self, key: str) -> str | None:
        """The text kept under a key."""
        row = self._db.row("SELECT value FROM settings WHERE key = ?", [key])
        return str(row[0]) if row else None

    def set(self, key: str, value: str) -> None:
        """Keep a text under a key."""
        with self._db.write() as cursor:
            cursor.execute("DELETE FROM settings WHERE key = ?", [key])
            cursor.execute("INSERT INTO settings VALUES (?, ?)", [key, value])

    def remove(self, key: str) -> None:
        """Keep nothing under a key."""
        with self._db.write() as cursor:
            cursor.execute("DELETE FROM settings WHERE key = ?", [key])

    def load(self) -> ProjectSettings:
        """The project's settings, the defaults in a new project."""
        text = self.get("project")
        return ProjectSettings.from_json(text) if text else ProjectSettings()

    def is_new(self) -> bool:
        """Whether nothing was kept yet."""
        return self.get("project") is None

    def repair(self) -> str | None:
        """Bring settings that cannot be read to what can be used of them; what happened, for people.

        The text that they were is kept, and so is the sentence (``DAMAGE``) until somebody has looked and removes it.
        Raises SettingsTooNew for those that a newer version has kept: they stay as they are.
        """
        text = self.get("project")
        if text is None:
            return None
        try:
            ProjectSettings.from_json(text)
        except InputError as error:
            note = self.get("pixels")
            settings, lost = ProjectSettings.salvaged(text, PixelSpec.from_json(note) if note else None)
            sentence = (
                f"The settings of this project were damaged ({error}). At their default again: "
                f"{', '.join(lost) or 'none'}. Look at them on the Project page (Settings) and save them."
            )
            self.set("damaged-project", text)
            self.save(settings)
            self.set(DAMAGE, sentence)
            return sentence
        return None

    def save(self, settings: ProjectSettings, *, shown: ProjectSettings | None = None) -> None:
        """Keep the project's settings; the next round follows them.

        With ``shown``, the settings that they were made of, only what differs is written, see ``with_changes``. Raises
        InputError, with nothing written, where that was changed by others meanwhile.
        """
        with self._db.write() as cursor:
            row = first_row(cursor, "SELECT value FROM settings WHERE key = 'project'")
            if shown is not None and row is not None:
                settings = with_changes(ProjectSettings.from_json(row[0]), shown, settings)
            cursor.execute("DELETE FROM settings WHERE key = 'project'")
            cursor.execute("INSERT INTO settings VALUES ('project', ?)", [settings.to_json()])


class LogLine(NamedTuple):
    """One line of the worker's log. ``logged_at`` is naive UTC."""

    logged_at: datetime
    level: str
    round_id: int | None
    message: str


class Log:
    """The table ``log``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, message: str, *, level: str = "info", round_id: int | None = None) -> None:
        """Append a line."""
        with self._db.write() as cursor:
            cursor.execute("INSERT INTO log VALUES (?, ?, ?, ?)", [utc_now(), level, round_id, message])

    def last(self, n: int = 100) -> list[LogLine]:
        """The last n lines, newest first."""
        rows = self._db.rows("SELECT logged_at, level, round_id, message FROM log ORDER BY rowid DESC LIMIT ?", [n])
        return [LogLine(*row) for row in rows]
