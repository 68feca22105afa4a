"""What a snapshot may hold, which ones are refused, and that a refusal changes nothing."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.helpers.serving import ROOT, run_command
from tests.helpers.tiny import label_next, tiny_project
from tidal_core.errors import InputError, ProjectExists, SchemaTooNew
from tidal_core.projects import home, open_project, project_slugs
from tidal_core.rounds.queue_plan import fill_queue
from tidal_core.snapshots.restoring import restore
from tidal_core.snapshots.writing import backup
from tidal_core.store.database import Database
from tidal_core.store.migrations import MIGRATIONS, Migration

Values = dict[str, Any]


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """A snapshot whose project is not there any more under this home."""
    project = tiny_project()
    fill_queue(project)
    label_next(project, 7)
    backup(project, tmp_path / "b.zip", {})
    project.close()
    project.folder.rename(tmp_path / "elsewhere")
    return tmp_path / "b.zip"


def parts(snapshot: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(snapshot) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def forge(
    snapshot: Path,
    members: dict[str, bytes] | None = None,
    change: Callable[[Values], object] | None = None,
    compression: int = zipfile.ZIP_STORED,
) -> Path:
    """The snapshot with members added or replaced, a manifest that agrees with them, and a change of the manifest."""
    found = {**parts(snapshot), **(members or {})}
    manifest = json.loads(found.pop("manifest.json"))
    for name, data in (members or {}).items():
        manifest["members"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    if change is not None:
        change(manifest)
    forged = snapshot.with_name("forged.zip")
    with zipfile.ZipFile(forged, "w", compression) as archive:
        for name, data in {**found, "manifest.json": json.dumps(manifest).encode()}.items():
            archive.writestr(name, data)
    return forged


def nothing_changed() -> bool:
    return project_slugs() == [] and not list((home() / "projects").glob("*"))


def test_what_forge_leaves_alone_is_restored(snapshot: Path) -> None:
    assert restore(forge(snapshot)).slug == "tiny"
    with open_project("tiny").store as store:
        assert store.answers.count() == 7


@pytest.mark.parametrize(
    "name",
    [
        *("../evil", "/etc/evil", "checkpoints/../../evil", "checkpoints/round-0001.safetensors/x", "owner.json"),
        *("project.duckdb.wal", "images/../evil.jpg", "images/1.jpg", "IMAGES/000001.jpg", "C:\\evil", "notes.txt"),
        *("checkpoints/", "images/000001.jpg\n"),
    ],
)
def test_a_member_that_no_snapshot_has_is_refused(snapshot: Path, name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="which is not part of a snapshot; nothing was restored"):
        restore(forge(snapshot, {name: b"x"}))
    assert nothing_changed()
    assert not list(tmp_path.rglob("evil*"))


def test_a_link_becomes_no_link(snapshot: Path) -> None:
    forged = forge(snapshot, {"images/000001.png": b"/etc/passwd"})
    with zipfile.ZipFile(forged, "a") as archive:
        archive.getinfo("images/000001.png").external_attr = 0o120777 << 16
        archive._didModify = True  # type: ignore[attr-defined]

    done = restore(forged)

    place = done.folder / "originals" / "restored" / "000001.png"
    assert not place.is_symlink()
    assert place.read_bytes() == b"/etc/passwd"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m.update(format="a holiday"), "is not a snapshot of this studio but 'a holiday'"),
        (lambda m: m.update(version=2), "was written by a newer version of TiDAL Studio .*Update the studio"),
        (lambda m: m.pop("members"), "has a manifest that cannot be read"),
        (lambda m: m.update(members=[]), "has a manifest that cannot be read"),
        (lambda m: m["members"].pop("pixels.npy"), "does not contain the files that its manifest lists"),
        (lambda m: m["members"]["pixels.npy"].update(bytes=5), "pixels.npy does not match the manifest"),
        (lambda m: m["members"]["pixels.npy"].update(sha256="0" * 64), "pixels.npy is damaged"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused_in_words(
    snapshot: Path, change: Callable[[Values], object], said: str
) -> None:
    with pytest.raises(InputError, match=f"{snapshot.with_name('forged.zip')}:? {said}"):
        restore(forge(snapshot, change=change))
    assert nothing_changed()


def test_tables_of_a_newer_version_are_refused_whatever_the_manifest_says(snapshot: Path) -> None:
    with pytest.raises(SchemaTooNew, match=r"its tables are at step 999, this version knows .*Update the studio"):
        restore(forge(snapshot, change=lambda manifest: manifest.update(schema=999)))
    project = tiny_project()
    with project.store.database.write() as cursor:
        cursor.execute("INSERT INTO migrations VALUES (999, 'from the future', now())")
    backup(project, snapshot.with_name("new.zip"), {})
    project.close()
    project.folder.rename(snapshot.with_name("away"))

    with pytest.raises(SchemaTooNew, match="Update the studio"):
        restore(forge(snapshot.with_name("new.zip"), change=lambda manifest: manifest.update(schema=1)))
    assert nothing_changed()


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (
            "CREATE VIEW more AS SELECT content FROM read_text('/etc/hostname')",
            "has a view 'more' .* nothing of it was",
        ),
        ("CREATE MACRO max(a) AS 0", "has a macro 'max' that this studio did not make"),
        ("ALTER TABLE images ADD COLUMN more TEXT", "has a table 'images' that this studio did not make"),
        ("UPDATE images SET sha256 = '../../../evil' WHERE id = 1", "hash '../../../evil', which no file has"),
        ("UPDATE images SET split = 'none' WHERE id = 1", "none"),
        ("UPDATE settings SET value = '{'", "ProjectSettings cannot be used"),
    ],
)
def test_a_project_file_with_what_no_studio_writes_is_not_restored(
    snapshot: Path, tmp_path: Path, statement: str, words: str
) -> None:
    database = tmp_path / "project.duckdb"
    database.write_bytes(parts(snapshot)["project.duckdb"])
    with duckdb.connect(str(database)) as connection:
        connection.execute(statement)
    with pytest.raises(InputError, match=rf"forged\.zip is not restored: .*{words}"):
        restore(forge(snapshot, {"project.duckdb": database.read_bytes()}), "again")
    assert nothing_changed()


def test_weights_are_never_looked_for_outside_of_their_folder(snapshot: Path, tmp_path: Path) -> None:
    restore(snapshot)
    database = home() / "projects" / "tiny" / "project.duckdb"
    with duckdb.connect(str(database)) as connection:
        connection.execute("INSERT INTO rounds SELECT 1, 'done', '{}', 's', '1', 1, 1, 'x', now(), now(), now(), NULL, "
                           "'../../../evil.safetensors', NULL, NULL, 0")  # fmt: skip
    with open_project("tiny").store as store:
        assert store.rounds.get(1).checkpoint is None


def test_an_older_snapshot_is_brought_to_this_versions_tables(snapshot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Migration("a later step", ("ALTER TABLE images ADD COLUMN colour TEXT DEFAULT 'blue'",))
    monkeypatch.setattr(Database.__init__, "__defaults__", ((*MIGRATIONS, step),))

    restore(snapshot)

    with open_project("tiny").store as store:
        assert store.database.value("SELECT colour FROM images WHERE id = 1") == "blue"
        assert store.answers.count() == 7


def test_packed_members_are_refused(snapshot: Path) -> None:
    with pytest.raises(InputError, match="does not match the manifest"):
        restore(forge(snapshot, compression=zipfile.ZIP_DEFLATED))


def test_two_members_of_one_name_are_refused(snapshot: Path) -> None:
    with zipfile.ZipFile(snapshot, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("pixels.npy", parts(snapshot)["pixels.npy"])
    with pytest.raises(InputError, match="does not contain the files that its manifest lists"):
        restore(snapshot)


def test_one_wrong_byte_is_found(snapshot: Path) -> None:
    data = bytearray(snapshot.read_bytes())
    data[len(data) // 2] ^= 1
    snapshot.write_bytes(data)
    with pytest.raises(InputError, match="use another copy of the file"):
        restore(snapshot)
    assert nothing_changed()


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.999])
def test_a_part_of_a_snapshot_is_refused(snapshot: Path, kept: float) -> None:
    data = snapshot.read_bytes()
    snapshot.write_bytes(data[: int(kept if kept > 1 else kept * len(data))])
    with pytest.raises(InputError, match="is not a snapshot, or is incomplete"):
        restore(snapshot)
    assert nothing_changed()


def test_other_zips_and_names_that_are_no_file_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("a.jpg", b"x")
    with pytest.raises(InputError, match=r"it has no manifest\.json"):
        restore(tmp_path / "photos.zip")
    with pytest.raises(InputError, match=r"nowhere\.zip cannot be read"):
        restore(tmp_path / "nowhere.zip")
    with pytest.raises(InputError, match="cannot be read"):
        restore(tmp_path)


def test_a_project_that_is_there_is_never_replaced(snapshot: Path) -> None:
    restore(snapshot)
    with pytest.raises(ProjectExists, match="restore under another name: --name OTHER"):
        restore(snapshot)
    assert restore(snapshot, "Another one").slug == "another-one"
    assert project_slugs() == ["another-one", "tiny"]


def test_a_restored_project_is_another_one_for_browsers(snapshot: Path) -> None:
    ids = set()
    for name in ("one", "two"):
        restore(snapshot, name)
        with open_project(name).store as store:
            ids.add(store.settings.get("project_id"))
    assert len(ids) == 2
    assert None not in ids


def test_a_restore_that_is_killed_leaves_no_project_and_is_cleaned_up_by_the_next(snapshot: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from tidal_core.snapshots.restoring import restore
def show(done, total):
    print("some", flush=True)
    sys.stdin.read()
restore(Path({str(snapshot)!r}), progress=show)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env=os.environ
    ) as victim:
        assert victim.stdout is not None
        assert victim.stdout.readline() == b"some\n"
        victim.kill()
    assert project_slugs() == []
    assert len(list((home() / "projects").glob(".tiny.*"))) == 1

    restore(snapshot)

    assert project_slugs() == ["tiny"]
    assert [path.name for path in (home() / "projects").iterdir()] == ["tiny"]


def test_the_command_says_what_is_wrong_in_one_line(snapshot: Path) -> None:
    snapshot.write_bytes(b"PK nonsense")
    ended = run_command("restore", snapshot)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"Error: {snapshot} is not a snapshot, or is incomplete")
    assert ended.stderr.count("\n") == 1
