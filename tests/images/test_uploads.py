"""Files that a browser sends."""

import io
from pathlib import Path

import pytest

from tests.images.photos import encoded, picture
from tidal_core.images.ingest import ingest
from tidal_core.images.uploads import keep_uploads
from tidal_core.projects import Project


def photo(seed: int) -> io.BytesIO:
    return io.BytesIO(encoded(picture(seed=seed), "JPEG"))


def test_uploaded_images_are_imported_from_the_projects_folder(project: Project) -> None:
    (source,) = keep_uploads(project, [("a.jpg", photo(1)), ("b.jpg", photo(2))])

    assert ingest(project, str(source)).read == 2
    assert all(Path(image.uri).is_relative_to(project.folder) for image in project.store.images.all())


def test_other_content_under_a_taken_name_is_kept_beside_and_equal_content_once(project: Project) -> None:
    for seed in (1, 2, 1, 2):
        (source,) = keep_uploads(project, [("a.jpg", photo(seed))])

    assert len(list(source.iterdir())) == 2
    assert (source / "a.jpg").read_bytes() == photo(1).getvalue()


@pytest.mark.parametrize(
    "name",
    [
        "../../evil.jpg",
        "/etc/evil.jpg",
        "..\\evil.jpg",
        "C:\\x\\evil.jpg",
        ".evil.jpg",
        "evil\n\0.jpg",
        "e" * 400 + ".jpg",
        "",
    ],
)
def test_no_name_leads_out_of_the_folder(project: Project, tmp_path: Path, name: str) -> None:
    (source,) = keep_uploads(project, [(name, photo(1))])

    (stored,) = source.iterdir()
    assert stored.parent == project.folder / "originals" / "uploads" / "images"
    assert stored.name.isprintable()
    assert not stored.name.startswith(".")
    assert ingest(project, str(source)).read == 1


def test_archives_and_tables_are_sources_of_their_own_and_tables_come_last(project: Project) -> None:
    sources = keep_uploads(project, [("b.csv", io.BytesIO(b"path")), ("a.zip", io.BytesIO(b"PK")), ("a.jpg", photo(1))])

    assert [source.name for source in sources] == ["a.zip", "images", "b.csv"]


def test_a_table_labels_the_images_that_were_uploaded_with_it(project: Project) -> None:
    (older,) = keep_uploads(project, [("a.jpg", photo(9))])
    ingest(project, str(older))
    table = b"path,label\na.jpg,cat\nb.jpg,dog\ngone.jpg,cat\n"

    for _ in range(2):
        images, csv = keep_uploads(
            project, [("labels.csv", io.BytesIO(table)), ("a.jpg", photo(1)), ("b.jpg", photo(2)), ("c.jpg", photo(3))]
        )
        reports = [ingest(project, str(source), labels="answers") for source in (images, csv)]

    assert (images.parent, csv.parent) == (csv.parent, csv.parent)
    assert [problem.name for problem in reports[1].problems] == ["gone.jpg"]
    assert project.store.images.count() == 4
    names = {record.id: record.name for record in project.store.classes.all()}
    label_of_image = {
        stored.answer.image_id: names[stored.answer.class_id or 0] for stored in project.store.answers.all()
    }
    labelled = {Path(image.uri).read_bytes(): label_of_image.get(image.id) for image in project.store.images.all()}
    assert labelled == {
        photo(1).getvalue(): "cat",
        photo(2).getvalue(): "dog",
        photo(3).getvalue(): None,
        photo(9).getvalue(): None,
    }
