"""Another training size: the pixel cache is filled anew from the original files, and is whole or not there."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.gates import WAIT_SECONDS, wait_for
from tests.images.photos import save
from tidal_core.config import PixelSpec, ProjectSettings
from tidal_core.errors import InputError
from tidal_core.images.ingest import ingest
from tidal_core.images.pixels import (
    PixelStore,
    is_waiting,
    needs_refill,
    note_spec,
    refill,
    refilling,
    round_uses,
)
from tidal_core.images.previews import thumbnail
from tidal_core.images.reports import report_in_words
from tidal_core.images.squares import square_of
from tidal_core.projects import Project, create_project, open_project
from tidal_core.records import ImportProgress, RoundState
from tidal_core.rounds.due import claim_round

IMAGES = 40
ASKED = {"training_size": 48, "fit": "letterbox"}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for seed in range(IMAGES):
        save(tmp_path / "p" / "ab"[seed % 2] / f"{seed}.jpg", seed=seed, size=(70, 60))
    return tmp_path / "p"


def imported(photos: Path, **settings: object) -> Project:
    project = create_project("flowers", ProjectSettings(training_size=32, **settings))  # type: ignore[arg-type]
    assert ingest(project, str(photos), labels="answers").read == IMAGES
    return project


def ask(project: Project, **changes: object) -> None:
    from dataclasses import replace

    project.store.settings.save(replace(project.settings, **changes))  # type: ignore[arg-type]


def is_as_asked(project: Project) -> bool:
    """Whether every image's square is what an import at these settings would have made."""
    spec, pixels = project.settings.pixels, PixelStore(project.pixels)
    return all(
        np.array_equal(
            pixels[image.pixel_row],
            square_of(Path(image.uri).read_bytes(), image.name, spec.size, spec.fit, spec.grayscale),
        )
        for image in project.store.images.all()
    )


@pytest.mark.parametrize("changes", [ASKED, {"fit": "letterbox"}, {"grayscale": True}, {"training_size": 16}])
def test_every_square_is_made_anew_from_its_original(photos: Path, changes: dict[str, object]) -> None:
    project = imported(photos)
    before = project.store.images.all()
    ask(project, **changes)
    assert needs_refill(project)

    report = refill(project)

    assert (report.refilled, report.problems) == (IMAGES, ())
    assert report_in_words(report).startswith("40 images processed at the training size")
    assert is_as_asked(project)
    assert project.store.images.all() == before
    assert not needs_refill(project)
    assert not list(project.folder.glob("*next*"))
    project.close()


def test_a_cache_that_is_gone_is_made_again_once_another_size_of_it_is_saved(photos: Path) -> None:
    project = imported(photos)
    project.pixels.unlink()
    with pytest.raises(InputError, match="save another size of the pixel cache on the Project page"):
        PixelStore(project.pixels).open()

    ask(project, pixel_cache_gb=21.0)
    report = refill(project)

    assert (report.refilled, report.problems) == (IMAGES, ())
    assert is_as_asked(project)
    project.close()


_KILLED = """
import os, sys
from dataclasses import replace
from tidal_core.images.pixels import refilling
from tidal_core.projects import open_project
project = open_project("flowers")
project.store.settings.save(replace(project.settings, training_size=48, fit="letterbox"))
refilling._BLOCK = 8
refilling.refill(project, progress=lambda step: os.kill(os.getpid(), 9) if step.done >= 16 else None)
"""


def test_killed_half_way_the_old_cache_serves_and_the_next_start_goes_on(photos: Path) -> None:
    project = imported(photos)
    old = np.array(PixelStore(project.pixels)[:IMAGES])
    project.close()
    ended = subprocess.run([sys.executable, "-c", _KILLED], env=dict(os.environ), check=False, capture_output=True)
    assert ended.returncode == -9, ended.stderr

    project = open_project("flowers")
    assert np.array_equal(PixelStore(project.pixels)[:IMAGES], old)
    assert needs_refill(project)
    first = project.store.images.get(1)
    assert thumbnail(first, project.previews)[0]
    report = refill(project)

    assert report.refilled == IMAGES - 16
    assert is_as_asked(project)
    project.close()


def test_what_a_killed_filling_could_not_read_is_in_the_report_of_the_one_that_ends(photos: Path) -> None:
    project = imported(photos)
    for number in (2, 30):  # one before the kill, one after it
        Path(project.store.images.get(number).uri).unlink()
    names = [project.store.images.get(number).name for number in (2, 30)]
    project.close()
    subprocess.run([sys.executable, "-c", _KILLED], env=dict(os.environ), check=False, capture_output=True)

    project = open_project("flowers")
    with (project.folder / "pixels-next.problems").open("a") as file:
        file.write('[17, "a/x.jpg", "of the block that comes again", ""]\n[18, "half a li')
    report = refill(project)

    assert [problem.name for problem in report.problems] == names
    assert not list(project.folder.glob("*next*"))
    project.close()


def test_killed_while_the_new_cache_takes_its_place_it_is_whole_after_the_next_start(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = imported(photos, pixel_cache_gb=10.5 * 32 * 32 * 3 / 1e9)
    ask(project, training_size=16, pixel_cache_gb=10.5 * 16 * 16 * 3 / 1e9)
    replace, moved = os.replace, []

    def killed_after_the_first(before: Path, after: Path) -> None:
        if after == project.pixels:
            raise KeyboardInterrupt
        moved.append(after)
        replace(before, after)

    monkeypatch.setattr(os, "replace", killed_after_the_first)
    with pytest.raises(KeyboardInterrupt):
        refill(project)
    monkeypatch.undo()
    assert project.pixels.with_suffix(".beyond") in moved

    refill(project)

    assert len(PixelStore(project.pixels)) == IMAGES
    assert is_as_asked(project)
    assert not needs_refill(project)
    project.close()


def test_a_filling_towards_other_squares_is_begun_anew(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refilling, "_BLOCK", 8)
    project = imported(photos)
    ask(project, **ASKED)
    done: list[int] = []
    assert refill(project, progress=lambda step: done.append(step.done), should_stop=lambda: len(done) >= 2).cancelled
    ask(project, training_size=20)

    assert refill(project).refilled == IMAGES

    assert is_as_asked(project)
    project.close()


def test_settings_changed_there_and_back_leave_the_cache_and_nothing_beside_it(photos: Path) -> None:
    project = imported(photos)
    ask(project, **ASKED)
    assert refill(project, should_stop=lambda: True).cancelled
    ask(project, training_size=32, fit="crop")

    assert refill(project).refilled == 0

    assert is_as_asked(project)
    assert not needs_refill(project)
    assert not list(project.folder.glob("*next*"))
    project.close()


def test_an_original_that_is_gone_or_changed_keeps_its_old_pixels_and_is_reported(photos: Path) -> None:
    project = imported(photos)
    (photos / "a" / "0.jpg").unlink()
    save(photos / "b" / "1.jpg", seed=999, size=(70, 60))
    old = np.array(PixelStore(project.pixels)[:IMAGES]).astype(int)
    ask(project, training_size=64)

    report = refill(project)

    assert sorted(problem.name for problem in report.problems) == ["a/0.jpg", "b/1.jpg"]
    assert all("old pixels were resized to 64" in problem.reason and problem.remedy for problem in report.problems)
    for name in ("a/0.jpg", "b/1.jpg"):
        row = project.store.images.find(name)[0].pixel_row
        again = np.array(PixelStore(project.pixels)[row])[::2, ::2].astype(int)
        assert np.abs(again - old[row]).mean() < 12
    project.close()


def test_the_new_cache_waits_for_the_round_and_the_next_round_for_the_new_cache(photos: Path) -> None:
    project = imported(photos)
    record = claim_round(project, started_by="person")
    ask(project, **ASKED)
    reports, looks = [], []  # it asks whether to stop after each look at whether it may take the place

    def should_stop() -> bool:
        looks.append(is_waiting(project.folder))
        return False

    def stays() -> None:
        """Two looks that began after this call have ended, and the old cache is in its place."""
        before = len(looks)
        wait_for(lambda: len(looks) >= before + 3 and all(looks[before:]))
        assert PixelStore(project.pixels).shape[1] == 32

    job = threading.Thread(target=lambda: reports.append(refill(project, should_stop=should_stop)))
    with round_uses(project.folder):
        job.start()
        wait_for(lambda: is_waiting(project.folder))
        stays()
    stays()  # interrupted, not ended: it goes on with what it began with
    project.store.rounds.move(record.id, RoundState.WAITING, RoundState.CANCELLED)
    job.join(WAIT_SECONDS)

    assert reports[0].refilled == IMAGES
    assert is_as_asked(project)
    assert not is_waiting(project.folder)
    project.close()


def test_images_imported_before_it_is_whole_get_squares_of_both_sizes(photos: Path) -> None:
    project = imported(photos)
    ask(project, **ASKED)
    assert refill(project, should_stop=lambda: True).cancelled
    save(photos / "c" / "new.jpg", seed=500)

    assert ingest(project, str(photos)).read == 1
    assert PixelStore(project.pixels).shape[1] == 32
    refill(project)

    assert project.store.images.count() == IMAGES + 1
    assert is_as_asked(project)
    project.close()


def test_an_import_and_a_filling_do_not_meet(photos: Path) -> None:
    project = imported(photos)
    ask(project, **ASKED)

    def import_too(step: ImportProgress) -> None:
        with pytest.raises(InputError, match="the processing of its images, is running"):
            ingest(project, str(photos))

    assert refill(project, progress=import_too).refilled == IMAGES
    project.close()


def test_a_lower_limit_shortens_the_cache_and_a_higher_one_fills_it_again(photos: Path) -> None:
    project = imported(photos)
    rows = 10.5 * 32 * 32 * 3 / 1e9
    ask(project, pixel_cache_gb=rows)
    refill(project)
    assert PixelStore(project.pixels).is_partly_beyond
    assert len(np.load(project.pixels, mmap_mode="r")) == 10
    assert is_as_asked(project)

    ask(project, pixel_cache_gb=1.0, **ASKED)
    refill(project)

    assert not PixelStore(project.pixels).is_partly_beyond
    assert is_as_asked(project)
    project.close()


def test_a_cache_that_is_lost_is_filled_again(photos: Path) -> None:
    project = imported(photos)
    project.pixels.unlink()
    note_spec(project, PixelSpec(8))

    refill(project)

    assert is_as_asked(project)
    project.close()
