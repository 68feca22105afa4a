"""Labels that come along with images."""

import pytest

from tidal_core.images.importers.base import FoundClass
from tidal_core.images.labels import LabelBook
from tidal_core.projects import Project
from tidal_core.store.classes import Classes


def test_the_classes_of_a_source_are_made_in_its_order_in_one_transaction(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    added: list[int] = []
    add = Classes.add
    monkeypatch.setattr(Classes, "add", lambda self, names: added.append(len(names)) or add(self, names))
    names = [f"class {number}" for number in range(300)]

    LabelBook(project.store).add_classes([FoundClass(name) for name in names])

    assert added == [300]
    assert [record.name for record in project.store.classes.all()] == names


def test_names_that_are_alike_out_of_use_or_no_names_are_said(project: Project) -> None:
    cat, dog, hound = project.store.classes.add(["Cat", "dog", "hound"])
    project.store.classes.retire(dog.id)
    project.store.classes.merge(hound.id, cat.id)
    book = LabelBook(project.store)

    book.add_classes([FoundClass(name) for name in ("cat", "dog", "hound", "Owl", "owl", "x" * 201, "a  b", "a b")])

    assert [record.name for record in project.store.classes.all()] == ["Cat", "Owl", "a b"]
    reasons = {remark.name[:20]: remark.reason for remark in book.remarks}
    assert reasons["class cat"] == "was taken as the class 'Cat'"
    assert "no longer in use" in reasons["class dog"]
    assert reasons["class owl"] == "was taken as the class 'Owl'"
    assert "cannot be used" in reasons["class " + "x" * 14]
    assert len(book.remarks) == 4
