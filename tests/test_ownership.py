"""Who holds a folder: one process at a time, told by a lock of the system and by nothing that is written down."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tidal_core import ownership
from tidal_core.errors import InputError
from tidal_core.experiments.owner import start, stop
from tidal_core.ownership import FILE, LOCK, UNKNOWN, Owner, announce, announced, owner_of, owning, withdraw
from tidal_core.projects import home

HOLD = """
import sys
from pathlib import Path
from tidal_core import ownership
from tidal_core.errors import InputError
from tidal_core.ownership import owning
ownership._TRIES = 10**6  # until whoever has it has written itself down, however slow it is
print("ready", flush=True)
sys.stdin.readline()
try:
    with owning(Path(sys.argv[1])):
        print("mine", flush=True)
        sys.stdin.readline()
except InputError as error:
    print(error, flush=True)
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    """A process that is ready to take the folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_of_twelve_processes_that_begin_at_once_exactly_one_holds_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "begun"
    processes = [holder(folder) for _ in range(12)]
    for process in processes:
        go(process)
    answers = {process.pid: said(process) for process in processes}

    (winner,) = (pid for pid, answer in answers.items() if answer == "mine")
    assert owner_of(folder) == winner
    assert {answer for pid, answer in answers.items() if pid != winner} == {
        f"Process {winner} is already working on 'begun'; wait until it ends, or stop it first (on its page, or with "
        "Ctrl-C in its terminal)."
    }
    for process in processes:
        process.communicate("\n")
    assert owner_of(folder) is None


def test_of_two_starts_at_once_one_process_works() -> None:
    folder, gate = home() / "experiments" / "begun", threading.Barrier(2)
    folder.mkdir(parents=True)
    os.mkfifo(folder / "spec.json")  # what was started waits for somebody to write it
    outcomes: list[int | str] = []

    def begin() -> None:
        gate.wait()
        try:
            outcomes.append(start(["experiment-resume", "begun"], folder))
        except InputError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=begin) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    (pid,) = (outcome for outcome in outcomes if isinstance(outcome, int))
    (refusal,) = (outcome for outcome in outcomes if isinstance(outcome, str))
    assert "is already working on 'begun'" in refusal
    assert owner_of(folder) == pid
    assert stop(folder)


def test_a_process_that_is_killed_holds_nothing(tmp_path: Path) -> None:
    process = holder(tmp_path)
    go(process)
    assert said(process) == "mine"
    process.kill()
    process.communicate()

    assert announced(tmp_path) is not None, "its record is still there"
    assert owner_of(tmp_path) is None
    with owning(tmp_path):
        assert owner_of(tmp_path) == os.getpid()


def test_a_step_of_the_clock_takes_the_folder_from_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with owning(tmp_path):
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 86_400)
        assert owner_of(tmp_path) == os.getpid()
        announce(tmp_path, Owner(os.getpid(), "1970-01-01T00:00:00+00:00"))
        assert owner_of(tmp_path) == os.getpid()


@pytest.mark.parametrize(
    "rubbish",
    [b"", b"{}", b"[]", b"rubbish", b'{"pid": "1"}', b'{"pid": -1, "since": ""}', b"\xff", b"[" * 100_000,
     b'{"pid": ' + b"9" * 5_000 + b', "since": ""}'],
)  # fmt: skip
def test_rubbish_in_the_record_is_no_owner_and_no_exception(tmp_path: Path, rubbish: bytes) -> None:
    (tmp_path / FILE).write_bytes(rubbish)
    assert announced(tmp_path) is None
    assert owner_of(tmp_path) is None
    assert not stop(tmp_path)

    process = holder(tmp_path)
    go(process)
    assert said(process) == "mine"
    (tmp_path / FILE).write_bytes(rubbish)
    assert owner_of(tmp_path) == UNKNOWN
    assert not stop(tmp_path), "nobody knows whom"
    with pytest.raises(InputError, match="Another process is already working on"):
        ownership.take(tmp_path)
    process.communicate("\n")


def test_a_record_of_an_earlier_version_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(json.dumps({"pid": os.getpid(), "created": time.time()}))
    assert owner_of(tmp_path) is None


def test_a_process_that_the_record_names_by_mistake_is_not_stopped(tmp_path: Path) -> None:
    bystander = holder(tmp_path / "elsewhere")  # has the number of an owner that was killed long ago
    announce(tmp_path, Owner.of(bystander.pid))
    handle = ownership.take(tmp_path)
    assert owner_of(tmp_path) == UNKNOWN, "the record of before says nothing of who holds it now"

    announce(tmp_path, Owner.of(bystander.pid))
    assert not stop(tmp_path)

    os.close(handle)
    go(bystander)
    assert said(bystander) == "mine"
    bystander.communicate("\n")


def test_where_no_record_can_be_written_the_lock_alone_holds_the_folder(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with owning(tmp_path):
        assert owner_of(tmp_path) == UNKNOWN
        assert not stop(tmp_path)
    assert owner_of(tmp_path) is None


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / LOCK).mkdir()
    with pytest.raises(InputError, match=f"Nothing can be written to the folder {tmp_path}"), owning(tmp_path):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="Nothing can be written"):
        ownership.take(tmp_path / "file")


def test_a_folder_that_is_held_may_be_held_again_by_the_same_process(tmp_path: Path) -> None:
    with owning(tmp_path):
        with owning(tmp_path):
            pass
        assert owner_of(tmp_path) == os.getpid()
    assert owner_of(tmp_path) is None
    assert announced(tmp_path) is None


def test_a_record_comes_back_as_it_went_and_is_readable_by_its_user_alone(tmp_path: Path) -> None:
    owner = Owner.of(7, "http://127.0.0.1:8501", "secret")
    announce(tmp_path, owner)

    assert announced(tmp_path) == owner
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    withdraw(tmp_path, Owner.of(8))
    assert announced(tmp_path) == owner, "another process's stays"
    withdraw(tmp_path, owner)
    assert announced(tmp_path) is None
