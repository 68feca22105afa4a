"""A disk that is really full: nothing that was promised is lost, and everything works again once there is room."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.helpers.disks import SmallDisk, in_process, small_disk_or_skip
from tests.store.samples import image, label
from tidal_core.errors import DiskFull
from tidal_core.store import Store, database


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with ExitStack() as stack:
        yield small_disk_or_skip(tmp_path / "disk", 8, stack)


@pytest.fixture
def store(disk: SmallDisk) -> Iterator[Store]:
    with Store(disk.folder / "p.duckdb") as opened:
        opened.images.add([image(i) for i in range(1, 11)])
        opened.classes.add(["cat", "dog"])
        opened.answers.record([label("before", 1)])
        yield opened


@pytest.fixture
def unforeseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program takes the room between the look whether there is any and the checkpoint."""
    monkeypatch.setattr(database.Database, "_has_room", lambda self: True)


def events(store: Store) -> list[str]:
    return [stored.answer.event_id for stored in store.answers.all()]


def test_a_write_that_finds_no_room_is_refused_and_works_when_there_is_room(disk: SmallDisk, store: Store) -> None:
    disk.fill()
    with pytest.raises(DiskFull, match=r"no room left on the disk for .*p\.duckdb .*Free some space there"):
        store.log.add("x" * 100_000)
    assert events(store) == ["before"]

    disk.free()
    store.answers.record([label("after", 2)])
    assert events(store) == ["before", "after"]


def test_a_checkpoint_is_put_off_while_there_is_no_room_for_it(disk: SmallDisk, store: Store) -> None:
    disk.fill(leaving=database.CHECKPOINT_ROOM // 2)

    assert not store.database.checkpoint()
    store.answers.record([label("meanwhile", 2)])
    with pytest.raises(DiskFull):
        store.snapshot()

    disk.free()
    assert store.database.checkpoint()
    with store.snapshot() as snapshot:
        assert snapshot.size > 0
    assert events(store) == ["before", "meanwhile"]


@pytest.mark.usefixtures("unforeseen")
def test_a_checkpoint_that_meets_a_full_disk_leaves_a_store_that_goes_on(disk: SmallDisk, store: Store) -> None:
    disk.fill()

    assert not store.database.checkpoint()
    assert events(store) == ["before"]
    with pytest.raises(DiskFull):
        store.log.add("x" * 100_000)

    disk.free()
    store.answers.record([label("after", 2)])
    assert store.database.checkpoint()
    assert events(store) == ["before", "after"]
    with pytest.raises(Exception, match="disabled"):  # opened again as it was: locked
        store.database.rows("SELECT * FROM read_text('/etc/hostname')")


@pytest.mark.usefixtures("unforeseen")
def test_queries_under_way_end_before_the_file_is_opened_again_and_others_are_told(
    disk: SmallDisk, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "OPEN_AGAIN_WAIT_SECONDS", 0.0)
    disk.fill()
    with store.database.reading() as cursor:
        assert not store.database.checkpoint()
        told: list[BaseException] = []

        def ask() -> None:
            try:
                store.images.count()
            except DiskFull as error:
                told.append(error)

        other = threading.Thread(target=ask)
        other.start()
        other.join()
        assert len(told) == 1
        with pytest.raises(DiskFull), store.database.reading():
            pass
        cursor.close()

    assert store.images.count() == 10


@pytest.mark.usefixtures("unforeseen")
def test_many_threads_go_on_when_there_is_room_again(disk: SmallDisk, store: Store) -> None:
    start = threading.Barrier(5)
    unexpected: list[BaseException] = []
    acknowledged: list[str] = []
    emptied = threading.Event()

    def work(number: int) -> None:
        start.wait()
        for i in range(30):
            if i == 20:
                emptied.wait()
            try:
                store.answers.record([label(f"{number}-{i}", 1 + i % 10)])
                acknowledged.append(f"{number}-{i}")
                store.answers.labels()
            except DiskFull:
                assert i < 20
            except BaseException as error:
                unexpected.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    disk.fill(leaving=30_000)
    start.wait()
    for _ in range(5):
        store.checkpoint()
    disk.free()
    emptied.set()
    for thread in threads:
        thread.join()

    assert unexpected == []
    assert {*acknowledged, "before"} == {*events(store)}
    assert {f"{number}-{i}" for number in range(4) for i in range(20, 30)} <= {*acknowledged}


def test_a_new_file_on_a_full_disk_is_refused_in_words(disk: SmallDisk) -> None:
    disk.fill()
    with pytest.raises(DiskFull, match="Free some space there"):
        Store(disk.folder / "new.duckdb")


def test_a_file_is_opened_and_closed_on_a_full_disk_and_keeps_everything(disk: SmallDisk) -> None:
    path = disk.folder / "q.duckdb"
    with Store(path) as store:
        store.classes.add(["cat"])
        disk.fill()
    with Store(path) as store:
        assert [record.name for record in store.classes.all()] == ["cat"]
    disk.free()
    with Store(path) as store:
        assert [record.name for record in store.classes.all()] == ["cat"]
        store.classes.add(["dog"])


LIMITED = """
import sys
from pathlib import Path
from tests.helpers.disks import FileLimit
from tests.store.samples import image, label
from tidal_core.errors import DiskFull
from tidal_core.store import Store
path = Path(sys.argv[1])
with Store(path) as store:
    store.images.add([image(i) for i in range(1, 11)])
    store.classes.add(["cat", "dog"])
    store.checkpoint()
    store.log.add("x" * 200_000)
    limit = FileLimit(path.parent)
    limit.fill(path.stat().st_size)
    print(store.database.checkpoint())
    store.answers.record([label("during", 1)])
    try:
        store.log.add("x" * 2_000_000)
    except DiskFull as error:
        print(error)
    limit.free()
    store.answers.record([label("after", 2)])
    print(store.database.checkpoint())
with Store(path) as store:
    print([stored.answer.event_id for stored in store.answers.all()])
"""


def test_a_quota_is_met_as_a_full_disk_is(tmp_path: Path) -> None:
    ended = in_process(LIMITED, tmp_path / "p.duckdb")

    first, refusal, last, kept = ended.stdout.splitlines() or [ended.stderr] * 4
    assert (first, last, kept) == ("False", "True", "['during', 'after']")
    assert refusal.startswith(f"There is no room left on the disk for {tmp_path / 'p.duckdb'}")
