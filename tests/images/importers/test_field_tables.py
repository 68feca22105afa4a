"""Tables as people really have them: each test is a layout that was met, with photos of its own."""

import json
from pathlib import Path

import pytest

from tests.images.importers.listing import listed
from tests.images.photos import encoded, picture
from tidal_core.images.importers import scan
from tidal_core.images.importers.base import Columns, FoundImage, ImportOptions
from tidal_core.images.importers.cells import CellRules
from tidal_core.images.importers.names import How
from tidal_core.records import ImportProblem

PHOTO = encoded(picture(8, 6), "JPEG")


def photos(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(PHOTO)
    return folder


def table(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def with_options(source: Path, **options: object) -> tuple[list[FoundImage], list[ImportProblem]]:
    items = list(scan(str(source), ImportOptions(**options)).items)  # type: ignore[arg-type]
    images = [item for item in items if isinstance(item, FoundImage)]
    return images, [item for item in items if isinstance(item, ImportProblem)]


def labels(images: list[FoundImage]) -> list[str | None]:
    return [image.label for image in images]


def reasons(problems: list[ImportProblem]) -> list[str]:
    return [problem.reason for problem in problems]


BREEDS = ["beagle", "pug", "beagle", "corgi"] * 3


@pytest.mark.parametrize("header", ["id,breed", "image_id,label", "uuid,anything", "filename,klasse"])
def test_ids_without_a_suffix_are_found_in_a_folder_below(tmp_path: Path, header: str) -> None:
    photos(tmp_path / "train", *(f"{number:032x}.jpg" for number in range(12)))
    photos(tmp_path / "test", "ffff.jpg")
    rows = "".join(f"{number:032x},{breed}\r\n" for number, breed in enumerate(BREEDS))
    source = table(tmp_path / "labels.csv", f"{header}\r\n{rows}")

    images, problems = listed(source)

    assert labels(images) == BREEDS
    assert [image.uri for image in images] == [str(tmp_path / "train" / f"{n:032x}.jpg") for n in range(12)]
    assert reasons(problems) == ["names of images: 12 of 12 found below train/, .jpg added"]


@pytest.mark.parametrize(
    ("written", "lies", "words"),
    [
        ("a.jpg", "deep/er/a.jpg", "1 of 1 found below deep/er/"),
        ("C:\\Users\\me\\set\\cat\\a.jpg", "set/cat/a.jpg", "1 of 1 found below set/cat/, by the end of their paths"),
        ("/content/drive/set/cat/a.jpg", "cat/a.jpg", "1 of 1 found below cat/, by the end of their paths"),
        ("IMG_1.JPG", "x/img_1.jpg", f"1 of 1 found below x/, {How.BY_SPELLING}"),
        (
            "cafe\u0301.jpg",
            "x/caf\u00e9.jpg",
            f"1 of 1 found below x/, {How.BY_SPELLING}",
        ),
        ("x/a.png", "x/a.jpg", "1 of 1 found below x/, by their names without a suffix"),
        ("0123abcd-a.jpg", "x/a.jpg", "1 of 1 found below x/, without what a labelling tool adds to names"),
        ("a.jpg", "x/0123abcd-a.jpg", "1 of 1 found below x/, without what a labelling tool adds to names"),
        ("my%20photo.jpg", "x/my photo.jpg", "1 of 1 found below x/"),
        ("images/a.jpg", "images/a.jpg", ""),
        ("a.jpg", "images/a.jpg", ""),
    ],
)
def test_a_name_is_found_whatever_wrote_it(tmp_path: Path, written: str, lies: str, words: str) -> None:
    photos(tmp_path, lies)

    images, problems = listed(table(tmp_path / "t.csv", f"path,label\n{written},cat\n"))

    assert [image.uri for image in images] == [str(tmp_path / lies)]
    assert reasons(problems) == ([f"names of images: {words}"] if words else [])


def test_a_name_of_two_files_is_named_and_a_longer_end_of_its_path_decides(tmp_path: Path) -> None:
    photos(tmp_path, "one/cat/a.jpg", "two/dog/a.jpg")

    images, problems = listed(table(tmp_path / "t.csv", "path,label\na.jpg,cat\n/far/dog/a.jpg,dog\n"))

    assert [image.uri for image in images] == [str(tmp_path / "two/dog/a.jpg")]
    assert problems[0].reason == "2 files could be meant (one/cat/a.jpg, two/dog/a.jpg): none was read"
    assert "1 could be several files" in problems[1].reason


def test_a_file_that_one_row_names_is_not_taken_for_another_rows_missing_one(tmp_path: Path) -> None:
    photos(tmp_path, "train/1.jpg")

    images, problems = listed(table(tmp_path / "t.csv", "path,label\ntest/1.jpg,dog\ntrain/1.jpg,cat\n"))

    assert labels(images) == ["cat"]
    assert problems[0].reason == "it is not there; train/1.jpg has nearly this name, but another row means it"


def test_a_folder_of_images_can_be_named(tmp_path: Path) -> None:
    photos(tmp_path / "far" / "photos", "a.jpg")
    source = table(tmp_path / "here" / "t.csv", "id,label\na,cat\n")

    images, problems = with_options(source, images=tmp_path / "far")

    assert [image.uri for image in images] == [str(tmp_path / "far" / "photos" / "a.jpg")]
    assert reasons(problems) == ["names of images: 1 of 1 found below photos/, .jpg added"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("flat.json", [{"id": "a", "label": "cat"}]),
        ("coco.json", {
            "images": [{"id": 1, "file_name": "C:\\x\\a.jpg"}],
            "annotations": [{"image_id": 1, "category_id": 1}],
            "categories": [{"id": 1, "name": "cat"}],
        }),
        ("studio.json", [{
            "data": {"image": "/data/upload/1/0123abcd-a.jpg"},
            "annotations": [{"result": [{"value": {"choices": ["cat"]}}]}],
        }]),
    ],
)  # fmt: skip
def test_names_in_json_are_found_by_the_same_rules(tmp_path: Path, name: str, value: object) -> None:
    photos(tmp_path, "below/a.jpg")

    images, problems = listed(table(tmp_path / name, json.dumps(value)))

    assert [(image.uri, image.label) for image in images] == [(str(tmp_path / "below" / "a.jpg"), "cat")]
    assert problems[0].reason.startswith("names of images: 1 of 1 found below below/")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("label_num_to_disease_map.json", '{"0": "Blight (CBB)", "1": "Mosaic", "2": "Healthy"}'),
        ("classes.txt", "Blight (CBB)\nMosaic\nHealthy\n"),
        ("classes.txt", "0 Blight (CBB)\n1 Mosaic\n2 Healthy\n"),
        ("data.yaml", "nc: 3\nnames: ['Blight (CBB)', Mosaic, Healthy]\n"),
        ("data.yml", "names:\n  0: Blight (CBB)\n  1: Mosaic\n  2: Healthy\n"),
        ("label2id.json", '{"Blight (CBB)": 0, "Mosaic": 1, "Healthy": 2}'),
    ],
)
@pytest.mark.parametrize("form", ["{}", "{}.0"])
def test_numbers_get_their_names_from_the_file_beside(tmp_path: Path, file: str, text: str, form: str) -> None:
    photos(tmp_path / "train_images", *(f"{number}.jpg" for number in range(3)))
    table(tmp_path / file, text)
    rows = "".join(f"{number}.jpg,{form.format(number)}\n" for number in range(3))
    source = table(tmp_path / "train.csv", f"image_id,label\n{rows}")

    images, _ = listed(source)
    facts = scan(str(source)).table

    assert labels(images) == ["Blight (CBB)", "Mosaic", "Healthy"]
    assert facts is not None
    assert facts.named_by.startswith(f"{file}: 0 = Blight (CBB)")
    assert labels(with_options(source, class_names="")[0]) == ["0", "1", "2"]


def test_a_list_of_names_counts_from_one_where_the_numbers_do_and_one_that_does_not_fit_is_left(tmp_path: Path) -> None:
    photos(tmp_path, "1.jpg", "2.jpg")
    source = table(tmp_path / "t.csv", "file,label\n1.jpg,1\n2.jpg,2\n")
    table(tmp_path / "classes.txt", "cat\ndog\n")

    assert labels(listed(source)[0]) == ["cat", "dog"]
    table(tmp_path / "classes.txt", "cat\n")
    assert labels(listed(source)[0]) == ["1", "2"]


@pytest.mark.parametrize("names", ["img{}_jpg.rf.0123456789abcdef0123456789abcdef.jpg", "ISIC_{}"])
@pytest.mark.parametrize("cells", [("1", "0"), ("1.0", "0.0"), ("True", "False")])
def test_a_column_for_each_class_is_a_label(tmp_path: Path, names: str, cells: tuple[str, str]) -> None:
    yes, no = cells
    files = [names.format(number) for number in range(4)]
    photos(tmp_path, *(name if name.endswith(".jpg") else f"{name}.jpg" for name in files))
    rows = [(yes, no, no), (no, yes, no), (yes, yes, no), (no, no, no)]
    lines = "".join(f"{name},{','.join(row)}\r\n" for name, row in zip(files, rows, strict=True))
    source = table(tmp_path / "_classes.csv", f"filename, daisy, roses, tulips\n{lines}")

    images, problems = listed(source)

    assert labels(images) == ["daisy", "roses", None, None]
    assert "it has 2 labels (daisy, roses)" in problems[0].reason
    assert labels(with_options(source, cells=CellRules("first"))[0]) == ["daisy", "roses", "daisy", None]


def test_a_table_without_a_header_is_read_by_what_is_in_it(tmp_path: Path) -> None:
    photos(tmp_path / "x", "17.jpg", "18.jpg", "19.jpg", "20.jpg")

    for text in ("17.jpg,cat\n18.jpg,dog\n19.jpg,cat\n20.jpg,\n", "17,cat\n18,dog\n19,cat\n20,\n"):
        images, _ = listed(table(tmp_path / "t.csv", text))
        assert labels(images) == ["cat", "dog", "cat", None]


def test_of_a_number_and_its_name_the_name_is_the_label(tmp_path: Path) -> None:
    photos(tmp_path, "a.jpg", "b.jpg")

    images, _ = listed(table(tmp_path / "t.csv", "file,label,label_name\na.jpg,0,cat\nb.jpg,1,dog\n"))

    assert labels(images) == ["cat", "dog"]


MISSING = ["1.0", "2.0", "", "0.0", "nan", "N/A", "None", "-1.0", "unlabeled", "NULL", "#N/A", "1"]


def test_whole_floats_are_numbers_and_words_for_nothing_are_no_labels(tmp_path: Path) -> None:
    photos(tmp_path, *(f"{number}.jpg" for number in range(len(MISSING))))
    rows = "".join(f"{number},{number}.jpg,{cell}\r\n" for number, cell in enumerate(MISSING))
    source = table(tmp_path / "labels.csv", f",filename,label\r\n{rows}")

    images, problems = listed(source)

    assert labels(images) == ["1", "2", None, "0", None, None, None, "-1", None, None, None, "1"]
    assert reasons(problems) == ["6 labels say nan, N/A, None, unlabeled, NULL, ...: no label"]
    table(tmp_path / "names.json", '["zero", "one", "two"]')
    assert labels(listed(source)[0])[:8] == ["one", "two", None, "zero", None, None, None, None]
    kept, _ = with_options(source, cells=CellRules(keep_missing=True), class_names="")
    assert labels(kept)[4:7] == ["nan", "N/A", "None"]


def test_floats_that_are_measures_stay_as_they_are(tmp_path: Path) -> None:
    photos(tmp_path, "a.jpg", "b.jpg")

    images, _ = listed(table(tmp_path / "t.csv", "file,label\na.jpg,1.0\nb.jpg,2.5\n"))

    assert labels(images) == ["1.0", "2.5"]


@pytest.mark.parametrize(
    "cell",
    ["cat|dog", "cat; dog", '"cat,dog"', "cat/dog", '"[""cat"", ""dog""]"', "\"['cat', 'dog']\"",
     '"{""choices"": [""cat"", ""dog""]}"'],
)  # fmt: skip
def test_several_labels_in_a_cell_are_left_out_or_the_first_or_one_class(tmp_path: Path, cell: str) -> None:
    photos(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    source = table(tmp_path / "t.csv", f"file,label\na.jpg,cat\nb.jpg,dog\nc.jpg,{cell}\n")

    images, problems = listed(source)

    assert labels(images) == ["cat", "dog", None]
    assert reasons(problems) == ["it has 2 labels (cat, dog), an image can have one; it was read without a label"]
    assert labels(with_options(source, cells=CellRules("first"))[0]) == ["cat", "dog", "cat"]
    assert "cat" in (with_options(source, cells=CellRules("as-one"))[0][2].label or "")


def test_a_class_of_two_words_is_one_class(tmp_path: Path) -> None:
    photos(tmp_path, *(f"{number}.jpg" for number in range(3)))

    images, _ = listed(table(tmp_path / "t.csv", 'file,label\n0.jpg,red panda\n1.jpg,red\n2.jpg,"lion, male"\n'))

    assert labels(images) == ["red panda", "red", "lion, male"]


KLASSEN = ["G\u00e4nsebl\u00fcmchen", "Rose", "rose", "L\u00f6wenzahn, klein", "Tulpe"]


def spreadsheet(delimiter: str = ";", above: str = "", end: str = "\r\n") -> str:
    rows = [f"Foto {n}.jpg{delimiter} {label} " for n, label in enumerate(KLASSEN)]
    return above + end.join([f"Datei{delimiter}Klasse", *rows, delimiter]) + end


@pytest.mark.parametrize(
    "data",
    [
        spreadsheet().encode("cp1252"),
        ("\ufeff" + spreadsheet(above="sep=;\r\n")).encode(),
        ("\ufeffsep=\t\r\n" + spreadsheet("\t")).encode("utf-16-le"),
        spreadsheet("\t").encode("utf-16-be"),
        ("\ufeff" + spreadsheet(above="Annotation sheet 2024;\r\n;\r\n")).encode(),
        spreadsheet(above="Project flowers\r\n\r\nby Ann\r\n").encode(),
        spreadsheet(end="\r").encode("mac_roman"),
        spreadsheet().encode("utf-32"),
    ],
)
def test_what_spreadsheets_save_is_read(tmp_path: Path, data: bytes) -> None:
    photos(tmp_path, *(f"Foto {number}.jpg" for number in range(5)))

    images, _ = listed(table(tmp_path / "t.csv", data))

    assert labels(images) == KLASSEN


@pytest.mark.parametrize(
    ("encoding", "words"),
    [("cp1251", ["\u0442\u044e\u043b\u044c\u043f\u0430\u043d", "\u0440\u043e\u0437\u0430"]),
     ("cp1253", ["\u03b3\u03ac\u03c4\u03b1", "\u03c3\u03ba\u03cd\u03bb\u03bf\u03c2"]),
     ("cp1250", ["\u017c\u00f3\u0142ty", "\u0142o\u015b"]),
     ("shift_jis", ["\u72ac", "\u732b"])],
)  # fmt: skip
def test_code_pages_are_told_by_their_letters_or_by_a_person(tmp_path: Path, encoding: str, words: list[str]) -> None:
    photos(tmp_path, *(f"{number}.jpg" for number in range(6)))
    rows = "".join(f"{number}.jpg;{words[number % 2]}\r\n" for number in range(6))
    source = table(tmp_path / "t.csv", f"path;label\r\n{rows}".encode(encoding))

    images, problems = listed(source)

    assert set(labels(images)) == set(words)
    assert "it is not UTF-8: it was read as" in problems[0].reason
    images, problems = with_options(source, encoding=encoding)
    assert (set(labels(images)), problems) == (set(words), [])


def test_the_column_of_findings_is_the_label_of_a_table_of_many_columns(tmp_path: Path) -> None:
    photos(tmp_path / "images", "f0.jpeg", "f1.jpeg", "f2.jpeg")
    header = "Patientid,offset,sex,age,finding,survival,view,date,location,folder,filename,doi, url,license,notes"
    rows = [f'{n},0,M,65,{found},,PA,2020,"Jinling, China",images,f{n}.jpeg,10.1/x,https://e.org,,"Chest, ""x""\ny"'
            for n, found in enumerate(["COVID-19", "ARDS", "COVID-19"])]  # fmt: skip
    source = table(tmp_path / "metadata.csv", "\n".join([header, *rows]))

    images, _ = listed(source)
    assert labels(images) == ["COVID-19", "ARDS", "COVID-19"]
    assert scan(str(source)).columns == Columns(image="filename", label="finding")
