"""Files and folders are written whole or not at all, and what a killed process leaves is found and removed."""

import os
import re
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tidal_core import files
from tidal_core.errors import InputError
from tidal_core.files import atomic, atomic_file, replaced, scratch, sweep, write

Writer = Callable[[Path], object]


def inside(code: str, *arguments: object) -> subprocess.Popen[bytes]:
    """Another process that imports everything of ``files`` and runs ``code``."""
    head = "import os, sys\nfrom pathlib import Path\nfrom tidal_core.files import *\ntarget = Path(sys.argv[1])\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + code, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def begun(code: str, target: Path) -> subprocess.Popen[bytes]:
    """As ``inside``, returned once it has printed a line; it ends when it is killed."""
    process = inside(code, target)
    assert process.stdout is not None
    assert process.stdout.readline() == b"begun\n"
    return process


FILE = "with atomic(target) as beside:\n    beside.write_bytes(b'half')\n"
FOLDER = "with atomic(target) as beside:\n    beside.mkdir()\n    (beside / 'a').write_bytes(b'half')\n"
HANDLE = "with atomic_file(target) as file:\n    file.write(b'half')\n    file.flush()\n"
WAIT = "    print('begun', flush=True)\n    sys.stdin.read()\n"


def test_a_file_is_written_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    with atomic(tmp_path / "a.txt") as beside:
        beside.write_text("whole")
        assert not (tmp_path / "a.txt").exists()
        assert beside.parent.parent == tmp_path
        (beside.parent / ".tmp-of-a-library").touch()

    assert [path.read_text() for path in tmp_path.iterdir()] == ["whole"]


@pytest.mark.parametrize("code", [FILE, HANDLE])
def test_a_process_that_ends_in_between_leaves_the_old_file_whole(tmp_path: Path, code: str) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")

    with inside(code + "    os._exit(9)\n", target) as process:
        assert process.wait() == 9

    assert target.read_text() == "old"
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == [target]


def test_a_process_that_ends_in_between_leaves_no_folder(tmp_path: Path) -> None:
    target = tmp_path / "tree"

    with inside(FOLDER + "    os._exit(9)\n", target) as process:
        process.wait()

    assert not target.exists()
    assert sweep(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []


def _fail_in_a_file(target: Path) -> None:
    with atomic(target) as beside:
        beside.write_text("half")
        raise KeyboardInterrupt


def _fail_in_a_folder(target: Path) -> None:
    with atomic(target) as beside:
        (beside / "b").mkdir(parents=True)
        (beside / "b" / "c.txt").write_text("half")
        raise KeyboardInterrupt


def _fail_in_an_open_file(target: Path) -> None:
    with atomic_file(target) as file:
        file.write(b"half")
        raise KeyboardInterrupt


@pytest.mark.parametrize("failing", [_fail_in_a_file, _fail_in_a_folder, _fail_in_an_open_file])
@pytest.mark.parametrize("named", [True, False])
def test_an_exception_leaves_nothing(
    tmp_path: Path, failing: Writer, named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if named:  # as on a system without nameless files
        monkeypatch.setattr(files, "_nameless", lambda folder, mode: None)

    with pytest.raises(KeyboardInterrupt):
        failing(tmp_path / "a")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("named", [True, False])
def test_an_open_file_replaces_refuses_or_stays_as_it_was_asked(
    tmp_path: Path, named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if named:
        monkeypatch.setattr(files, "_nameless", lambda folder, mode: None)
    target = tmp_path / "a.txt"
    write(target, "äöü")
    os.utime(target, (1, 1))

    with atomic_file(target, keep_equal=True) as file:
        file.write("äöü".encode())
    assert target.stat().st_mtime == 1
    with pytest.raises(FileExistsError), atomic_file(target, replacing=False) as file:
        file.write(b"new")
    assert target.read_text(encoding="utf-8") == "äöü"
    with atomic_file(target, durable=True) as file:
        file.write(b"new")
    assert target.read_bytes() == b"new"
    with atomic_file(tmp_path / "b.txt", replacing=False, durable=True) as file:
        file.write(b"b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.txt"]


def test_files_have_the_permissions_of_any_other_and_private_ones_none_for_others(tmp_path: Path) -> None:
    (tmp_path / "ordinary").touch()
    write(tmp_path / "open", "x")
    write(tmp_path / "secret", "x", private=True)
    with atomic(tmp_path / "path") as beside:
        beside.touch()

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}

    assert modes["open"] == modes["path"] == modes["ordinary"]
    assert modes["secret"] == 0o600


def test_an_empty_folder_is_replaced_and_one_that_holds_anything_never(tmp_path: Path) -> None:
    for name in ("empty", "full"):
        (tmp_path / name).mkdir()
    (tmp_path / "full" / "precious").touch()

    for name in ("empty", "full"):
        try:
            with atomic(tmp_path / name, durable=True) as beside:
                beside.mkdir()
                (beside / "new").touch()
        except OSError:
            assert name == "full"

    assert [path.name for path in (tmp_path / "empty").iterdir()] == ["new"]
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["precious"]
    assert len(list(tmp_path.iterdir())) == 2


FULL = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    with replaced(target) as beside:
        beside.write_bytes(bytes(1_000))
except ValueError as error:
    print(error)
"""


def test_a_full_disk_is_named_with_what_helps_and_leaves_nothing(tmp_path: Path) -> None:
    with inside(FULL, tmp_path / "a.csv") as process:
        said = process.communicate()[0].decode()

    assert said == f"{tmp_path / 'a.csv'} cannot be written (File too large); free some space on the disk.\n"
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_is_named_with_what_helps(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with (
        pytest.raises(InputError, match=r"cannot be written .*; choose another folder or name"),
        replaced(tmp_path / "file" / "a.csv"),
    ):
        pass


SCRATCH = "with scratch('trial') as folder:\n    (folder / 'a').write_bytes(b'half')\n"


def test_what_is_needed_for_a_while_goes_with_it_or_with_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with begun(SCRATCH + WAIT, tmp_path) as process:
        with scratch("trial") as folder:
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            assert len(list(tmp_path.iterdir())) == 2
        assert len(list(tmp_path.iterdir())) == 1
        process.kill()
        process.wait()

        with scratch("other"):
            assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [FILE, FOLDER])
def test_the_sweep_leaves_what_a_running_process_has_on_its_way(tmp_path: Path, code: str) -> None:
    with begun(code + WAIT, tmp_path / "a") as process:
        with atomic(tmp_path / "own") as beside:
            beside.touch()
            assert sweep(tmp_path) == 0
        process.kill()
        process.wait()

        assert sweep(tmp_path) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["own"]


def test_the_sweep_removes_only_what_is_called_like_a_leftover_and_goes_below_only_when_asked(tmp_path: Path) -> None:
    gone = 2**22 + 1  # a number that no process has
    kept = [".hidden", "a.tidal-part", ".a.tidal-part"]
    kept += [f".a.{gone}-xyz-0.tidal-part", f"a.{gone}-0123abcd-0.tidal-part"]
    for name in (*kept, f".a.{gone}-0123abcd-0.tidal-part"):
        (tmp_path / name).touch()
    below = tmp_path / "below" / "deeper"
    below.mkdir(parents=True)
    (below / f".b.{os.getpid()}-0123abcd-7.tidal-part").mkdir()  # of an earlier process with this one's number
    (tmp_path / "link").symlink_to(below)

    assert sweep(tmp_path) == 1
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == sorted(kept)
    assert len(list(below.iterdir())) == 1
    assert sweep(tmp_path / "gone", below=True) == 0
    assert sweep(tmp_path, below=True) == 1
    assert list(below.iterdir()) == []


def test_a_leftover_that_is_a_link_is_removed_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "a").touch()
    (tmp_path / f".a.{2**22 + 1}-0123abcd-0.tidal-part").symlink_to(tmp_path / "precious")

    assert sweep(tmp_path) == 1
    assert (tmp_path / "precious" / "a").exists()


def test_where_a_file_in_use_cannot_be_replaced_it_is_tried_again_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Windows does it; here the refusal is made."""
    monkeypatch.setattr(files, "_REPLACE_TRIES", 3)
    monkeypatch.setattr(files, "_REPLACE_WAIT", 0)
    refusals, rename = [2], os.replace

    def refusing(before: Path, after: Path) -> None:
        if refusals[0]:
            refusals[0] -= 1
            raise PermissionError(13, "in use")
        rename(before, after)

    monkeypatch.setattr(os, "replace", refusing)
    write(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "new"

    refusals[0] = 3
    with pytest.raises(PermissionError):
        write(tmp_path / "a", "newer")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["new"]


def test_nothing_else_renames_or_makes_names_for_what_is_on_its_way() -> None:
    root = Path(files.__file__).parent
    other_ways = re.compile(
        r"\bos\.(replace|rename|link)\(|\.rename\(|shutil\.move|mkstemp|mkdtemp|Temporary(File|Directory)|\.fsync\("
    )

    found = {str(path.relative_to(root)) for path in root.rglob("*.py") if other_ways.search(path.read_text("utf-8"))}

    # Two wait until what they add to a file is on the disk: lines of a run, rows of features.
    assert found == {"files.py", "experiments/runs.py", "engine/features/store.py"}
