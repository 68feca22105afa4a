"""Images with a file that describes them: Label Studio, COCO, CVAT, Hugging Face, FiftyOne."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.images.importers.listing import listed
from tests.images.importers.test_archive import packed, photo
from tests.images.photos import save
from tidal_core.errors import InputError
from tidal_core.images.importers import scan
from tidal_core.images.importers.base import Columns, FoundImage
from tidal_core.records import ImportProblem, Split

NOT_MENTIONED = "the file with the labels does not mention it; it was read without a label"
NOT_THERE = "the file with the labels names it, but it is not there"


def written(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def labels_of(source: Path) -> list[tuple[str, str | None, str | None]]:
    """(file name, label, annotator) of each image."""
    return [(Path(image.uri).name, image.label, image.annotator) for image in listed(source)[0]]


def choices(*names: str, **more: Any) -> dict[str, Any]:
    return {"result": [{"type": "choices", "value": {"choices": list(names)}}], **more}


def test_label_studio_choices_are_labels_of_their_annotators(tmp_path: Path) -> None:
    save(tmp_path / "a.jpg")
    save(tmp_path / "images" / "0123abcd-b.jpg")
    tasks = [
        {
            "id": 1,
            "data": {"img": str(tmp_path / "a.jpg")},
            "annotations": [choices("cat", completed_by={"email": "ann@example.org"}), choices("dog", completed_by=7)],
        },
        {"id": 2, "data": {"image": "/data/upload/3/0123abcd-b.jpg"}, "completions": [choices("cat")]},
        {"id": 3, "data": {"image": f"/data/local-files/?d={tmp_path}/a.jpg"}, "annotations": []},
        {"id": 4, "data": {"image": "c.jpg"}, "annotations": [choices("dog", was_cancelled=True)], "predictions": []},
        {"id": 5, "data": {"text": "hello"}, "annotations": [choices("x")]},
        {"id": 6, "data": {"image": "d.jpg"}, "annotations": [choices("cat", "dog")]},
    ]
    source = written(tmp_path / "export.json", tasks)

    assert labels_of(source) == [
        ("a.jpg", "cat", "ann@example.org"),
        ("a.jpg", "dog", "annotator 7"),
        ("0123abcd-b.jpg", "cat", None),
        ("a.jpg", None, None),
        ("c.jpg", None, None),
        ("d.jpg", None, None),
    ]
    assert [problem.name for problem in listed(source)[1]] == ["export.json task 5", "export.json task 6"]


def test_label_studios_short_form_reads_like_a_table(tmp_path: Path) -> None:
    source = written(tmp_path / "min.json", [{"image": "a.jpg", "choice": "cat", "annotator": 3}, 7])

    assert labels_of(source) == [("a.jpg", "cat", "3")]
    assert [problem.name for problem in listed(source)[1]] == ["min.json item 2"]


def test_coco_categories_are_labels(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.jpg")
    value = {
        "images": [
            {"id": 1, "file_name": "a.jpg"},
            {"id": 2, "file_name": "b.jpg"},
            {"id": 3, "file_name": "c.jpg"},
            {},
        ],
        "annotations": [
            {"image_id": 1, "category_id": 5},
            {"image_id": 1, "category_id": 5, "bbox": [0, 0, 1, 1]},
            {"image_id": 2, "category_id": 5},
            {"image_id": 2, "category_id": 6},
            {"image_id": 3, "category_id": 9},
        ],
        "categories": [{"id": 5, "name": "cat"}, {"id": 6, "name": "dog"}],
    }
    source = written(tmp_path / "annotations" / "instances.json", value)

    images, problems = listed(source)

    assert images[0].uri == str(tmp_path / "images" / "a.jpg")
    assert [image.label for image in images] == ["cat", None, None]
    assert [label_class.name for label_class in scan(str(source)).classes] == ["cat", "dog"]
    assert [problem.reason for problem in problems] == [
        "its category 9 has no name",
        "it has 2 labels (cat, dog), an image can have one; it was read without a label",
        "it has no file name",
    ]


@pytest.mark.parametrize("text", ["{}", "3", '{"a": 1}', "[1, 2]", "{", "", "[" * 100_000])
def test_json_that_describes_no_images_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError):
        listed(written(tmp_path / "a.json", text))


CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
<meta><task><labels><label><name>cat</name></label><label><name>dog</name></label></labels></task></meta>
<image id="0" name="a.jpg" width="40" height="30"><tag label="dog" source="manual"></tag></image>
<image id="1" name="sub/b.jpg"><box label="cat" xtl="0" ytl="0" xbr="1" ybr="1"></box></image>
<image id="2" name="c.jpg" subset="Test"><tag label="cat"/><tag label="cat"/></image>
<image id="3" name="d.jpg"><tag label="cat"/><tag label="dog"/></image>
<image id="4" name="gone.jpg"><tag label="cat"/></image>
</annotations>"""


def test_cvat_tags_are_labels(tmp_path: Path) -> None:
    for name in ("a.jpg", "sub/b.jpg", "Test/c.jpg", "d.jpg", "extra.jpg"):
        save(tmp_path / "t" / "images" / name)
    written(tmp_path / "t" / "annotations.xml", CVAT)

    images, problems = listed(tmp_path / "t")

    assert {image.name: (image.label, image.split) for image in images} == {
        "images/a.jpg": ("dog", None),
        "images/d.jpg": (None, None),
        "images/extra.jpg": (None, None),
        "images/Test/c.jpg": ("cat", Split.TEST),
        "images/sub/b.jpg": (None, None),
    }
    assert {problem.name: problem.reason for problem in problems} == {
        "d.jpg": "it has 2 labels (cat, dog), an image can have one; it was read without a label",
        "images/extra.jpg": NOT_MENTIONED,
        "images/gone.jpg": NOT_THERE,
    }
    assert [label_class.name for label_class in scan(str(tmp_path / "t")).classes] == ["cat", "dog"]
    assert len(listed(tmp_path / "t" / "annotations.xml")[0]) == 5


def test_cvats_zip_is_read_too(tmp_path: Path) -> None:
    source = packed(tmp_path / "in" / "t.zip", {"annotations.xml": CVAT.encode(), "images/a.jpg": photo(1)})

    assert labels_of(source) == [("a.jpg", "dog", None)]


@pytest.mark.parametrize(
    "text", ["<annotations>", "not xml", '<!DOCTYPE x [<!ENTITY a "b">]><annotations>&a;</annotations>']
)
def test_a_damaged_or_expanding_description_is_refused_and_named_beside_images(tmp_path: Path, text: str) -> None:
    save(tmp_path / "t" / "cat" / "a.jpg")
    save(tmp_path / "t" / "dog" / "b.jpg", seed=1)
    source = written(tmp_path / "t" / "annotations.xml", text)

    with pytest.raises(InputError, match="export it again"):
        listed(source)
    images, problems = listed(source.parent)
    assert [image.label for image in images] == ["cat", "dog"]
    assert [problem.name for problem in problems] == ["annotations.xml"]
    assert "no labels were read from it" in problems[0].reason


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("metadata.csv", "class,number of images,source\ncat,3,GitHub\ndog,3,Kaggle\n"),
        ("metadata.csv", "file_name,label\nelsewhere/1.jpg,x\nelsewhere/2.jpg,y\n"),
        ("metadata.csv", ""),
        ("metadata.jsonl", "{}\n[1]\n"),
        ("data/../labels.json", {"0": "cat", "1": "dog"}),
        ("labels.json", {"labels": {"nobody": "cat"}}),
        ("labels.json", [1, 2]),
        ("annotations.xml", "<annotations><image name='x.jpg'><tag label='x'/></image></annotations>"),
    ],
)
def test_a_file_that_is_called_like_a_description_and_names_no_image_is_an_ordinary_file(
    name: str, text: Any, tmp_path: Path
) -> None:
    top = tmp_path / "t" / ("data" if "labels.json" in name else "")
    for seed, image_name in enumerate(("cat/cat-1.jpg", "dog/dog-1.jpg")):
        save(top / image_name, seed=seed)
    written(tmp_path / "t" / name.removeprefix("data/../"), text)

    images, problems = listed(tmp_path / "t")

    assert [image.label for image in images] == ["cat", "dog"]
    assert [found_class.name for found_class in scan(str(tmp_path / "t")).classes] == ["cat", "dog"]
    (problem,) = problems
    assert problem.name == name.removeprefix("data/../")
    assert problem.reason.endswith("no labels were read from it")


def test_metadata_of_cameras_leaves_the_labels_to_the_folders_and_says_nothing_else(tmp_path: Path) -> None:
    for seed, name in enumerate(("daisy/daisy-0.png", "daisy/daisy-1.png", "roses/roses-0.png")):
        save(tmp_path / "t" / name, seed=seed, kind="PNG")
    written(tmp_path / "t" / "metadata.csv", "file,camera,width\ndaisy-0.png,Nikon,96\nroses-0.png,Nikon,96\n")

    images, problems = listed(tmp_path / "t")

    assert [image.label for image in images] == ["daisy", "daisy", "roses"]
    assert [found_class.name for found_class in scan(str(tmp_path / "t")).classes] == ["daisy", "roses"]
    assert problems == []


def test_metadata_beside_a_folder_of_images_says_their_labels(tmp_path: Path) -> None:
    rows = ["patient,sex,finding,folder,filename,url"]
    for number, finding in enumerate(("COVID-19", "ARDS", "COVID-19", "SARS")):
        save(tmp_path / "t" / "images" / f"nejmc_f{number}.jpeg", seed=number)
        rows.append(f"{number},M,{finding},images,nejmc_f{number}.jpeg,https://example.org/{number}")
    written(tmp_path / "t" / "metadata.csv", "\n".join(rows))

    images, problems = listed(tmp_path / "t")
    chosen, _ = listed(tmp_path / "t", Columns(label="finding"))

    assert {image.label for image in images} <= {None, "COVID-19", "ARDS", "SARS"}
    assert [image.label for image in chosen] == ["COVID-19", "ARDS", "COVID-19", "SARS"]
    assert not [problem for problem in problems if "mention" in problem.reason]


def test_a_description_in_a_wrapping_folder_is_found(tmp_path: Path) -> None:
    save(tmp_path / "t" / "archive" / "cats" / "1.jpg")
    written(tmp_path / "t" / "archive" / "metadata.csv", "file_name,label\ncats/1.jpg,tiger\n")

    assert [image.label for image in listed(tmp_path / "t")[0]] == ["tiger"]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_hugging_face_metadata_says_labels(tmp_path: Path, form: str) -> None:
    for name in ("train/1.jpg", "train/2.jpg", "test/3.jpg"):
        save(tmp_path / "t" / name)
    for split, rows in {"train": [("1.jpg", "cat"), ("gone.jpg", "dog")], "test": [("3.jpg", "dog")]}.items():
        lines = ["file_name,label", *(f"{name},{label}" for name, label in rows)]
        if form == "jsonl":
            lines = [json.dumps({"file_name": name, "label": label}) for name, label in rows]
        written(tmp_path / "t" / split / f"metadata.{form}", "\n".join(lines))

    images, problems = listed(tmp_path / "t")

    assert {image.name: (image.label, image.split) for image in images} == {
        "test/3.jpg": ("dog", Split.TEST),
        "train/1.jpg": ("cat", Split.POOL),
        "train/2.jpg": (None, Split.POOL),
    }
    assert {problem.name: problem.reason for problem in problems} == {
        "train/2.jpg": NOT_MENTIONED,
        "train/gone.jpg": NOT_THERE,
    }


def test_metadata_without_labels_leaves_them_to_the_folders(tmp_path: Path) -> None:
    save(tmp_path / "t" / "cat" / "1.jpg")
    written(tmp_path / "t" / "metadata.csv", "file_name,caption\ncat/1.jpg,hello\n")

    assert labels_of(tmp_path / "t") == [("1.jpg", "cat", None)]


def test_fiftyones_labels_are_positions_or_names(tmp_path: Path) -> None:
    for stem in ("1", "2", "3.x"):
        save(tmp_path / "t" / "data" / f"{stem}.jpg")
    labels = {"1": 1, "2": "cat", "3.x": 5, "gone": 0}
    written(tmp_path / "t" / "labels.json", {"classes": ["cat", "dog"], "labels": labels})

    assert labels_of(tmp_path / "t") == [("1.jpg", "dog", None), ("2.jpg", "cat", None), ("3.x.jpg", None, None)]
    assert [problem.reason for problem in listed(tmp_path / "t")[1]] == [
        "its label 5 is not the number of a class (0 to 1); it was read without a label",
        NOT_THERE,
    ]


def test_a_manifest_of_sagemaker_says_labels_by_the_names_of_their_classes(tmp_path: Path) -> None:
    save(tmp_path / "photos" / "1.jpg")

    def line(name: str, **facts: Any) -> dict[str, Any]:
        return {"source-ref": f"s3://bucket/{name}", "kind": 0, "kind-metadata": {"human-annotated": "yes", **facts}}

    lines = [
        line("photos/1.jpg", **{"class-name": "cat"}),
        line("2.jpg", **{"class-name": "dog", "human-annotated": "no"}),
        line("3.jpg", **{"class-map": {"0": "cat"}}),
        line("4.jpg", **{"class-map": {"0": "cat", "1": "dog"}}),
        {"source-ref": "s3://bucket/5.jpg"},
    ]
    source = written(tmp_path / "output.manifest", "".join(json.dumps(each) + "\n" for each in lines))

    images, problems = listed(source)

    assert [(image.uri, image.label) for image in images] == [
        (str(tmp_path / "photos" / "1.jpg"), "cat"),
        ("s3://bucket/2.jpg", None),
        ("s3://bucket/3.jpg", "cat"),
        ("s3://bucket/4.jpg", None),
        ("s3://bucket/5.jpg", None),
    ]
    assert any("2 labels (cat, dog)" in problem.reason for problem in problems)
    with pytest.raises(InputError, match="its labels are: 'kind'"):
        listed(source, Columns(label="breed"))


def test_a_history_export_is_not_taken_for_labels(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a history of all answers; export the current labels \(--what labels\)"):
        listed(written(tmp_path / "h.csv", "seq,event_id,kind,path,label\n1,a,label,a.jpg,cat\n"))


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["images", "annotations", "categories", "id", "name", "file_name", "data", "image", "result", "value"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(value=json_values)
def test_any_json_is_listed_or_refused(value: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    source = written(tmp_path_factory.mktemp("fuzz") / "a.json", json.dumps(value))

    try:
        items = list(scan(str(source)).items)
    except InputError:
        return
    assert all(isinstance(item, (FoundImage, ImportProblem)) for item in items)
    for item in items:
        item.name.encode()
