"""The preview of an import on the Project page: what would come, and the choice of columns."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.helpers.tiny import tiny_project
from tests.images.photos import save
from tests.pages.test_project import ended, page
from tidal_core.server.studio import Studio


@pytest.fixture
def table(tmp_path: Path) -> Path:
    for number in range(4):
        save(tmp_path / "far" / f"{number}.jpg", seed=number)
    path = tmp_path / "here" / "t.csv"
    path.parent.mkdir()
    path.write_text("id,site,mood\n0,Rome,*calm*\n1,Rome,wild\n2,Oslo,wild\n3,Oslo,wild\n")
    return path


def previewed(shown: AppTest, source: Path) -> AppTest:
    shown.text_input(key="import-tiny-source").set_value(str(source))
    shown.selectbox(key="import-tiny-labels").set_value("answers")
    next(button for button in shown.button if button.label == "Preview").click()
    return shown.run()


def field(shown: AppTest, kind: str, label: str) -> object:
    return next(widget for widget in getattr(shown, kind) if widget.label == label)


def test_columns_and_the_folder_of_images_are_chosen_before_anything_is_imported(studio: Studio, table: Path) -> None:
    tiny_project().close()
    shown = previewed(page(), table)
    assert not shown.exception
    assert any("no column seems to name image files" in error.value for error in shown.error)

    field(shown, "text_input", "Folder of the images that the table names").set_value(str(table.parents[1] / "far"))
    shown.run()
    assert any("Labels were asked for, and none came" in error.value for error in shown.error)
    field(shown, "selectbox", "Column with labels").set_value("mood")
    shown.run()
    assert not shown.exception
    assert not shown.error
    lines = [text.value for text in shown.markdown]
    assert any("2 classes:" in line and "calm" in line for line in lines)
    assert any("4 of 4 found, .jpg added" in line for line in lines)
    project = studio.project("tiny")
    before = project.store.images.count()
    assert studio.import_job("tiny") is None

    next(button for button in shown.button if button.label == "Import").click()
    shown.run()
    report = ended(studio, "tiny").report
    assert report is not None
    assert (report.read, report.labels) == (4, 4)
    assert project.store.images.count() == before + 4


def test_a_folder_offers_the_table_that_names_its_images(studio: Studio, tmp_path: Path) -> None:
    tiny_project().close()
    save(tmp_path / "set" / "cat" / "1.jpg", seed=1)
    save(tmp_path / "set" / "dog" / "2.jpg", seed=2)
    (tmp_path / "set" / "mood.csv").write_text("file,label\ncat/1.jpg,calm\ndog/2.jpg,wild\n")
    shown = previewed(page(), tmp_path / "set")
    assert any("2 classes: cat 1, dog 1" in text.value for text in shown.markdown)

    field(shown, "selectbox", "Labels from").set_value("mood.csv")
    shown.run()

    assert not shown.exception
    assert any("2 classes: calm 1, wild 1" in text.value for text in shown.markdown)
