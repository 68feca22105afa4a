"""Which file of a tree a name in a table means: the one resolver of tables, JSON, described folders and uploads.

A name is looked up as it is written first. Then, from the strictest to the loosest, and by the longest end of its path
each time: equal names; names that differ in upper and lower case or in how Unicode writes their accents; names without
their suffix; names without what labelling tools add to them. Only one file may be meant: where two are, the name is
ambiguous and no file is taken. Nothing is opened here.

May be given any names that a person typed or another machine wrote: drive letters, backslashes, ``%20``, ``../``.
"""

from __future__ import annotations

import os
import re
import unicodedata
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from tidal_core.images.importers.folder import is_left_out
from tidal_core.images.reading import SUFFIXES
from tidal_core.images.sources.file import file_uri, shown_name

MOST_FILES = 5_000_000  # of a tree that a person named
MOST_FILES_ABOVE = 200_000  # of the folder around it, which nobody named
_NO_IMAGES = {
    *(
        ".csv",
        ".tsv",
        ".tab",
        ".json",
        ".jsonl",
        ".ndjson",
        ".txt",
        ".xml",
        ".yaml",
        ".yml",
        ".md",
        ".html",
        ".parquet",
    ),
    *(".xlsx", ".xls", ".py", ".ipynb", ".zip", ".pdf", ".npy", ".npz", ".names", ".cache", ".manifest"),
}
# Folders of tables that lie beside those of images.
_TABLES_APART = {
    *("annotations", "annotation", "annots", "anno", "ann", "labels", "label", "csv", "csvs", "meta", "metadata"),
    *("splits", "split", "lists", "tables", "json", "groundtruth", "ground_truth", "gt"),
}
_FOLDERS_NAMED = 3
_TOOL_PREFIX = re.compile(r"^[0-9a-f]{8}-(?=.)")  # Label Studio, of each upload
_TOOL_SUFFIX = re.compile(r"_(jpe?g|png|bmp|webp|tiff?)\.rf\.[0-9A-Za-z]{16,64}$", re.IGNORECASE)  # Roboflow's copies


class How(StrEnum):
    """By what a name was taken for a file; the values are what people read."""

    EXACT = ""
    BY_PATH_END = "by the end of their paths"
    BY_NAME = "by their names alone"
    BY_SPELLING = "whatever upper and lower case and forms of accents"
    BY_STEM = "by their names without a suffix"
    BY_TOOL = "without what a labelling tool adds to names"


class Match(NamedTuple):
    """The file that a name means, or why there is none."""

    path: str | None = None  # below the root, with "/"
    how: How = How.EXACT
    suffix: str = ""  # what was added to a name that had none
    rivals: tuple[str, ...] = ()  # the files that are meant as much as each other

    @property
    def is_ambiguous(self) -> bool:
        """Whether several files are meant."""
        return bool(self.rivals)


NOT_THERE = Match()
_LISTED_AFTER = 64  # names of one folder
_MOST_LISTED = 2_000_000
_UNTIDY = re.compile(r"(?:^|/)\.|//")  # what a path is made plain of
_SPACE = re.compile(r"[\s\u00a0]+")


def parts_of(name: str) -> tuple[str, ...]:
    """A name as the parts of a path, whatever system wrote it: no drive, no root, no ``.`` and ``..``."""
    plain = name.strip()
    if plain.lower().startswith("file:"):
        plain = urllib.parse.unquote(plain[5:])
    elif "://" in plain:
        plain = plain.partition("://")[2].partition("?")[0].partition("#")[0]
    plain = re.sub(r"^[A-Za-z]:", "", plain.replace("\\", "/"))
    return tuple(part for part in plain.split("/") if part not in ("", ".", ".."))


def folded(text: str) -> str:
    """A name as it is compared whatever its case, its form of accents and the kind of its blanks."""
    return _SPACE.sub(" ", unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold()))


def stem_of(name: str) -> str:
    """A file's name without the suffix of an image; a dot that begins anything else stays."""
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and stem and f".{suffix.lower()}" in SUFFIXES else name


def without_tool(stem: str) -> str:
    """A stem without what Label Studio puts before names, and Roboflow behind them."""
    return _TOOL_SUFFIX.sub("", _TOOL_PREFIX.sub("", stem)) or stem


_Key = Callable[[str], str]


def _as_is(name: str) -> str:
    return name


def _folded_stem(name: str) -> str:
    return folded(stem_of(name))


def _bare(name: str) -> str:
    return folded(without_tool(stem_of(_TOOL_PREFIX.sub("", name))))


_LEVELS: tuple[tuple[How, _Key, _Key], ...] = (
    # How, the key of a file's name, how the folders above it are compared.
    (How.BY_NAME, _as_is, _as_is),
    (How.BY_SPELLING, folded, folded),
    (How.BY_STEM, _folded_stem, folded),
    (How.BY_TOOL, _bare, folded),
)


class NameIndex:
    """Files by their names: paths below one root, with "/" between the parts. Keys are made when they are asked for."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = list(paths)
        self._by_key: dict[How, dict[str, list[int]]] = {}
        self._exact: set[str] | None = None

    def __contains__(self, path: str) -> bool:
        if self._exact is None:
            self._exact = set(self.paths)
        return path in self._exact

    def find(self, name: str) -> Match:
        """The one file that a name means; ``NOT_THERE``, or a match with rivals, where it is not one."""
        written = parts_of(name) if self.paths else ()
        if not written:
            return NOT_THERE
        if "/".join(written) in self and "/".join(written) == name:
            return Match(name)
        readings = [written]
        if "%" in name and (unquoted := parts_of(urllib.parse.unquote(name))) != written:
            readings.append(unquoted)
        for how, key, folder_key in _LEVELS:
            for parts in readings:
                match = self._longest_end(parts, how, key, folder_key)
                if match is not NOT_THERE:
                    return match
        return NOT_THERE

    def _longest_end(self, parts: tuple[str, ...], how: How, key: _Key, folder_key: _Key) -> Match:
        """Of the files whose names agree, the one whose folders agree furthest with those that are written."""
        if how not in self._by_key:
            self._by_key[how] = self._indexed(how, key)
        positions = self._by_key[how].get(key(parts[-1]), ())
        if not positions:
            return NOT_THERE
        written = [folder_key(part) for part in parts[-2::-1]]
        agreed = []
        for position in positions:
            folders = [folder_key(part) for part in PurePosixPath(self.paths[position]).parts[-2::-1]]
            agreed.append(
                next(
                    (n for n, pair in enumerate(zip(written, folders, strict=False)) if pair[0] != pair[1]),
                    min(len(written), len(folders)),
                )
            )
        most = max(agreed)
        best = [self.paths[position] for position, n in zip(positions, agreed, strict=True) if n == most]
        if len(best) > 1:
            return Match(how=how, rivals=tuple(best))
        name = PurePosixPath(best[0]).name
        suffix = name[len(stem_of(name)) :] if stem_of(parts[-1]) == parts[-1] else ""
        if how is How.BY_NAME and most:
            how = How.BY_PATH_END
        return Match(best[0], how, suffix)

    def _indexed(self, how: How, key: _Key) -> dict[str, list[int]]:
        by_key: dict[str, list[int]] = {}
        for position, path in enumerate(self.paths):
            name = path.rpartition("/")[2]
            # A stem is that of an image: labels lie beside it as a.txt, a.json, a.xml.
            if how in (How.BY_STEM, How.BY_TOOL) and stem_of(name) == name and "." in name:
                continue
            by_key.setdefault(key(name), []).append(position)
        return by_key


def files_below(root: Path, most: int = MOST_FILES) -> Iterator[str]:
    """Paths below a folder of what may be images, with "/"; every real folder once, hidden ones left out."""
    try:
        facts = root.stat()
    except OSError:
        return
    seen = {(facts.st_dev, facts.st_ino)}
    waiting, count = [""], 0
    while waiting:
        below = waiting.pop()
        try:
            with os.scandir(root / below) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            continue  # the folder importer names it where it is imported
        folders = []
        for entry in listed:
            if is_left_out(entry.name):
                continue
            path = f"{below}/{entry.name}" if below else entry.name
            try:
                if entry.is_dir():
                    facts = entry.stat()
                    if (facts.st_dev, facts.st_ino) not in seen:
                        seen.add((facts.st_dev, facts.st_ino))
                        folders.append(path)
                    continue
            except OSError:
                continue
            if os.path.splitext(entry.name)[1].lower() not in _NO_IMAGES:
                count += 1
                if count > most:
                    return
                yield path
        waiting.extend(reversed(folders))


@dataclass
class Tally:
    """How many names were looked up, and by what they were found: what the one line says."""

    total: int = 0
    hows: Counter[How] = field(default_factory=Counter)
    suffixes: Counter[str] = field(default_factory=Counter)
    folders: Counter[str] = field(default_factory=Counter)
    missing: int = 0
    ambiguous: int = 0

    @property
    def loosely(self) -> int:
        """How many are not where the table says, letter by letter."""
        return sum(n for how, n in self.hows.items() if how is not How.EXACT)

    def note(self, match: Match) -> None:
        """Take down one look-up."""
        self.total += 1
        if match.path is None:
            self.ambiguous += match.is_ambiguous
            self.missing += not match.is_ambiguous
            return
        self.hows[match.how] += 1
        if match.how is not How.EXACT:
            self.folders[match.path.rpartition("/")[0]] += 1
            self.suffixes[match.suffix] += match.how in (How.BY_STEM, How.BY_TOOL) and bool(match.suffix)

    def in_words(self) -> str:
        """One sentence, "12 of 12 found below train/, .jpg added"; "" where every name was found as it is written."""
        found = sum(self.hows.values())
        if not self.loosely and not self.ambiguous:
            return ""
        words = f"{found:,} of {self.total:,} found"
        named = [folder for folder in self.folders if folder]
        if len(named) > _FOLDERS_NAMED:
            words += f" in {len(self.folders):,} folders"
        elif named:
            words += f" below {' and '.join(f'{shown_name(folder)}/' for folder in named)}"
        added = [suffix for suffix, n in self.suffixes.items() if n]
        if added:
            words += f", {' or '.join(added[:_FOLDERS_NAMED])} added"
        for how in (How.BY_PATH_END, How.BY_NAME, How.BY_SPELLING, How.BY_STEM, How.BY_TOOL):
            is_said = bool(added) and how is How.BY_STEM
            if self.hows[how] and not is_said and not (how is How.BY_NAME and named):
                words += f", {how.value}"
        if self.missing:
            words += f"; {self.missing:,} not there"
        if self.ambiguous:
            words += f"; {self.ambiguous:,} could be several files"
        return words


def _files_in(folder: str) -> frozenset[str] | None:
    """Names of what is in a folder and is none; None where there are too many to keep."""
    names = set()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.is_dir():
                    names.add(entry.name)
                    if len(names) > _MOST_LISTED:
                        return None
    except FileNotFoundError:
        return frozenset()
    return frozenset(names)


class FileResolver:
    """Files of this machine for the names in a table that lies in ``folder``.

    Names are looked up in ``images`` where a person named such a folder, else in the table's own folder and below it.
    Below ``annotations/`` and the like, where there are none, the folder around it is looked through. The index is made
    when the first name is not where it is said to be.
    """

    def __init__(self, folder: Path, images: Path | None = None, usual: Iterable[Path] = ()) -> None:
        """``usual`` are more folders in which a format keeps its images."""
        self.folder = Path(os.path.abspath(folder))
        self.images = Path(os.path.abspath(images.expanduser())) if images is not None else None
        self.root = self.images or self.folder
        self._index: NameIndex | None = None
        self.tally = Tally()
        roots = [self.images] if self.images is not None else [self.folder, self.folder / "images", *usual]
        self._looked_up: Counter[str] = Counter()  # names, by folder
        self._listed: dict[str, frozenset[str]] = {}
        self._exact_roots = [str(root) for root in roots if root is not None and root.is_dir()]

    @property
    def index(self) -> NameIndex:
        """All files that a name may mean, below ``root``."""
        if self._index is None:
            index = NameIndex(files_below(self.root))
            if self.images is None and self.folder.name.lower() in _TABLES_APART and not index.paths:
                above = list(files_below(self.folder.parent, MOST_FILES_ABOVE + 1))
                if len(above) <= MOST_FILES_ABOVE:
                    self.root, index = self.folder.parent, NameIndex(above)
            self._index = index
        return self._index

    def find(self, name: str) -> tuple[str | None, Match]:
        """The URI of the file that a name means and how it was found; no URI where none or several are meant."""
        exact = self._as_written(name)
        if exact is not None:
            return exact, Match(name)
        match = self.index.find(name)
        if match.path is None:
            return None, match
        how = How.BY_PATH_END if match.how is How.EXACT else match.how
        return file_uri(self.root / match.path), match._replace(how=how)

    def resolve(self, name: str) -> tuple[str | None, Match]:
        """As ``find``, and counted for the one line that says what was done."""
        uri, match = self.find(name)
        self.tally.note(match)
        return uri, match

    def _as_written(self, name: str) -> str | None:
        """The file of a name that is there letter by letter: absolute, or below one of the folders."""
        try:
            if os.path.isabs(name):
                return file_uri(name) if os.path.isfile(name) else None
            texts = (name, name.replace("\\", "/")) if os.sep == "/" and "\\" in name else (name,)
            for root in self._exact_roots:
                for text in texts:
                    path = f"{root}{os.sep}{text}"
                    if self._is_there(path):
                        return path if text.isascii() and not _UNTIDY.search(text) else file_uri(path)
        except (OSError, ValueError):  # longer than any name, a zero byte
            return None
        return None

    def _is_there(self, path: str) -> bool:
        """Whether something else than a folder is at a path, a broken link too; many of a folder: in a list.

        A list costs about a look-up for every ten files of the folder: it is made when so many names were looked up.
        """
        folder, _, name = path.rpartition(os.sep)
        listed = self._listed.get(folder)
        if listed is not None:
            return name in listed
        self._looked_up[folder] += 1
        if self._looked_up[folder] == _LISTED_AFTER:
            listed = _files_in(folder)
            if listed is not None:
                self._listed[folder] = listed
                return name in listed
        return os.path.lexists(path) and not os.path.isdir(path)
