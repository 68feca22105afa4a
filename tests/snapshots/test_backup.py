"""A snapshot is taken while labels come in and a round trains, is whole or not there, and becomes the same project."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.gates import WAIT_SECONDS, RoundGate, wait_for
from tests.helpers.serving import ROOT, Listening, run_command
from tests.helpers.tiny import label_next, tiny_project
from tests.images.photos import save
from tests.snapshots.comparing import everything
from tidal_core.config import ProjectSettings
from tidal_core.engine.checkpoints import checkpoint_epoch
from tidal_core.errors import InputError
from tidal_core.images.ingest import ingest
from tidal_core.images.pixels import PixelStore, project_writer
from tidal_core.images.sources import read_uri
from tidal_core.projects import Project, create_project, open_project
from tidal_core.records import RoundState
from tidal_core.rounds.queue_plan import fill_queue
from tidal_core.server.studio import Studio
from tidal_core.snapshots.restoring import restore
from tidal_core.snapshots.writing import backup, unfinished
from tidal_core.store.database import Database, Snapshot

HALF_WAY = """
import sys
from pathlib import Path
from tidal_core.projects import open_project
from tidal_core.snapshots.writing import backup
def show(done, total):
    if done > total / 2:
        print("half", flush=True)
        sys.stdin.read()
with open_project("tiny").store as store:
    pass
backup(open_project("tiny"), Path(sys.argv[1]), {}, force=True, progress=show)
"""

NO_ROOM = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
sys.argv[0] = "tidal_core"
from tidal_core.cli import main
main()
"""


def labelled(n: int = 7) -> Project:
    project = tiny_project()
    fill_queue(project)
    label_next(project, n)
    return project


@pytest.mark.usefixtures("short_rounds")
def test_a_restored_project_equals_the_one_that_was_kept(tmp_path: Path) -> None:
    labelled().close()
    with Listening(with_worker=True) as running:
        project = running.studio.project("tiny")
        wait_for(
            lambda: project.store.rounds.latest(RoundState.DONE) and not project.store.rounds.active(), "the round"
        )
        done = run_command("backup", "tiny", tmp_path / "b.zip")
        kept = everything(project)
    assert done.returncode == 0, done.stderr
    assert "This project is open in a running studio" in done.stderr

    told = run_command("restore", tmp_path / "b.zip", "--name", "Again")
    restored = open_project("again")

    assert told.returncode == 0, told.stderr
    assert "Project again: 75 images, as of 20" in told.stdout
    assert "75 original photos are missing, the first: /photos/0.png" in told.stdout
    assert restored.title == "Again"
    restored.store.settings.save(replace(restored.settings, title="tiny"))
    found = everything(restored)
    assert len(found["curves"]) == 7 * len(found["epochs"]) > 0  # type: ignore[arg-type]
    assert list(found["weights"]) == ["round-0001.safetensors"]  # type: ignore[call-overload]
    assert found == kept
    restored.close()


@pytest.mark.usefixtures("short_rounds")
def test_labels_and_a_round_go_on_while_a_snapshot_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labelled().close()
    gate = RoundGate(tmp_path / "gate", epochs=3)
    gate.install(monkeypatch)
    with Listening(with_worker=True) as running:
        project = running.studio.project("tiny")
        gate.wait_held(3)

        def go_on(epoch: int) -> None:
            label_next(project, 1)
            gate.allow(epoch)
            gate.wait_held(epoch)

        take, read = Database.snapshot, Snapshot.chunks

        def taken_later(database: Database) -> Snapshot:
            go_on(5)  # between the reading of the checkpoint and of the file
            return take(database)

        def read_slowly(snapshot: Snapshot) -> Iterator[bytes]:
            go_on(7)
            return read(snapshot)

        with monkeypatch.context() as patch:
            patch.setattr(Database, "snapshot", taken_later)
            patch.setattr(Snapshot, "chunks", read_slowly)
            done = run_command("backup", "tiny", tmp_path / "b.zip")
        assert done.returncode == 0, done.stderr
        kept = project.store.answers.all()
        trained = len(project.store.epochs.of(1))

    restored = open_project(restore(tmp_path / "b.zip", "again").slug)

    assert (len(kept), trained) == (9, 7)
    assert restored.store.answers.all() == kept[:8]
    assert restored.store.rounds.get(1).state is RoundState.TRAINING
    assert len(restored.store.epochs.of(1)) == 5
    assert checkpoint_epoch(restored.checkpoints / "round-0001.resume") == 3
    restored.close()


@pytest.mark.usefixtures("short_rounds")
def test_a_round_goes_on_in_the_restored_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labelled().close()
    gate = RoundGate(tmp_path / "gate", epochs=3)
    gate.install(monkeypatch)
    with Listening(with_worker=True) as running:
        running.studio.project("tiny")
        gate.wait_held(3)
        done = run_command("backup", "tiny", tmp_path / "b.zip")
        assert done.returncode == 0, done.stderr

    slug = restore(tmp_path / "b.zip", "again").slug
    gate.release()
    studio = Studio()
    again = studio.project(slug)
    wait_for(lambda: again.store.rounds.get(1).state is RoundState.DONE, "the round")
    epochs = [one.record.epoch for one in again.store.epochs.of(1)]
    log = [line.message for line in again.store.log.last()]
    studio.worker.stop(WAIT_SECONDS)
    studio.close()

    assert epochs == list(range(1, 41))
    assert "Round 1 resumes after epoch 3." in log


def test_a_backup_without_a_studio_is_the_same(tmp_path: Path) -> None:
    project = labelled()
    kept = everything(project)
    project.close()

    done = run_command("backup", "tiny", tmp_path / "b.zip")
    restored = open_project(restore(tmp_path / "b.zip", "again").slug)
    restored.store.settings.save(replace(restored.settings, title="tiny"))

    assert "running studio" not in done.stderr
    assert done.stdout.startswith("tiny: 2 files, ")
    assert everything(restored) == kept
    restored.close()


def test_a_backup_that_is_killed_leaves_no_file_and_no_harm(tmp_path: Path) -> None:
    labelled().close()
    folder = tmp_path / "backups"
    folder.mkdir()
    (folder / "b.zip").write_bytes(b"the last one")

    with subprocess.Popen(
        [sys.executable, "-c", HALF_WAY, str(folder / "b.zip")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as victim:
        assert victim.stdout is not None
        assert victim.stdout.readline() == b"half\n"
        victim.kill()

    assert [path.name for path in folder.iterdir()] == ["b.zip"]
    assert (folder / "b.zip").read_bytes() == b"the last one"
    with open_project("tiny").store as store:
        assert store.answers.count() == 7
    assert run_command("backup", "tiny", folder / "b.zip", "--force").returncode == 0
    assert restore(folder / "b.zip", "again").images == 75


def test_a_file_that_is_there_is_replaced_only_when_asked(tmp_path: Path) -> None:
    project = labelled()
    target = tmp_path / "b.zip"
    target.write_bytes(b"precious")

    with pytest.raises(InputError, match="already exists; choose another name, or replace it with --force"):
        backup(project, target, {})
    assert target.read_bytes() == b"precious"
    backup(project, target, {}, force=True)

    assert restore(target, "again").images == 75
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.glob("*.zip*")] == ["b.zip"]
    project.close()


@pytest.mark.parametrize(
    ("name", "said"),
    [("", "is a folder"), ("nowhere/b.zip", "there is no folder"), ("b.csv", "'b.csv' does not end with .zip")],
)
def test_a_target_that_cannot_be_is_refused(tmp_path: Path, name: str, said: str) -> None:
    project = labelled()
    with pytest.raises(InputError, match=said):
        backup(project, tmp_path / name, {})
    project.close()


def test_where_there_is_no_room_it_is_said_and_nothing_is_left(tmp_path: Path) -> None:
    labelled().close()
    folder = tmp_path / "backups"
    folder.mkdir()

    ended = subprocess.run(
        [sys.executable, "-c", NO_ROOM, "backup", "tiny", str(folder / "b.zip")],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )

    assert ended.returncode == 1
    assert re.search(r"b\.zip could not be written: the disk is full\. It needs about \d+ MB, and", ended.stderr)
    assert "MB are free there; free some space, or write it elsewhere." in ended.stderr
    assert "Traceback" not in ended.stderr
    assert list(folder.iterdir()) == []


def test_only_the_checkpoint_read_before_the_file_goes_in(tmp_path: Path) -> None:
    project = labelled()
    (project.checkpoints / "round-0009.resume").write_bytes(b"of no round that the file knows")
    going_on = unfinished(project.folder)

    done = backup(project, tmp_path / "b.zip", going_on)

    assert list(going_on) == ["round-0009.resume"]
    assert sorted(done.manifest.members) == ["pixels.npy", "project.duckdb"]
    project.close()


def photos_project(tmp_path: Path) -> Project:
    for seed, name in enumerate(["a/1.jpg", "a/2.png", "b/3.jpg"]):
        save(tmp_path / "photos" / name, seed=seed, size=(40, 30))
    project = create_project("photos", ProjectSettings(title="Photos", training_size=16))
    ingest(project, str(tmp_path / "photos"), labels="answers")
    return project


def test_photos_come_along_when_asked_and_are_read_from_the_restored_project(tmp_path: Path) -> None:
    project = photos_project(tmp_path)
    originals = [read_uri(image.uri) for image in project.store.images.all()]
    backup(project, tmp_path / "b.zip", {}, with_images=True)
    project.close()
    for path in (tmp_path / "photos").rglob("*.*"):
        path.unlink()

    done = restore(tmp_path / "b.zip", "again")
    restored = open_project("again")

    assert done.missing == ()
    assert [read_uri(image.uri) for image in restored.store.images.all()] == originals
    assert all(str(done.folder) in image.uri for image in restored.store.images.all())
    assert restored.store.answers.count() == 3
    restored.close()


def test_without_photos_those_that_are_gone_are_named(tmp_path: Path) -> None:
    project = photos_project(tmp_path)
    done = backup(project, tmp_path / "b.zip", {})
    project.close()
    (tmp_path / "photos" / "a" / "2.png").unlink()

    assert done.own_photos == 0
    assert not any(name.startswith("images/") for name in done.manifest.members)
    assert restore(tmp_path / "b.zip", "again").missing == (str(tmp_path / "photos" / "a" / "2.png"),)


def test_a_photo_that_cannot_be_read_is_named_and_the_rest_kept(tmp_path: Path) -> None:
    project = photos_project(tmp_path)
    (tmp_path / "photos" / "b" / "3.jpg").unlink()

    done = backup(project, tmp_path / "b.zip", {}, with_images=True)

    assert [problem.name for problem in done.problems] == ["b/3.jpg"]
    assert sum(name.startswith("images/") for name in done.manifest.members) == 2
    project.close()


def test_photos_in_the_projects_own_folder_are_pointed_out(tmp_path: Path) -> None:
    project = create_project("photos", ProjectSettings(training_size=16))
    save(project.folder / "originals/uploads/1.jpg", seed=1)
    ingest(project, str(project.folder / "originals" / "uploads"))
    project.close()

    done = run_command("backup", "photos", tmp_path / "b.zip")

    assert "1 photos are in the project's own folder" in done.stderr
    assert "--with-images" in done.stderr


@pytest.mark.parametrize("with_images", [False, True])
def test_images_beyond_the_pixel_cache_are_the_same_squares_again(tmp_path: Path, with_images: bool) -> None:
    for seed in range(5):
        save(tmp_path / "photos" / f"{seed}.png", seed=seed, size=(40, 30))
    project = create_project("photos", ProjectSettings(training_size=16, pixel_cache_gb=2 * 16 * 16 * 3 / 1e9))
    ingest(project, str(tmp_path / "photos"))
    squares = PixelStore(project.pixels)[np.arange(5)]
    done = backup(project, tmp_path / "b.zip", {}, with_images=with_images)
    project.close()
    if with_images:
        (tmp_path / "photos").rename(tmp_path / "elsewhere")

    restored = open_project(restore(tmp_path / "b.zip", "again").slug)

    assert "pixels.beyond" in done.manifest.members
    np.testing.assert_array_equal(PixelStore(restored.pixels)[np.arange(5)], squares)
    assert len(np.unique(squares[3:].reshape(2, -1), axis=0)) == 2
    restored.close()


def test_a_killed_import_that_had_just_begun_to_go_beyond_the_cache_can_be_kept(tmp_path: Path) -> None:
    for seed in range(3):
        save(tmp_path / "photos" / f"{seed}.png", seed=seed, size=(40, 30))
    project = create_project("photos", ProjectSettings(training_size=16, pixel_cache_gb=5.5 * 16 * 16 * 3 / 1e9))
    ingest(project, str(tmp_path / "photos"))
    squares = np.array(PixelStore(project.pixels)[np.arange(3)])
    with project_writer(project) as rows:  # three images whose batch the store never got
        rows.write(3, [squares[0]] * 3, [("/gone.png", "gone.png")] * 3)
    backup(project, tmp_path / "b.zip", {})
    project.close()

    restored = open_project(restore(tmp_path / "b.zip", "again").slug)

    np.testing.assert_array_equal(PixelStore(restored.pixels)[np.arange(3)], squares)
    restored.close()
