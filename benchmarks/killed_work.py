"""Work of each kind, done in a process that is killed with SIGKILL at any moment, and what is then left of it.

A kind says how its work is prepared, what the process does, and how its outcome is checked once the work has been done
again or taken up to its end. Processes are forked from one that has loaded everything, so that a kill costs little more
than the work.
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import shutil
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tests.experiments.made import TINY, make_dataset
from tests.helpers.frozen import compute_all, frozen_project
from tests.helpers.tiny import label_next, tiny_project
from tidal_core.config import PRESETS, ProjectSettings
from tidal_core.engine.features.store import open_features
from tidal_core.engine.model import read_tensors
from tidal_core.errors import ProjectNotFound, TidalError
from tidal_core.experiments.files import Spec, begin
from tidal_core.experiments.running import execute_all, runs_of
from tidal_core.experiments.runs import TIMES
from tidal_core.export.tables import export
from tidal_core.export.tables.base import ExportOptions
from tidal_core.images.ingest import ingest
from tidal_core.images.pixels import PixelStore, needs_refill
from tidal_core.images.pixels.refilling import refill
from tidal_core.projects import Project, create_project, open_project, project_folder, project_slugs
from tidal_core.rounds.due import claim_round
from tidal_core.rounds.features import wanted
from tidal_core.rounds.queue_plan import fill_queue
from tidal_core.rounds.run import RoundRun
from tidal_core.server.studio import DEMO, Studio, make_demo
from tidal_core.snapshots.restoring import restore
from tidal_core.snapshots.writing import backup

PHOTOS = 60
DIGITS = 1_797  # of the demo
SHORT = replace(PRESETS["quick"], epochs=6, min_steps=0)  # a round of a moment


@dataclass
class Tally:
    """What came of the kills."""

    kills: int = 0
    ended: int = 0  # times that the work had ended before it was killed
    lost: Counter[str] = field(default_factory=Counter)  # by kind: what was there, or acknowledged, and is not
    doubled: Counter[str] = field(default_factory=Counter)
    unopened: Counter[str] = field(default_factory=Counter)  # projects and files that could not be read afterwards
    different: Counter[str] = field(default_factory=Counter)  # came out otherwise than without a kill


@dataclass(frozen=True)
class Kind:
    """One kind of work. ``prepare`` runs once, ``work`` in the process, ``check`` after each kill; all in its home."""

    name: str
    prepare: Callable[[Path], None]
    work: Callable[[Path, int], None]
    check: Callable[[Path, Tally], None]


def kill_often(kind: Kind, home: Path, kills: int, seed: int, tally: Tally) -> None:
    """Do the work of a kind so many times, killed at a random moment of the time that it takes."""
    home.mkdir(parents=True)
    os.environ["TIDAL_HOME"] = str(home)
    kind.prepare(home)
    rng = np.random.default_rng(seed)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    longest = 1.0
    for number in range(kills + 1):
        process = context.Process(target=_work, args=(kind.name, home, number))
        process.start()
        began = time.perf_counter()
        if number:
            process.join(float(rng.uniform(0.02, longest)))
        else:  # not killed: how long it takes
            process.join(10.0)
            longest = max(0.1, time.perf_counter() - began)
        was_alive = process.exitcode is None
        process.kill()
        process.join()
        if number:
            tally.kills += was_alive
            tally.ended += not was_alive
        try:
            kind.check(home, tally)
        except (TidalError, OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            print(f"{kind.name}: {error!r}", flush=True)
            tally.unopened[kind.name] += 1


def _work(name: str, home: Path, number: int) -> None:
    os.environ["TIDAL_HOME"] = str(home)
    torch.set_num_threads(1)
    PRESETS["quick"] = SHORT
    KINDS[name].work(home, number)


# --- imports and the pixel cache


def _photos(home: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(PHOTOS):
        folder = home / "photos" / "abc"[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 32, 3), dtype=np.uint8)).save(folder / f"{number}.png")


def _import(home: Path, _: int) -> None:
    project = create_project("work", ProjectSettings(title="work", training_size=16))
    ingest(project, str(home / "photos"), labels="answers")
    project.close()


def _check_import(home: Path, tally: Tally) -> None:
    if "work" not in project_slugs():
        return
    project = open_project("work")
    ingest(project, str(home / "photos"), labels="answers")
    rows = [image.pixel_row for image in project.store.images.all()]
    n_labels = len(project.store.answers.answered_images())
    tally.lost["import"] += max(0, PHOTOS - project.store.images.count()) + max(0, PHOTOS - n_labels)
    tally.doubled["import"] += max(0, project.store.images.count() - PHOTOS) + len(rows) - len(set(rows))
    project.close()
    shutil.rmtree(project_folder("work"))


def _prepare_refill(home: Path) -> None:
    _photos(home)
    _import(home, 0)


def _refill(_: Path, number: int) -> None:
    project = open_project("work")
    side = 16 if project.settings.training_size != 16 else 24
    project.store.settings.save(replace(project.settings, training_size=side))
    refill(project)
    project.close()


def _check_refill(_: Path, tally: Tally) -> None:
    project = open_project("work")
    if needs_refill(project):
        refill(project)
    size = project.settings.training_size
    store = PixelStore(project.pixels)
    tally.different["refill"] += store.shape[1:] != (size, size, 3)
    tally.lost["refill"] += max(0, PHOTOS - store.shape[0]) + int(
        not store[np.arange(PHOTOS)].any(axis=(1, 2, 3)).all()
    )
    project.close()


# --- features and rounds


def _prepare_features(home: Path) -> None:
    project = frozen_project(24, 3)
    compute_all(project)
    np.save(home / "features.npy", _features(project))
    project.close()


def _features(project: Project) -> np.ndarray:
    store = wanted(project)
    assert store is not None
    return open_features(store.path).take(project.store.images.ids_and_pixel_rows()[1])


def _compute_features(_: Path, number: int) -> None:
    project = open_project("tiny")
    shutil.rmtree(project.features, ignore_errors=True)
    compute_all(project)
    project.close()


def _check_features(home: Path, tally: Tally) -> None:
    project = open_project("tiny")
    compute_all(project)
    close = np.allclose(_features(project), np.load(home / "features.npy"), rtol=2e-2, atol=2e-3)
    tally.different["features"] += not close
    project.close()


def _prepare_round(home: Path) -> None:
    PRESETS["quick"] = SHORT
    project = tiny_project()
    fill_queue(project)
    label_next(project, 12)
    project.close()
    shutil.copytree(project_folder("tiny"), home / "before")
    _round(home, 0)
    shutil.copy(next(project_folder("tiny").glob("checkpoints/round-0001.safetensors")), home / "weights.safetensors")
    shutil.rmtree(project_folder("tiny"))
    shutil.copytree(home / "before", project_folder("tiny"))


def _round(_: Path, number: int) -> None:
    project = open_project("tiny")
    record = project.store.rounds.active() or claim_round(project, started_by="person")
    RoundRun(project, record, report=lambda _: None, should_stop=lambda: False).run()
    project.close()


def _check_round(home: Path, tally: Tally) -> None:
    PRESETS["quick"] = SHORT
    project = open_project("tiny")
    unfinished = project.store.rounds.latest() is None or project.store.rounds.active() is not None
    tally.lost["round"] += 12 - len(project.store.answers.answered_images())
    project.close()
    if unfinished:
        _round(home, 0)
    ours, theirs = (
        read_tensors(path)[0]
        for path in (project_folder("tiny") / "checkpoints/round-0001.safetensors", home / "weights.safetensors")
    )
    tally.different["round"] += any(not torch.equal(ours[name], tensor) for name, tensor in theirs.items())
    shutil.rmtree(project_folder("tiny"))
    shutil.copytree(home / "before", project_folder("tiny"))


# --- files that go out and come back


def _prepare_project(home: Path) -> None:
    project = tiny_project(200)
    fill_queue(project)
    label_next(project, 40)
    (home / "out").mkdir()
    backup(project, home / "whole.zip", {})
    export(project, home / "whole.csv")
    project.close()


def _backup(home: Path, number: int) -> None:
    project = open_project("tiny")
    for turn in itertools.count():
        backup(project, home / "out" / f"{number}-{turn}.zip", {})


def _check_backup(home: Path, tally: Tally) -> None:
    for file in (home / "out").glob("*.zip"):
        if file.name.startswith("."):
            continue
        with zipfile.ZipFile(file) as archive:
            tally.unopened["backup"] += archive.testzip() is not None
        file.unlink()
    project = open_project("tiny")
    tally.lost["backup"] += 40 - len(project.store.answers.answered_images())
    backup(project, home / "out" / "last.zip", {})  # takes away what was left
    project.close()
    (home / "out" / "last.zip").unlink()
    tally.different["backup"] += len(list((home / "out").iterdir()))


def _export(home: Path, number: int) -> None:
    project = open_project("tiny")
    for _ in itertools.count():
        export(project, home / "out" / "labels.csv", options=ExportOptions(overwrite=True))


def _check_export(home: Path, tally: Tally) -> None:
    file = home / "out" / "labels.csv"
    if file.exists():
        tally.different["export"] += file.read_bytes() != (home / "whole.csv").read_bytes()
    project = open_project("tiny")
    export(project, file, options=ExportOptions(overwrite=True))
    project.close()
    tally.different["export"] += [path.name for path in (home / "out").iterdir()] != [file.name]


def _restore(home: Path, number: int) -> None:
    restore(home / "whole.zip", "back")


def _check_restore(home: Path, tally: Tally) -> None:
    if "back" not in project_slugs():
        restore(home / "whole.zip", "back")
    project = open_project("back")
    tally.lost["restore"] += 40 - len(project.store.answers.answered_images())
    project.close()
    shutil.rmtree(project_folder("back"))
    left = [path.name for path in project_folder("back").parent.iterdir()]
    tally.different["restore"] += left != ["tiny"]


# --- classes, experiments, the first start


def _classes(home: Path, number: int) -> None:
    project = open_project("tiny")
    classes = project.store.classes
    with (home / "acknowledged").open("a", encoding="utf-8") as file:
        for turn in itertools.count():
            (added,) = classes.add([f"class {number} {turn}"])
            file.write(f"{added.id}\tclass {number} {turn}\n")
            file.flush()
            os.fsync(file.fileno())
            if turn % 5 == 4:
                classes.change(added.id, name=f"renamed {number} {turn}")
                classes.merge(added.id, 1)
            if turn % 7 == 6:
                classes.arrange([record.id for record in reversed(classes.all())])


def _check_classes(home: Path, tally: Tally) -> None:
    project = open_project("tiny")
    known = {record.id: record for record in project.store.classes.all(include_retired=True)}
    ids = [record.id for record in project.store.classes.all(include_retired=True)]
    lines = (home / "acknowledged").read_text("utf-8").splitlines() if (home / "acknowledged").exists() else []
    for line in lines:
        class_id, name = line.split("\t")
        record = known.get(int(class_id))
        tally.lost["classes"] += record is None
        renamed = record is not None and record.name.replace("renamed", "class") == name
        tally.different["classes"] += record is not None and not renamed
    tally.doubled["classes"] += len(ids) - len(set(ids))
    tally.lost["classes"] += sum(class_id not in known for class_id in (1, 2, 3))
    project.close()
    if len(ids) > 150:  # enough; a table of thousands is another matter
        (home / "acknowledged").unlink()
        shutil.rmtree(project_folder("tiny"))
        tiny_project(20).close()


def _prepare_classes(_: Path) -> None:
    tiny_project(20).close()


SPEC = Spec("made", TINY, ("random", "margin"), (1.0,), 1)


def _prepare_experiment(home: Path) -> None:
    dataset = make_dataset(home / "data")
    alone = begin(home, "alone", SPEC)
    execute_all(alone, dataset, say=lambda _: None)


def _experiment(home: Path, number: int) -> None:
    execute_all(begin(home, "killed", SPEC), make_dataset(home / "data"), say=lambda _: None)


def _check_experiment(home: Path, tally: Tally) -> None:
    dataset = make_dataset(home / "data")
    killed = begin(home, "killed", SPEC)
    execute_all(killed, dataset, say=lambda _: None)
    for ours, theirs in zip(runs_of(killed, dataset), runs_of(begin(home, "alone", SPEC), dataset), strict=True):
        lines = [
            [
                {key: value for key, value in json.loads(line).items() if key not in TIMES}
                for line in run.file.read_text("utf-8").splitlines()
            ]
            for run in (ours, theirs)
        ]
        tally.different["experiment"] += lines[0] != lines[1]
    shutil.rmtree(killed.folder)


def _first_start(_: Path, number: int) -> None:
    make_demo().close()


def _check_first_start(_: Path, tally: Tally) -> None:
    studio = Studio(with_worker=False)
    tally.lost["first start"] += DIGITS - studio.demo().store.images.count()
    studio.close()
    try:
        shutil.rmtree(project_folder(DEMO))
    except FileNotFoundError as error:
        raise ProjectNotFound("the demo is not where it was made") from error


KINDS = {
    kind.name: kind
    for kind in (
        Kind("import", _photos, _import, _check_import),
        Kind("refill", _prepare_refill, _refill, _check_refill),
        Kind("features", _prepare_features, _compute_features, _check_features),
        Kind("round", _prepare_round, _round, _check_round),
        Kind("backup", _prepare_project, _backup, _check_backup),
        Kind("export", _prepare_project, _export, _check_export),
        Kind("restore", _prepare_project, _restore, _check_restore),
        Kind("classes", _prepare_classes, _classes, _check_classes),
        Kind("experiment", _prepare_experiment, _experiment, _check_experiment),
        Kind("first start", lambda _: None, _first_start, _check_first_start),
    )
}
