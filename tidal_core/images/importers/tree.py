"""What the folders of a tree mean: which are classes, which say a split, and which only hold the others.

The first folder level is seldom the class level. From the top downwards:

- a folder that is alone and only holds folders is a wrapper; so are ``images``, ``data`` and parts of one collection
  (``images_001``, ``part 2``): what they hold is read as if it lay above them;
- ``train``, ``test_set``, ``seg_train``, ``eval`` say the split, as Hugging Face reads them: a word of its own within
  the name. Beside other folders of images such a name counts only if it is one of several splits, or holds folders
  itself: ``bus, car, train`` are three classes;
- a folder that holds what lies beside it, or in a folder beside it, is a copy, and skipped;
- all others are classes; what lies below a class is of that class, but for splits within it;
- folders without an image are nothing.

A person can say which level is the class instead. What is not as expected is said, once for each kind.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from tidal_core.records import ImportProblem, Split

Kind = Literal["train", "val", "test"]
Path = tuple[str, ...]
"""Names of folders from the top down, as they are on the disk."""

_SPLIT_WORDS: dict[str, Kind] = {  # those of the library ``datasets``, and the last row
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "dev", "val"), "val"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
    "trainset": "train",
    "valset": "val",
    "testset": "test",
    "holdout": "test",
}
_NO_WORD = re.compile(r"[-._ 0-9]+")  # what stands between words
_HOLDERS = frozenset(
    {"images", "image", "imgs", "img", "data", "dataset", "datasets", "labels", "label", "annotations", "masks"}
    | {"jpegimages", "files", "raw"}
)
_HOLDERS_ALONE = frozenset({"photos", "photo", "pictures", "picture", "pics", "jpg", "jpeg", "png", "archive"})
_UNLABELLED = frozenset({"unlabeled", "unlabelled", "unsorted", "unclassified"})
_PART = re.compile(r"(?:(.*?)[-._ ]*)(?:part|batch|chunk|shard|volume|vol|images|imgs|data)[-._ ]*\d+")
_COLLECTION_WORDS = frozenset({"set", "seg", "part", "split", "folder", "batch", "sub"}) | _HOLDERS
_MANY = 3  # folders of images beside a single one that is named like a split: then that is a class, too
_NAMED = 3  # folders in a remark
_NEXT_LEVEL = "nothing to do, or say which folder level is the class (--class-level, or the field on the page)"


class Folder:
    """A folder as far as its meaning goes: its folders, and how many images lie directly in it.

    ``look`` gives both, and is called once, when somebody asks for them: for trees of which only listing tells what is
    in them. What such a tree holds further down is not looked for: each of its folders is taken to hold images.
    """

    def __init__(self, look: Callable[[], tuple[dict[str, Folder], int]] | None = None) -> None:
        self.is_whole = look is None
        self._look = look
        self._folders: dict[str, Folder] = {}
        self._images = 0

    @property
    def folders(self) -> dict[str, Folder]:
        """Its folders by name."""
        self._see()
        return self._folders

    @property
    def images(self) -> int:
        """Images directly in it."""
        self._see()
        return self._images

    def add_image(self) -> None:
        """One more image lies in it."""
        self._images += 1

    def _see(self) -> None:
        if self._look is not None:
            look, self._look = self._look, None
            self._folders, self._images = look()

    def holds_images(self) -> bool:
        """Whether there is an image in it or below it, as far as it is known."""
        return not self.is_whole or self.images > 0 or any(folder.holds_images() for folder in self.folders.values())

    def with_images(self) -> dict[str, Folder]:
        """Its folders that hold images, by name."""
        return {name: folder for name, folder in self.folders.items() if folder.holds_images()}

    def below(self, path: Sequence[str]) -> Folder:
        """The folder at a path below this one, made if need be."""
        folder = self
        for name in path:
            folder = folder.folders.setdefault(name, Folder())
        return folder

    def total(self) -> int:
        """How many images are in it and below it."""
        return self.images + sum(folder.total() for folder in self.folders.values())


@dataclass(frozen=True)
class Place:
    """What images that lie in a folder are, unless a folder further down says more."""

    label: str | None = None
    kind: Kind | None = None
    is_copy: bool = False


@dataclass(frozen=True)
class Meaning:
    """What a tree's folders say."""

    places: Mapping[Path, Place]
    splits: Mapping[Kind | None, Split | None]
    classes: tuple[str, ...]  # in natural order
    copies: tuple[ImportProblem, ...] = ()  # what was skipped
    label_remarks: tuple[ImportProblem, ...] = ()  # where the labels may not be what a person means
    class_level: int | None = None  # from 1, where a person has said it

    def of(self, folders: Path) -> tuple[str | None, Split | None]:
        """``(label, split)`` of the images that lie directly in a folder."""
        place = self._place(folders)
        split = self.splits.get(place.kind)
        if self.class_level is None:
            return place.label, split
        label = plain(folders[self.class_level - 1]) if len(folders) >= self.class_level else None
        says_split = self._place(folders[: self.class_level]).kind != self._place(folders[: self.class_level - 1]).kind
        return label, None if says_split and label is not None else split

    def is_copy(self, folders: Path) -> bool:
        """Whether a folder lies in one that is there twice, and is to be skipped."""
        return self._place(folders).is_copy

    def _place(self, folders: Path) -> Place:
        for depth in range(len(folders), 0, -1):
            place = self.places.get(folders[:depth])
            if place is not None:
                return place
        return self.places.get((), Place())


def plain(name: str) -> str:
    """A folder's name as text that can be compared and stored: valid, with accents in one letter each."""
    valid = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return unicodedata.normalize("NFC", valid)


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts names as people do: numbers within them by value, letters whatever their case."""
    parts = re.split(r"(\d+)", name)
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part.casefold()) for part in parts if part)


def split_kind(name: str) -> Kind | None:
    """The split that a file's or folder's name says; None where it says none, or several."""
    kinds = {_SPLIT_WORDS[word] for word in _NO_WORD.split(plain(name).casefold()) if word in _SPLIT_WORDS}
    return kinds.pop() if len(kinds) == 1 else None


def splits_of_kinds(kinds: set[Kind], only: bool) -> dict[Kind | None, Split | None]:
    """Which split each kind is.

    Validation images are the test split where there is no other. A test folder with nothing beside it (``only``) is
    the pool: images that are all for testing leave none to label.
    """
    if only and len(kinds) == 1:
        return dict.fromkeys(kinds, Split.POOL)
    test = "test" if "test" in kinds else "val"
    return {kind: Split.TEST if kind == test else Split.POOL for kind in kinds}


def read_tree(
    top: Folder,
    class_level: int | None = None,
    same_files: Callable[[Path, Path], bool] | None = None,
    named: Collection[str] = (),
) -> Meaning:
    """What the folders below ``top`` mean.

    ``same_files(copy, original)`` tells whether every file of a folder lies in another one, too, under the same name;
    without it no folder counts as a copy. Folders of images of the names ``named`` are classes,
    whatever the name.
    """
    reading = _Reading(same_files, frozenset(named))
    reading.read(top, (), None)
    kinds = {place.kind for path, place in reading.places.items() if place.kind is not None and not place.is_copy}
    beside = any(
        place.kind is None and not place.is_copy and (place.label is not None or path in reading.unlabelled)
        for path, place in reading.places.items()
    )
    labels = {place.label for place in reading.places.values() if place.label is not None}
    if class_level is not None:
        labels = set(_names_at(top, class_level, reading.places))
        reading.remarks.clear()
    else:
        reading.remark_on_names()
    if class_level is None and top.is_whole:
        reading.remark_on_depth(top)
    return Meaning(
        reading.places,
        splits_of_kinds(kinds, only=not beside),
        tuple(sorted(labels, key=natural_key)),
        tuple(reading.copies),
        tuple(reading.remarks),
        class_level,
    )


def _names_at(folder: Folder, level: int, places: Mapping[Path, Place], path: Path = ()) -> Iterable[str]:
    """Names of the folders with images at a level, but for copies."""
    for name, inner in folder.with_images().items():
        below = (*path, name)
        if below in places and places[below].is_copy:
            continue
        if len(below) == level:
            yield plain(name)
        else:
            yield from _names_at(inner, level, places, below)


@dataclass
class _Reading:
    """Goes through a tree once."""

    same_files: Callable[[Path, Path], bool] | None
    named: frozenset[str]
    places: dict[Path, Place] = field(default_factory=dict)
    written: dict[str, dict[str, Path]] = field(default_factory=dict)  # label -> folder name -> the first of that name
    copies: list[ImportProblem] = field(default_factory=list)
    remarks: list[ImportProblem] = field(default_factory=list)
    unlabelled: set[Path] = field(default_factory=set)  # folders of images that are of no class
    loose: dict[Path, int] = field(default_factory=dict)  # folders above classes, and how many images lie in them

    def read(self, folder: Folder, path: Path, kind: Kind | None, known: frozenset[str] = frozenset()) -> None:
        """What the folders directly in ``folder`` are; ``known`` are names that are classes elsewhere in the tree."""
        self.places[path] = Place(kind=kind)
        if folder.images:
            self.loose[path] = folder.images
        inside = folder.with_images()
        for name in [name for name, inner in inside.items() if plain(name) in self.named and not inner.with_images()]:
            self._note_class((*path, name), inside.pop(name), kind)
        holders = self._take_out_copies(folder, path, kind, inside)
        if not inside and not holders:
            return
        if len(inside) == 1 and not holders:
            name, only = next(iter(inside.items()))
            if name not in known and self._is_wrapper(name, only, has_loose=folder.images > 0):
                self._read_holders({name: only}, path, kind)
                return
        said = {name: split_kind(name) for name in inside}
        splits = {name: inside[name] for name, kind_said in said.items() if kind_said is not None}
        holders.update({name: inside[name] for name in _holders(tuple(inside)) if name not in splits})
        others = {name: inner for name, inner in inside.items() if name not in splits and name not in holders}
        if splits and not _are_splits(splits, others):
            others, splits = {**others, **splits}, {}
        self._read_holders({**splits, **holders}, path, kind)
        if others:
            for name in holders.keys() & self._leaves(path):
                reason = "its name says that it holds images of any class"
                self._note_unlabelled((*path, name), holders[name], kind, reason)
        if splits:
            self._read_beside_splits(others, path, kind)
            return
        for name, inner in others.items():
            if plain(name).casefold() in _UNLABELLED and len(others) > 1:
                self._note_unlabelled((*path, name), inner, kind, "its name says that its images have no label")
            else:
                self._note_class((*path, name), inner, kind)

    @staticmethod
    def _is_wrapper(name: str, folder: Folder, has_loose: bool) -> bool:
        """Whether a folder that is alone only holds others: it is named so, or has folders of images and no image.

        Beside images (``has_loose``) it must have several folders: else it is as likely a class.
        """
        lower = plain(name).casefold()
        if split_kind(name) is not None or lower in _HOLDERS | _HOLDERS_ALONE or _PART.fullmatch(lower):
            return True
        return not folder.images and len(folder.with_images()) > has_loose

    def _read_holders(self, holders: Mapping[str, Folder], path: Path, kind: Kind | None) -> None:
        """Folders that are read as if what they hold lay above them: wrappers, splits, parts."""
        names_inside = [tuple(folder.with_images()) for folder in holders.values()] if len(holders) > 1 else []
        known = frozenset(name for names in names_inside if len(names) > 1 for name in names)
        for name, folder in holders.items():
            self.read(folder, (*path, name), split_kind(name) or kind, known)
            if not folder.with_images():
                self.unlabelled.add((*path, name))
                self.loose.pop((*path, name), None)

    def _leaves(self, path: Path) -> set[str]:
        """Names of folders directly below a path whose images are of no class."""
        return {below[-1] for below in self.unlabelled if below[:-1] == path}

    def _read_beside_splits(self, others: Mapping[str, Folder], path: Path, kind: Kind | None) -> None:
        """What lies beside train and test: more of the same classes, or images of none."""
        classes = {place.label for place in self.places.values() if place.label is not None}
        for name, folder in others.items():
            inner = _unwrapped(folder)
            if classes & {plain(inner_name) for inner_name in inner.with_images()}:
                self.read(folder, (*path, name), kind)
            else:
                reason = "it lies beside folders that say a split"
                self._note_unlabelled((*path, name), folder, kind, reason)

    def _note_unlabelled(self, path: Path, folder: Folder, kind: Kind | None, reason: str) -> None:
        self.places[path] = Place(kind=kind)
        self.unlabelled.add(path)
        count = f"its {folder.total():,} images were" if folder.is_whole else "its images were"
        self.remarks.append(ImportProblem(_shown(path), f"{reason}: {count} read without a label", _NEXT_LEVEL))

    def _note_class(self, path: Path, folder: Folder, kind: Kind | None) -> None:
        """A class, and splits within it: ``daisy/train``, ``daisy/test``."""
        self.places[path] = Place(plain(path[-1]), kind)
        self.written.setdefault(plain(path[-1]), {})[path[-1]] = path
        if not folder.is_whole:
            return
        inside = folder.with_images()
        kinds = {name: split_kind(name) for name in inside}
        if len(set(kinds.values())) > 1 and None not in kinds.values():
            for name, inner_kind in kinds.items():
                self.places[(*path, name)] = replace(self.places[path], kind=inner_kind)

    def _take_out_copies(
        self, folder: Folder, path: Path, kind: Kind | None, inside: dict[str, Folder]
    ) -> dict[str, Folder]:
        """Take folders that repeat what lies beside them out of ``inside``.

        Returns those that have the same folders but other images: they are more of the same.
        """
        more: dict[str, Folder] = {}
        if not folder.is_whole or len(inside) < 2:
            return more
        for name in sorted(inside, key=lambda name: (-len(name), name)):  # of two that are alike the shorter name stays
            names = set(inside[name].with_images())
            if not names or inside[name].images:
                continue
            beside = inside.keys() - {name}
            originals = [path] if names <= beside else []
            originals += [
                (*path, other)
                for other in beside
                if split_kind(name) is None and split_kind(other) is None and names == set(inside[other].with_images())
            ]
            if any(self._is_copy((*path, name), original) for original in originals):
                inner = inside.pop(name)
                self.places[(*path, name)] = Place(kind=kind, is_copy=True)
                self.copies.append(
                    ImportProblem(
                        _shown((*path, name)),
                        f"the folder repeats what lies beside it: its {inner.total():,} images are there twice, and "
                        "this copy was skipped",
                        "nothing to do, or remove the copy",
                    )
                )
            elif names <= beside and (len(names) > 1 or plain(name) == plain(path[-1] if path else "")):
                more[name] = inside.pop(name)
        return more

    def _is_copy(self, copy: Path, original: Path) -> bool:
        return self.same_files is not None and self.same_files(copy, original)

    def remark_on_names(self) -> None:
        """Say where folders have names that look the same and are written differently."""
        for label, paths in self.written.items():
            if len(paths) > 1:
                folders = " and ".join(ascii(_shown_as_is(path)) for path in paths.values())
                reason = (
                    f"folders of this name are written differently ({folders}) and look the same: they are one class"
                )
                self.remarks.append(ImportProblem(label, reason, "nothing to do, or give them names that differ"))

    def remark_on_depth(self, top: Folder) -> None:
        """Say where images do not lie directly in the class folders: a person may mean another level."""
        classes = [path for path, place in self.places.items() if place.label is not None and path[:-1] in self.places]
        classes = [path for path in classes if self.places[path[:-1]].label is None]
        if not classes:
            return
        for path, count in self.loose.items():
            images = "1 image lies" if count == 1 else f"{count:,} images lie"
            them = "it was" if count == 1 else "they were"
            where = _shown(path) if path else "the top folder"
            self.remarks.append(
                ImportProblem(where, f"{images} beside folders of classes: {them} read without a label", _NEXT_LEVEL)
            )
        deeper = [path for path in classes if self._has_folders_within(top, path)]
        if deeper:
            level = len(deeper[0])
            names = ", ".join(repr(plain(path[-1])) for path in deeper[:_NAMED])
            more = f" and {len(deeper) - _NAMED:,} more" if len(deeper) > _NAMED else ""
            self.remarks.append(
                ImportProblem(
                    _shown(deeper[0]),
                    f"there are folders within folders of classes ({names}{more}): what is in them is of the class "
                    f"that the outer folder names, at level {level}",
                    _NEXT_LEVEL,
                )
            )

    def _has_folders_within(self, top: Folder, path: Path) -> bool:
        inside = top.below(path).with_images()
        return any((*path, name) not in self.places for name in inside)


def _are_splits(splits: Mapping[str, Folder], others: Mapping[str, Folder]) -> bool:
    """Whether folders that are named like splits are some, and not classes of that name."""
    has_folders = any(folder.with_images() for folder in splits.values())
    if len({split_kind(name) for name in splits}) > 1:
        return True
    if others:
        return has_folders and len(others) < _MANY
    return has_folders or len(splits) == 1 or not all(map(_has_own_word, splits))


def _has_own_word(name: str) -> bool:
    """Whether a name like a split's has another word that could name a class: "steam train"."""
    words = _NO_WORD.split(plain(name).casefold())
    return any(len(word) > 1 and word not in _SPLIT_WORDS and word not in _COLLECTION_WORDS for word in words)


def _holders(names: Sequence[str]) -> list[str]:
    """Names that say that a folder holds others: ``images``, ``data``, and parts of one collection."""
    lower = {name: plain(name).casefold() for name in names}
    parts = {name: match.group(1) for name, text in lower.items() if (match := _PART.fullmatch(text)) is not None}
    if len(set(parts.values())) > 1:  # "daisy part 1", "rose part 1": the classes are in the names
        parts = {name: prefix for name, prefix in parts.items() if not prefix}
    return [name for name in names if lower[name] in _HOLDERS or name in parts]


def _unwrapped(folder: Folder) -> Folder:
    """The folder within wrappers: ``seg_pred/seg_pred``."""
    inside = folder.with_images()
    while len(inside) == 1 and not folder.images:
        (folder,) = inside.values()
        inside = folder.with_images()
    return folder


def _shown(path: Path) -> str:
    return "/".join(plain(name) for name in path)


def _shown_as_is(path: Path) -> str:
    return "/".join(path).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
