"""Labels that come along with images."""

from pathlib import Path

import pytest

from tests.images.photos import save
from tidal_core.images.importers.base import FoundClass
from tidal_core.images.ingest import LabelUse, ingest
from tidal_core.images.labels import LabelBook
from tidal_core.projects import Project
from tidal_core.store.classes import Classes


def test_the_classes_of_a_source_are_made_in_its_order_in_one_transaction(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    added: list[int] = []
    add = Classes.add
    monkeypatch.setattr(Classes, "add", lambda self, names, **by: added.append(len(names)) or add(self, names, **by))
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


def test_names_that_look_the_same_are_one_class_and_it_is_said(project: Project) -> None:
    book = LabelBook(project.store)
    names = ("caf\u00e9", "cafe\u0301", "low\u2010key", "low-key", "big cat", "big\u200b cat", "\ufeffowl", "owl")

    book.add_classes([FoundClass(name) for name in names])

    assert [record.name for record in project.store.classes.all()] == ["caf\u00e9", "low\u2010key", "big cat", "owl"]
    reasons = [remark.reason for remark in book.remarks]
    assert [("look the same" in reason, "was taken as" in reason) for reason in reasons] == [
        (True, False),
        (False, True),
        (True, False),
        (True, False),
    ]


def test_a_label_that_loses_is_named_with_both_files_and_both_labels(project: Project, tmp_path: Path) -> None:
    names = ("train/cat/1.png", "train/dog/2.png", "test/dog/3.png", "test/cat/4.png", "train/cat/5.png")
    for seed, name in enumerate(names):
        save(tmp_path / "in" / name, seed=seed, kind="PNG")
    same = {
        "train/dog/again.png": "train/cat/1.png",  # two labels
        "test/dog/again.png": "train/cat/5.png",  # two labels, and once to measure with
        "train/dog/later.png": "test/dog/3.png",  # one label, once to measure with and once to train with
        "test/dog/twice.png": "test/dog/3.png",  # the same in all
    }
    for copy, original in same.items():
        (tmp_path / "in" / copy).write_bytes((tmp_path / "in" / original).read_bytes())

    report = ingest(project, str(tmp_path / "in"), labels="answers")

    reasons = {
        problem.name: problem.reason for problem in report.problems if "content is the same" not in problem.reason
    }
    assert set(reasons) == {"train/dog/again.png", "train/cat/5.png", "train/dog/later.png"}
    assert (
        "both 'cat' (train/cat/1.png) and 'dog' (train/dog/again.png); the first was taken"
        in (reasons["train/dog/again.png"])
    )
    assert "both 'dog' (test/dog/again.png) and 'cat' (train/cat/5.png)" in reasons["train/cat/5.png"]
    assert "twice, the first time as test/dog/3.png" in reasons["train/dog/later.png"]
    known = project.store.images.known_classes()
    assert report.labels == len(known) + len(project.store.answers.labels().image_ids) == 5
    (torn,) = (problem for problem in report.problems if "both 'cat'" in problem.reason)
    assert "Review asks" in torn.remedy
    classes = {record.id: record.name for record in project.store.classes.all()}
    assert [classes[class_id] for class_id in project.store.answers.two_labels().values()] == ["dog"]

    ingest(project, str(tmp_path / "in"), labels="answers")
    assert len(project.store.answers.two_labels()) == 1


def test_counts_of_known_labels_are_of_what_was_stored(project: Project, tmp_path: Path) -> None:
    for name in ("cat/1.png", "cat/2.png", "dog/3.png"):
        save(tmp_path / "in" / name, seed=1, kind="PNG")
    (tmp_path / "in" / "0.png").write_bytes((tmp_path / "in" / "cat" / "1.png").read_bytes())

    report = ingest(project, str(tmp_path / "in"), labels="known")

    assert (report.read, report.duplicates, report.labels) == (1, 3, 1)
    assert len(project.store.images.known_classes()) == 1
    assert any("both 'cat' (cat/1.png) and 'dog' (dog/3.png)" in problem.reason for problem in report.problems)


@pytest.mark.parametrize("use", ["known", "answers"])
def test_a_label_of_an_earlier_import_that_is_replaced_or_kept_is_named(
    use: LabelUse, project: Project, tmp_path: Path
) -> None:
    save(tmp_path / "in" / "cat" / "1.png", kind="PNG")
    save(tmp_path / "in" / "dog" / "2.png", seed=2, kind="PNG")
    ingest(project, str(tmp_path / "in"), labels=use)
    (tmp_path / "in" / "cat" / "1.png").rename(tmp_path / "in" / "dog" / "1.png")
    save(tmp_path / "in" / "cat" / "3.png", seed=3, kind="PNG")

    report = ingest(project, str(tmp_path / "in"), labels=use)

    about = {problem.name: problem.reason for problem in report.problems if "'cat'" in problem.reason}
    assert list(about) == ["dog/1.png"]
    assert ("the earlier class stands" if use == "known" else "the import's label stands now") in about["dog/1.png"]
    assert report.labels == (1 if use == "known" else 2)
