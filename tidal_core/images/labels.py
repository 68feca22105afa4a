"""Labels that a source has for its images: names to classes, classes to answers or known classes.

A name is a class of the project when it is equal to it, looks the same, or is equal but for upper and lower case; else
it becomes a new class, and the report says so. A label that the same annotator gave the same image in an earlier import
is not stored again, so a source can be imported any number of times. An image has one label of each annotator, and is
either of known class or labelled: a label that loses is named with its file, and so is the one that stands.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

from tidal_core.errors import InputError
from tidal_core.images.importers.base import FoundClass, FoundImage
from tidal_core.images.importers.tree import natural_key
from tidal_core.records import Answer, AnswerKind, AnswerMode, ImportProblem
from tidal_core.store import Store
from tidal_core.store.answers import TWO_LABELS, ImportedLabels
from tidal_core.store.class_rules import checked_name, plain_name

ANNOTATOR = "import"  # where the source does not say who labelled
_FLUSH_LABELS = 50_000
_KNOWN = ""  # stands where the annotator of an answer would: the label is a known class
_LOOKS = {ord("\u2010"): "-", ord("\u2011"): "-"}  # hyphens that look like the one of the keyboard
_JOINERS = "\u200c\u200d"  # invisible, but words of some languages, and some emoji, are written with them


class _Given(NamedTuple):
    """A label that this import gave an image."""

    annotator: str
    class_id: int
    name: str  # of the file, or the row's name for it


class LabelBook:
    """The labels of one import on their way to the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._had_classes = bool(store.classes.all())
        self._class_ids: dict[str, int | None] = {}  # name as it came -> class, None for one that cannot be used
        self._written: dict[int, str] = {}  # class -> its name as it came first
        self._expected: set[str] = set()
        self._imported = store.answers.last_imported()
        self._current: dict[int, int] | None = None  # labels that the project had, once somebody asks for them
        self._first: dict[int, _Given] = {}  # what this import says, by image
        self._others: dict[tuple[int, str], _Given] = {}  # and what other annotators than the first say
        self._torn: dict[int, Answer] = {}  # flags of images that the source gives two labels, by image
        self._known: dict[int, _Given] = {}  # known classes of images that are in the store, or on their way there
        self._waiting = ImportedLabels([], [], [])  # columns: an object for each of a million labels takes its time
        self._count = 0
        self._made: dict[int, str] = {}  # classes that no list of the source names, by id
        self.remarks: list[ImportProblem] = []

    def add_classes(self, classes: Iterable[FoundClass]) -> None:
        """Make the classes that the source names, in its order, with its keys where they are free."""
        classes = list(classes)
        records = self._store.classes.all(include_retired=True)
        ids_before = {record.id for record in records}
        taken = {_look(record.name) for record in records}
        new: list[str] = []
        for source_class in classes:
            self._expected.add(source_class.name)
            try:
                class_name = checked_name(_visible(source_class.name))
            except InputError:
                continue  # remarked on below
            if _look(class_name) not in taken:
                taken.add(_look(class_name))
                new.append(class_name)
        if new:  # in one transaction: there are data sets with ten thousand
            self._store.classes.add(new, author=ANNOTATOR)
        by_name = {record.name: record for record in self._store.classes.all()}
        for source_class in classes:
            record = by_name.get(_visible(source_class.name))
            if record is not None and record.id not in self._written:
                self._class_ids[source_class.name] = record.id
                self._written[record.id] = source_class.name
            class_id = self._resolve(source_class.name)  # those that are alike, out of use or no names are remarked on
            if class_id is not None and class_id not in ids_before and source_class.key:
                try:
                    self._store.classes.change(class_id, key=source_class.key, author=ANNOTATOR)
                except InputError:
                    continue  # the key is taken: the one it was given stays

    def add(self, image_id: int, item: FoundImage, *, as_known: bool, is_new: bool, is_again: bool) -> int | None:
        """Take down one label. Returns the class that a new image is known to be, None where it is an answer.

        ``is_new``: this import brought the image; ``is_again``: it was there before this file.
        """
        if item.label is None or not item.label.strip():
            return None
        class_id = self._class_ids[item.label] if item.label in self._class_ids else self._resolve(item.label)
        if class_id is None:
            self.remarks.append(
                ImportProblem(
                    item.name,
                    f"its label {item.label!r} cannot be used; it was read without a label",
                    "label it on the Dynamics page",
                )
            )
            return None
        given = _Given(_KNOWN if as_known else item.annotator or ANNOTATOR, class_id, item.name)
        first = self._first.setdefault(image_id, given)
        if first is not given:
            if (first.annotator == _KNOWN) != as_known:
                self._loses(image_id, given, first)
                return None
            if first.annotator != given.annotator:
                first = self._others.setdefault((image_id, given.annotator), given)
        if first is not given:
            if first.class_id != class_id:
                self._loses(image_id, given, first)
            return first.class_id if as_known else None
        if as_known:
            if is_again:
                self._known[image_id] = given
            else:
                self._count += 1
            return class_id
        if self._imported.get((image_id, given.annotator)) != class_id:
            if not is_new:
                self._replaces(image_id, given)
            self._imported[(image_id, given.annotator)] = class_id
            self._waiting.image_ids.append(image_id)
            self._waiting.class_ids.append(class_id)
            self._waiting.annotators.append(given.annotator)
        return None

    def _loses(self, image_id: int, given: _Given, first: _Given) -> None:
        """Name a label of this import that another one of it stands before; Review asks about the one of a person."""
        names = self._class_names()
        stands, lost = names[first.class_id], names[given.class_id]
        if first.annotator == given.annotator or first.class_id != given.class_id:
            files = first.name != given.name
            stands_there, lost_there = (f" ({first.name})", f" ({given.name})") if files else ("", "")
            reason = f"the source labels it both {stands!r}{stands_there} and {lost!r}{lost_there}; the first was taken"
        else:
            reason = f"the source labels it {lost!r} twice, the first time as {first.name}"
        if (first.annotator == _KNOWN) != (given.annotator == _KNOWN):
            one, other = "an image of known class, which is never trained on", "a label to train on"
            one, other = (one, other) if first.annotator == _KNOWN else (other, one)
            reason += f": once as {one}, and once as {other}; the first stands"
        correct = "correct the source and import it into a new project"
        if _KNOWN not in (first.annotator, given.annotator):
            correct = "correct the source and import again"
        is_asked_about = first.annotator != _KNOWN and first.class_id != given.class_id
        if is_asked_about:
            self._torn[image_id] = _flag(image_id, stands, lost, given.class_id)
        remedy = f"the page Review asks about it; or {correct}" if is_asked_about else correct
        self.remarks.append(ImportProblem(given.name, reason, remedy))

    def _replaces(self, image_id: int, given: _Given) -> None:
        """Name the label that an image had before this import, where the new one stands before it."""
        if self._current is None:
            labels = self._store.answers.labels()
            self._current = dict(zip(labels.image_ids.tolist(), labels.class_ids.tolist(), strict=True))
        before = self._current.get(image_id)
        if before is not None and before != given.class_id:
            names = self._class_names()
            self.remarks.append(
                ImportProblem(
                    given.name,
                    f"it was labelled {names[before]!r} before this import, which labels it {names[given.class_id]!r}: "
                    "the import's label stands now",
                    "change it on the Dynamics page if the earlier one is right",
                )
            )

    def _class_names(self) -> dict[int, str]:
        return {record.id: record.name for record in self._store.classes.all(include_retired=True)}

    def flush(self) -> None:
        """Store what has come together once it is much: few large transactions, not many small ones."""
        if len(self._waiting.image_ids) >= _FLUSH_LABELS:
            self._store_answers()

    def finish(self) -> int:
        """Store the rest; returns how many labels this import brought that the project did not have.

        Classes come in the source's order where it says one, else as people sort them: 2 before 10.
        """
        self._store_answers()
        self._store.answers.record(list(self._torn.values()))
        order = sorted(self._made, key=lambda class_id: natural_key(self._made[class_id]))
        self._store.classes.arrange(order, author=ANNOTATOR)
        if self._known:
            known_before = self._store.images.known_classes()
            fresh: dict[int, int] = {}
            for image_id, given in self._known.items():
                before = known_before.get(image_id)
                if before is None:
                    fresh[image_id] = given.class_id
                elif before != given.class_id:
                    self._was_known(given, before)
            if fresh:
                self._store.images.set_known_classes(fresh)
            self._count += len(fresh)
        return self._count

    def _was_known(self, given: _Given, before: int) -> None:
        """Name a known class that loses against what the project knew before."""
        names = self._class_names()
        self.remarks.append(
            ImportProblem(
                given.name,
                f"the project knows it as {names[before]!r} from an earlier import, and this one says "
                f"{names[given.class_id]!r}; the earlier class stands",
                "import the corrected source into a new project",
            )
        )

    def _store_answers(self) -> None:
        if self._waiting.image_ids:
            self._count += self._store.answers.import_labels(self._waiting)
            self._waiting = ImportedLabels([], [], [])

    def _resolve(self, name: str) -> int | None:
        """The class of a name, made if need be; None when it cannot be one."""
        if name in self._class_ids:
            return self._class_ids[name]
        class_name = _visible(name)
        records = self._store.classes.all(include_retired=True)
        same = [record for record in records if record.name == class_name]
        alike = same or [record for record in records if _look(record.name) == _look(class_name)]
        class_id: int | None
        if not alike:
            class_id = self._make(class_name)
        elif alike[0].retired_at is not None:
            self.remarks.append(
                ImportProblem(
                    f"class {class_name}",
                    "the class is no longer in use; its labels were left out",
                    "give these images another label in the source and import again",
                )
            )
            class_id = None
        else:
            class_id = alike[0].merged_into or alike[0].id
            if not same:
                self.remarks.append(ImportProblem(f"class {class_name}", f"was taken as the class {alike[0].name!r}"))
            elif self._is_written_otherwise(class_id, name):
                self.remarks.append(
                    ImportProblem(
                        f"class {class_name}",
                        f"its name is written in two ways that look the same ({self._written[class_id]!a} and "
                        f"{name!a}): they are one class",
                    )
                )
        self._class_ids[name] = class_id
        return class_id

    def _is_written_otherwise(self, class_id: int, name: str) -> bool:
        """Whether the source has named a class in the same letters before, but not in the same code points."""
        before, now = (" ".join(text.split()) for text in (self._written.setdefault(class_id, name), name))
        return before != now and _visible(before) == _visible(now)

    def _make(self, name: str) -> int | None:
        try:
            (record,) = self._store.classes.add([name], author=ANNOTATOR)
        except InputError as error:
            self.remarks.append(ImportProblem(f"class {name[:60]}", str(error)))
            return None
        if self._had_classes and name not in self._expected:
            self.remarks.append(
                ImportProblem(
                    f"class {name}",
                    "was not a class of this project and was added",
                    "rename it, or merge it into another class, on the Project page (Classes)",
                )
            )
        if name not in self._expected:
            self._made[record.id] = name
        return record.id


def _visible(name: str) -> str:
    """A name as it is kept: as ``plain_name`` writes it, without letters that nobody sees."""
    return plain_name("".join(letter for letter in name if letter in _JOINERS or unicodedata.category(letter) != "Cf"))


def _look(name: str) -> str:
    """What is equal for names that nobody can tell apart, and for those that differ in upper and lower case only."""
    return name.translate(_LOOKS).casefold()


def _flag(image_id: int, first: str, other: str, other_class: int) -> Answer:
    """What asks people about an image with two labels; of one id, so that it is stored once however often it comes."""
    return Answer(
        f"import-two-labels-{image_id}-{other_class}",
        AnswerKind.FLAG,
        image_id,
        reason=TWO_LABELS,
        note=f"The source labels it both {first!r} and {other!r}; the first was taken.",
        annotator=ANNOTATOR,
        mode=AnswerMode.IMPORT,
        suggestion_class=other_class,
    )
