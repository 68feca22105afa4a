"""Data sets from wherever they are."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from scipy.io import loadmat

from tests.helpers.tiny import tiny_project
from tests.images.importers.test_torchvision_sets import cifar, idx, svhn
from tidal_core.errors import InputError
from tidal_core.experiments import datasets


def write_parquet(path: Path, labels: list[int], side: tuple[int, int] = (6, 6), shade: int = 0) -> None:
    cells = []
    for label in labels:
        data = io.BytesIO()
        Image.new("L", side, shade + label).save(data, "PNG")
        cells.append({"bytes": data.getvalue(), "path": ""})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"image": cells, "label": labels}), path)


def test_the_digits_come_along_and_are_prepared_once(tmp_path: Path) -> None:
    first = datasets.prepare("digits", tmp_path)
    changed = (tmp_path / "digits" / "pixels.npy").stat().st_mtime_ns
    again = datasets.prepare("digits", tmp_path)

    assert (tmp_path / "digits" / "pixels.npy").stat().st_mtime_ns == changed
    assert np.load(first.pixels).shape == (1797, 8, 8, 3)
    assert len(first.test_rows) == 500
    assert len(first.pool_rows) == 1297
    assert first.fingerprint() == again.fingerprint()
    assert np.bincount(first.labels[first.test_rows]).min() > 45


def test_parquet_files_keep_their_own_test_part(tmp_path: Path) -> None:
    write_parquet(tmp_path / "a.parquet", [0, 1, 2, 1])
    write_parquet(tmp_path / "b.parquet", [2, 0], side=(9, 12))

    found = datasets.prepare(f"parquet:{tmp_path}/a.parquet,{tmp_path}/b.parquet", tmp_path / "cache")

    assert found.labels.tolist() == [0, 1, 2, 1, 2, 0]
    assert found.test_rows.tolist() == [4, 5]
    assert np.load(found.pixels)[:, 0, 0, 0].tolist() == [0, 1, 2, 1, 2, 0]
    assert found.class_names == ("0", "1", "2")


def test_one_parquet_file_gives_a_fifth_to_the_test(tmp_path: Path) -> None:
    write_parquet(tmp_path / "data/mnist/test.parquet", list(range(10)) * 5)

    found = datasets.prepare("mnist", tmp_path / "cache", tmp_path / "data")

    assert np.bincount(found.labels[found.test_rows]).tolist() == [1] * 10


def test_images_of_28_pixels_get_a_black_border_and_others_none(tmp_path: Path) -> None:
    write_parquet(tmp_path / "data/mnist/test.parquet", list(range(10)) * 5, side=(28, 28), shade=100)

    pixels = np.load(datasets.prepare("mnist", tmp_path / "cache", tmp_path / "data").pixels)

    assert pixels.shape == (50, 32, 32, 3)
    assert (pixels[:, 2:30, 2:30] >= 100).all()
    assert pixels.astype(int).sum() == pixels[:, 2:30, 2:30].astype(int).sum()


def test_torchvisions_files_are_offered_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, cache = tmp_path / "data", tmp_path / "cache"
    svhn(data, monkeypatch)
    cifar(data, monkeypatch)
    idx(data / "FashionMNIST" / "raw", {"train": 5, "t10k": 3})

    assert datasets.available(cache, data) == ["digits", "cifar10", "fashion-mnist", "svhn"]
    clothes, things, numbers = (datasets.prepare(name, cache, data) for name in ("fashion-mnist", "cifar10", "svhn"))

    assert (clothes.pool_rows.tolist(), clothes.test_rows.tolist()) == ([0, 1, 2, 3, 4], [5, 6, 7])
    assert np.load(clothes.pixels).shape == (8, 32, 32, 3)
    assert clothes.class_names[0] == "T-shirt/top"
    assert things.labels.tolist() == [0, 1, 9] * 2
    assert things.class_names[9] == "truck"
    whole = np.load(data / "cifar-10-batches-py" / "data_batch_1", allow_pickle=True)["data"]
    assert np.array_equal(np.load(things.pixels)[0], whole[0].reshape(3, 32, 32).transpose(1, 2, 0))
    assert numbers.labels.tolist() == [0, 3] * 2
    first = loadmat(data / "train_32x32.mat")["X"][..., 0]  # rows, columns, channels
    assert np.array_equal(np.load(numbers.pixels)[0], first)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("imagenet", "no data set 'imagenet'; choose digits"),
        ("mnist", "mnist/test.parquet with --data"),
        ("fashion-mnist", "--download"),
        ("parquet:nowhere.parquet", "no file nowhere.parquet"),
    ],
)
def test_what_is_not_there_is_named(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        datasets.prepare(name, tmp_path / "cache", tmp_path)


def test_a_stratified_draw_takes_the_same_share_of_every_class() -> None:
    labels = np.repeat([0, 1, 2], [100, 50, 10])

    drawn = datasets.stratified(labels, 32, np.random.default_rng(0))

    assert np.bincount(labels[drawn]).tolist() == [20, 10, 2]
    assert (np.diff(drawn) > 0).all()


def test_a_projects_labelled_images_are_kept_as_they_were(tmp_path: Path) -> None:
    tiny_project(n=60, test=15).close()
    found = datasets.prepare("project:tiny", tmp_path)
    tiny_again = datasets.prepare("project:tiny", tmp_path)

    assert (len(found.pool_rows), len(found.test_rows)) == (60, 15)
    assert found.class_names == ("red", "green", "blue")
    assert np.load(found.pixels)[np.flatnonzero(found.labels == 0)][:, :, :, 0].mean() > 180
    assert found.fingerprint() == tiny_again.fingerprint()


def test_a_project_that_is_open_elsewhere_can_be_compared_once_it_was_kept(tmp_path: Path) -> None:
    project = tiny_project(n=60, test=0)
    try:
        datasets.keep_project(project, tmp_path)
        found = datasets.prepare("project:tiny", tmp_path)
    finally:
        project.close()

    assert (len(found.pool_rows), len(found.test_rows)) == (48, 12)


def test_a_project_of_few_labels_is_refused(tmp_path: Path) -> None:
    tiny_project(n=10, test=2).close()

    with pytest.raises(InputError, match="has 12 labelled images in 3 classes; label at least 20 images in at least 2"):
        datasets.prepare("project:tiny", tmp_path)


def write_photos(root: Path, classes: dict[str, int]) -> None:
    for shade, (name, n) in enumerate(classes.items()):
        (root / name).mkdir(parents=True)
        for number in range(n):
            Image.new("RGB", (30, 20), (100 * shade, number, 0)).save(root / name / f"{number}.png")


def test_a_folder_of_class_folders_becomes_stretched_squares(tmp_path: Path) -> None:
    write_photos(tmp_path / "data/flowers", {"rose": 10, "daisy": 5})
    (tmp_path / "data/flowers/readme.txt").write_text("no image")

    flowers = datasets.prepare("folder:flowers", tmp_path / "cache", tmp_path / "data")

    assert flowers.class_names == ("daisy", "rose")
    assert np.load(flowers.pixels).shape == (15, 224, 224, 3)
    assert np.bincount(flowers.labels).tolist() == [5, 10]
    assert np.bincount(flowers.labels[flowers.test_rows]).tolist() == [1, 2]
    first_rose = np.load(flowers.pixels)[np.flatnonzero(flowers.labels == 1)[3]]
    assert (first_rose == (0, 3, 0)).all()


def test_a_test_folder_is_the_test_part(tmp_path: Path) -> None:
    write_photos(tmp_path / "train", {"a": 4, "b": 4})
    write_photos(tmp_path / "test", {"a": 1, "b": 2})

    split = datasets.prepare(f"folder:{tmp_path}", tmp_path / "cache")

    assert np.bincount(split.labels[split.test_rows]).tolist() == [1, 2]
    assert len(split.pool_rows) == 8


def test_a_part_of_a_data_set_has_the_same_share_of_every_class(tmp_path: Path) -> None:
    part, whole = datasets.prepare("digits:200,50", tmp_path), datasets.prepare("digits", tmp_path)

    assert (len(part.pool_rows), len(part.test_rows), len(part.labels)) == (200, 50, 250)
    assert np.ptp(np.bincount(part.labels[part.pool_rows])) <= 2
    images = {image.tobytes() for image in np.load(whole.pixels)[whole.test_rows]}
    assert all(image.tobytes() in images for image in np.load(part.pixels)[part.test_rows])


def test_a_smaller_copy_has_the_mean_of_the_pixels_and_all_else_of_the_whole(tmp_path: Path) -> None:
    small, whole = datasets.prepare("digits@4", tmp_path), datasets.prepare("digits", tmp_path)
    part = datasets.prepare("digits@4:200,50", tmp_path)

    pixels = np.load(whole.pixels).astype(float).reshape(1797, 4, 2, 4, 2, 3).mean(axis=(2, 4))
    assert np.abs(np.load(small.pixels) - pixels).max() < 1  # rounded for rows, then for columns
    assert np.array_equal(small.labels, whole.labels)
    assert np.array_equal(small.test_rows, whole.test_rows)
    assert (len(part.pool_rows), len(part.test_rows), part.side) == (200, 50, 4)
    assert small.fingerprint() != whole.fingerprint()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digits@9", "images of 8 pixels can be shrunk to; write one from 4 to 8: digits@4"),
        ("digits@", "write one from 4 to 8"),
        ("digits@-4:20,10", "write one from 4 to 8"),
        ("digits@²", "write one from 4 to 8"),
        ("digits:5000,10", "1,297 images to ask and 500 to test on; choose fewer"),
        ("digits:50", "write two numbers"),
        ("folder:nowhere", "no folder .*nowhere; give one"),
        ("folder:empty", "0 images in 0 class folders"),
    ],
)
def test_a_part_or_a_folder_that_cannot_be_is_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=message):
        datasets.prepare(name, tmp_path / "cache", tmp_path)


def test_pixels_can_be_left_behind_and_the_data_are_known_to_be_the_same(tmp_path: Path) -> None:
    here = datasets.prepare("digits:200,50", tmp_path)
    before = here.fingerprint(), here.side
    here.pixels.unlink()

    there = datasets.prepare("digits:200,50", tmp_path)

    assert (there.fingerprint(), there.side) == before == (before[0], 8)
