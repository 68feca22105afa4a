"""The project's file: the only place with SQL.

One ``Store`` per project file, one module per family of tables behind it. A new column or table is a new step in
``migrations.py``; a new question is a method of the family it asks about.

May import: the ground, duckdb, lark, numpy, pyarrow. Never torch, another room or Streamlit.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from tidal_core.records import ClassRecord
from tidal_core.store.acts import Acts
from tidal_core.store.answers import Answers, Labels, labels_in
from tidal_core.store.class_events import classes_in
from tidal_core.store.classes import Classes
from tidal_core.store.collection import Collection
from tidal_core.store.curves import CurveTable
from tidal_core.store.database import HEAD_BYTES, Database, Snapshot
from tidal_core.store.exports import ExportTables
from tidal_core.store.images import Images
from tidal_core.store.metrics import Metrics
from tidal_core.store.model_answers import ModelAnswers
from tidal_core.store.people import People
from tidal_core.store.predictions import Predictions
from tidal_core.store.queue import Queue
from tidal_core.store.replays import Replays
from tidal_core.store.rounds import Epochs, Rounds
from tidal_core.store.scores import Scores
from tidal_core.store.settings import Log, Settings
from tidal_core.store.views import Views


def is_begun(path: Path) -> bool:
    """Whether there is a project's file, and not what is left where one was begun and never written."""
    try:
        return path.stat().st_size >= HEAD_BYTES
    except OSError:
        return False


class Store:
    """An open project file; every method may be called from any thread.

    Raises ProjectInUse when another process owns the file and SchemaTooNew when a newer version wrote it.
    """

    def __init__(self, path: Path) -> None:
        self.database = Database(path)
        self.images = Images(self.database)
        self.classes = Classes(self.database)
        self.answers = Answers(self.database)
        self.acts = Acts(self.database)
        self.queue = Queue(self.database)
        self.rounds = Rounds(self.database)
        self.epochs = Epochs(self.database)
        self.curves = CurveTable(self.database)
        self.scores = Scores(self.database)
        self.metrics = Metrics(self.database)
        self.exports = ExportTables(self.database)
        self.settings = Settings(self.database)
        self.log = Log(self.database)
        self.views = Views(self.database)
        self.predictions = Predictions(self.database)
        self.replays = Replays(self.database)
        self.collection = Collection(self.database)
        self.model_answers = ModelAnswers(self.database)
        self.people = People(self.database)

    @property
    def schema(self) -> int:
        """How many steps of ``migrations`` the file has."""
        return self.database.schema

    def labels_and_classes(self) -> tuple[Labels, list[ClassRecord]]:
        """``answers.labels`` and the classes in use, of one moment: every label is of one of these classes."""
        with self.database.moment() as cursor:
            return labels_in(cursor), classes_in(cursor)

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the file: at the end of a round."""
        self.database.checkpoint()

    def snapshot(self) -> Snapshot:
        """The file as it is now, to be read while labels go on coming in; close it. Raises StoreError."""
        return self.database.snapshot()

    def close(self) -> None:
        """Let the file go; another process may open it now."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
