"""What a project's file defines, compared with what our own migrations make, before anything of it is read.

A file can come from anywhere: from a snapshot, or in a folder that somebody copied. A view, macro, trigger, generated
column or default of its own would run inside our queries, and could say other rows than the tables hold. So every
object in it has to be one that the migrations make, in the same words; what is not ours is refused by name, never run.

A macro can take the name of a function. Until the file is known to have none, queries here name the catalog's
functions with their database and call nothing else; the comparing is done in Python.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import duckdb

from tidal_core.errors import StoreError
from tidal_core.store.migrations import Migration

MIGRATIONS_TABLE = "CREATE TABLE IF NOT EXISTS migrations (number INTEGER, name TEXT, applied_at TIMESTAMP)"

_LISTED = {  # kind: the function that lists it, the columns of its name and of what it is
    "schema": ("duckdb_schemas", "schema_name", "sql"),
    "table": ("duckdb_tables", "table_name", "sql"),
    "view": ("duckdb_views", "view_name", "sql"),
    "macro": ("duckdb_functions", "function_name", "macro_definition"),
    "index": ("duckdb_indexes", "index_name", "sql"),
    "sequence": ("duckdb_sequences", "sequence_name", "sql"),
    "trigger": ("duckdb_triggers", "trigger_name", "sql"),
    "type": ("duckdb_types", "type_name", "logical_type"),
}
_IN_EVERY_FILE = {"schema", "type"}  # a new file has those of DuckDB itself


_EXCLUDED = re.compile(r"EXCLUDE \(([^()]*)\)")  # a set to DuckDB, which writes it in another order each time


def _sorted(excluded: re.Match[str]) -> str:
    return f"EXCLUDE ({', '.join(sorted(excluded[1].split(', ')))})"


class Definition(NamedTuple):
    """One object of a file."""

    kind: str
    schema: str
    name: str
    words: str  # the SQL that makes it, as DuckDB writes it


def definitions(cursor: duckdb.DuckDBPyConnection) -> frozenset[Definition]:
    """Everything that the open file defines. Runs nothing that is defined in it."""
    databases = cursor.execute("SELECT database_name, internal FROM system.main.duckdb_databases()").fetchall()
    (name,) = (name for name, is_internal in databases if not is_internal)
    return frozenset(
        Definition(kind, schema, object_name, _EXCLUDED.sub(_sorted, words or ""))
        for kind, (function, name_column, words_column) in _LISTED.items()
        for schema, object_name, words in cursor.execute(
            f"SELECT schema_name, {name_column}, {words_column} FROM system.main.{function}() WHERE database_name = ?",
            [name],
        ).fetchall()
    )


@lru_cache(maxsize=32)
def made_by(migrations: tuple[Migration, ...]) -> frozenset[Definition]:
    """What a file defines after these migrations."""
    with duckdb.connect(config={"threads": "1", "enable_external_access": "false"}) as connection:
        connection.execute(MIGRATIONS_TABLE)
        for migration in migrations:
            for statement in migration.statements:
                connection.execute(statement)
        return definitions(connection)


def step_of(cursor: duckdb.DuckDBPyConnection, migrations: Sequence[Migration]) -> int:
    """How many migrations a file has; more than there are for a file of a newer version, of which no more is known.

    Raises StoreError, in words that follow the file's name, for an object that is not what the migrations make.
    """
    have, ours = definitions(cursor), made_by(tuple(migrations))
    if not [definition for definition in have if definition.kind not in _IN_EVERY_FILE]:
        _compare(have, frozenset(definition for definition in ours if definition.kind in _IN_EVERY_FILE))
        return 0  # a new file
    # What the step is read from comes first: a plain table, and no macro that takes the place of a function.
    for definition in sorted(have - ours):
        if definition.kind == "macro" or definition.name == "migrations":
            raise _not_ours(definition)
    if not any(definition.name == "migrations" for definition in have):
        raise StoreError("has tables, and none of them says which version of this studio made it")
    numbers = cursor.execute("SELECT number FROM main.migrations").fetchall()
    step = max((int(number) for (number,) in numbers if number is not None), default=0)
    if step <= len(migrations):
        _compare(have, made_by(tuple(migrations[:step])))
    return step


def _compare(have: frozenset[Definition], expected: frozenset[Definition]) -> None:
    for definition in sorted(have - expected):
        raise _not_ours(definition)
    for definition in sorted(expected - have):
        raise StoreError(f"has no {definition.kind} {definition.name!r}, which every file of its version has")


def _not_ours(definition: Definition) -> StoreError:
    return StoreError(f"has a {definition.kind} {definition.name[:60]!r} that this studio did not make")
