"""``experiments.duckdb``: the rounds of all experiments' runs in one file that can be queried.

A copy of the runs' own files, which stay the truth: it can be deleted at any time and is made anew. One process has it
at a time, and only for as long as it merges and reads; ``opened`` waits for its turn.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from tidal_core.errors import ProjectInUse
from tidal_core.store.columns import insert
from tidal_core.store.database import Database
from tidal_core.store.migrations import Migration

WAIT_SECONDS = 30.0  # for another process, which has the file for less than one

MIGRATIONS = (
    Migration(
        "runs and their rounds",
        (
            """
            CREATE TABLE files (
                experiment TEXT NOT NULL, file TEXT NOT NULL, bytes BIGINT NOT NULL, modified_ns BIGINT NOT NULL,
                dataset TEXT NOT NULL, arm TEXT NOT NULL, imbalance DOUBLE NOT NULL, run INTEGER NOT NULL,
                header TEXT NOT NULL
            )
            """,
            """
            CREATE TABLE rounds (
                experiment TEXT NOT NULL, file TEXT NOT NULL, round INTEGER NOT NULL, labels INTEGER NOT NULL,
                trained_on INTEGER, accuracy DOUBLE, balanced_accuracy DOUBLE, validation_accuracy DOUBLE,
                train_s DOUBLE, score_s DOUBLE, choose_s DOUBLE, peak_gb DOUBLE, asked INTEGER[], line TEXT NOT NULL
            )
            """,
            # What a person asks: a row per round of every run of every experiment.
            """
            CREATE VIEW results AS
            SELECT f.experiment, f.dataset, f.arm, f.imbalance, f.run, r.* EXCLUDE (experiment, file, line)
            FROM rounds r JOIN files f USING (experiment, file)
            """,
        ),
    ),
    Migration(
        "configurations by their name",
        (
            "DROP VIEW results",
            "ALTER TABLE files RENAME COLUMN arm TO configuration",
            """UPDATE files SET header = replace(header, '"arm":', '"configuration":')""",
            """
            CREATE VIEW results AS
            SELECT f.experiment, f.dataset, f.configuration, f.imbalance, f.run,
                   r.* EXCLUDE (experiment, file, line)
            FROM rounds r JOIN files f USING (experiment, file)
            """,
        ),
    ),
)

# Threads of one process would share the file unasked and meet in each other's transactions.
_turn = threading.Lock()


class Stamp(NamedTuple):
    """What tells whether a file has changed since it was merged."""

    bytes: int
    modified_ns: int


class RunFile(NamedTuple):
    """One run as it is stored: its header and a dictionary per finished round, as they lie in its file."""

    header: dict[str, Any]
    rounds: tuple[dict[str, Any], ...]


class Runs:
    """The tables ``files`` and ``rounds``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def stamps(self, experiment: str) -> dict[str, Stamp]:
        """The files of an experiment that are merged, by name."""
        rows = self._db.rows("SELECT file, bytes, modified_ns FROM files WHERE experiment = ?", [experiment])
        return {file: Stamp(size, modified) for file, size, modified in rows}

    def merge(self, experiment: str, file: str, stamp: Stamp, run: RunFile) -> None:
        """Take in a run's file in place of what was merged of it before, in one transaction."""
        header, lines = run
        columns: dict[str, Any] = {
            "experiment": pa.array([experiment] * len(lines), pa.string()),
            "file": pa.array([file] * len(lines), pa.string()),
            **{
                name: pa.array([line.get(name) for line in lines], kind)
                for name, kind in (
                    ("round", pa.int32()),
                    ("labels", pa.int32()),
                    ("trained_on", pa.int32()),
                    ("accuracy", pa.float64()),
                    ("balanced_accuracy", pa.float64()),
                    ("validation_accuracy", pa.float64()),
                    ("peak_gb", pa.float64()),
                    ("asked", pa.list_(pa.int32())),
                )
            },
            **{
                f"{part}_s": pa.array([line.get("seconds", {}).get(part) for line in lines], pa.float64())
                for part in ("train", "score", "choose")
            },
            "line": pa.array([json.dumps(line) for line in lines], pa.string()),
        }
        with self._db.write() as cursor:
            for table in ("files", "rounds"):
                cursor.execute(f"DELETE FROM {table} WHERE experiment = ? AND file = ?", [experiment, file])
            cursor.execute(
                "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [experiment, file, *stamp, str(header.get("dataset", "")), header["configuration"], header["imbalance"],
                 header["run"], json.dumps(header)],
            )  # fmt: skip
            if lines:
                insert(cursor, "rounds", columns)

    def forget(self, experiment: str, files: Sequence[str]) -> None:
        """Drop what was merged of files that are gone."""
        with self._db.write() as cursor:
            for table in ("files", "rounds"):
                cursor.execute(
                    f"DELETE FROM {table} WHERE experiment = ? AND list_contains(?::TEXT[], file)",
                    [experiment, list(files)],
                )

    def of(self, experiment: str) -> list[RunFile]:
        """Every merged run of an experiment, by its file's name."""
        lines: dict[str, list[dict[str, Any]]] = {}
        for file, line in self._db.rows(
            "SELECT file, line FROM rounds WHERE experiment = ? ORDER BY file, round", [experiment]
        ):
            lines.setdefault(file, []).append(json.loads(line))
        headers = self._db.rows("SELECT file, header FROM files WHERE experiment = ? ORDER BY file", [experiment])
        return [RunFile(json.loads(header), tuple(lines.get(file, ()))) for file, header in headers]


@contextmanager
def opened(file: Path) -> Iterator[Runs]:
    """The file, for this thread alone, until the block is left.

    Raises ProjectInUse when another process does not let go of it within half a minute.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    with _turn:
        while True:
            try:
                database = Database(file, MIGRATIONS)
                break
            except ProjectInUse:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        try:
            yield Runs(database)
        finally:
            database.close()
