"""Tables written by the rules that people and programs follow, over trees of files, and read back."""

import csv
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.images.importers.test_field_tables import PHOTO, labels, with_options
from tidal_core.images.importers.cells import Labels, composed
from tidal_core.images.importers.names import NameIndex

CLASSES = ["cat", "G\u00e4nsebl\u00fcmchen", "red panda"]
NAME_FORMS = {
    "path": lambda path: path,
    "base": lambda path: path.rpartition("/")[2],
    "stem": lambda path: path.rpartition("/")[2].partition(".")[0],
    "windows": lambda path: "D:\\data\\" + path.replace("/", "\\"),
    "elsewhere": lambda path: "/mnt/other/" + path,
    "capitals": lambda path: path.upper(),
    "prefixed": lambda path: "0a1b2c3d-" + path.rpartition("/")[2],
    "other suffix": lambda path: path.rpartition(".")[0] + ".png",
}

stems = st.text("abcdefghijklmnopqrstuvwxyz0123456789_", min_size=1, max_size=8)
trees = st.lists(
    st.tuples(st.sampled_from(["", "train/", "train/deep/", "photos/"]), stems),
    min_size=2, max_size=6, unique_by=lambda file: file[1],
)  # fmt: skip


def written(rows: list[list[str]], delimiter: str, above: str, encoding: str) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return (above + text.getvalue()).encode(encoding)


@settings(max_examples=80, deadline=None)
@given(
    tree=trees,
    form=st.sampled_from(list(NAME_FORMS)),
    kind=st.sampled_from(["names", "floats", "one-hot", "no header", "listed"]),
    delimiter=st.sampled_from(",;\t|"),
    above=st.sampled_from(["", "sep", "My sheet of 2024\r\n\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"]),
    picks=st.lists(st.integers(0, 2), min_size=6, max_size=6),
)
def test_what_a_table_says_comes_back(
    tree: list[tuple[str, str]],
    form: str,
    kind: str,
    delimiter: str,
    above: str,
    encoding: str,
    picks: list[int],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("written")
    paths = [f"{below}{stem}.jpg" for below, stem in tree]
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(PHOTO)
    said = [CLASSES[pick] for pick in picks[: len(paths)]]
    names = [NAME_FORMS[form](path) for path in paths]
    cells = {
        "names": [[name, label] for name, label in zip(names, said, strict=True)],
        "no header": [[name, label] for name, label in zip(names, said, strict=True)],
        "floats": [[name, f"{CLASSES.index(label)}.0"] for name, label in zip(names, said, strict=True)],
        "one-hot": [
            [name, *(str(int(label == known)) for known in CLASSES)] for name, label in zip(names, said, strict=True)
        ],
        "listed": [[name, json.dumps([label])] for name, label in zip(names, said, strict=True)],
    }[kind]
    header = {"one-hot": [["filename", *CLASSES]], "no header": []}.get(kind, [["filename", "label"]])
    if kind == "floats":
        (folder / "classes.txt").write_text("\n".join(CLASSES), encoding="utf-8")
    line = f"sep={delimiter}\r\n" if above == "sep" else above
    (folder / "t.csv").write_bytes(written([*header, *cells], delimiter, line, encoding))

    images, _ = with_options(folder / "t.csv")

    assert [image.uri for image in images] == [str(folder / path) for path in paths]
    assert labels(images) == said


@settings(max_examples=200, deadline=None)
@given(
    paths=st.lists(st.text("aAb./\\%0-\u00e9\u0301", min_size=1, max_size=8), max_size=6, unique=True), name=st.text()
)
def test_a_name_means_one_file_that_is_there_or_says_why_not(paths: list[str], name: str) -> None:
    index = NameIndex(paths)

    for asked in (name, *paths):
        match = index.find(asked)
        assert match.path is None or match.path in paths
        assert not match.rivals or (match.path is None and len(match.rivals) > 1)


@settings(max_examples=200, deadline=None)
@given(
    cells=st.lists(st.one_of(st.none(), st.text(max_size=6), st.floats(), st.integers(), st.lists(st.text(max_size=2))))
)
def test_any_cells_are_labels_or_say_what_is_wrong(cells: list[object]) -> None:
    reader = Labels()
    reader.look(cells)

    for cell in cells:
        problem, label = reader.read(cell)
        assert problem is None or label is None
        assert label is None or label.strip()
    for text, parts in composed([cell for cell in cells if isinstance(cell, str)]).items():
        assert all(part in text for part in parts)
