"""Tables that name image files."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.images.importers.listing import listed
from tests.images.photos import save
from tidal_core.errors import InputError
from tidal_core.images.importers import scan
from tidal_core.images.importers.base import Columns, FoundImage
from tidal_core.images.importers.guess import guess_columns
from tidal_core.images.ingest import ingest
from tidal_core.projects import Project
from tidal_core.records import ImportProblem, Split


def table(folder: Path, text: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_paths_are_relative_to_the_table_or_absolute(tmp_path: Path) -> None:
    far = save(tmp_path / "far" / "b.jpg")
    source = table(tmp_path, f"path,label\nnear/a.jpg,cat\n{far},dog\nfile://{far},dog\n")

    images, problems = listed(source)

    assert [(image.uri, image.label) for image in images] == [
        (str(tmp_path / "near" / "a.jpg"), "cat"),
        (str(far), "dog"),
        (str(far), "dog"),
    ]
    assert problems == []


def test_label_split_and_annotator_come_along(tmp_path: Path) -> None:
    images, _ = listed(
        table(tmp_path, "Image Path,Class Name,subset,Labelled by\na.jpg, big  cat ,Train,Zoë\nb.jpg,,TEST,\n")
    )

    assert [(image.label, image.split, image.annotator) for image in images] == [
        ("big cat", Split.POOL, "Zoë"),
        (None, Split.TEST, None),
    ]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (b"\xef\xbb\xbfpath,label\na.jpg,caf\xc3\xa9\n", "bom.csv"),
        ("path,label\na.jpg,café\n".encode("utf-16"), "sixteen.csv"),
        ("path;label\r\na.jpg;café\r\n".encode(), "semicolons.csv"),
        ("path\tlabel\na.jpg\tcafé\n".encode(), "tabs.tsv"),
        ("path|label\na.jpg|café\n".encode(), "bars.csv"),
        ("label,path\ncafé,a.jpg".encode(), "no line end.csv"),
        ('"path","label"\n"a.jpg","café"\n'.encode(), "quotes.csv"),
        ("a.jpg,café\n".encode(), "no header.csv"),
        ('{"path": "a.jpg", "label": "café"}\n\n'.encode(), "lines.jsonl"),
        (b'{"path": "a.jpg", "label": "caf\\u00e9"}', "lines.ndjson"),
    ],
)
def test_every_common_form_reads_alike(tmp_path: Path, text: bytes, name: str) -> None:
    columns = Columns(label="column 2") if name == "no header.csv" else None

    images, problems = listed(table(tmp_path, text, name), columns)

    assert [(Path(image.uri).name, image.label) for image in images] == [("a.jpg", "café")]
    assert problems == []


def test_latin_1_is_read_and_said(tmp_path: Path) -> None:
    images, problems = listed(table(tmp_path, "path,label\na.jpg,café\n".encode("latin-1")))

    assert images[0].label == "café"
    assert "not UTF-8" in problems[0].reason


def test_columns_are_guessed_by_content_where_names_do_not_tell(tmp_path: Path) -> None:
    source_scan = scan(str(table(tmp_path, "id,what,where\n1,cat,x/a.jpg\n2,dog,x/b.png\n")))

    assert source_scan.columns is not None
    assert (source_scan.columns.image, source_scan.columns.label) == ("where", "what")


def test_a_person_can_correct_the_columns(tmp_path: Path) -> None:
    source = table(tmp_path, "path,other,label,kind\na.jpg,b.jpg,x,cat\n")

    images, _ = listed(source, Columns(image="other", label="kind"))

    assert [(image.name, image.label) for image in images] == [("b.jpg", "cat")]
    with pytest.raises(InputError, match="no column 'species'; the columns are: 'path', 'other', 'label', 'kind'"):
        scan_with(source, Columns(label="species"))


def scan_with(source: Path, columns: Columns) -> None:
    from tidal_core.images.importers.base import ImportOptions

    scan(str(source), ImportOptions(columns=columns))


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "path,label\n", "name\nhello\n"])
def test_a_table_without_a_column_of_images_is_refused_with_its_columns(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match='Call the right one "path", or name it with --image-column'):
        scan(str(table(tmp_path, text)))


def test_an_empty_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is empty"):
        scan(str(table(tmp_path, "")))


def test_rows_that_cannot_be_used_are_named_by_their_line(tmp_path: Path) -> None:
    images, problems = listed(
        table(tmp_path, "path,label\na.jpg,cat\n,cat\nb.jpg,x,y\n\n  ,  \nc.jpg\n" + "d" * 200_000 + ".jpg,dog\n")
    )

    assert [image.name for image in images] == ["a.jpg", "c.jpg"]
    assert [(problem.name, problem.reason[:23]) for problem in problems] == [
        ("t.csv line 3", "the column 'path' names"),
        ("t.csv line 4", "it has 3 cells, but the"),
        ("t.csv line 8", "it is not valid CSV (fi"),
    ]


def test_lines_that_are_no_json_objects_are_named(tmp_path: Path) -> None:
    text = '{"path": "a.jpg"}\n[1]\n{"path": \n{"path": 5}\n"x"\n{"path": "b.jpg", "label": ["cat", "dog"]}\n'

    images, problems = listed(table(tmp_path, text, "t.jsonl"))

    assert [(image.name, image.label) for image in images] == [("a.jpg", None), ("b.jpg", None)]
    assert [problem.name for problem in problems] == [f"t.jsonl line {line}" for line in (2, 3, 4, 5, 6)]


def test_formula_quotes_of_our_own_exports_are_taken_back(tmp_path: Path) -> None:
    images, _ = listed(table(tmp_path, "path,label\na.jpg,'=cmd\n'+b.jpg,'=x\n"))

    assert [(image.name, image.label) for image in images] == [("a.jpg", "=cmd"), ("+b.jpg", "=x")]


def test_backslashes_of_another_system_are_understood(tmp_path: Path) -> None:
    images, _ = listed(table(tmp_path, "path\nphotos\\a.jpg\n"))

    assert images[0].uri == str(tmp_path / "photos" / "a.jpg")


def test_missing_files_web_addresses_and_impossible_names_are_reported_by_the_import(
    project: Project, tmp_path: Path
) -> None:
    save(tmp_path / "a.jpg")
    source = table(tmp_path, "path,label\na.jpg,cat\ngone.jpg,cat\nhttp://127.0.0.1:9/x.jpg,cat\nnul\0.jpg,cat\n")

    report = ingest(project, str(source), labels="answers")

    assert (report.read, report.labels) == (1, 1)
    reasons = {problem.name.replace("\0", "0"): problem.reason for problem in report.problems}
    assert reasons.pop("http://127.0.0.1:9/x.jpg").startswith("it could not be downloaded (")
    assert reasons == {"gone.jpg": "the file is not there", "nul0.jpg": "its name holds a zero byte"}


def test_duplicate_rows_that_disagree_are_reported_and_the_first_stands(project: Project, tmp_path: Path) -> None:
    save(tmp_path / "a.jpg")
    source = table(tmp_path, "path,label\na.jpg,cat\na.jpg,cat\na.jpg,dog\n")

    report = ingest(project, str(source), labels="answers")

    assert report.labels == 1
    assert any("both 'cat' and 'dog'" in problem.reason for problem in report.problems)
    current = project.store.answers.current(1)
    assert current is not None
    assert project.store.classes.get(current.answer.class_id or 0).name == "cat"


def test_two_annotators_may_disagree(project: Project, tmp_path: Path) -> None:
    save(tmp_path / "a.jpg")
    source = table(tmp_path, "path,label,annotator\na.jpg,cat,Ann\na.jpg,dog,Bo\n")

    assert ingest(project, str(source), labels="answers").labels == 2
    assert [stored.answer.annotator for stored in project.store.answers.all()] == ["Ann", "Bo"]


# In a process of its own: what else is in this one (other threads, Python's table of names) would be counted too.
PEAK = """
import sys, tracemalloc
from tidal_core.images.importers import scan
next(iter(scan(sys.argv[1]).items))  # brings in what is imported on the way
tracemalloc.start()
print(sum(1 for _ in scan(sys.argv[1]).items), tracemalloc.get_traced_memory()[1])
"""


def test_many_rows_are_gone_through_without_holding_them(tmp_path: Path) -> None:
    source = tmp_path / "t.csv"  # a million of them: benchmarks.ingest, csv_1m_s
    with source.open("w") as file:
        file.write("path,label\n")
        file.writelines(f"{number}.jpg,c{number % 7}\n" for number in range(50_000))

    ended = subprocess.run([sys.executable, "-c", PEAK, str(source)], capture_output=True, text=True, check=True)

    count, peak = map(int, ended.stdout.split())
    assert count == 50_000
    assert peak < 8_000_000


cells = st.one_of(
    st.text(max_size=12), st.integers(), st.none(), st.floats(), st.lists(st.text(max_size=3), max_size=3)
)


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=400), suffix=st.sampled_from([".csv", ".tsv", ".jsonl"]))
def test_any_bytes_are_a_table_or_an_input_error(
    data: bytes, suffix: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    source = table(tmp_path_factory.mktemp("fuzz"), b"path,label\nx.jpg,y\n" + data, f"t{suffix}")

    check_listing(source)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.one_of(st.dictionaries(st.sampled_from(["path", "label", "x"]), cells), cells), max_size=8))
def test_any_json_lines_are_a_table_or_an_input_error(
    rows: list[Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = "\n".join(json.dumps(row) for row in rows)

    check_listing(table(tmp_path_factory.mktemp("fuzz"), text, "t.jsonl"))


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=8))
def test_any_cells_written_by_a_csv_writer_come_back(
    rows: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    source = tmp_path_factory.mktemp("fuzz") / "t.csv"
    storable = [tuple(cell.encode("utf-8", "ignore").decode() for cell in row) for row in rows]
    with source.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label"), ("x.jpg", "y"), *((f"{a}.jpg", b) for a, b in storable)])

    images, _ = listed(source)

    assert len(images) == 1 + len(storable)


def check_listing(source: Path) -> None:
    try:
        items = list(scan(str(source)).items)
    except InputError:
        return
    for item in items:
        assert isinstance(item, (FoundImage, ImportProblem))
        item.name.encode()  # can be stored and shown
        if isinstance(item, FoundImage):
            item.uri.encode()
            (item.label or "").encode()


def test_guessing_prefers_a_column_whose_cells_are_images() -> None:
    guessed = guess_columns(["image", "file"], [{"image": "17", "file": "a.jpg"}], Columns())

    assert guessed.image == "file"
