"""New images are labelled as the studio would label them, and files that cannot be read do not stop the others."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.export.model.photos import finish_real_round, photo_project, studio_says
from tests.helpers.frozen import compute_all, frozen_project, run_round
from tests.helpers.tiny import label_next
from tests.test_cli import run
from tidal_core.config import PixelSpec, Precision
from tidal_core.engine import published_weights
from tidal_core.errors import InputError
from tidal_core.export import predict as predict_module
from tidal_core.export.predict import predict
from tidal_core.projects import Project
from tidal_core.rounds.queue_plan import fill_queue

pytestmark = pytest.mark.usefixtures("short_rounds")


def predicts_what_the_studio_says(project: Project, folder: Path, *, within: float) -> None:
    """Of every photo below ``folder``; probabilities may differ by ``within``."""
    expected = studio_says(project, 1)
    stored = {row["path"]: row for row in project.store.exports.predictions(1).to_pylist()}

    predicted = predict(project, str(folder / "photos"), folder / "out.parquet")

    rows = {row["path"]: row for row in pq.read_table(folder / "out.parquet").to_pylist()}
    assert (predicted.images, predicted.problems) == (41, ())
    assert set(rows) == set(expected)
    for path, p in expected.items():
        row = rows[path]
        assert row["class"] == stored[path]["predicted"]
        assert row["second_class"] != row["class"]
        assert abs(row["probability"] - p.max()) < within
        assert abs(row["margin"] - np.ptp(p)) < 2 * within
        assert abs(row["td_entropy"] - stored[path]["td_entropy"]) < 10 * within
        assert row["error"] is None


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = photo_project(tmp_path / "photos", fit="letterbox")
    finish_real_round(made)
    yield made
    made.close()


def test_every_image_gets_what_the_studio_says_of_it(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predict_module, "_BLOCK_BYTES", 24 * 24 * 3 * 10)  # several blocks

    predicts_what_the_studio_says(project, tmp_path, within=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_new_images_get_the_features_that_the_round_was_trained_on(tmp_path: Path, precision: Precision) -> None:
    project = photo_project(tmp_path / "photos", training_size=32, preset="frozen", precision=precision)
    finish_real_round(project)
    other: Precision = "float32" if precision == "bfloat16" else "bfloat16"
    project.store.settings.save(dataclasses.replace(project.settings, precision=other, training_size=40))

    # Images come in other batches than in the studio: convolutions round another way, and so may the 16 bits kept.
    predicts_what_the_studio_says(project, tmp_path, within=1e-4)
    project.close()


def test_a_round_whose_body_has_other_weights_now_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = frozen_project()
    compute_all(project)
    fill_queue(project)
    label_next(project, 6)
    run_round(project)
    newer = dataclasses.replace(published_weights.EFFICIENTNET_LITE0, sha256="0" * 64)
    monkeypatch.setitem(published_weights.EMBEDDED, newer.backbone, newer)

    with pytest.raises(InputError, match=r"round 1 was trained on features of other weights of efficientnet-lite0"):
        predict(project, str(tmp_path), tmp_path / "out.parquet")
    project.close()


def test_files_that_cannot_be_read_have_a_row_with_the_reason(project: Project, tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.mkdir()
    (new / "1.jpg").write_bytes(b"")
    (new / "2.png").write_bytes((tmp_path / "photos" / "red" / "1.png").read_bytes())
    (new / "3.png").write_bytes((tmp_path / "photos" / "red" / "3.png").read_bytes()[:60])
    (new / "notes.txt").write_text("hello")

    predicted = predict(project, str(new), tmp_path / "out.parquet")

    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [Path(row["path"]).name for row in rows] == ["1.jpg", "2.png", "3.png", "notes.txt"]
    assert [row["class"] is None for row in rows] == [True, False, True, True]
    assert rows[0]["error"].startswith("the file is empty")
    assert "damaged" in rows[2]["error"]
    assert predicted.images == 1
    assert len(predicted.problems) == 3
    assert project.store.images.count() == 41


def test_a_stop_keeps_what_was_done(project: Project, tmp_path: Path) -> None:
    predicted = predict(project, str(tmp_path / "photos"), tmp_path / "out.parquet", should_stop=lambda: True)

    assert predicted.stopped
    assert pq.read_table(tmp_path / "out.parquet").num_rows == predicted.images == 1


def test_what_cannot_be_done_leaves_nothing_behind(project: Project, tmp_path: Path) -> None:
    taken = tmp_path / "taken.parquet"
    taken.write_text("mine")
    with pytest.raises(InputError, match="already exists; choose another name"):
        predict(project, str(tmp_path / "photos"), taken)
    with pytest.raises(InputError, match="is not a folder"):
        predict(project, str(tmp_path / "nowhere"), tmp_path / "out.parquet")
    with pytest.raises(InputError, match=r"no round 7 .* choose one of: 1"):
        predict(project, str(tmp_path / "photos"), tmp_path / "out.parquet", 7)
    assert taken.read_text() == "mine"
    assert not (tmp_path / "out.parquet").exists()


def test_the_command_writes_into_the_project_unless_told_otherwise(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project.close()
    (tmp_path / "photos" / "broken[b].jpg").write_bytes(b"\0")

    assert run(monkeypatch, "predict", "photos", tmp_path / "photos") == 0

    printed = capsys.readouterr().out
    assert "broken[b].jpg: it holds only zeros" in printed
    target = project.exports / "photos-round-0001.parquet"
    assert f"41 images labelled by round 1, 1 files could not be read: {target}" in printed
    assert pq.read_table(target).num_rows == 42


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text there")
def test_a_folder_whose_name_is_no_text_has_paths_that_can_be_written(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(bytes(tmp_path) + b"/gr\xfcn"))
    folder.mkdir()
    (folder / "notes.txt").write_text("no image")

    (read,) = predict_module._squares(folder, PixelSpec(16))

    assert read.path.encode().endswith(b"/notes.txt")


def test_the_format_is_what_the_name_ends_with(project: Project, tmp_path: Path) -> None:
    (tmp_path / "photos/red/broken.jpg").write_bytes(b"no image")
    source = str(tmp_path / "photos")

    for name in ("p.parquet", "p.CSV", "p.jsonl"):
        predict(project, source, tmp_path / name)

    expected = pq.read_table(tmp_path / "p.parquet").to_pylist()
    lines = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text(encoding="utf-8").splitlines()]
    with (tmp_path / "p.CSV").open(encoding="utf-8", newline="") as file:
        cells = list(csv.DictReader(file))
    assert lines == expected
    assert [row["path"] for row in cells] == [row["path"] for row in expected]
    assert [row["class"] or None for row in cells] == [row["class"] for row in expected]
    assert sum(bool(row["error"]) for row in cells) == 1
    assert cells[0]["probability"] == str(expected[0]["probability"])


@pytest.mark.parametrize("name", ["p.xlsx", "p", "p.json", "p.csv.gz"])
def test_another_ending_is_refused_before_anything_is_read(project: Project, tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"does not end like a format of tables; choose a name that ends with \.parq"):
        predict(project, str(tmp_path / "nowhere"), tmp_path / name)
