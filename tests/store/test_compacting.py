"""The room of rows that are gone is given back: the file is written anew when it is opened, or stays as it was."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from benchmarks.made_up import Size, make
from tidal_core.projects import Project, open_project
from tidal_core.store import compacting
from tidal_core.store.compacting import empty_bytes, is_worth_it

Dropped = tuple[Path, int, dict[str, list[tuple[object, ...]]]]
SIZE = Size(labelled=4_000, pool=40, test=20, rounds=1, epochs=60)


def content(project: Project) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, in its order."""
    database = project.store.database
    names = database.rows("SELECT table_name FROM duckdb_tables() ORDER BY table_name")
    return {name: database.rows(f'SELECT * FROM "{name}"') for (name,) in names}


@pytest.fixture
def dropped(monkeypatch: pytest.MonkeyPatch) -> Dropped:
    """A closed project whose curves were dropped: its file, how large that was before, and what is in it."""
    monkeypatch.setattr(compacting, "WORTH_IT", 1 << 20)
    project = make("large", SIZE)
    path = project.store.database.path
    project.store.curves.drop_before(SIZE.rounds + 1)
    assert project.store.database.checkpoint()
    kept = content(project)
    project.close()
    return path, path.stat().st_size, kept


def test_a_file_that_is_mostly_empty_is_smaller_when_it_is_opened_again(
    dropped: Dropped,
) -> None:
    path, size, kept = dropped
    os.chmod(path, 0o600)

    project = open_project("large")
    again = content(project)
    with project.store.database.reading() as cursor:
        empty, used = empty_bytes(cursor)
    project.close()

    assert path.stat().st_size < size / 2
    assert not is_worth_it(empty, used)
    assert again == kept
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir() if "tidal-part" in file.name] == []


def test_a_process_that_is_killed_while_it_is_written_leaves_the_old_file(
    dropped: Dropped, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, size, kept = dropped
    inode = path.stat().st_ino

    @contextmanager
    def never_in_place(target: Path, *, durable: bool) -> Iterator[Path]:
        assert durable
        around = target.parent / "left-behind"
        around.mkdir()
        yield around / target.name
        with pytest.raises(duckdb.Error):  # whoever else opens it now is refused: nothing is added that would be lost
            duckdb.connect(str(target)).close()
        raise OSError("killed here")

    with monkeypatch.context() as killed:
        killed.setattr(compacting, "atomic", never_in_place)
        project = open_project("large")
    project.close()

    assert (path.stat().st_ino, path.stat().st_size) == (inode, size)
    project = open_project("large")
    assert content(project) == kept
    project.close()


def test_nothing_is_written_where_the_disk_has_no_room_for_both(
    dropped: Dropped, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, size, kept = dropped
    full = compacting.shutil.disk_usage(path.parent)._replace(free=size - 1)

    with monkeypatch.context() as small:
        small.setattr(compacting.shutil, "disk_usage", lambda _: full)
        project = open_project("large")
        assert content(project) == kept
        project.close()

    assert path.stat().st_size == size


@pytest.mark.parametrize(
    ("empty_mb", "used_mb", "expected"),
    [(40, 30, True), (40, 50, False), (20, 1, False), (4_000, 3_000, False)],
)
def test_small_or_mostly_used_or_huge_files_stay_as_they_are(empty_mb: int, used_mb: int, expected: bool) -> None:
    assert is_worth_it(empty_mb << 20, used_mb << 20) is expected
