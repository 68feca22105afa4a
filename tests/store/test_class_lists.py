"""Lists of classes as files: what comes out goes in again, and rubbish is refused in words, whole."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tidal_core.errors import InputError
from tidal_core.store import Store
from tidal_core.store.class_lists import FORMATS, from_bytes, kind_of, plan_in_words, planned, to_text


def take(store: Store, content: bytes, kind: str = "csv") -> None:
    listed = from_bytes(content, kind)
    store.classes.take_list(lambda known: planned(known, listed), author="ann", source="list")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_list_that_comes_out_of_one_project_makes_the_same_classes_in_another(store: Store, kind: str) -> None:
    store.classes.change(2, name='=dog, "wild"', key="x", colour="#123456", description="barks\nat night; often")
    store.classes.arrange([3, 1, 2], keep_looks=True)
    text = to_text(store.classes.all(), kind)
    with Store(store.database.path.with_name("other.duckdb")) as other:
        take(other, b"\xef\xbb\xbf" + text.encode(), kind)
        looks = [(r.name, r.key, r.colour, r.description) for r in store.classes.all()]
        assert [(r.name, r.key, r.colour, r.description) for r in other.classes.all()] == looks
        assert len(other.classes.history()) == 1
        take(other, text.encode(), kind)
        assert len(other.classes.history()) == 1, "the same list again changes nothing"


def test_what_a_list_does_not_say_stays_and_its_order_comes_first(store: Store) -> None:
    listed = from_bytes("name;key;weight\nowl;o;3\nfox;;2\n".encode("utf-16"), "csv")
    assert plan_in_words(store.classes.all(include_retired=True), listed) == [
        "New: fox",
        "Changed: owl: key 3 becomes o",
        "3 classes come to another place in the order",
        "2 classes that the list does not name stay",
        "Not read, because they mean nothing here: weight",
    ]
    assert len(store.classes.history()) == 1, "a preview changes nothing"
    store.classes.take_list(lambda known: planned(known, listed), author="ann")
    assert [(r.name, r.key) for r in store.classes.all()] == [("owl", "o"), ("fox", "4"), ("cat", "1"), ("dog", "2")]

    store.classes.undo(2)
    assert [(r.name, r.key) for r in store.classes.all()] == [("cat", "1"), ("dog", "2"), ("owl", "3")]


@pytest.mark.parametrize(
    ("content", "kind", "why"),
    [
        (b"", "csv", "names no class"),
        (b"\n \n", "csv", "names no class"),
        (b"name\n", "csv", "names no class"),
        (b"<html><body>classes</body></html>", "csv", "names no column “name”"),
        (b"cat\ndog\n", "csv", "names no column “name”, but 'cat'"),
        (b"name,name\na,b\n", "csv", "column 'name' twice"),
        (b"name,key\ncat,c\nfox,c\n", "csv", "Line 3: the key 'c' is that of Line 2, too"),
        (b"name\nfox\nelk\nfox\n", "csv", "Line 4: the name 'fox' is that of Line 2, too"),
        (b"name,key\nfox,1\n", "csv", "Two classes would be answered by the key '1' then"),
        (b"name,key\nfox,u\n", "csv", "Line 2: The key 'u' is taken"),
        (b"name,colour\nfox,red\n", "csv", "Line 2: The colour 'red' cannot be used"),
        (b"name,colour\nfox,#12345g\n", "csv", "Line 2: The colour"),
        (b"name\n" + b"x" * 201 + b"\n", "csv", "Line 2: The class name 'xxx"),
        (b"name,description\nfox," + b"x" * 2_001 + b"\n", "csv", "Line 2: The description"),
        (b"name,key\n,f\n", "csv", "Line 2: there is no name"),
        (b"name\nfo\x07x\n", "csv", "invisible or broken characters"),
        (b"name\nf\0x\n", "csv", "bytes of 0"),
        (b"name\nf\xe9e\n", "csv", "no text in UTF-8"),
        (b"name,key\nfox,f,7\n", "csv", "Line 2 has 3 cells, the first line 2"),
        (b'name\n"fox\n', "csv", "cannot be read as CSV"),
        (b"{", "json", "is no JSON"),
        (b"[" * 100_000, "json", "is no JSON"),
        (b"7", "json", "no list of classes"),
        (b"[7]", "json", "Class 1 is neither a name"),
        (b'[{"key": "f"}]', "json", "Class 1: there is no name"),
        (b'[{"name": 7}]', "json", "Class 1: A class name cannot be empty"),
        (b'[{"name": "fox", "colour": ["#123456"]}]', "json", "Class 1: The colour"),
        (b'["fox", "fox"]', "json", "Class 2: the name 'fox' is that of Class 1"),
        (b"x" * 10_000_001, "csv", "more than 10,000,000 bytes"),
    ],
)
def test_rubbish_is_refused_in_words_and_changes_nothing(store: Store, content: bytes, kind: str, why: str) -> None:
    before = store.classes.all(include_retired=True)
    with pytest.raises(InputError) as refused:
        take(store, content, kind)
    assert why in str(refused.value)
    assert len(str(refused.value)) < 1_500
    assert store.classes.all(include_retired=True) == before


def test_a_name_of_a_class_out_of_use_is_refused_and_markup_is_a_name_like_any_other(store: Store) -> None:
    store.classes.retire(2)
    with pytest.raises(InputError, match="'dog' belongs to this project but is no longer in use"):
        take(store, b"name\ndog\n")
    take(store, b"name\n<b>fox</b>\n")
    assert "<b>fox</b>" in [record.name for record in store.classes.all()]
    with pytest.raises(InputError, match="ends neither"):
        kind_of("classes.xlsx")


def test_eight_thousand_classes_come_in_as_one_change_and_move_at_once(store: Store) -> None:
    names = [f"class {number}" for number in range(8_000)]
    take(store, json.dumps(names).encode(), "json")
    take(store, json.dumps(names[::-1]).encode(), "json")
    assert [record.name for record in store.classes.all()][:2] == ["class 7999", "class 7998"]
    assert len(store.classes.history()) == 3
    store.classes.undo(3)
    assert [record.name for record in store.classes.all()][:2] == ["class 0", "class 1"]


def test_the_example_of_the_formats_page_is_taken_in(store: Store) -> None:
    page = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```csv classes\.csv\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    take(store, example.encode())
    daisy, rose, *others = store.classes.all()
    assert (daisy.name, daisy.key, daisy.description) == ("daisy", "d", "White petals, yellow middle")
    assert rose.name == "rose"
    assert [record.name for record in others] == ["cat", "dog", "owl"]
