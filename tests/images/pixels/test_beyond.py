"""A pool larger than its pixel cache: decoded while training, with the same results bit for bit."""

import logging
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.helpers.training import brief
from tests.images.photos import save
from tidal_core.config import PixelSpec, ProjectSettings, Seeds
from tidal_core.engine.batches import PixelBatches
from tidal_core.engine.model import build_model
from tidal_core.engine.scoring import score
from tidal_core.engine.train_inputs import TrainOptions
from tidal_core.engine.training import train
from tidal_core.errors import InputError
from tidal_core.images.ingest import ingest
from tidal_core.images.pixels import PixelStore
from tidal_core.projects import Project, create_project
from tidal_core.records import TrainImages
from tidal_core.rounds import queue_plan

IMAGES = 12
FIVE_ROWS = 5.5 * 16 * 16 * 3 / 1e9  # GB


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    for seed in range(IMAGES):
        save(tmp_path / "p" / "ab"[seed % 2] / f"{seed}.jpg", seed=seed)
    return tmp_path / "p"


def imported(name: str, pool: Path, **settings: float) -> Project:
    project = create_project(name, ProjectSettings(training_size=16, **settings))  # type: ignore[arg-type]
    assert ingest(project, str(pool), labels="known").read == IMAGES
    return project


@pytest.fixture
def both(pool: Path) -> Iterator[tuple[Project, Project]]:
    """The same images cached whole, and five of them cached."""
    whole, partly = imported("whole", pool), imported("partly", pool, pixel_cache_gb=FIVE_ROWS)
    yield whole, partly
    whole.close()
    partly.close()


def trained(project: Project, place: str | None) -> tuple[np.ndarray, ...]:
    """Weights and scores after a round on every third image, all drawn from a pickled copy of the inputs."""
    rows = np.arange(IMAGES)[::-1].copy()
    images = pickle.loads(pickle.dumps(TrainImages(project.pixels, rows[::2], np.array([0, 1, 0, 1, 0, 1]), 2)))
    model = build_model(brief(epochs=2, min_steps=0), 2, Seeds())
    options = TrainOptions(place=place)  # type: ignore[arg-type]
    losses = [record.loss for record in train(brief(epochs=2, min_steps=0), images, model, Seeds(), options)]
    scores = score(model, project.pixels, rows, batch_size=5)
    return np.array(losses), scores.log_p, scores.features, *(p.detach().numpy() for p in model.parameters())


@pytest.mark.parametrize("place", [None, "file"])
def test_a_round_is_the_same_bit_for_bit_when_images_are_decoded_meanwhile(
    both: tuple[Project, Project], place: str | None
) -> None:
    whole, partly = both

    assert PixelStore(partly.pixels).is_partly_beyond
    assert not PixelStore(whole.pixels).is_partly_beyond
    for expected, decoded in zip(trained(whole, place), trained(partly, place), strict=True):
        assert np.array_equal(expected, decoded)


def test_the_cache_stays_within_its_limit_and_every_row_is_there(both: tuple[Project, Project]) -> None:
    whole, partly = both
    everything = np.array(PixelStore(whole.pixels)[:IMAGES])

    source = PixelStore(partly.pixels)

    assert len(np.load(partly.pixels, mmap_mode="r")) == 5
    assert len(source) == IMAGES
    assert np.array_equal(source[np.array([11, 0, 5, 4])], everything[[11, 0, 5, 4]])
    assert PixelStore(partly.pixels).png(11) == PixelStore(whole.pixels).png(11)
    with pytest.raises(IndexError):
        source[np.array([IMAGES])]


def test_images_added_later_go_on_beyond_the_limit(pool: Path) -> None:
    project = imported("later", pool, pixel_cache_gb=FIVE_ROWS)
    save(pool / "a" / "new.jpg", seed=100)
    with (project.pixels.with_suffix(".beyond")).open("ab") as file:
        file.write(b'["/left/by/a/killed/import.jpg", "x"]\n["/unfini')

    assert ingest(project, str(pool)).read == 1

    new = project.store.images.find("new.jpg")[0]
    assert new.pixel_row == IMAGES
    assert len(PixelStore(project.pixels)) == IMAGES + 1
    assert np.ptp(PixelStore(project.pixels)[new.pixel_row]) > 50
    project.close()


def test_images_that_were_moved_are_decoded_from_where_they_lie_now(pool: Path) -> None:
    project = imported("moved", pool, pixel_cache_gb=FIVE_ROWS)
    before = np.array(PixelStore(project.pixels)[np.arange(IMAGES)])
    pool.rename(pool.with_name("elsewhere"))

    assert ingest(project, str(pool.with_name("elsewhere"))).known == IMAGES

    assert np.array_equal(PixelStore(project.pixels)[np.arange(IMAGES)], before)
    project.close()


def test_an_empty_file_that_a_full_disk_has_left_does_not_stand_in_the_way(pool: Path) -> None:
    project = create_project("full", ProjectSettings(training_size=16, pixel_cache_gb=FIVE_ROWS))
    project.pixels.with_suffix(".beyond").touch()

    assert ingest(project, str(pool)).read == IMAGES

    assert len(PixelStore(project.pixels)) == IMAGES
    project.close()


def test_an_original_that_vanished_is_a_grey_square_and_the_log_says_so(
    pool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    project = imported("gone", pool, pixel_cache_gb=FIVE_ROWS)
    last = project.store.images.get(IMAGES)
    Path(last.uri).unlink()

    with caplog.at_level(logging.WARNING):
        square = PixelStore(project.pixels)[np.array([last.pixel_row])]

    assert set(np.unique(square)) == {128}
    assert f"A grey square stands for {last.name}: the file is not there" in caplog.text
    project.close()


def test_a_source_that_decodes_is_read_ahead_on_a_cpu_too_and_a_memory_map_is_not(
    both: tuple[Project, Project],
) -> None:
    whole, partly = (
        PixelBatches(PixelStore(project.pixels), np.arange(3), torch.device("cpu"), "file") for project in both
    )

    assert (whole.worth_reading_ahead, partly.worth_reading_ahead) == (False, True)


def test_rows_that_no_image_owns_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "pixels.npy"
    photo = save(tmp_path / "a.png", kind="PNG", size=(16, 16))
    with PixelStore(path).writer(PixelSpec(16), 2) as rows:
        rows.write(0, [np.zeros((16, 16, 3), np.uint8)] * 2, [("", "")] * 2)
        rows.write(4, [], [(str(photo), "a.png")])

    source = PixelStore(path)

    assert len(source) == 5
    assert np.ptp(source[4]) > 50
    assert np.ptp(source[3]) == 0


def test_two_files_that_do_not_belong_together_are_refused_with_the_remedy(both: tuple[Project, Project]) -> None:
    _, partly = both
    np.save(partly.pixels, np.zeros((20, 8, 8, 3), np.uint8))

    with pytest.raises(InputError, match="save another size of the pixel cache on the Project page"):
        PixelStore(partly.pixels).open()


def test_the_first_batch_to_ask_is_chosen_without_decoding_the_whole_pool(
    both: tuple[Project, Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, partly = both
    monkeypatch.setattr(queue_plan, "LOOKED_AT_BEYOND_THE_CACHE", 4)
    looked_at: list[int] = []
    read = PixelStore.__getitem__

    def looking(self: PixelStore, rows: np.ndarray) -> np.ndarray:
        looked_at.extend(rows if self.is_partly_beyond else ())
        return read(self, rows)

    monkeypatch.setattr(PixelStore, "__getitem__", looking)

    assert queue_plan.fill_queue(partly) == queue_plan.fill_queue(whole)
    assert len(looked_at) == 4
