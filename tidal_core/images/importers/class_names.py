"""Files that say what the numbers of classes stand for: ``classes.txt``, a JSON map, Ultralytics' ``data.yaml``.

Only a file that knows every number of a label column is offered: any text file beside a table could be a list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tidal_core.errors import InputError
from tidal_core.images.importers.cells import clean

_MOST_BYTES = 2_000_000
_LISTS = {".txt", ".names"}
_LIST_STEMS = ("class", "label", "name", "categor", "species", "breed", "obj", "synset")
_MAPS = {".json", ".yaml", ".yml"}
_KEYS = (
    "names",
    "id2label",
    "label2id",
    "classes",
    "class_names",
    "labels",
    "categories",
    "class_to_idx",
    "idx_to_class",
)
_NUMBERED = re.compile(r"(\d+)\s*[\s,;:=\t]\s*(\S.*)")


@dataclass(frozen=True)
class NamesFile:
    """A file that knows the names of numbers."""

    path: Path
    names: Mapping[str, str]  # number as text -> name

    def in_words(self, most: int = 3) -> str:
        """ "classes.txt: 0 = cat, 1 = dog"."""
        pairs = [f"{number} = {name}" for number, name in list(self.names.items())[:most]]
        return f"{self.path.name}: {', '.join(pairs)}{', ...' if len(self.names) > most else ''}"


def names_files(folder: Path, numbers: Collection[str]) -> list[NamesFile]:
    """The files beside a table that know all of these numbers, those that read most like it first."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.is_file() and _may_be(path))
    except OSError:
        return []
    files = []
    for path in paths[:100]:
        try:
            names = read_names(path)
        except InputError:
            continue
        if (fitting := fitted(names, numbers)) is not None:
            files.append(NamesFile(path, fitting))
    return files


def named_file(path: Path, numbers: Collection[str]) -> NamesFile:
    """The names that a person says are in this file. Raises InputError where it does not hold them."""
    names = read_names(path)
    fitting = fitted(names, numbers)
    if fitting is None:
        unknown = next((number for number in numbers if number not in names), "")
        known = ", ".join(list(names)[:5]) or "nothing"
        raise InputError(
            f"{path} does not say what the class {unknown} is called; it names {known}. "
            "Give the file that belongs to this table, or leave --class-names out."
        )
    return NamesFile(path, fitting)


def fitted(names: Mapping[str, str], numbers: Collection[str]) -> Mapping[str, str] | None:
    """The names for these numbers; a list counts from 1 where the numbers do. None where one has no name."""
    wanted = {number for number in numbers if number != "-1"}
    if not wanted or not names:
        return None
    if wanted <= names.keys():
        return names
    in_order = list(names) == [str(position) for position in range(len(names))]
    if in_order and wanted <= {str(position) for position in range(1, len(names) + 1)}:
        return {str(position): name for position, name in enumerate(names.values(), start=1)}
    return None


def read_names(path: Path) -> Mapping[str, str]:
    """Names by their numbers as text, in the file's order. Raises InputError for a file that holds no such thing."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path} is too large for a list of class names; give a smaller file.")
        text = path.read_text(encoding="utf-8-sig")
        suffix = path.suffix.lower()
        value: Any = json.loads(text) if suffix == ".json" else yaml.safe_load(text) if suffix in _MAPS else None
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(
            f"{path} cannot be read as a list of class names; write one name per line in UTF-8."
        ) from error
    names = _of_lines(text) if suffix not in _MAPS else _of_value(value)
    if not names:
        raise InputError(f"{path} holds no names of classes; write one name per line.")
    return names


def _may_be(path: Path) -> bool:
    stem, suffix = path.stem.lower(), path.suffix.lower()
    return suffix in _MAPS or suffix == ".names" or (suffix in _LISTS and any(word in stem for word in _LIST_STEMS))


def _of_lines(text: str) -> dict[str, str]:
    lines = [" ".join(line.split()) for line in text.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    matches = [_NUMBERED.fullmatch(line) for line in lines]
    numbered = [match for match in matches if match is not None]
    if numbered and len(numbered) == len(lines) and len({match[1] for match in numbered}) == len(lines):
        return {str(int(match[1])): match[2].strip() for match in numbered}
    return {str(position): line for position, line in enumerate(lines)} if all(lines) else {}


def _of_value(value: Any) -> dict[str, str]:
    if isinstance(value, dict):
        for key in _KEYS:
            if isinstance(value.get(key), (dict, list)):
                return _of_value(value[key])
        pairs = {str(key).strip(): name for key, name in value.items()}
        if pairs and all(isinstance(name, str) and key.isdecimal() for key, name in pairs.items()):
            return {str(int(key)): _name(name) for key, name in pairs.items()}
        if pairs and all(isinstance(name, int) and not isinstance(name, bool) for name in pairs.values()):
            return {str(number): _name(name) for name, number in sorted(pairs.items(), key=lambda pair: pair[1])}
        return {}
    if isinstance(value, list) and value and all(isinstance(name, str) and name.strip() for name in value):
        return {str(position): _name(name) for position, name in enumerate(value)}
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        pairs = {str(item.get("id")): item.get("name") for item in value}
        if all(key.isdecimal() and isinstance(name, str) for key, name in pairs.items()):
            return {key: _name(str(name)) for key, name in pairs.items()}
    return {}


def _name(text: str) -> str:
    return " ".join(str(clean(text)).split())
