"""Labels that a source has for its images: names to classes, classes to answers or known classes.

A name is a class of the project when it is equal to it, or equal but for upper and lower case; else it becomes a new
class, and the report says so. A label that the same annotator gave the same image in an earlier import is not stored
again, so a source can be imported any number of times.
"""

from __future__ import annotations

from collections.abc import Iterable

from tidal_core.errors import InputError
from tidal_core.images.importers.base import FoundClass, FoundImage
from tidal_core.images.importers.tree import natural_key
from tidal_core.records import ImportProblem
from tidal_core.store import Store
from tidal_core.store.answers import ImportedLabels
from tidal_core.store.classes import checked_name, plain_name

ANNOTATOR = "import"  # where the source does not say who labelled
_FLUSH_LABELS = 50_000


class LabelBook:
    """The labels of one import on their way to the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._had_classes = bool(store.classes.all())
        self._class_ids: dict[str, int | None] = {}  # name as it came -> class, None for one that cannot be used
        self._expected: set[str] = set()
        self._imported = store.answers.last_imported()
        self._seen: dict[tuple[int, str], int] = {}  # what this import says, by image and annotator
        self._known: dict[int, int] = {}  # image -> class, for images of earlier imports
        self._waiting = ImportedLabels([], [], [])  # columns: an object for each of a million labels takes its time
        self._count = 0
        self._made: dict[int, str] = {}  # classes that no list of the source names, by id
        self.remarks: list[ImportProblem] = []

    def add_classes(self, classes: Iterable[FoundClass]) -> None:
        """Make the classes that the source names, in its order, with its keys where they are free."""
        classes = list(classes)
        records = self._store.classes.all(include_retired=True)
        ids_before = {record.id for record in records}
        taken = {record.name.casefold() for record in records}
        new: list[str] = []
        for source_class in classes:
            self._expected.add(source_class.name)
            try:
                class_name = checked_name(source_class.name)
            except InputError:
                continue  # remarked on below
            if class_name.casefold() not in taken:
                taken.add(class_name.casefold())
                new.append(class_name)
        if new:  # in one transaction: there are data sets with ten thousand
            self._store.classes.add(new)
        by_name = {record.name: record for record in self._store.classes.all()}
        for source_class in classes:
            record = by_name.get(plain_name(source_class.name))
            if record is not None:
                self._class_ids[source_class.name] = record.id
            class_id = self._resolve(source_class.name)  # those that are alike, out of use or no names are remarked on
            if class_id is not None and class_id not in ids_before and source_class.key:
                try:
                    self._store.classes.change(class_id, key=source_class.key)
                except InputError:
                    continue  # the key is taken: the one it was given stays

    def add(self, image_id: int, item: FoundImage, *, as_known: bool, is_new: bool) -> int | None:
        """Take down one label. Returns the class that a new image is known to be, None where it is an answer."""
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
        source_of_label = (image_id, "" if as_known else item.annotator or ANNOTATOR)
        first_class = self._seen.setdefault(source_of_label, class_id)
        if first_class != class_id:
            names = {record.id: record.name for record in self._store.classes.all(include_retired=True)}
            self.remarks.append(
                ImportProblem(
                    item.name,
                    f"the source labels it both {names[first_class]!r} and {names[class_id]!r}; the first was taken",
                    "correct the source and import it into a new project"
                    if as_known
                    else "correct the source and import again, or change the label on the Dynamics page",
                )
            )
            return first_class if as_known else None
        if as_known:
            self._count += is_new
            if not is_new:
                self._known[image_id] = class_id
            return class_id
        if self._imported.get(source_of_label) != class_id:
            self._imported[source_of_label] = class_id
            self._waiting.image_ids.append(image_id)
            self._waiting.class_ids.append(class_id)
            self._waiting.annotators.append(source_of_label[1])
        return None

    def flush(self) -> None:
        """Store what has come together once it is much: few large transactions, not many small ones."""
        if len(self._waiting.image_ids) >= _FLUSH_LABELS:
            self._store_answers()

    def finish(self) -> int:
        """Store the rest; returns how many labels this import brought that the project did not have.

        Classes come in the source's order where it says one, else as people sort them: 2 before 10.
        """
        self._store_answers()
        self._store.classes.arrange(sorted(self._made, key=lambda class_id: natural_key(self._made[class_id])))
        if self._known:
            known_before = self._store.images.known_classes()
            fresh = {
                image_id: class_id for image_id, class_id in self._known.items() if known_before.get(image_id) is None
            }
            if fresh:
                self._store.images.set_known_classes(fresh)
            self._count += len(fresh)
        return self._count

    def _store_answers(self) -> None:
        if self._waiting.image_ids:
            self._count += self._store.answers.import_labels(self._waiting)
            self._waiting = ImportedLabels([], [], [])

    def _resolve(self, name: str) -> int | None:
        """The class of a name, made if need be; None when it cannot be one."""
        if name in self._class_ids:
            return self._class_ids[name]
        class_name = plain_name(name)
        records = self._store.classes.all(include_retired=True)
        same = [record for record in records if record.name == class_name]
        alike = same or [record for record in records if record.name.casefold() == class_name.casefold()]
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
        self._class_ids[name] = class_id
        return class_id

    def _make(self, name: str) -> int | None:
        try:
            (record,) = self._store.classes.add([name])
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
