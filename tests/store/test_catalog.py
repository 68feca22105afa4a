"""A file that defines what this studio did not make is refused by name, and nothing of it is run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pytest

from tidal_core.errors import SchemaTooNew, StoreError
from tidal_core.store import Store
from tidal_core.store.catalog import definitions, made_by
from tidal_core.store.database import Database
from tidal_core.store.migrations import MIGRATIONS

SECRET = "the content of another file"

HOSTILE = {
    "a view in the place of the first table read": (
        "view 'migrations'",
        (
            "DROP TABLE migrations",
            "CREATE VIEW migrations AS SELECT 1 AS number, content AS name FROM read_text({secret})",
        ),
    ),
    "a view in the place of a table": (
        "view 'settings'",
        (
            "DROP TABLE settings",
            "CREATE VIEW settings AS SELECT 'title' AS key, content AS value FROM read_text({secret})",
        ),
    ),
    "a view of ours with other words": (
        "view 'standing_answers'",
        ("CREATE OR REPLACE VIEW standing_answers AS SELECT * FROM answers WHERE length('x') > 0",),
    ),
    "a view more": ("view 'more'", ("CREATE VIEW more AS SELECT 1",)),
    "a macro in the place of a function of the catalog": (
        "macro 'duckdb_functions'",
        ("CREATE MACRO duckdb_functions() AS TABLE SELECT 1 AS nothing",),
    ),
    "a macro in the place of a function of ours": ("macro 'max'", ("CREATE MACRO max(a) AS 0",)),
    "a macro in the place of an operator": ("macro", ('CREATE MACRO "+"(a, b) AS 0',)),
    "a macro in another schema": ("schema 'away'|macro 'm'", ("CREATE SCHEMA away", "CREATE MACRO away.m() AS 1")),
    "a schema": ("schema 'away'", ("CREATE SCHEMA away",)),
    "a table more": ("table 'more'", ("CREATE TABLE more (a INTEGER)",)),
    "a table less": ("no table 'queue'", ("DROP TABLE queue",)),
    "no table that says the version": ("which version", ("DROP TABLE migrations",)),
    "a column more": ("table 'images'", ("ALTER TABLE images ADD COLUMN more TEXT",)),
    "a column of another type": ("table 'log'", ("ALTER TABLE log ALTER COLUMN message TYPE BLOB",)),
    "a default that calls a function": (
        "table 'log'",
        ("ALTER TABLE log ALTER COLUMN level SET DEFAULT uuid()::TEXT",),
    ),
    "a generated column": (
        "table 'settings'",
        (
            "DROP TABLE settings",
            "CREATE TABLE settings (key TEXT NOT NULL, value TEXT GENERATED ALWAYS AS (repeat(key, 9)))",
        ),
    ),
    "a check that calls a function": (
        "table 'settings'",
        (
            "DROP TABLE settings",
            "CREATE TABLE settings (key TEXT NOT NULL CHECK (length(key) > 0), value TEXT NOT NULL)",
        ),
    ),
    "a sequence": ("sequence 's'", ("CREATE SEQUENCE s",)),
    "a type": ("type 'mood'", ("CREATE TYPE mood AS ENUM ('good')",)),
    "an index": ("index 'i'", ("CREATE INDEX i ON classes (id)",)),
    "a trigger": (
        "trigger 't'",
        ("CREATE TRIGGER t AFTER INSERT ON answers FOR EACH STATEMENT INSERT INTO log VALUES (now(), 'x', 1, 'y')",),
    ),
}


def changed(path: Path, statements: Sequence[str]) -> Path:
    """A project's file that somebody has changed with DuckDB itself."""
    secret = path.with_name("secret.txt")
    secret.write_text(SECRET)
    Store(path).close()
    with duckdb.connect(str(path)) as connection:
        for statement in statements:
            connection.execute(statement.format(secret=f"'{secret}'"))
    return path


@pytest.mark.parametrize("named", HOSTILE)
def test_what_this_studio_did_not_make_is_refused_by_name(tmp_path: Path, named: str) -> None:
    words, statements = HOSTILE[named]
    path = changed(tmp_path / "p.duckdb", statements)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=words) as caught:
        Store(path)
    assert "nothing of it was run" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert path.read_bytes() == before


def test_what_is_only_in_the_log_beside_the_file_is_refused_as_well(tmp_path: Path) -> None:
    path, away = changed(tmp_path / "p.duckdb", []), tmp_path / "away"
    away.mkdir()
    with duckdb.connect(str(path), config={"checkpoint_threshold": "1TB"}) as connection:
        connection.execute("CREATE VIEW more AS SELECT 1")
        for name in ("p.duckdb", "p.duckdb.wal"):
            (away / name).write_bytes((tmp_path / name).read_bytes())
    with pytest.raises(StoreError, match="view 'more'"):
        Store(away / "p.duckdb")


def test_a_file_of_every_released_step_is_ours(tmp_path: Path) -> None:
    for step in range(len(MIGRATIONS) + 1):
        path = tmp_path / f"{step}.duckdb"
        Database(path, MIGRATIONS[:step]).close()
        with Store(path) as store:
            assert store.schema == len(MIGRATIONS)


def test_definitions_are_the_same_after_they_lay_in_a_file(tmp_path: Path) -> None:
    Store(tmp_path / "p.duckdb").close()
    with Store(tmp_path / "p.duckdb") as store, store.database.reading() as cursor:
        assert definitions(cursor) == made_by(MIGRATIONS)


def test_a_newer_file_is_told_from_a_hostile_one(tmp_path: Path) -> None:
    path = changed(
        tmp_path / "p.duckdb", ["INSERT INTO migrations VALUES (999, 'x', now())", "CREATE TABLE more (a INT)"]
    )
    with pytest.raises(SchemaTooNew, match="Update the studio"):
        Store(path)


def test_nothing_can_be_set_and_no_other_file_opened(tmp_path: Path) -> None:
    with Store(tmp_path / "p.duckdb") as store:
        for statement in (
            "SET enable_external_access = true",
            "SET threads = 2",
            f"ATTACH '{tmp_path / 'other.duckdb'}'",
            f"COPY images TO '{tmp_path / 'images.csv'}'",
            "INSTALL httpfs",
            "LOAD httpfs",
            "SELECT * FROM 'https://example.com/a.parquet'",
            f"SELECT * FROM glob('{tmp_path}/*')",
        ):
            with pytest.raises(duckdb.Error):
                store.database.rows(statement)
    assert [file.name for file in tmp_path.iterdir()] == ["p.duckdb"]


def test_a_damaged_file_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "p.duckdb"
    with Store(path) as store:
        store.classes.add(["cat", "dog"])
    data = bytearray(path.read_bytes())
    for position in range(12_288, len(data), 64):
        data[position] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"project file .* is damaged .*restore a backup"):
        Store(path)
