"""torchvision's data sets: ``torchvision:CIFAR10``, CIFAR100, MNIST, FashionMNIST, SVHN.

``torchvision:CIFAR10@FOLDER`` takes the original files from a folder.

torchvision's own classes read the original files, and fetch them where there is a network. The images are then kept
losslessly in Parquet files in the project's folder, train and test, and come in like any other such data set.
iNaturalist 2018 needs none of this: import its unpacked ``train2018.json``, which the JSON importer reads.
"""

from __future__ import annotations

import json
import os
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tidal_core.errors import InputError, reason_of
from tidal_core.files import atomic
from tidal_core.images.importers.base import ImportOptions, Scan
from tidal_core.images.importers.parquet import ParquetImporter
from tidal_core.images.squares import png_bytes
from tidal_core.projects import home

SCHEME = "torchvision:"
_ROWS_AT_ONCE = 2_000


class _Files(NamedTuple):
    """What a person must put where when there is no network."""

    folder: str  # below the folder
    content: str


SETS: dict[str, _Files] = {
    "CIFAR10": _Files("cifar-10-batches-py", "the content of cifar-10-python.tar.gz (170 MB)"),
    "CIFAR100": _Files("cifar-100-python", "the content of cifar-100-python.tar.gz (169 MB)"),
    "MNIST": _Files("MNIST/raw", "the four unpacked idx-ubyte files (12 MB as .gz)"),
    "FashionMNIST": _Files("FashionMNIST/raw", "the four unpacked idx-ubyte files (31 MB as .gz)"),
    "SVHN": _Files(".", "train_32x32.mat and test_32x32.mat (246 MB)"),
}


class TorchvisionImporter:
    """A data set by its name in torchvision."""

    name = "torchvision"

    def sniff(self, source: str) -> bool:
        """Whether the source names one."""
        return source.lower().startswith(SCHEME)

    def scan(self, source: str, options: ImportOptions) -> Scan:
        """Read the original files once, keep them as Parquet, list that. Raises InputError when they cannot be had."""
        name, root = _parse(source)
        if options.workspace is None:
            raise InputError(f"there is no folder to keep the images of {source} in; import it into a project.")
        folder = options.workspace / f"torchvision-{name.lower()}"
        for split in ("train", "test"):
            target = folder / f"{split}.parquet"
            if not target.exists():
                _write_parquet(_open(name, root, split), target)
        parquet_scan = ParquetImporter().scan(str(folder), options)
        return Scan(source, self.name, parquet_scan.items, parquet_scan.classes, parquet_scan.total, title=name)


def _parse(source: str) -> tuple[str, Path]:
    """The set's name as torchvision writes it, and the folder of its files."""
    requested, _, folder = source[len(SCHEME) :].partition("@")
    name = next((known for known in SETS if known.lower() == requested.strip().lower()), None)
    if name is None:
        raise InputError(f"torchvision's data set {requested!r} cannot be imported; choose one of: {', '.join(SETS)}.")
    if folder:
        return name, Path(os.path.abspath(os.path.expanduser(folder)))
    return name, home() / "datasets"


def _open(name: str, root: Path, split: str) -> Any:
    """The data set's ``train`` or ``test`` images; downloaded when they are not there."""
    import torchvision.datasets as sets

    data_set = getattr(sets, name)
    arguments: dict[str, Any] = {"split": split} if name == "SVHN" else {"train": split == "train"}
    root.mkdir(parents=True, exist_ok=True)
    try:
        return data_set(str(root), download=False, **arguments)
    except (RuntimeError, OSError):
        pass
    try:
        return data_set(str(root), download=True, **arguments)
    except (RuntimeError, OSError, urllib.error.URLError) as error:
        files = SETS[name]
        raise InputError(
            f"{name} is not in {root} and could not be downloaded ({reason_of(error)}). Put {files.content} into "
            f"{(root / files.folder).resolve()} and import again."
        ) from error


def _write_parquet(data: Any, target: Path) -> None:
    """Write a data set as Parquet in the Hugging Face layout."""
    names = [str(name) for name in getattr(data, "classes", [])] or [str(digit) for digit in range(10)]
    features = {"label": {"names": names, "_type": "ClassLabel"}}
    schema = pa.schema(
        [("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])), ("label", pa.int64())],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic(target) as beside, pq.ParquetWriter(beside, schema) as writer:
        for rows in _rows(data):
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))


def _rows(data: Any) -> Iterator[list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    for number in range(len(data)):
        image, label = data[number]
        picture = image if isinstance(image, Image.Image) else Image.fromarray(np.asarray(image))
        rows.append({"image": {"bytes": png_bytes(picture), "path": f"{number:05d}.png"}, "label": int(label)})
        if len(rows) == _ROWS_AT_ONCE:
            yield rows
            rows = []
    if rows:
        yield rows
