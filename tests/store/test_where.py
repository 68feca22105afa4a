"""Which images a condition chooses, against the same said in Python; and what is said of one that cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.made_up import Size, make
from tidal_core.errors import InputError
from tidal_core.projects import Project
from tidal_core.records import Answer, AnswerKind
from tidal_core.store import where
from tidal_core.store.acts import Act, ActKind
from tidal_core.store.where import EVERYTHING, FIELDS, parse

NAMES = ("rose", "wild tulip", "Daisy", "not")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIDAL_HOME", str(tmp_path_factory.mktemp("home")))
        made = make("where", Size(labelled=40, pool=50, test=30, rounds=2, epochs=6, classes=4), class_names=NAMES)
    store = made.store
    store.answers.record(
        [
            Answer("skip", AnswerKind.SKIP, 60, annotator="carl"),
            Answer("flag", AnswerKind.FLAG, 61, annotator="carl", reason="two flowers"),
            Answer("undo", AnswerKind.UNDO, 3, undoes=store.answers.of_image(3)[-1].answer.event_id),
        ]
    )
    store.acts.perform(Act(ActKind.EXCLUDE), lambda: np.array([90]), np.empty(0, np.int64))
    store.acts.perform(Act(ActKind.SKIP, reason="two flowers"), lambda: np.array([89, 120]), np.empty(0, np.int64))
    yield made
    made.close()


@pytest.fixture(scope="module")
def facts(project: Project) -> list[dict[str, Any]]:
    """What is known of each image, put together in Python."""
    store = project.store
    names = {record.id: record.name for record in store.classes.all()}
    round_id = store.scores.latest_round()
    flagged = {entry.answer.image_id for entry in store.answers.set_aside() if entry.answer.kind is AnswerKind.FLAG}
    found = []
    for image in store.images.all():
        current = store.answers.current(image.id)
        scores = store.scores.of_image(image.id, round_id)
        found.append(
            {
                "id": image.id,
                "name": image.name,
                "kind": None if current is None else current.answer.kind.value,
                "label": None if current is None else names.get(current.answer.class_id or 0),
                "annotator": None if current is None else current.answer.annotator,
                "predicted": names[scores[0].predicted] if scores else None,
                "margin": scores[0].estimators["margin"] if scores else None,
                "known": names.get(image.known_class or 0),
                "reason": None if current is None else current.answer.reason,
                "flagged": image.id in flagged,
                "split": image.split.value,
            }
        )
    return found


CONDITIONS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "": lambda _: True,
    "labelled": lambda f: f["kind"] == "label",
    "unlabelled": lambda f: f["kind"] is None,
    "skipped": lambda f: f["kind"] == "skip",
    "flagged": lambda f: f["flagged"],
    "hidden": lambda _: False,
    "excluded": lambda f: f["id"] == 90,
    "known=rose": lambda f: f["known"] == "rose" and (f["kind"] == "label" or f["split"] == "test"),
    "known=none and split=pool": lambda f: f["kind"] != "label" and f["split"] == "pool",
    "reason='two flowers'": lambda f: f["reason"] == "two flowers",
    "mode=bulk": lambda f: f["id"] == 89,
    "not labelled": lambda f: f["kind"] != "label",
    "label=rose": lambda f: f["label"] == "rose",
    "label = ROSE": lambda f: f["label"] == "rose",
    'label="wild tulip"': lambda f: f["label"] == "wild tulip",
    "label='not'": lambda f: f["label"] == "not",
    "label!=rose": lambda f: f["label"] != "rose",
    "label=none": lambda f: f["label"] is None,
    "label in (rose, Daisy)": lambda f: f["label"] in {"rose", "Daisy"},
    "predicted=rose and margin<0.5": lambda f: (
        f["predicted"] == "rose" and f["margin"] is not None and f["margin"] < 0.5
    ),
    "predicted=rose and not margin<0.5": lambda f: (
        f["predicted"] == "rose" and not (f["margin"] is not None and f["margin"] < 0.5)
    ),
    "disagrees": lambda f: f["label"] is not None and f["predicted"] is not None and f["label"] != f["predicted"],
    "annotator=ada or annotator=carl": lambda f: f["annotator"] in {"ada", "carl"},
    "id<=10 and (label=rose or label=Daisy)": lambda f: f["id"] <= 10 and f["label"] in {"rose", "Daisy"},
    "id<=10 and label=rose or label=Daisy": lambda f: (f["id"] <= 10 and f["label"] == "rose") or f["label"] == "Daisy",
    "name~'PAGE 0001'": lambda f: "page 0001" in f["name"],
    'name~"100%"': lambda _: False,
    "split=test": lambda f: f["split"] == "test",
    "added>2000-01-01 and added<2000-01-02": lambda _: False,
    "NOT (Labelled OR skipped)": lambda f: f["kind"] is None,
}


@pytest.mark.parametrize("text", CONDITIONS)
def test_a_condition_chooses_what_it_says(project: Project, facts: list[dict[str, Any]], text: str) -> None:
    chosen = project.store.collection.ids(parse(text, project.store.classes.all()))

    assert chosen.tolist() == [f["id"] for f in facts if CONDITIONS[text](f)]
    assert project.store.collection.count(parse(text, project.store.classes.all())) == len(chosen)


def test_some_condition_chooses_something_of_each_kind(facts: list[dict[str, Any]]) -> None:
    empty = {text for text, holds in CONDITIONS.items() if not any(holds(f) for f in facts)}
    assert empty == {"hidden", 'name~"100%"', "added>2000-01-01 and added<2000-01-02"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rose", "There is no state 'rose' of images: states are labelled, unlabelled"),
        ("colour=red", "Images have no 'colour'; compare label, predicted"),
        ("label=red", "There is no class 'red' in this project; its classes are 'rose'"),
        ("margin<much", "margin is a number; write it with digits, such as 0.2, not 'much'"),
        ("margin<nan", "margin is a number"),
        ("margin<inf", "margin is a number"),
        ("label<rose", "label has no order"),
        ("margin~0.2", "margin is no text"),
        ("added=yesterday", "added is a day; write it as 2026-11-26, not 'yesterday'"),
        ("label=", "cannot be read at its end; write for example"),
        ("label==rose and", "cannot be read at its end"),
        ("(labelled", "cannot be read at its end"),
        ("labelled skipped", "cannot be read at 'skipped'"),
        ("label in ()", "cannot be read at"),
        ("name='", "cannot be read at"),
        ("a" * 3_000, "has 3,000 characters"),
        ("(" * 900 + "labelled" + ")" * 900, "parentheses|cannot be read"),
    ],
)
def test_what_is_no_condition_is_said_with_what_is_expected(project: Project, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        project.store.collection.count(parse(text, project.store.classes.all()))


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=60) | st.text("()=<>!~'\"andornti 0123.labepm", max_size=60))
def test_any_text_is_a_condition_or_refused_in_words(project: Project, text: str) -> None:
    try:
        condition = parse(text, project.store.classes.all())
    except InputError:
        return
    assert project.store.collection.count(condition) >= 0


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_sorts_both_ways_with_what_has_no_value_last(project: Project, name: str) -> None:
    up = project.store.collection.ids(EVERYTHING, sort=name)
    down = project.store.collection.ids(EVERYTHING, sort=name, descending=True)

    assert sorted(up.tolist()) == sorted(down.tolist()) == list(range(1, 121))
    if name == "id":
        assert up.tolist() == down.tolist()[::-1]


def test_an_unknown_order_is_refused(project: Project) -> None:
    with pytest.raises(InputError, match="cannot be sorted by 'colour'; choose one of label"):
        project.store.collection.ids(EVERYTHING, sort="colour")


def test_the_surest_come_last_by_margin(project: Project, facts: list[dict[str, Any]]) -> None:
    margins = {f["id"]: f["margin"] for f in facts}
    ordered = [margins[image_id] for image_id in project.store.collection.ids(EVERYTHING, sort="margin").tolist()]
    known = [margin for margin in ordered if margin is not None]

    assert known == sorted(known)
    assert ordered == known + [None] * (len(ordered) - len(known))


def test_counts_are_of_what_the_condition_chooses(project: Project, facts: list[dict[str, Any]]) -> None:
    ids = {record.name: record.id for record in project.store.classes.all()}
    some = [f for f in facts if f["predicted"] == "rose"]

    counts = project.store.collection.counts(parse("predicted=rose", project.store.classes.all()))

    assert counts["states"]["labelled"] == sum(f["kind"] == "label" for f in some)
    assert counts["states"]["disagrees"] == sum(CONDITIONS["disagrees"](f) for f in some)
    assert counts["predicted"] == {ids["rose"]: len(some)}
    wanted = {name: sum(f["label"] == name for f in some) for name in (*NAMES, None)}
    assert counts["label"] == {ids.get(name or ""): n for name, n in wanted.items() if n}


def test_a_prediction_for_an_image_that_only_measures_is_not_told_before_its_label(project: Project) -> None:
    store = project.store
    with store.database.write() as cursor:
        cursor.execute("UPDATE scores SET part = 'reserve' WHERE image_id = 70")
    try:
        assert 70 in store.collection.ids(parse("predicted=none", store.classes.all())).tolist()
        assert 70 not in store.collection.ids(parse("p>=0", store.classes.all())).tolist()
    finally:
        with store.database.write() as cursor:
            cursor.execute("UPDATE scores SET part = 'pool' WHERE image_id = 70")
    assert 70 in store.collection.ids(parse("p>=0", store.classes.all())).tolist()


def test_a_merged_class_is_the_one_it_was_merged_into(project: Project) -> None:
    store = project.store
    rose, tulip = (record.id for record in store.classes.all()[:2])
    both = store.collection.ids(parse("label in (rose, 'wild tulip')", store.classes.all()))
    store.classes.merge(tulip, rose)
    try:
        np.testing.assert_array_equal(store.collection.ids(parse("label=rose", store.classes.all())), both)
    finally:
        store.classes.bring_back(tulip)


def test_every_field_and_state_has_its_meaning_and_its_sources() -> None:
    assert all(chosen.meaning and chosen.source in where.SOURCES for chosen in FIELDS.values())
    assert all(state.meaning for state in where.STATES.values())


def test_the_documentation_has_the_table_of_all_words() -> None:
    text = (Path(__file__).parents[2] / "docs/conditions.md").read_text(encoding="utf-8")

    assert where.words_table() in text


@pytest.mark.parametrize("name", ["it's", 'a "b"', """both ' and " here""", "'", '""'])
@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_value_may_have_any_quotes_in_it(name: str, quote: str) -> None:
    written = quote + name.replace(quote, 2 * quote) + quote

    chosen = parse(f"name={written} or name={written}", [])

    assert list(chosen.parameters.values()) == [name, name]
