"""What an import says of labels, before and after: previews, loud lines, folders with a table."""

import zipfile
from pathlib import Path

import pytest

from tests.images.photos import save
from tidal_core.errors import InputError
from tidal_core.images.importers.base import Columns, ImportOptions
from tidal_core.images.ingest import ingest
from tidal_core.images.preview import preview, preview_in_words
from tidal_core.projects import Project


@pytest.fixture
def dogs(tmp_path: Path) -> Path:
    """Kaggle's layout: ids and breeds beside train/ and test/."""
    folder = tmp_path / "dogs"
    for number in range(4):
        save(folder / "train" / f"id{number}.jpg", seed=number)
    save(folder / "test" / "id9.jpg", seed=9)
    (folder / "labels.csv").write_text("id,breed\nid0,pug\nid1,corgi\nid2,pug\nid3,pug\n")
    (folder / "sample_submission.csv").write_text("id,breed\nid9,pug\n")
    return folder


def test_a_preview_shows_rows_images_and_classes_and_imports_nothing(dogs: Path) -> None:
    shown = preview(str(dogs / "labels.csv"))

    assert [(row.name, Path(row.file).name, row.label) for row in shown.rows[:2]] == [
        ("id0", "id0.jpg", "pug"),
        ("id1", "id1.jpg", "corgi"),
    ]
    assert (shown.images, shown.missing, shown.classes) == (4, 0, (("pug", 3), ("corgi", 1)))
    assert preview_in_words(shown, str(dogs / "labels.csv"))[1:] == [
        "Columns read: images in 'id', labels in the column 'breed'.",
        "2 classes: pug 3, corgi 1.",
    ]
    assert shown.problems[0].reason == "names of images: 4 of 4 found below train/, .jpg added"


@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_or_archive_without_class_folders_takes_the_labels_of_its_table(
    project: Project, dogs: Path, packed: bool
) -> None:
    source = dogs
    if packed:
        source = dogs.parent / "dogs.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for path in sorted(dogs.rglob("*.*")):
                archive.write(path, path.relative_to(dogs))

    report = ingest(project, str(source), labels="answers")

    assert (report.read, report.labels, report.notices) == (5, 4, ())
    assert [record.name for record in project.store.classes.all()] == ["pug", "corgi"] or {
        record.name for record in project.store.classes.all()
    } == {"pug", "corgi"}
    assert any(problem.reason.startswith("4 of the 5 images there are named") for problem in report.problems)


def test_a_preview_of_images_alone_says_that_there_are_no_classes(tmp_path: Path) -> None:
    save(tmp_path / "heap" / "1.jpg")

    lines = preview_in_words(preview(str(tmp_path / "heap")), str(tmp_path / "heap"))

    assert lines == ["1 image", "No classes; 1 image without a label."]


def test_each_split_of_a_folder_may_have_its_table(project: Project, tmp_path: Path) -> None:
    for seed, split in enumerate(("train", "valid", "test")):
        save(tmp_path / "set" / split / "a.jpg", seed=2 * seed)
        save(tmp_path / "set" / split / "b.jpg", seed=2 * seed + 1)
        (tmp_path / "set" / split / "_classes.csv").write_text("filename, cat, dog\na.jpg,1,0\nb.jpg,0,1\n")

    report = ingest(project, str(tmp_path / "set"), labels="answers")

    assert (report.read, report.labels) == (6, 6)
    assert [record.name for record in project.store.classes.all()] == ["cat", "dog"]


def test_a_table_beside_class_folders_is_offered_and_can_be_chosen(project: Project, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    save(folder / "cat" / "1.jpg", seed=1)
    save(folder / "dog" / "2.jpg", seed=2)
    (folder / "mood.csv").write_text("file,label\ncat/1.jpg,calm\ndog/2.jpg,wild\n")

    shown = preview(str(folder))

    assert {name for name, _ in shown.classes} == {"cat", "dog"}
    assert [offer.in_words(folder) for offer in shown.tables] == [
        "mood.csv (2 of 2 names found; labels: the column 'label')"
    ]
    assert {name for name, _ in preview(str(folder), ImportOptions(table="mood.csv")).classes} == {"calm", "wild"}
    with pytest.raises(InputError, match=r"there is no table 'gone.csv'"):
        preview(str(folder), ImportOptions(table="gone.csv"))


def test_tables_that_contradict_each_other_are_offered_only(tmp_path: Path) -> None:
    save(tmp_path / "set" / "1.jpg")
    (tmp_path / "set" / "a.csv").write_text("file,label\n1.jpg,calm\n")
    (tmp_path / "set" / "b.csv").write_text("file,label\n1.jpg,wild\n")

    shown = preview(str(tmp_path / "set"))

    assert (shown.classes, len(shown.tables)) == ((), 2)
    assert "--table a.csv" in shown.notices[0]


def test_labels_that_do_not_come_are_missed_loudly_with_the_columns_that_are_left(
    project: Project, tmp_path: Path
) -> None:
    save(tmp_path / "1.jpg", seed=1)
    save(tmp_path / "2.jpg", seed=2)
    table = tmp_path / "t.csv"
    table.write_text("file,site,mood\n1.jpg,Rome,calm\n2.jpg,Paris,wild\n")

    report = ingest(project, str(table), labels="answers")

    assert report.labels == 0
    assert report.notices == (
        "Labels were asked for, and none came: no column is called like labels. "
        "Not used: 'site' (Rome), 'mood' (calm). "
        "Name the one with the labels in the preview, or with --label-column.",
    )
    assert report.how_read == "Columns read: images in 'file', no labels."
    again = ingest(project, str(table), labels="answers", options=ImportOptions(columns=Columns(label="mood")))
    assert (again.labels, again.notices) == (2, ())


def test_labels_that_came_and_were_not_asked_for_are_named(project: Project, dogs: Path) -> None:
    report = ingest(project, str(dogs / "labels.csv"))

    assert report.notices[0].startswith("4 labels in the column 'breed' were not imported")
    assert ingest(project, str(dogs / "labels.csv"), labels="answers").notices == ()


def test_a_folder_without_labels_says_so_where_they_were_asked_for(project: Project, tmp_path: Path) -> None:
    save(tmp_path / "flat" / "1.jpg")

    assert ingest(project, str(tmp_path / "flat"), labels="known").notices[0].startswith("Labels were asked for")
    assert ingest(project, str(tmp_path / "flat")).notices == ()
