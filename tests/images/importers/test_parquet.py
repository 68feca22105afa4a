"""Parquet files with embedded images or paths."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.images.importers.listing import listed
from tests.images.photos import FLOWERS, encoded, picture, pixels_of, save
from tidal_core.errors import ImageUnreadable, InputError
from tidal_core.images.importers import scan
from tidal_core.images.importers.base import Columns
from tidal_core.images.ingest import ingest
from tidal_core.images.sources import read_uri
from tidal_core.images.sources.parquet import parquet_place, parquet_uri
from tidal_core.projects import Project
from tidal_core.records import Split


def hugging_face(
    path: Path, n: int = 5, seed: int = 0, names: tuple[str, ...] = ("cat", "dog"), **options: Any
) -> Path:
    """A file in the layout of the ``datasets`` library."""
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [{"bytes": encoded(picture(seed=seed + i)), "path": f"{i}.png"} for i in range(n)]
    metadata = {}
    if names:
        metadata["huggingface"] = json.dumps(
            {"info": {"features": {"label": {"names": list(names), "_type": "ClassLabel"}}}}
        )
    table = pa.table({"image": images, "label": [i % 2 for i in range(n)]})
    pq.write_table(table.replace_schema_metadata(metadata), path, **options)
    return path


def test_embedded_images_come_with_their_class_names(tmp_path: Path) -> None:
    images, problems = listed(hugging_face(tmp_path / "train.parquet"))

    assert [(image.name, image.label) for image in images[:2]] == [("train/0.png", "cat"), ("train/1.png", "dog")]
    assert np.array_equal(pixels_of(images[3].read(), "3")[0], picture(seed=3))
    assert problems == []
    assert [label_class.name for label_class in scan(str(tmp_path / "train.parquet")).classes] == ["cat", "dog"]


def test_an_embedded_image_is_opened_again_by_its_uri(tmp_path: Path) -> None:
    source = hugging_face(tmp_path / "odd #name%.parquet", n=7, row_group_size=3)

    images, _ = listed(source)

    for image in images:
        assert read_uri(image.uri) == image.read()


def test_a_row_that_is_not_there_any_more_is_named(tmp_path: Path) -> None:
    source = hugging_face(tmp_path / "a.parquet")

    for uri, reason in [
        (parquet_uri(source, 99, "image"), "no row 99"),
        (parquet_uri(source, 0, "picture"), "no column 'picture'"),
        (parquet_uri(tmp_path / "gone.parquet", 0, "image"), "not there"),
        ("parquet:nonsense", "names no row"),
    ]:
        with pytest.raises(ImageUnreadable, match=reason):
            read_uri(uri, "x")


def test_a_parquet_uri_gives_back_its_parts(tmp_path: Path) -> None:
    path = tmp_path / "a#b%c d.parquet"

    assert parquet_place(parquet_uri(path, 3, "im/age #1")) == (path, 3, "im/age #1")


def test_shards_in_a_folder_say_their_split(tmp_path: Path) -> None:
    hugging_face(tmp_path / "ds" / "data" / "train-00000-of-00002.parquet")
    hugging_face(tmp_path / "ds" / "data" / "train-00001-of-00002.parquet", seed=10)
    hugging_face(tmp_path / "ds" / "data" / "test-00000-of-00001.parquet", seed=20)

    images, _ = listed(tmp_path / "ds")

    assert len(images) == 15 == scan(str(tmp_path / "ds")).total
    assert {image.split for image in images if image.name.startswith("test")} == {Split.TEST}
    assert {image.split for image in images if image.name.startswith("train")} == {Split.POOL}


def test_a_test_file_alone_is_there_to_be_labelled(tmp_path: Path) -> None:
    images, _ = listed(hugging_face(tmp_path / "ds" / "test.parquet"))
    folder, _ = listed(tmp_path / "ds")

    assert {image.split for image in [*images, *folder]} <= {None, Split.POOL}


def test_plain_bytes_and_paths_are_read_too(tmp_path: Path) -> None:
    save(tmp_path / "a.jpg")
    pq.write_table(pa.table({"img": [encoded(picture())], "class": ["cat"]}), tmp_path / "bytes.parquet")
    pq.write_table(pa.table({"path": ["a.jpg"], "class": ["cat"]}), tmp_path / "paths.parquet")

    for name in ("bytes.parquet", "paths.parquet"):
        ((image,), problems) = listed(tmp_path / name)
        assert image.label == "cat"
        assert pixels_of(image.read(), "a")[0].shape == (30, 40, 3)
        assert problems == []


def test_rows_without_an_image_or_with_an_impossible_label_are_named(tmp_path: Path) -> None:
    source = hugging_face(tmp_path / "a.parquet", n=3)
    table = pq.read_table(source)
    rows = table.to_pylist()
    rows[0]["image"] = {"bytes": None, "path": None}
    rows[1]["label"], rows[2]["label"] = 7, -1
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), source)

    images, problems = listed(source)

    assert [(image.name, image.label) for image in images] == [("a/1.png", None), ("a/2.png", None)]
    assert [problem.name for problem in problems] == ["a.parquet row 0", "a.parquet row 1"]
    assert "is not the number of a class (0 to 1)" in problems[1].reason


def test_a_damaged_file_is_refused_or_reported(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 but not really")

    with pytest.raises(InputError, match="cannot be read as Parquet"):
        scan(str(tmp_path / "a.parquet"))


def test_a_damaged_second_shard_does_not_disturb_the_first(tmp_path: Path) -> None:
    hugging_face(tmp_path / "ds" / "train-0.parquet")
    pq.write_table(pa.table({"other": [1, 2]}), tmp_path / "ds" / "train-1.parquet")

    images, problems = listed(tmp_path / "ds")

    assert len(images) == 5
    assert [(problem.name, problem.reason) for problem in problems] == [
        ("train-1.parquet", "it has no column 'image'; its rows were skipped")
    ]


def test_an_import_of_embedded_images_twice_adds_nothing(project: Project, tmp_path: Path) -> None:
    source = hugging_face(tmp_path / "train.parquet")

    first = ingest(project, str(source), labels="answers")
    second = ingest(project, str(source), labels="answers")

    assert (first.read, first.labels, second.read, second.known, second.labels) == (5, 5, 0, 5, 0)


@pytest.mark.skipif(not FLOWERS.exists(), reason="the shared data sets are not on this machine")
def test_the_first_images_of_the_shared_mnist_file_are_digits() -> None:
    mnist = scan(str(FLOWERS.parent / "mnist" / "test.parquet"))
    first = next(iter(mnist.items))

    assert mnist.total == 10_000
    assert pixels_of(first.read(), "0")[0].shape == (28, 28, 3)  # type: ignore[union-attr]
    assert first.label == "7"  # type: ignore[union-attr]


CARD = """---
configs:
- config_name: small
  data_files: small/*.parquet
- config_name: plain
  default: true
  data_files:
  - split: train
    path: plain/a-*
  - split: test
    path: [plain/b-00.parquet, "../outside/*"]
dataset_info:
- config_name: plain
  features:
  - name: image
    dtype: image
  - name: label
    dtype:
      class_label:
        names:
          '1': dog
          '0': cat
---
# A data set
"""


def test_the_readme_says_which_files_are_which_split_and_what_numbers_stand_for(tmp_path: Path) -> None:
    root = tmp_path / "ds"
    for seed, name in enumerate(("plain/a-00", "plain/a-01", "plain/b-00", "plain/c-00", "small/train")):
        hugging_face(root / f"{name}.parquet", n=2, seed=10 * seed, names=())
    (root / "README.md").write_text(CARD)

    images, problems = listed(root)

    assert {image.name: (image.label, image.split) for image in images} == {
        f"{shard}/{row}.png": (label, split)
        for shard, split in (("a-00", Split.POOL), ("a-01", Split.POOL), ("b-00", Split.TEST))
        for row, label in enumerate(("cat", "dog"))
    }
    assert problems == []
    (remark,) = scan(str(root)).label_remarks
    assert "'plain' was read, 'small' was not" in remark.reason


@pytest.mark.parametrize("card", ["", "---\nconfigs: [\n---\n", "---\n- 1\n---\n", "---\nconfigs: {a: 1}\n---\n"])
@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("default/train/0000", "default/test/0000"),
        ("default/partial-train/0000", "default/partial-validation/0000"),
        ("x/y/my_train", "x/y/my_eval"),
        ("data/train-00000-of-00001-0a1b2c", "data/test-00000-of-00001-0a1b2c"),
    ],
)
def test_shards_at_any_depth_say_their_split(train: str, test: str, card: str, tmp_path: Path) -> None:
    for seed, name in enumerate((train, test)):
        hugging_face(tmp_path / "ds" / f"{name}.parquet", n=2, seed=10 * seed)
    (tmp_path / "ds" / "README.md").write_text(card)
    save(tmp_path / "ds" / "logo.png")

    images, _ = listed(tmp_path / "ds")

    order = [Split.POOL, Split.TEST] if train < test else [Split.TEST, Split.POOL]
    assert [(image.label, image.split) for image in images] == [(name, s) for s in order for name in ("cat", "dog")]
    assert len({image.name for image in images}) == 4


def with_features(path: Path, features: dict[str, Any], columns: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [{"bytes": encoded(picture(seed=i)), "path": f"{i}.png"} for i in range(4)]
    table = pa.table({"img": images, **columns})
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(table.replace_schema_metadata(metadata), path)
    return path


def test_of_several_columns_of_classes_the_finest_is_taken_and_the_others_are_named(tmp_path: Path) -> None:
    features = {
        "coarse_label": {"names": ["animal", "plant"], "_type": "ClassLabel"},
        "fine_label": {"names": ["cat", "dog", "rose"], "_type": "ClassLabel"},
    }
    columns = {"coarse_label": [0, 0, 1, 1], "fine_label": [0, 1, 2, 2]}
    source = with_features(tmp_path / "a.parquet", features, columns)

    assert [image.label for image in listed(source)[0]] == ["cat", "dog", "rose", "rose"]
    assert "'coarse_label' (2 classes)" in scan(str(source)).label_remarks[0].reason
    chosen, _ = listed(source, Columns(label="coarse_label"))
    assert [image.label for image in chosen] == ["animal", "animal", "plant", "plant"]


@pytest.mark.parametrize(
    ("feature", "cells"),
    [
        ({"feature": {"names": ["cat", "dog"], "_type": "ClassLabel"}, "_type": "Sequence"}, [[0], [1], [], [0]]),
        ([{"names": ["cat", "dog"], "_type": "ClassLabel"}], [[0], [1], [], [0]]),
        ({"names": ["cat", "dog"], "num_classes": 2, "_type": "ClassLabel"}, [0, 1, -1, 0]),
    ],
)
def test_names_of_classes_are_found_however_deep_they_lie(feature: Any, cells: list[Any], tmp_path: Path) -> None:
    source = with_features(tmp_path / "a.parquet", {"label": feature}, {"label": cells})

    assert [image.label for image in listed(source)[0]] == ["cat", "dog", None, "cat"]


def test_a_label_within_another_column_is_read(tmp_path: Path) -> None:
    inner = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}
    cells = [{"label": number, "score": 0.5} for number in (0, 1, 1, 0)]
    source = with_features(tmp_path / "a.parquet", {"annotation": inner}, {"annotation": cells})

    assert [image.label for image in listed(source)[0]] == ["cat", "dog", "dog", "cat"]


def test_a_parquet_file_without_images_beside_a_tree_of_classes_is_an_ordinary_file(tmp_path: Path) -> None:
    save(tmp_path / "t" / "cat" / "1.jpg")
    save(tmp_path / "t" / "dog" / "2.jpg", seed=1)
    pq.write_table(pa.table({"feature": [1.0, 2.0]}), tmp_path / "t" / "features.parquet")

    images, problems = listed(tmp_path / "t")

    assert [image.label for image in images] == ["cat", "dog"]
    assert [problem.name for problem in problems] == ["features.parquet"]
