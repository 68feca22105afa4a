"""Images with known labels as one pixel file, from wherever they are.

    digits                          scikit-learn's handwritten digits, 8 x 8; nothing to download
    cifar10, mnist                  <data>/cifar10/{train,test}.parquet, <data>/mnist/test.parquet, in the layout of
                                    Hugging Face: ``image`` = struct(bytes, path), ``label``; cifar10 also from
                                    torchvision's files
    cifar100, fashion-mnist, svhn   torchvision's files below <data>
                                    (mnist and fashion-mnist get a black border of two pixels: 28 become 32)
    folder:PATH                     photos in folders, one a class, as squares of 224 pixels (stretched, as the studio
                                    does for a pretrained model); a path that is not absolute is below <data>
    parquet:TRAIN[,TEST]            any parquet files of that layout
    project:NAME                    the labelled images of a project, as they were when they were first asked for

``cifar10:3000,1000`` is a part of ``cifar10``: so many images to ask and to test on, the same share of every class,
drawn with a fixed seed. ``cifar10@16`` is ``cifar10`` at 16 pixels, each the mean of those that it covers;
``cifar10@16:3000,1000`` a part of that.

Prepared once into a folder of the cache, which can be carried to another machine; where the features of a frozen body
are computed already, ``pixels.npy`` can be left behind. Where there is no test part, a fifth of the images becomes one,
drawn with a fixed seed and the same share of every class.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from tidal_core.errors import InputError, reason_of
from tidal_core.files import atomic, sweep
from tidal_core.images.importers.base import FoundImage, ImportOptions
from tidal_core.images.importers.digits import split_indices
from tidal_core.images.importers.folder import FolderImporter
from tidal_core.images.importers.tree import natural_key
from tidal_core.images.pixels import PixelStore
from tidal_core.images.sources.digits import load_digits
from tidal_core.images.squares import square_of
from tidal_core.projects import Project, open_project
from tidal_core.records import Int64, Split, UInt8, class_positions
from tidal_core.rounds import audit

TORCHVISION = {"cifar10": "CIFAR10", "cifar100": "CIFAR100", "fashion-mnist": "FashionMNIST", "svhn": "SVHN"}
UNPACKED = {  # what tells that torchvision's files are there
    "cifar10": "cifar-10-batches-py",
    "cifar100": "cifar-100-python",
    "fashion-mnist": "FashionMNIST/raw",
    "svhn": "train_32x32.mat",
}
PARQUET = {"cifar10": ("cifar10/train.parquet", "cifar10/test.parquet"), "mnist": ("mnist/test.parquet",)}
NAMES = ("digits", "mnist", "cifar10", "cifar100", "fashion-mnist", "svhn")
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

TITLES = {
    "digits": "Handwritten digits (come with the studio)",
    "mnist": "MNIST",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "fashion-mnist": "Fashion-MNIST",
    "svhn": "Street view house numbers (SVHN)",
}
FOLDER = "folder:"  # what the name of a folder of photos begins with
FOLDER_SIDE = 224  # pixels
PROJECT = "project:"  # what the name of a project's data set begins with
LEAST_LABELLED = 20  # images of a project
LEAST_CLASSES = 2
LEAST_SIDE = 4  # pixels that images can be shrunk to

_SPLIT_SEED = 2023
_TEST_SHARE = 0.2


class Pixels(NamedTuple):
    """What is known of a pixel file without it."""

    side: int
    sha256: str


@dataclass(frozen=True)
class Dataset:
    """Images by their rows in a pixel file. Everything in it can be sent to another process."""

    name: str
    pixels: Path  # pixels.npy, uint8 (rows, H, H, 3)
    labels: Int64  # (rows,) positions in class_names; -1 where unknown
    pool_rows: Int64  # what may be asked
    test_rows: Int64
    class_names: tuple[str, ...]
    features: Path  # folder of its frozen features, see ``frozen``
    noted: Pixels | None = None  # what was known of the pixel file when it was made; None for a project's, which change

    @property
    def side(self) -> int:
        """Pixels of a side of its squares. Raises InputError where there is neither a pixel file nor a note of it."""
        if self.noted is not None and not self.pixels.exists():
            return self.noted.side
        return PixelStore(self.pixels).open().side

    @property
    def n_classes(self) -> int:
        """C."""
        return len(self.class_names)

    def fingerprint(self) -> str:
        """Changes when the images' pixels, labels, order or number change."""
        if self.noted is not None and not self.pixels.exists():
            digest = hashlib.sha256(self.noted.sha256.encode())
        else:
            digest = hashlib.sha256(_content(self.pixels, self.pixels.stat().st_mtime_ns).encode())
        for array in (self.labels, self.pool_rows, self.test_rows):
            digest.update(np.ascontiguousarray(array, np.int64).tobytes())
        return digest.hexdigest()[:16]


@cache
def _content(pixels: Path, changed_at: int) -> str:
    """SHA-256 of a pixel file; kept as long as the file is not written again (``changed_at``: nanoseconds)."""
    del changed_at  # only tells one content from the next
    with pixels.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def prepare(name: str, cache: Path, data: Path | None = None, *, download: bool = False) -> Dataset:
    """The data set of this name, prepared in ``cache`` unless it is there. ``data``: where its files are.

    Raises InputError when there is no such name or its files are missing.
    """
    folder = _folder(name, cache)
    if not is_prepared(name, cache):
        if name.startswith(PROJECT):
            project = open_project(name.removeprefix(PROJECT))
            try:
                keep_project(project, cache)
            finally:
                project.close()
        else:
            _write(folder, name, *_read(name, data, download))
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    labels = np.load(folder / "labels.npy")
    test = np.load(folder / "test.npy")
    pool = np.setdiff1d(np.flatnonzero(labels >= 0), test)
    pixels = Path(about["pixels"]) if "pixels" in about else folder / "pixels.npy"
    noted = Pixels(about["side"], about["sha256"]) if "sha256" in about else None
    return Dataset(name, pixels, labels, pool, test, tuple(about["class_names"]), folder / "features", noted)


def is_prepared(name: str, cache: Path) -> bool:
    """Whether the data set is in ``cache``: what it needs of elsewhere is not looked at any more."""
    return (_folder(name, cache) / "about.json").exists()


def _folder(name: str, cache: Path) -> Path:
    return cache / "".join(letter if letter.isalnum() else "-" for letter in name)


def stratified(labels: Int64, n: int, rng: np.random.Generator) -> Int64:
    """n positions of ``labels``, the same share of every class up to rounding, in ascending order."""
    order = rng.permutation(len(labels))
    shuffled = labels[order]
    # The k-th of m images of a class stands at (k + a draw) / m: taking the n smallest takes all classes evenly.
    position = np.empty(len(labels))
    for c in np.unique(labels):
        own = shuffled == c
        position[own] = (np.arange(own.sum()) + rng.random()) / own.sum()
    return np.sort(order[np.argsort(position, kind="stable")[:n]])


def _read(name: str, data: Path | None, download: bool) -> tuple[UInt8, Int64, Int64, tuple[str, ...]]:
    """Pixels (N, H, H, 3), labels (N,), test rows and class names."""
    whole, colon, sizes = name.partition(":")
    named, at, side = whole.partition("@")
    if named in NAMES and colon:
        return _part(name, sizes, *_read(whole, data, download))
    if named in NAMES and at:
        return _shrunk(name, side, *_read(named, data, download))
    if name.startswith(FOLDER):
        return _folder_of_classes((data or Path()) / name.removeprefix(FOLDER))
    if name == "digits":
        return _digits()
    if name.startswith("parquet:"):
        return _parquet([Path(part) for part in name.removeprefix("parquet:").split(",")], None)
    if name not in NAMES:
        raise InputError(
            f"There is no data set {name!r}; choose {', '.join(NAMES)}, folder:PATH, parquet:FILE or project:NAME."
        )
    root = data or Path()
    files = [root / part for part in PARQUET.get(name, ())]
    if files and all(file.exists() for file in files):
        return _parquet(files, CIFAR10 if name == "cifar10" else None)
    if name in TORCHVISION:
        return _torchvision(name, root, download)
    raise InputError(f"There is no file {files[0]}; give the folder that holds {PARQUET[name][0]} with --data.")


def _part(
    name: str, sizes: str, pixels: UInt8, labels: Int64, test: Int64, class_names: tuple[str, ...]
) -> tuple[UInt8, Int64, Int64, tuple[str, ...]]:
    """So many images of the pool and of the test part, in the order of the whole."""
    numbers = re.fullmatch(r"(\d+),(\d+)", sizes)
    if numbers is None:
        raise InputError(f"{name!r} names no part; write two numbers, images to ask and to test on: cifar10:3000,1000.")
    pool = np.setdiff1d(np.arange(len(labels)), test)
    n_pool, n_test = map(int, numbers.groups())
    if not (0 < n_pool <= len(pool) and 0 < n_test <= len(test)):
        raise InputError(f"{name!r}: there are {len(pool):,} images to ask and {len(test):,} to test on; choose fewer.")
    draws = np.random.default_rng(_SPLIT_SEED)
    asked, tested = (part[stratified(labels[part], n, draws)] for part, n in ((pool, n_pool), (test, n_test)))
    rows = np.union1d(asked, tested)
    return pixels[rows], labels[rows], np.flatnonzero(np.isin(rows, tested)), class_names


def _shrunk(
    name: str, side: str, pixels: UInt8, labels: Int64, test: Int64, class_names: tuple[str, ...]
) -> tuple[UInt8, Int64, Int64, tuple[str, ...]]:
    """The same images with this side; of a side that is a multiple of it, without anything lost between pixels."""
    own = pixels.shape[1]
    if not (side.isascii() and side.isdigit() and LEAST_SIDE <= int(side) <= own):
        raise InputError(
            f"{name!r} names no size that its images of {own} pixels can be shrunk to; write one from {LEAST_SIDE} to "
            f"{own}: {name.partition('@')[0]}@{max(LEAST_SIDE, own // 2)}."
        )
    to = (int(side), int(side))
    small = np.stack([np.asarray(Image.fromarray(square).resize(to, Image.Resampling.BOX)) for square in pixels])
    return small, labels, test, class_names


def _folder_of_classes(root: Path) -> tuple[UInt8, Int64, Int64, tuple[str, ...]]:
    """The test part is the folder test, if there is one."""
    if not root.is_dir():
        raise InputError(f"There is no folder {root}; give one that has a folder of images for each class.")
    photos = [item for item in FolderImporter().scan(str(root), ImportOptions()).items if isinstance(item, FoundImage)]
    labelled = [photo for photo in photos if photo.label is not None]
    class_names = tuple(sorted({photo.label for photo in labelled if photo.label is not None}, key=natural_key))
    if len(class_names) < LEAST_CLASSES:
        raise InputError(
            f"{root} has {len(labelled)} images in {len(class_names)} class folders; give a folder that has a folder "
            "of images for each of at least 2 classes."
        )
    squares = np.stack([square_of(photo.read(), photo.name, FOLDER_SIDE, "stretch") for photo in labelled])
    labels = np.array([class_names.index(photo.label or "") for photo in labelled], np.int64)
    test = np.flatnonzero([photo.split is Split.TEST for photo in labelled])
    return squares, labels, test if len(test) else hold_out(labels), class_names


def _digits() -> tuple[UInt8, Int64, Int64, tuple[str, ...]]:
    pixels, labels = load_digits()  # (1797, 8, 8)
    return _colour(pixels), labels, split_indices(), tuple("0123456789")


def _parquet(files: list[Path], names: tuple[str, ...] | None) -> tuple[UInt8, Int64, Int64, tuple[str, ...]]:
    import pyarrow.parquet as pq

    images: list[UInt8] = []
    labels: list[int] = []
    starts: list[int] = []
    for file in files:
        if not file.exists():
            raise InputError(f"There is no file {file}; give the parquet files as parquet:TRAIN,TEST.")
        table = pq.read_table(file, columns=["image", "label"])
        starts.append(len(labels))
        labels += table["label"].to_pylist()
        for cell in table["image"].to_pylist():
            pixels = np.asarray(Image.open(io.BytesIO(cell["bytes"])).convert("RGB"))
            images.append(_square(pixels, len(images[0]) if images else min(pixels.shape[:2])))
    label_array = np.asarray(labels, np.int64)
    n_classes = int(label_array.max()) + 1
    test = np.arange(starts[1], len(label_array)) if len(files) > 1 else hold_out(label_array)
    return _bordered(np.stack(images)), label_array, test, names or tuple(str(c) for c in range(n_classes))


def _torchvision(name: str, root: Path, download: bool) -> tuple[UInt8, Int64, Int64, tuple[str, ...]]:
    from torchvision import datasets

    kind: Callable[..., Any] = getattr(datasets, TORCHVISION[name])
    pixels: list[UInt8] = []
    labels: list[Int64] = []
    class_names: tuple[str, ...] = tuple("0123456789")
    for train in (True, False):
        which = {"split": "train" if train else "test"} if name == "svhn" else {"train": train}
        try:
            part = kind(root, download=download, **which)
        except RuntimeError as error:
            raise InputError(
                f"torchvision finds no {name} below {root} "
                f"({reason_of(error)}); give its folder with --data, or add --download."
            ) from error
        array = np.asarray(part.data)
        array = array.transpose(0, 2, 3, 1) if name == "svhn" else array
        pixels.append(array if array.ndim == 4 else _colour(array))
        labels.append(np.asarray(part.labels if name == "svhn" else part.targets, np.int64))
        class_names = tuple(getattr(part, "classes", class_names))
    test = np.arange(len(labels[0]), len(labels[0]) + len(labels[1]))
    return _bordered(np.concatenate(pixels)), np.concatenate(labels), test, class_names


def keep_project(project: Project, cache: Path) -> None:
    """Write down which images of an open project have which label, so that a comparison rests on them from now on.

    Another process cannot open a project that the studio has open, and labels that come later must not change a
    comparison under way. Raises InputError for fewer than 20 labelled images or two classes.
    """
    name = f"{PROJECT}{project.slug}"
    classes = [c for c in project.store.classes.all() if c.merged_into is None]
    images = project.store.images.all()
    training_labels = audit.training_labels(project)
    known = {image.id: image.known_class for image in images if image.known_class is not None}
    known |= dict(zip(training_labels.image_ids.tolist(), training_labels.class_ids.tolist(), strict=True))
    labels = np.full(max((image.pixel_row for image in images), default=-1) + 1, -1, np.int64)
    class_ids = np.array([known.get(image.id, -1) for image in images], np.int64)
    rows = np.array([image.pixel_row for image in images], np.int64)
    labels[rows] = class_positions(class_ids, [c.id for c in classes])
    labelled = np.flatnonzero(labels >= 0)
    if len(labelled) < LEAST_LABELLED or len(classes) < LEAST_CLASSES:
        raise InputError(
            f"{name} has {len(labelled)} labelled images in {len(classes)} classes; label at least {LEAST_LABELLED} "
            f"images in at least {LEAST_CLASSES} classes to compare strategies on it."
        )
    test = np.array([image.pixel_row for image in images if image.split is Split.TEST], np.int64)
    test = np.sort(test[labels[test] >= 0]) if len(test) else test
    test = test if len(test) else labelled[hold_out(labels[labelled])]
    about = {"name": name, "class_names": [c.name for c in classes], "pixels": str(project.pixels)}
    with _prepared(_folder(name, cache)) as folder:
        _describe(folder, labels, test, about)


def hold_out(labels: Int64) -> Int64:
    """Positions of ``labels`` (N,) that become the test part where there is none: a fifth, of every class its share."""
    return stratified(labels, round(_TEST_SHARE * len(labels)), np.random.default_rng(_SPLIT_SEED))


def test_images(known: dict[int, int]) -> list[int]:
    """Of images with these known classes, by id, those that become the test part, as ``hold_out``."""
    ids = np.array(sorted(known), dtype=np.int64)
    held_out: list[int] = ids[hold_out(np.array([known[image_id] for image_id in ids.tolist()], np.int64))].tolist()
    return held_out


def _colour(grey: UInt8) -> UInt8:
    """(N, H, W) -> (N, H, W, 3)."""
    return np.repeat(grey[..., None], 3, axis=3)


def _bordered(images: UInt8) -> UInt8:
    """28 pixels (MNIST and its kin) to 32 by a black border, as LeNet-5 did (LeCun et al. 1998): `small` halves images
    from 32 pixels on and takes a third of the time; others as they are."""
    if images.shape[1] != 28:
        return images
    return np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)))


def _square(pixels: UInt8, side: int) -> UInt8:
    if pixels.shape[:2] == (side, side):
        return pixels
    return np.asarray(ImageOps.fit(Image.fromarray(pixels), (side, side)))


def _write(folder: Path, name: str, pixels: UInt8, labels: Int64, test: Int64, class_names: tuple[str, ...]) -> None:
    with _prepared(folder) as beside:
        file = beside / "pixels.npy"
        np.save(file, pixels)
        noted = Pixels(pixels.shape[1], _content(file, file.stat().st_mtime_ns))
        _describe(beside, labels, test, {"name": name, "class_names": class_names, **noted._asdict()})


def _describe(folder: Path, labels: Int64, test: Int64, about: dict[str, Any]) -> None:
    np.save(folder / "labels.npy", labels)
    np.save(folder / "test.npy", test)
    (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")


@contextmanager
def _prepared(folder: Path) -> Iterator[Path]:
    """A folder to prepare a data set in; it becomes ``folder`` when the block ends well.

    One that another process has finished meanwhile stays: they hold the same.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    sweep(folder.parent)
    try:
        with atomic(folder) as beside:
            beside.mkdir()
            yield beside
    except OSError as error:
        if not (folder / "about.json").exists():
            raise InputError(
                f"The data set could not be prepared in {folder} ({error.strerror or error}); delete that folder "
                "if it exists, or free space on the disk."
            ) from error


def available(cache: Path, data: Path | None = None) -> list[str]:
    """Names that can be loaded without a download: what comes along, what is prepared, what has files in ``data``."""
    names = ["digits"]
    for name in NAMES[1:]:
        files = [data / part for part in PARQUET.get(name, ())] if data else []
        unpacked = data is not None and name in UNPACKED and (data / UNPACKED[name]).exists()
        if is_prepared(name, cache) or (files and all(file.exists() for file in files)) or unpacked:
            names.append(name)
    return names
