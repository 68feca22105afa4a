"""torchvision's data sets, from tiny files in the original formats."""

import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision.datasets as sets
from scipy.io import savemat

from tests.images.importers.listing import listed
from tests.images.photos import pixels_of
from tidal_core.errors import InputError
from tidal_core.images.importers import find_importer, torchvision_sets
from tidal_core.images.importers.base import FoundImage, ImportOptions
from tidal_core.records import Split

RNG = np.random.default_rng(0)


def idx(folder: Path, n: dict[str, int]) -> None:
    """The four files of MNIST and FashionMNIST."""
    folder.mkdir(parents=True)
    for stem, count in n.items():
        pixels = RNG.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        head = struct.pack(">IIII", 2051, count, 28, 28)
        (folder / f"{stem}-images-idx3-ubyte").write_bytes(head + pixels.tobytes())
        labels = np.arange(count, dtype=np.uint8) % 10
        (folder / f"{stem}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, count) + labels.tobytes())


def cifar(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python batches of CIFAR-10; checksums of the real files are left out."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for name in ("data_batch_1", "test_batch"):
        batch = {"data": RNG.integers(0, 256, (3, 3072), dtype=np.uint8), "labels": [0, 1, 9]}
        (folder / name).write_bytes(pickle.dumps(batch))
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": names}))
    monkeypatch.setattr(sets.CIFAR10, "train_list", [["data_batch_1", None]])
    monkeypatch.setattr(sets.CIFAR10, "test_list", [["test_batch", None]])
    monkeypatch.setattr(sets.CIFAR10, "meta", {"filename": "batches.meta", "key": "label_names", "md5": None})


def svhn(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root.mkdir(parents=True)
    for split in ("train", "test"):
        pixels = RNG.integers(0, 256, (32, 32, 3, 2), dtype=np.uint8)
        savemat(root / f"{split}_32x32.mat", {"X": pixels, "y": np.array([[10], [3]])})  # 10 stands for 0
    lists = {split: ["", f"{split}_32x32.mat", None] for split in ("train", "test")}
    monkeypatch.setattr(sets.SVHN, "split_list", lists)


def items(source: str, tmp_path: Path) -> list[FoundImage]:
    options = ImportOptions(workspace=tmp_path / "workspace")
    data_set = find_importer(source).scan(source, options)
    return [item for item in data_set.items if isinstance(item, FoundImage)]


@pytest.mark.parametrize(("name", "first"), [("MNIST", "0 - zero"), ("FashionMNIST", "T-shirt/top")])
def test_idx_files_are_read_with_their_class_names(name: str, first: str, tmp_path: Path) -> None:
    idx(tmp_path / "files" / name / "raw", {"train": 5, "t10k": 3})

    images = items(f"torchvision:{name}@{tmp_path / 'files'}", tmp_path)

    assert [image.split for image in images].count(Split.TEST) == 3
    assert len(images) == 8
    assert {image.label for image in images if image.name.endswith("00000.png")} == {first}
    assert pixels_of(images[0].read(), "0")[1].width == 28


def test_cifars_batches_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cifar(tmp_path / "files", monkeypatch)

    images = items(f"torchvision:cifar10@{tmp_path / 'files'}", tmp_path)

    assert sorted({image.label or "" for image in images}) == ["airplane", "automobile", "truck"]
    assert len(images) == 6


def test_svhns_files_are_read_with_ten_as_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    svhn(tmp_path / "files", monkeypatch)

    images = items(f"torchvision:SVHN@{tmp_path / 'files'}", tmp_path)

    assert sorted(image.label or "" for image in images) == ["0", "0", "3", "3"]
    assert pixels_of(images[0].read(), "0")[0].shape == (32, 32, 3)


def test_the_original_files_are_read_only_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    svhn(tmp_path / "files", monkeypatch)
    source = f"torchvision:SVHN@{tmp_path / 'files'}"
    first = items(source, tmp_path)
    for path in (tmp_path / "files").iterdir():
        path.unlink()

    assert items(source, tmp_path) == first


def test_files_that_are_nowhere_are_named_with_their_place_and_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: Any, **options: Any) -> None:
        raise RuntimeError("no network" if options["download"] else "Dataset not found")

    monkeypatch.setattr(sets, "CIFAR100", offline)

    with pytest.raises(
        InputError, match=r"no network.*cifar-100-python\.tar\.gz \(169 MB\).*cifar-100-python and import"
    ):
        items(f"torchvision:CIFAR100@{tmp_path}", tmp_path)


def test_an_unknown_set_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'ImageNet' cannot be imported; choose one of: CIFAR10, CIFAR100, MNIST"):
        items("torchvision:ImageNet", tmp_path)


def test_inaturalists_own_json_is_read_without_torchvision(tmp_path: Path) -> None:
    from tests.images.importers.test_descriptions import written
    from tests.images.photos import save

    save(tmp_path / "train_val2018" / "Aves" / "2761" / "a.jpg")
    value = {
        "images": [{"id": 1, "file_name": "train_val2018/Aves/2761/a.jpg"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 2761}],
        "categories": [{"id": 2761, "name": "Anas strepera", "supercategory": "Aves"}],
    }

    ((image,), problems) = listed(written(tmp_path / "train2018.json", value))

    assert (image.label, problems) == ("Anas strepera", [])
    assert image.read()


def test_the_list_of_sets_is_torchvisions() -> None:
    assert all(hasattr(sets, name) for name in torchvision_sets.SETS)
