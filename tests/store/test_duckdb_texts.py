"""DuckDB's own words: a release that changes them fails here, by the name of what reads them."""

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tidal_core.store.duckdb_texts import holder_of, is_open_here


def test_holder_of_reads_the_process_that_has_the_file(tmp_path: Path) -> None:
    path = tmp_path / "held.duckdb"
    code = f"import duckdb; c = duckdb.connect({str(path)!r}); print('open', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(duckdb.IOException) as caught:
            duckdb.connect(str(path))
        assert holder_of(caught.value) == other.pid
        other.communicate("\n")


def test_holder_of_reads_nothing_out_of_another_error(tmp_path: Path) -> None:
    path = tmp_path / "rubbish.duckdb"
    path.write_bytes(b"not a database " * 1000)
    with pytest.raises(duckdb.IOException) as caught:
        duckdb.connect(str(path))
    assert holder_of(caught.value) is None


def test_is_open_here_knows_a_second_opening_and_no_other_error(tmp_path: Path) -> None:
    first = duckdb.connect(str(tmp_path / "open.duckdb"))
    first.execute("SET lock_configuration = true")
    with duckdb.connect(str(tmp_path / "open.duckdb")) as second:
        with pytest.raises(duckdb.Error) as caught:
            second.execute("SET enable_external_access = false")
        assert is_open_here(caught.value)
    first.close()
    with duckdb.connect() as other, pytest.raises(duckdb.Error) as unknown:
        other.execute("SET enable_external_access = 'perhaps'")
    assert not is_open_here(unknown.value)
