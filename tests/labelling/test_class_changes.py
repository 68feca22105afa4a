"""Random changes of classes, answers, double answers, undos and rounds, against a plain model of the rules.

The model keeps what people did, in lists and dictionaries, and looks everything up by going through them again. It
knows nothing of views, of merged classes that are followed in the file, or of events that hold differences.
"""

from __future__ import annotations

import copy
import itertools
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.store.samples import image
from tidal_core.errors import InputError, NotFound
from tidal_core.labelling.splitting import images_of, split_off, undo_change
from tidal_core.records import Answer, AnswerKind, RoundState
from tidal_core.store import Store
from tidal_core.store.class_rules import RESERVED_KEYS

IMAGES = range(1, 9)
PEOPLE = ("ann", "bob")
NAMES = ("cat", "dog", "owl", "fox", "elk")
COLOURS = ("#000000", "#ffffff", "#105bc3")


class Given(NamedTuple):
    """One answer that nobody took back, in the order in which they came."""

    annotator: str
    class_id: int | None  # what was pressed; None for a skip


def label_now(given: list[Given], final: Callable[[int], int], in_use: list[int]) -> int | None:
    """The rule that makes one label of all answers to an image (Consensus in the glossary). The one place that says so.

    Each person's last answer is a vote for what its class was merged into; a skip and a class out of use are none. Most
    votes win, on a tie the newest answer.
    """
    last = {each.annotator: (place, each.class_id) for place, each in enumerate(given)}
    answers = [(place, None if pressed is None else final(pressed)) for place, pressed in last.values()]
    votes = Counter(pressed for _, pressed in answers if pressed in in_use)
    return max(answers, key=lambda each: (votes[each[1]], each[0]), default=(0, None))[1]


class Refused(Exception):
    """What the rules do not allow."""


class Model:
    """The rules, word by word."""

    def __init__(self) -> None:
        self.classes: dict[int, dict[str, Any]] = {}
        self.changes: list[dict[str, Any]] = []  # {author, kind, before, after, undoes}: whole lists
        self.answers: list[dict[str, Any]] = []  # as sent, never changed
        self.rounds: list[dict[str, Any]] = []
        self.clock = itertools.count(1)

    # --- classes

    def in_use(self, classes: dict[int, dict[str, Any]] | None = None) -> list[int]:
        classes = self.classes if classes is None else classes
        there = [c for c, each in classes.items() if each["into"] is None and not each["retired"]]
        return sorted(there, key=lambda c: (classes[c]["place"], c))

    def final(self, class_id: int, classes: dict[int, dict[str, Any]] | None = None) -> int:
        classes = self.classes if classes is None else classes
        while classes[class_id]["into"] is not None:
            class_id = classes[class_id]["into"]
        return class_id

    def seen(self, classes: dict[int, dict[str, Any]], class_id: int) -> dict[str, Any]:
        """All that can be said of a class, also where it ends up."""
        end = self.final(class_id, classes)
        return {**classes[class_id], "end": end if end != class_id else None}

    def change(
        self, author: str, kind: str, work: Callable[[dict[int, dict[str, Any]]], None], undoes: int = 0
    ) -> None:
        before, after = copy.deepcopy(self.classes), copy.deepcopy(self.classes)
        work(after)
        if before != after or undoes or kind == "split":
            self.classes = after
            self.changes.append({"author": author, "kind": kind, "before": before, "after": after, "undoes": undoes})

    def add(self, name: str, author: str) -> None:
        if name in [self.classes[c]["name"] for c in self.in_use()]:
            return
        self.must_be_free(name)
        new = {"name": name, "place": len(self.classes), "into": None, "retired": 0, "description": ""}
        self.change(author, "add", lambda after: after.update({len(after) + 1: dict(new)}))

    def must_be_free(self, name: str, own: int = 0, classes: dict[int, dict[str, Any]] | None = None) -> None:
        classes = self.classes if classes is None else classes
        for c, each in classes.items():
            if c == own or each["name"] != name:
                continue
            is_own_part = each["into"] is not None and self.final(c, classes) == own
            if each["retired"] or not is_own_part:
                raise Refused

    def must_be_in_use(self, *class_ids: int) -> None:
        if any(c not in self.in_use() for c in class_ids):
            raise Refused

    def set(self, class_id: int, field: str, value: object, author: str) -> None:
        self.must_be_in_use(class_id)
        if field == "name":
            self.must_be_free(str(value), class_id)
        self.change(author, "change", lambda after: after[class_id].update({field: value}))

    def arrange(self, class_ids: list[int], author: str) -> None:
        if any(c not in self.classes for c in class_ids):
            raise Refused
        moving = [c for c in class_ids if c in self.in_use()]
        places = sorted(self.classes[c]["place"] for c in moving)

        def move(after: dict[int, dict[str, Any]]) -> None:
            for c, place in zip(moving, places, strict=True):
                after[c]["place"] = place

        self.change(author, "arrange", move)

    def merge(self, source: int, into: int, author: str) -> None:
        if source not in self.classes or source == into or self.classes[source]["into"] is not None:
            raise Refused
        self.must_be_in_use(into)
        self.change(author, "merge", lambda after: after[source].update({"into": into}))

    def retire(self, class_id: int, author: str) -> None:
        self.must_be_in_use(class_id)
        if len(self.in_use()) == 1:
            raise Refused
        self.change(author, "retire", lambda after: after[class_id].update({"retired": next(self.clock)}))

    def bring_back(self, class_id: int, author: str) -> None:
        if class_id not in self.classes or class_id in self.in_use():
            raise Refused
        if self.classes[class_id]["name"] in [self.classes[c]["name"] for c in self.in_use()]:
            raise Refused
        self.change(author, "bring back", lambda after: after[class_id].update({"into": None, "retired": 0}))

    def stands(self, number: int) -> bool:
        return not any(
            each["undoes"] == number and self.stands(later)
            for later, each in enumerate(self.changes, start=1)
            if later > number
        )

    def undo(self, number: int, author: str) -> str:
        """Take back one change; the kind of what was done at the beginning of the chain of undos."""
        if not 1 <= number <= len(self.changes) or not self.stands(number):
            raise Refused
        done = self.changes[number - 1]
        after = copy.deepcopy(self.classes)
        for c in done["after"]:
            if c not in done["before"]:  # a class that was added goes out of use
                if c not in self.in_use() or any(self.final(o) == c for o in self.classes if o != c):
                    raise Refused
                after[c]["retired"] = next(self.clock)
                continue
            was, became, now = (self.seen(these, c) for these in (done["before"], done["after"], self.classes))
            for field in was:
                if was[field] != became[field]:
                    if now[field] != became[field]:
                        raise Refused
                    if field != "end":
                        after[c][field] = was[field]
        names = [after[c]["name"] for c in self.in_use(after)]
        if not names or len(set(names)) < len(names):
            raise Refused
        for c in self.in_use(after):
            if after[c]["name"] != self.classes[c]["name"]:
                self.must_be_free(after[c]["name"], c, after)
        for c, each in after.items():
            if each["into"] not in (None, self.classes[c]["into"]) and each["into"] not in self.in_use(after):
                raise Refused
        self.change(author, "undo", lambda classes: classes.update(after), undoes=number)
        return str(done["kind"])

    # --- answers

    def given(self, image_id: int) -> list[Given]:
        """Answers to an image that nobody took back."""
        taken_back = {each.undoes for each in self.sent() if each.kind is AnswerKind.UNDO}
        return [
            Given(each.annotator, each.class_id)
            for each in self.sent()
            if each.image_id == image_id and each.kind is not AnswerKind.UNDO and each.event_id not in taken_back
        ]

    def sent(self) -> list[Answer]:
        return [each["answer"] for each in self.answers]

    def labels(self) -> dict[int, int]:
        """What a round would train on."""
        in_use = self.in_use()
        found = {i: label_now(self.given(i), self.final, in_use) for i in IMAGES}
        return {i: c for i, c in found.items() if c in in_use}


class ClassesOverTime(RuleBasedStateMachine):
    """The store and the model go through the same things."""

    @initialize()
    def begin(self) -> None:
        self.store = Store(Path(":memory:"))
        self.store.images.add([image(number) for number in IMAGES])
        self.model = Model()
        self.numbers = itertools.count(1)
        for name in NAMES[:3]:
            self.both(
                lambda name=name: self.model.add(name, "ann"),
                lambda name=name: self.store.classes.add([name], author="ann"),
            )  # type: ignore[misc]

    def teardown(self) -> None:
        self.store.close()

    def both(self, model: Callable[[], object], store: Callable[[], object]) -> bool:
        """Both do it, or both refuse; whether it was done."""
        try:
            model()
        except Refused:
            try:
                store()
            except (InputError, NotFound) as error:
                said = str(error)
            else:
                raise AssertionError("the rules refuse what the store did") from None
            assert said.endswith(".")
            return False
        store()
        return True

    classes_ = st.integers(1, 6)
    authors = st.sampled_from(PEOPLE)

    @rule(name=st.sampled_from(NAMES), author=authors)
    def add(self, name: str, author: str) -> None:
        self.both(lambda: self.model.add(name, author), lambda: self.store.classes.add([name], author=author))

    @rule(class_id=classes_, name=st.sampled_from(NAMES), author=authors)
    def rename(self, class_id: int, name: str, author: str) -> None:
        self.both(
            lambda: self.model.set(class_id, "name", name, author),
            lambda: self.store.classes.change(class_id, name=name, author=author),
        )

    @rule(class_id=classes_, text=st.sampled_from(["", "with stripes"]), author=authors)
    def describe(self, class_id: int, text: str, author: str) -> None:
        self.both(
            lambda: self.model.set(class_id, "description", text, author),
            lambda: self.store.classes.change(class_id, description=text, author=author),
        )

    @rule(class_ids=st.lists(classes_, max_size=4, unique=True), author=authors)
    def arrange(self, class_ids: list[int], author: str) -> None:
        self.both(
            lambda: self.model.arrange(class_ids, author),
            lambda: self.store.classes.arrange(class_ids, keep_looks=True, author=author),
        )

    @rule(source=classes_, into=classes_, author=authors)
    def merge(self, source: int, into: int, author: str) -> None:
        self.both(
            lambda: self.model.merge(source, into, author),
            lambda: self.store.classes.merge(source, into, author=author),
        )

    @rule(class_id=classes_, author=authors)
    def retire(self, class_id: int, author: str) -> None:
        self.both(
            lambda: self.model.retire(class_id, author), lambda: self.store.classes.retire(class_id, author=author)
        )

    @rule(class_id=classes_, author=authors)
    def bring_back(self, class_id: int, author: str) -> None:
        self.both(
            lambda: self.model.bring_back(class_id, author),
            lambda: self.store.classes.bring_back(class_id, author=author),
        )

    @rule(back=st.integers(0, 7), author=authors)
    def undo_a_change(self, back: int, author: str) -> None:
        number = len(self.model.changes) - back
        if number >= 1 and self.model.changes[number - 1]["kind"] in ("split", "undo of split"):
            return  # see ``undo_a_split``
        self.both(lambda: self.model.undo(number, author), lambda: undo_change(self.store, number, author=author))

    @rule(image_id=st.sampled_from(IMAGES), class_id=classes_, annotator=authors)
    def answer(self, image_id: int, class_id: int, annotator: str) -> None:
        answer = Answer(f"e{next(self.numbers)}", AnswerKind.LABEL, image_id, class_id, annotator=annotator)
        (outcome,) = self.store.answers.record([answer])
        is_allowed = class_id in self.model.classes and self.model.final(class_id) in self.model.in_use()
        assert outcome.new == is_allowed, outcome.refused
        if is_allowed:
            self.model.answers.append({"answer": answer})

    @rule(image_id=st.sampled_from(IMAGES), class_ids=st.tuples(classes_, classes_))
    def two_people_answer(self, image_id: int, class_ids: tuple[int, int]) -> None:
        for annotator, class_id in zip(PEOPLE, class_ids, strict=True):
            self.answer(image_id, class_id, annotator)

    @rule(image_id=st.sampled_from(IMAGES), annotator=authors)
    def skip(self, image_id: int, annotator: str) -> None:
        answer = Answer(f"e{next(self.numbers)}", AnswerKind.SKIP, image_id, annotator=annotator)
        assert self.store.answers.record([answer])[0].new
        self.model.answers.append({"answer": answer})

    @precondition(lambda self: any(a.kind is not AnswerKind.UNDO for a in self.model.sent()))
    @rule(back=st.integers(0, 5), annotator=authors)
    def undo_an_answer(self, back: int, annotator: str) -> None:
        given = [each for each in self.model.sent() if each.kind is not AnswerKind.UNDO]
        undone = given[-1 - back % len(given)]
        answer = Answer(
            f"e{next(self.numbers)}", AnswerKind.UNDO, undone.image_id, undoes=undone.event_id, annotator=annotator
        )
        assert self.store.answers.record([answer])[0].new
        self.model.answers.append({"answer": answer})

    @rule(class_id=classes_, author=authors)
    def split_and_think_better_of_it(self, class_id: int, author: str) -> None:
        """The images lose their labels while they are asked again, and have the same ones after the undo."""
        before = self.model.labels()
        mine = [i for i, c in before.items() if c == class_id]
        if class_id not in self.model.in_use() or not mine:
            return
        assert images_of(self.store, class_id).tolist() == sorted(mine)
        split = split_off(self.store, class_id, author=author)
        assert split.images == len(mine)
        assert self.labels() == {i: c for i, c in before.items() if c != class_id}
        undo_change(self.store, split.seq, author=author)
        self.model.change(author, "split", lambda _: None)
        self.model.change(author, "undo of split", lambda _: None, undoes=split.seq)
        self.take_down_acts()

    def take_down_acts(self) -> None:
        """What acts on many images wrote are answers as well: labels given again stand where the old ones stood."""
        rows = self.store.database.rows(
            "SELECT event_id, kind, image_id, class_id, undoes, annotator FROM answers "
            "WHERE mode = 'bulk' OR starts_with(event_id, 'bulk-') ORDER BY seq"
        )
        known = {each.event_id for each in self.model.sent()}
        for event_id, kind, image_id, class_id, undoes, annotator in rows:
            if event_id not in known and kind in ("label", "skip", "undo"):
                answer = Answer(event_id, AnswerKind(kind), image_id, class_id, undoes=undoes, annotator=annotator)
                self.model.answers.append({"answer": answer})

    @rule()
    def a_round(self) -> None:
        """Labels are claimed as a round does it; training changes none of this."""
        labels, classes = self.store.labels_and_classes()
        record = self.store.rounds.create(
            config="{}", strategy="random", class_ids=[c.id for c in classes], last_seq=labels.last_seq,
            started_by="person", image_ids=labels.image_ids, image_class_ids=labels.class_ids,
        )  # fmt: skip
        self.store.rounds.move(record.id, RoundState.WAITING, RoundState.CANCELLED)
        order = self.model.in_use()
        self.model.rounds.append(
            {
                "order": order,
                "names": [self.model.classes[c]["name"] for c in order],
                "labels": self.model.labels(),
                "known": set(self.model.classes),
            }
        )

    # --- what must hold

    def labels(self) -> dict[int, int]:
        labels = self.store.answers.labels()
        return dict(zip(labels.image_ids.tolist(), labels.class_ids.tolist(), strict=True))

    @invariant()
    def labels_are_what_the_rules_say(self) -> None:
        if hasattr(self, "store"):
            assert self.labels() == self.model.labels()

    @invariant()
    def classes_are_what_the_rules_say(self) -> None:
        if not hasattr(self, "store"):
            return
        records = self.store.classes.all(include_retired=True)
        assert [record.id for record in self.store.classes.all()] == self.model.in_use()
        for record in records:
            expected = self.model.seen(self.model.classes, record.id)
            assert (record.name, record.position, record.description) == (
                expected["name"], expected["place"], expected["description"],
            )  # fmt: skip
            assert (record.merged_first, record.merged_into) == (expected["into"], expected["end"])
            assert (record.retired_at is not None) == bool(expected["retired"])
        keys = [record.key for record in records if record.is_in_use and record.key]
        assert len(set(keys)) == len(keys)
        assert not set(keys) & RESERVED_KEYS

    @invariant()
    def old_rounds_keep_their_names_order_and_labels(self) -> None:
        if not hasattr(self, "store"):
            return
        for record, expected in zip(self.store.rounds.all(), self.model.rounds, strict=True):
            then, _ = self.store.classes.then_and_now(record)
            assert set(then) == expected["known"]
            assert list(record.class_ids) == expected["order"]
            assert [then[c].name for c in record.class_ids] == expected["names"]
            images, classes = self.store.rounds.images(record.id)
            assert dict(zip(images.tolist(), classes.tolist(), strict=True)) == expected["labels"]

    @invariant()
    def nothing_is_lost(self) -> None:
        if not hasattr(self, "store"):
            return
        rows = self.store.database.rows(
            "SELECT event_id, kind, image_id, class_id, undoes, annotator FROM answers WHERE kind <> 'queue' "
            "AND event_id NOT IN (SELECT u.event_id FROM answers u JOIN answers q ON q.event_id = u.undoes "
            "WHERE q.kind = 'queue') ORDER BY seq"
        )
        sent = [(a.event_id, a.kind.value, a.image_id, a.class_id, a.undoes, a.annotator) for a in self.model.sent()]
        queue_undone = {row[0] for row in rows}
        assert rows == [row for row in sent if row[0] in queue_undone]
        assert {row[0] for row in sent if not row[0].startswith("bulk-")} <= queue_undone
        events = self.store.classes.history()
        assert [event.author for event in events] == [change["author"] for change in self.model.changes]
        assert [event.stands for event in events] == [self.model.stands(n) for n in range(1, len(events) + 1)]


ClassesOverTime.TestCase.settings = settings(
    max_examples=20, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestClassesOverTime = ClassesOverTime.TestCase
