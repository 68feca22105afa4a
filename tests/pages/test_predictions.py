"""The page Predictions, and the downloads of labels and predictions."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.helpers.tiny import tiny_project
from tests.pages.looking import made_up, open_page, texts
from tidal_core.export.tables import EXPORTERS, find_exporter
from tidal_core.export.tables.base import ExportOptions
from tidal_core.server.studio import Studio
from tidal_core.store.scores import RESERVE, ScoreRows
from tidal_core.ui.table_downloads import exported


def test_the_table_is_filtered_by_class_sorted_by_probability_and_paged(studio: Studio) -> None:
    project = made_up(studio)
    record = project.store.rounds.all()[-1]
    expected = project.store.exports.predictions(record.id).to_pandas().sort_values("predicted_p", ascending=False)
    page = open_page("predictions")
    shown = page.dataframe[0].value
    assert len(shown) == 25
    assert shown["Probability"].tolist() == pytest.approx(expected["predicted_p"].tolist()[:25])
    assert shown[""].str.startswith("data:image/").all()

    class_id = record.class_ids[3]
    page.selectbox(key=f"predictions-made-up-class-{record.id}").set_value(class_id).run()

    name = project.store.classes.get(class_id).name
    of_class = expected[expected["predicted"] == name]
    shown = page.dataframe[0].value
    assert set(shown["Predicted"]) == {name}
    assert f"{len(of_class)} images." in texts(page)

    page.selectbox(key="predictions-made-up-order").set_value("least sure").run()

    shown = page.dataframe[0].value
    assert shown["Probability"].tolist() == pytest.approx(of_class["predicted_p"].tolist()[::-1][:25])
    keys = [button.key for button in page.get("download_button")]
    assert keys == [f"predictions-made-up-{record.id}-{name}" for name in ("csv", "parquet")]


def test_what_the_model_says_of_the_reserve_is_in_the_download_and_not_in_the_table(studio: Studio) -> None:
    project = made_up(studio)
    round_id = project.store.rounds.all()[-1].id
    image_id = int(project.store.images.unlabelled_ids()[0])
    with project.store.database.write() as cursor:
        cursor.execute("DELETE FROM scores WHERE round_id = ? AND image_id = ?", [round_id, image_id])
    classes = len(project.store.classes.all())
    p = np.eye(1, classes, dtype=np.float32)
    project.store.scores.add(round_id, RESERVE, ScoreRows(np.array([image_id]), np.array([1]), p, p, None, {}))

    page = open_page("predictions")

    assert image_id not in page.dataframe[0].value["Image"].tolist()  # it would be the first
    assert "1 images without a label are not in this table" in texts(page)
    options = ExportOptions(what="predictions", round_id=round_id)
    downloaded = pq.read_table(io.BytesIO(exported(project, find_exporter(project.folder, "parquet"), options)))
    assert image_id in downloaded.column("image_id").to_pylist()


def test_before_a_round_the_page_says_what_is_missing(studio: Studio) -> None:
    tiny_project(12, test=0).close()
    studio.project("tiny")

    assert "Not yet: the class that the model predicts" in texts(open_page("predictions", "tiny"))


def test_every_format_of_the_command_is_a_download_with_a_sentence(studio: Studio) -> None:
    project = made_up(studio)
    page = open_page("project")

    assert [exporter.for_whom in texts(page) for exporter in EXPORTERS] == [True] * len(EXPORTERS)
    keys = {button.key for button in page.get("download_button")}
    assert {f"export-made-up-{exporter.name}" for exporter in EXPORTERS} <= keys
    for exporter in EXPORTERS:
        data = exported(project, exporter, ExportOptions())
        if exporter.suffix in {"", ".zip"}:
            assert len(zipfile.ZipFile(io.BytesIO(data)).namelist()) >= 40
        else:
            assert len(data) > 500
