"""The file: who may open it, what a write is, how it grows."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import duckdb
import numpy as np
import psutil
import pytest

from tests.helpers.gates import WAIT_SECONDS
from tests.store.samples import image, label
from tidal_core.errors import ProjectClosed, ProjectInUse, SchemaTooNew, StoreError
from tidal_core.records import Purpose, QueueItem
from tidal_core.store import Store, database


def test_a_second_process_is_told_who_has_the_file(tmp_path: Path) -> None:
    path = tmp_path / "p.duckdb"
    code = f"from pathlib import Path; from tidal_core.store import Store; s = Store(Path({str(path)!r}))"
    code += "; print('open', flush=True); input()"
    other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(ProjectInUse, match=f"number {other.pid}") as caught:
            Store(path)
        assert caught.value.pid == other.pid
    finally:
        other.communicate("\n")


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.duckdb"
    with Store(path) as store, store.database.write() as cursor:
        cursor.execute("INSERT INTO migrations VALUES (999, 'from the future', now())")
    with pytest.raises(SchemaTooNew, match="Update the studio"):
        Store(path)


def test_a_write_that_fails_leaves_nothing_behind(store: Store) -> None:
    def fail_half_way() -> None:
        with store.database.write() as cursor:
            cursor.execute("DELETE FROM images")
            raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        fail_half_way()
    assert store.images.count() == 10


def test_many_threads_write_and_read_without_losing_a_row(store: Store) -> None:
    def work(number: int) -> None:
        for i in range(20):
            store.answers.record([label(f"{number}-{i}", 1 + i % 10)])
            store.answers.labels()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [stored.seq for stored in store.answers.all()] == list(range(1, 81))


def test_the_file_cannot_be_used_to_read_others(store: Store) -> None:
    with pytest.raises(Exception, match="disabled"):
        store.database.rows("SELECT * FROM read_text('/etc/hostname')")


def test_images_that_wait_and_the_front_of_the_audit_order_are_found(store: Store) -> None:
    store.answers.record([label("a", 10), label("b", 2)])
    assert store.images.unlabelled_ids().tolist() == [1, 3, 4, 5, 6, 7, 8, 9]
    assert store.images.front_of_audit_order(3).tolist() == [10, 9, 8]  # the fixture's order is 10, 9, 8, ...


def test_pixel_rows_are_aligned_with_the_ids_asked(store: Store) -> None:
    assert store.images.pixel_rows(np.array([7, 2, 2])).tolist() == [6, 1, 1]


def test_two_tabs_do_not_get_the_same_image(store: Store) -> None:
    store.queue.replace([QueueItem(i, i, Purpose.SEED) for i in range(1, 7)])
    first = [item.image_id for item in store.queue.lease("one", 3)]
    second = [item.image_id for item in store.queue.lease("two", 3)]
    assert (first, second) == ([1, 2, 3], [4, 5, 6])
    assert [item.image_id for item in store.queue.lease("one", 3)] == [1, 2, 3]


def test_an_image_put_to_the_front_is_asked_next(store: Store) -> None:
    store.queue.replace([QueueItem(i, i, Purpose.SEED) for i in range(1, 4)])
    store.queue.put_front(3, Purpose.QUERY)
    assert [item.image_id for item in store.queue.items()] == [3, 1, 2]


def _copy(store: Store, target: Path) -> None:
    with store.snapshot() as snapshot:
        target.write_bytes(b"".join(snapshot.chunks()))


def test_a_snapshot_holds_what_was_there_when_it_was_taken_and_labels_go_on(store: Store, tmp_path: Path) -> None:
    store.answers.record([label("before", 1)])
    with store.snapshot() as snapshot:
        parts = []
        for number, chunk in enumerate(snapshot.chunks(100_000)):
            parts.append(chunk)
            store.answers.record([label(f"during-{number}", 2)])
            store.checkpoint()  # as at the end of a round: put off
    (tmp_path / "copy.duckdb").write_bytes(b"".join(parts))

    assert len(parts) > 2
    with Store(tmp_path / "copy.duckdb") as copy:
        assert [stored.answer.event_id for stored in copy.answers.all()] == ["before"]
    assert store.answers.count() == 1 + len(parts)


def test_bulk_writes_that_go_past_the_log_leave_a_snapshot_whole(store: Store, tmp_path: Path) -> None:
    def rows(number: int) -> None:
        with store.database.write() as cursor:
            cursor.execute("INSERT INTO log SELECT now(), ?, i, md5(i::TEXT) FROM range(300_000) r(i)", [str(number)])
            cursor.execute("DELETE FROM log WHERE level = ?", [str(number - 1)])

    rows(1)
    with store.snapshot() as snapshot:
        chunks = snapshot.chunks()
        first = next(chunks)
        rows(2)
        rows(3)
        (tmp_path / "copy.duckdb").write_bytes(first + b"".join(chunks))

    assert snapshot.size > 5_000_000
    with Store(tmp_path / "copy.duckdb") as copy:
        assert copy.database.rows("SELECT level, count(*), count(DISTINCT message) FROM log GROUP BY ALL") == [
            ("1", 300_000, 300_000)
        ]


def test_the_log_is_folded_in_when_it_has_grown_and_no_snapshot_is_read(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "LOG_AT_MOST", 100_000)
    log = Path(f"{store.database.path}.wal")
    with store.snapshot():
        store.log.add("x" * 200_000)
        assert log.stat().st_size > 200_000
    assert not log.exists() or log.stat().st_size < 1_000
    store.log.add("y" * 200_000)
    assert not log.exists() or log.stat().st_size < 1_000


def test_the_file_stays_locked_after_a_snapshot(store: Store, tmp_path: Path) -> None:
    _copy(store, tmp_path / "copy.duckdb")
    code = f"from pathlib import Path; from tidal_core.store import Store; Store(Path({str(store.database.path)!r}))"

    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "is open in another process" in other.stderr


def test_the_file_stays_locked_when_it_is_opened_again_in_this_process(store: Store) -> None:
    with pytest.raises(ProjectInUse, match="already open in this process"):
        Store(store.database.path)
    code = f"from pathlib import Path; from tidal_core.store import Store; Store(Path({str(store.database.path)!r}))"

    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "is open in another process" in other.stderr


def test_a_project_that_is_closed_ends_the_snapshot_that_is_being_read(store: Store) -> None:
    with store.snapshot() as snapshot:
        chunks = snapshot.chunks(1_000)
        next(chunks)
        store.close()
        with pytest.raises(ProjectClosed, match="was closed: the studio is stopping"):
            next(chunks)
    with pytest.raises(ProjectClosed, match="was closed: the studio is stopping"):
        store.snapshot()


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.classes.all(),
        lambda store: store.answers.labels(),
        lambda store: store.answers.record([label("late", 1)]),
        lambda store: store.settings.load(),
        lambda store: store.exports.labels(),
        lambda store: store.checkpoint(),
    ],
)  # fmt: skip
def test_whoever_asks_a_closed_project_is_told_that_it_is_closed(store: Store, ask: Callable[[Store], object]) -> None:
    store.close()

    with pytest.raises(ProjectClosed, match="was closed: the studio is stopping"):
        ask(store)


def test_closing_waits_for_a_query_that_is_under_way(store: Store) -> None:
    with store.database.reading() as cursor:
        closing = threading.Thread(target=store.close)
        closing.start()
        with store.database._reader_left:
            assert store.database._reader_left.wait_for(lambda: store.database._closed, WAIT_SECONDS)
        cursor.execute("SELECT count(*) FROM images")
        assert cursor.fetchall() == [(10,)]
        with pytest.raises(ProjectClosed):
            store.images.count()
    closing.join()


def test_queries_of_one_moment_do_not_see_what_is_written_meanwhile(store: Store) -> None:
    with store.database.moment() as cursor:
        cursor.execute("SELECT count(*) FROM answers").fetchall()
        store.answers.record([label("meanwhile", 1)])
        assert cursor.execute("SELECT count(*) FROM answers").fetchall() == [(0,)]
    assert store.answers.count() == 1


@pytest.fixture
def held_reader(store: Store) -> Iterator[Callable[[], object]]:
    """A query that began before a row was changed: DuckDB makes no checkpoint until it ends. Gives what ends it."""
    with ExitStack() as reader:
        cursor = reader.enter_context(store.database.moment())
        cursor.execute("SELECT count(*) FROM images").fetchall()
        with store.database.write() as writing:
            writing.execute("UPDATE images SET status = 'hidden' WHERE id = 1")
        with pytest.raises(duckdb.TransactionException, match="Cannot CHECKPOINT"):
            store.database._connection.cursor().execute("CHECKPOINT")
        yield reader.close


def _log_bytes(store: Store) -> int:
    log = Path(f"{store.database.path}.wal")
    return log.stat().st_size if log.exists() else 0


def test_a_checkpoint_that_a_query_keeps_from_being_made_is_put_off_and_made_by_the_next_one(
    store: Store, held_reader: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "CHECKPOINT_WAIT_SECONDS", 0.0)
    store.checkpoint()
    assert not store.database.checkpoint()
    assert _log_bytes(store) > 0
    with pytest.raises(StoreError, match="cannot be copied while a long query reads it"):
        store.snapshot()

    held_reader()
    store.checkpoint()

    assert _log_bytes(store) == 0


def test_a_checkpoint_waits_for_the_query_that_keeps_it_from_being_made(
    store: Store, held_reader: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = store.database._reader_left
    wait = left.wait

    def ends_meanwhile(timeout: float | None = None) -> bool:
        """The query ends as soon as the checkpoint has begun to wait for it."""
        threading.Thread(target=held_reader).start()
        return wait(timeout)

    monkeypatch.setattr(database, "CHECKPOINT_WAIT_SECONDS", WAIT_SECONDS)
    monkeypatch.setattr(left, "wait", ends_meanwhile)

    assert store.database.checkpoint()
    assert _log_bytes(store) == 0


def test_a_write_does_not_wait_for_the_query_that_keeps_the_log_from_being_folded_in(
    store: Store, held_reader: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "LOG_AT_MOST", 0)
    monkeypatch.setattr(store.database._reader_left, "wait", lambda _: pytest.fail("the write waited"))

    store.answers.record([label("meanwhile", 1)])
    assert _log_bytes(store) > 0


def test_closing_makes_the_checkpoint_that_was_put_off(
    store: Store, held_reader: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "CHECKPOINT_WAIT_SECONDS", 0.0)
    store.checkpoint()
    held_reader()

    store.close()

    assert _log_bytes(store) == 0


def test_a_second_snapshot_waits_for_the_first(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = store.snapshot()
    with pytest.raises(StoreError, match="already being copied"):
        store.database.snapshot(wait_seconds=0.05)
    changes = store.database._changes
    wait = changes.wait

    def ends_meanwhile(timeout: float | None = None) -> bool:
        """The first ends as soon as the second has begun to wait for it, in a thread that needs its lock."""
        threading.Thread(target=first.close).start()
        return wait(timeout)

    monkeypatch.setattr(changes, "wait", ends_meanwhile)
    _copy(store, tmp_path / "copy.duckdb")
    with Store(tmp_path / "copy.duckdb") as copy:
        assert copy.images.count() == 10


@pytest.fixture
def opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store as it is on Windows, where nobody else can open its file, not even the same process."""
    monkeypatch.setattr(database, "_SECOND_HANDLE", False)
    with Store(tmp_path / "it's.duckdb") as opened:
        opened.images.add([image(i) for i in range(1, 11)])
        opened.classes.add(["cat", "dog"])
        yield opened


def test_where_the_file_can_be_opened_only_once_a_snapshot_is_a_copy_that_goes_afterwards(
    opened_once: Store, tmp_path: Path
) -> None:
    opened_once.answers.record([label("before", 1)])
    (tmp_path / ".it's.duckdb.copy").write_bytes(b"left by a killed process")
    with opened_once.snapshot() as snapshot:
        opened_once.answers.record([label("during", 2)])
        (tmp_path / "copy.duckdb").write_bytes(b"".join(snapshot.chunks(100_000)))
    _copy(opened_once, tmp_path / "later.duckdb")

    assert not list(tmp_path.glob("*.copy*"))
    for name, events in (("copy", ["before"]), ("later", ["before", "during"])):
        with Store(tmp_path / f"{name}.duckdb") as copy:
            assert [stored.answer.event_id for stored in copy.answers.all()] == events
            copy.answers.record([label("after", 3)])


def test_a_copy_that_is_being_read_goes_with_the_project(opened_once: Store, tmp_path: Path) -> None:
    with opened_once.snapshot() as snapshot:
        chunks = snapshot.chunks(1_000)
        next(chunks)
        opened_once.close()
        with pytest.raises(ProjectClosed, match="was closed: the studio is stopping"):
            next(chunks)

    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["it's.duckdb"]


def test_an_open_project_has_no_threads_that_only_wait(tmp_path: Path) -> None:
    before = psutil.Process().num_threads()
    stores = [Store(tmp_path / f"{number}.duckdb") for number in range(6)]
    more = psutil.Process().num_threads() - before
    for store in stores:
        store.close()

    assert more <= 2 * len(stores)
