"""CSV and Parquet: labels, history, predictions and curves as flat tables."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.export.tables.rounds import finish_round
from tidal_core.errors import InputError
from tidal_core.export.tables import EXPORTERS, export
from tidal_core.export.tables.base import Exporter, ExportOptions, What
from tidal_core.projects import Project
from tidal_core.store.scores import ScoreRows
from tidal_core.text import from_spreadsheet, spreadsheet_safe


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_parquet(path: Path) -> list[dict[str, Any]]:
    return pq.read_table(path).to_pylist()  # type: ignore[no-any-return]


def test_every_current_label_has_its_path_class_annotator_and_time(project: Project, tmp_path: Path) -> None:
    report = export(project, tmp_path / "labels.csv")

    rows = read_csv(tmp_path / "labels.csv")
    assert report.rows == 3
    assert [(Path(row["path"]).name, row["label"], row["annotator"]) for row in rows] == [
        ("0.jpg", "daisy", "me"),
        ("1.jpg", "'=cmd('x')", "Zoë"),
        ("3.jpg", "daisy", "me"),
    ]
    assert all(Path(row["path"]).exists() for row in rows)
    assert all(row["time"].endswith("Z") and row["time"][10] == "T" for row in rows)


def test_the_csv_is_plain_utf_8_with_one_header_line(project: Project, tmp_path: Path) -> None:
    export(project, tmp_path / "labels.csv")

    data = (tmp_path / "labels.csv").read_bytes()
    assert data.startswith(b"path,label,annotator,time,split,")
    assert "Zoë".encode() in data
    assert b"\r" not in data


def test_history_has_every_event_in_order(project: Project, tmp_path: Path) -> None:
    export(project, tmp_path / "h.csv", options=ExportOptions(what="history"))

    rows = read_csv(tmp_path / "h.csv")
    assert [(row["event_id"], row["kind"], row["undoes"]) for row in rows][3:] == [
        ("d", "label", ""),
        ("e", "undo", "c"),
        ("f", "skip", ""),
    ]
    assert rows[-1]["note"] == "blurred"


def test_parquet_keeps_types_and_names_the_classes(project: Project, tmp_path: Path) -> None:
    export(project, tmp_path / "labels.parquet")

    table = pq.read_table(tmp_path / "labels.parquet")
    assert table.column("label").to_pylist() == ["daisy", "=cmd('x')", "daisy"]
    assert str(table.schema.field("time").type) == "timestamp[us]"
    assert json.loads(table.schema.metadata[b"tidal_classes"]) == ["daisy", "=cmd('x')"]


def test_predictions_come_with_vectors_in_parquet_and_without_in_csv(project: Project, tmp_path: Path) -> None:
    finish_round(project)
    options = ExportOptions(what="predictions")

    export(project, tmp_path / "p.parquet", options=options)
    export(project, tmp_path / "p.csv", options=options)

    rows = read_parquet(tmp_path / "p.parquet")
    assert [(row["image_id"], row["predicted"], row["p"], row["rank"]) for row in rows] == [
        (3, "daisy", [0.75, 0.25], 2),
        (5, "daisy", [0.5, 0.5], 1),
        (6, "=cmd('x')", [0.125, 0.875], 3),
    ]
    assert rows[1]["entropy"] == pytest.approx(0.693147, abs=1e-6)  # log 2
    assert "p" not in read_csv(tmp_path / "p.csv")[0]
    assert read_csv(tmp_path / "p.csv")[0]["predicted_p"] == "0.75"


def test_predictions_say_how_many_are_of_the_reserve_and_how_many_images_are_left_out(
    project: Project, tmp_path: Path
) -> None:
    round_id = finish_round(project)
    p = np.array([[0.75, 0.25]], dtype=np.float32)
    project.store.scores.add(round_id, "reserve", ScoreRows(np.array([2]), np.array([1]), p, p, None, {}))

    report = export(project, tmp_path / "p.csv", options=ExportOptions(what="predictions"))

    rows = {row["image_id"]: row for row in read_csv(tmp_path / "p.csv")}
    left_out = project.store.images.count() - 4
    assert (rows["2"]["part"], rows["2"]["predicted_p"]) == ("reserve", "0.75")
    assert report.note.startswith("1 of them are of images that are kept to measure accuracy")
    assert f"{left_out} images of the project are left out, because round {round_id}" in report.note
    assert export(project, tmp_path / "labels.parquet").note == ""


def test_recorded_curves_are_one_row_per_image_and_epoch(project: Project, tmp_path: Path) -> None:
    finish_round(project)

    export(project, tmp_path / "c.parquet", options=ExportOptions(what="curves"))

    rows = read_parquet(tmp_path / "c.parquet")
    assert [(row["image_id"], row["epoch"], row["label"]) for row in rows[:3]] == [
        (1, 1, "daisy"),
        (1, 2, "daisy"),
        (2, 1, "=cmd('x')"),
    ]


def test_what_is_not_there_yet_is_refused_with_the_remedy(project: Project, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no round has finished; label more"):
        export(project, tmp_path / "p.csv", options=ExportOptions(what="predictions"))
    with pytest.raises(InputError, match="no curves of round 7; choose another round"):
        export(project, tmp_path / "c.parquet", options=ExportOptions(what="curves", round_id=7))
    with pytest.raises(InputError, match="csv cannot hold curves; choose one of: parquet"):
        export(project, tmp_path / "c.csv", options=ExportOptions(what="curves"))
    assert list(tmp_path.glob("*.csv")) == []


def test_an_unknown_format_is_refused_with_those_that_there_are(project: Project, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"labels\.xyz.*--format.*csv"):
        export(project, tmp_path / "labels.xyz")
    with pytest.raises(InputError, match="no export format 'excel'"):
        export(project, tmp_path / "labels.xyz", "excel")


def test_a_file_that_is_there_is_replaced_only_when_allowed(project: Project, tmp_path: Path) -> None:
    target = tmp_path / "labels.csv"
    target.write_text("precious")

    with pytest.raises(InputError, match="already exists; choose another name"):
        export(project, target)
    assert target.read_text() == "precious"
    export(project, target, options=ExportOptions(overwrite=True))
    assert len(read_csv(target)) == 3


@pytest.mark.parametrize("exporter", EXPORTERS, ids=lambda exporter: exporter.name)
def test_a_folder_with_something_in_it_is_never_replaced(exporter: Any, project: Project, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="folder"):
        export(project, tmp_path / "photos", exporter.name, ExportOptions(overwrite=True))
    assert len(list((tmp_path / "photos").iterdir())) == 6


@pytest.mark.parametrize("name", ["file/labels.csv", "a" * 300 + ".csv"])
def test_a_place_that_cannot_be_written_is_named_with_the_remedy(name: str, project: Project, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(InputError, match="choose another folder or name"):
        export(project, tmp_path / name)


def test_a_failed_export_leaves_nothing_behind(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    (tmp_path / "out").mkdir()

    with pytest.raises(InputError, match=r"No space.*free some space on the disk"):
        export(project, tmp_path / "out" / "labels.parquet")
    assert list((tmp_path / "out").iterdir()) == []


@given(st.text())
def test_no_cell_begins_like_a_formula_and_every_cell_comes_back(text: str) -> None:
    safe = spreadsheet_safe(text)

    assert not safe.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert from_spreadsheet(safe) == text


@pytest.mark.parametrize(
    ("name", "format", "reason"),
    [
        ("labels.parquet", "csv", "'labels.parquet' ends like parquet, and the format asked for is csv"),
        ("LABELS.CSV", "coco", "'LABELS.CSV' ends like csv, and the format asked for is coco"),
        ("photos.zip", "imagefolder", "'photos.zip' ends like zip, and imagefolder is a folder"),
        ("labels.xlsx", None, "'labels.xlsx' does not end like a known format"),
    ],
)
def test_a_file_never_holds_another_format_than_its_name_says(
    project: Project, tmp_path: Path, name: str, format: str | None, reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        export(project, tmp_path / name, format)

    assert not (tmp_path / name).exists()


CHOSEN = [ExportOptions(where="label=daisy and id>1"), ExportOptions(image_ids=(4, 5)), ExportOptions(where="id=4")]


@pytest.mark.parametrize("options", CHOSEN)
@pytest.mark.parametrize("exporter", EXPORTERS, ids=lambda exporter: exporter.name)
def test_every_format_holds_the_chosen_images_only(
    project: Project, tmp_path: Path, exporter: Exporter, options: ExportOptions
) -> None:
    target = tmp_path / f"chosen{exporter.suffix}"

    report = export(project, target, exporter.name, options)

    assert report.rows == 1
    if exporter.name == "labelstudio":
        tasks = json.loads(target.read_text(encoding="utf-8"))
        assert [task["id"] for task in tasks] == [number for number in (4, 5) if number in (options.image_ids or (4,))]


@pytest.mark.parametrize("what", ["history", "predictions", "curves"])
def test_every_table_holds_the_chosen_images_only(project: Project, tmp_path: Path, what: What) -> None:
    finish_round(project)
    everything, chosen = (tmp_path / f"{name}.parquet" for name in ("everything", "chosen"))

    export(project, everything, options=ExportOptions(what=what))
    export(project, chosen, options=ExportOptions(what=what, where="id in (1, 4, 5)", image_ids=(1, 2, 5)))

    wanted = [row for row in read_parquet(everything) if row["image_id"] in {1, 5}]
    assert wanted
    assert read_parquet(chosen) == wanted


def test_a_condition_that_no_image_fulfils_gives_a_table_without_rows(project: Project, tmp_path: Path) -> None:
    finish_round(project)

    report = export(project, tmp_path / "none.csv", options=ExportOptions(what="predictions", where="id>1000"))

    assert (report.rows, report.note) == (0, "")
