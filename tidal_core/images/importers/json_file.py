"""One JSON file that describes images: Label Studio's export, COCO's classification form, or a list of objects.

Which of them it is shows in its structure. Of Label Studio the choices of annotations are read (predictions are not
labels); of COCO the categories; a list of flat objects reads like a table.
"""

from __future__ import annotations

import json
import os
import re
import urllib.parse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tidal_core.errors import InputError, reason_of
from tidal_core.images.importers.base import FoundClass, FoundImage, ImportOptions, Scan
from tidal_core.images.importers.cells import CellRules, Labels, clean
from tidal_core.images.importers.guess import LABELLED_BY, looks_like_a_path, split_of
from tidal_core.images.importers.names import NOT_THERE, FileResolver, Match
from tidal_core.images.importers.rows import Row, gathered
from tidal_core.images.importers.table import locate, looked_at, no_label, several_meant
from tidal_core.records import ImportProblem

MAX_JSON_BYTES = 100_000_000  # read whole: about a million images, and up to 20 times as much memory if made for that


class JsonImporter:
    """A ``.json`` file of Label Studio, COCO, or flat objects."""

    name = "json"

    def sniff(self, source: str) -> bool:
        """Whether the source is a file named so."""
        path = Path(source).expanduser()
        return path.suffix.lower() == ".json" and path.is_file()

    def scan(self, source: str, options: ImportOptions) -> Scan:
        """Read the file whole and list it. Raises InputError when it is no JSON, or describes no images."""
        path = Path(os.path.abspath(os.path.expanduser(source)))
        value = load_json(path)
        if isinstance(value, dict) and isinstance(value.get("images"), list):
            items, classes = _coco(value, path, options), _coco_classes(value)
            return Scan(str(path), self.name, items, classes, len(value["images"]), path.stem)
        if not isinstance(value, list):
            raise InputError(
                f"{path} does not list images in a form that can be read; give an export of Label Studio or COCO, or a "
                'list of {"path": ..., "label": ...}.'
            )
        if any(isinstance(task, dict) and isinstance(task.get("data"), dict) for task in value):
            return Scan(str(path), self.name, _label_studio(value, path, options), title=path.stem)
        rows = gathered(lambda: _flat(value, path))
        table = looked_at(rows, path, FileResolver(path.parent, options.images), options)
        return Scan(str(path), self.name, table.items(), (), len(value), path.stem, table.columns, table.facts)


def load_json(path: Path) -> Any:
    """The value of a JSON file. Raises InputError with what is wrong with it."""
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise InputError(f"{path} is larger than {MAX_JSON_BYTES // 1_000_000} MB; export it in parts, or as CSV.")
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError, MemoryError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is not valid JSON ({reason_of(error)}); export it again.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check its permissions.") from error


def _flat(values: Iterable[Any], path: Path) -> Iterator[tuple[str, Row] | ImportProblem]:
    for number, value in enumerate(values, start=1):
        where = f"{path.name} item {number}"
        if isinstance(value, dict):
            yield where, {clean(key): clean(cell) for key, cell in value.items()}
        else:
            yield ImportProblem(where, "it is not a JSON object", 'write {"path": ..., "label": ...}')


def _label_studio(tasks: list[Any], path: Path, options: ImportOptions) -> Iterator[FoundImage | ImportProblem]:
    """One image per annotation that stands, or one without a label where there is none."""
    resolver, labels = FileResolver(path.parent, options.images), Labels(_as_chosen(options))
    for number, task in enumerate(tasks, start=1):
        where = f"{path.name} task {_get(task, 'id') or number}"
        data = _get(task, "data")
        cells = [clean(cell) for cell in data.values() if isinstance(cell, str)] if isinstance(data, dict) else []
        image_cell = next((cell for cell in cells if looks_like_a_path(_studio_path(cell))), None)
        if image_cell is None:
            yield ImportProblem(where, "it names no image", "skipped; add the image's path to the task's data")
            continue
        name = _studio_path(image_cell)
        uri, match = _studio_uri(image_cell, resolver)
        if match.is_ambiguous:
            yield several_meant(name, match)
            continue
        split = split_of(_get(data, "split"))
        has_label = False
        for annotation in _list(task, "annotations") or _list(task, "completions"):
            if _get(annotation, "was_cancelled"):
                continue
            problem, label = labels.of_several(_choices(annotation))
            if problem:
                yield no_label(where, problem)
            if label is not None:
                has_label = True
                yield FoundImage(name, uri, label, split, _who(annotation, data))
        if not has_label:
            yield FoundImage(name, uri, split=split)
    yield from _about_names(path, resolver)


def _as_chosen(options: ImportOptions) -> CellRules:
    """How choices and categories are read: each is the name of a class, whatever the word."""
    return CellRules(options.cells.several, keep_missing=True)


def _about_names(path: Path, resolver: FileResolver) -> Iterator[ImportProblem]:
    if words := resolver.tally.in_words():
        yield ImportProblem(
            path.name, f"names of images: {words}", "nothing to do, unless they lie elsewhere: --images"
        )


def _choices(annotation: Any) -> list[str]:
    """The distinct choices of an annotation, in order."""
    choices: dict[str, None] = {}
    for result in _list(annotation, "result"):
        for choice in _list(_get(result, "value"), "choices"):
            if isinstance(choice, str):
                choices[choice] = None
    return list(choices)


def _who(annotation: Any, data: Any) -> str | None:
    """The annotator: an address where the export has one, else what our own export wrote, else a number."""
    completed_by = _get(annotation, "completed_by")
    for candidate in (_get(completed_by, "email"), _get(data, "annotator"), completed_by):
        if isinstance(candidate, str) and candidate.strip():
            return str(clean(candidate.strip()))
    return f"annotator {completed_by}" if isinstance(completed_by, int) and not isinstance(completed_by, bool) else None


def _studio_path(text: str) -> str:
    """Where a task's image lies: Label Studio writes local files as ``/data/local-files/?d=PATH``."""
    url = urllib.parse.urlsplit(text) if text.startswith(("/data/local-files/", "data/local-files/")) else None
    return urllib.parse.parse_qs(url.query).get("d", [""])[0] if url else text


def _studio_uri(text: str, resolver: FileResolver) -> tuple[str, Match]:
    """Where a task's image is, by what is written first; the most likely place when it is nowhere."""
    path = _studio_path(text)
    candidates = [path] if path == text else ["/" + path.lstrip("/"), path]
    if path.startswith("/data/upload/"):
        base = path.rpartition("/")[2]
        candidates = [base, re.sub(r"^[0-9a-f]{8}-", "", base)]  # uploads get eight digits and a dash
    match = NOT_THERE
    for candidate in candidates:
        uri, match = resolver.find(candidate)
        if uri is not None and not match.how:
            resolver.tally.note(match)
            return uri, match
    first = locate(candidates[0], str(resolver.images or resolver.folder))
    if "://" in path and not path.startswith("file:"):
        return first, NOT_THERE  # fetched when it is opened
    uri, match = resolver.resolve(candidates[0])
    return uri or first, match


def _coco_classes(value: dict[str, Any]) -> tuple[FoundClass, ...]:
    return tuple(FoundClass(name) for name in _coco_names(value).values())


def _coco_names(value: dict[str, Any]) -> dict[Any, str]:
    """Category id to name."""
    names: dict[Any, str] = {}
    for category in _list(value, "categories"):
        number, name = _get(category, "id"), _get(category, "name")
        if isinstance(number, (int, str)) and isinstance(name, str) and name.strip():
            names[number] = str(clean(" ".join(name.split())))
    return names


def _coco(value: dict[str, Any], path: Path, options: ImportOptions) -> Iterator[FoundImage | ImportProblem]:
    names = _coco_names(value)
    labels_of_images: dict[Any, dict[str, str | None]] = {}  # image id to label to annotator
    for annotation in _list(value, "annotations"):
        image_id, category = _get(annotation, "image_id"), _get(annotation, "category_id")
        if not isinstance(image_id, (int, str)) or _get(annotation, LABELLED_BY) == "model":
            continue
        if not isinstance(category, (int, str)) or category not in names:
            yield ImportProblem(
                f"{path.name} image {image_id}",
                f"its category {category!r} has no name",
                'add the category to "categories" and import again',
            )
            continue
        annotator = _get(annotation, "annotator")
        labels_of_images.setdefault(image_id, {})[names[category]] = (
            str(clean(annotator)) if isinstance(annotator, str) else None
        )
    above = path.parent.parent
    resolver = FileResolver(path.parent, options.images, (above / "images", above))
    rules = Labels(_as_chosen(options))
    for number, image in enumerate(value["images"], start=1):
        name, image_id = _get(image, "file_name"), _get(image, "id")
        if not isinstance(name, str) or not name.strip():
            yield ImportProblem(f"{path.name} image {number}", "it has no file name", "fill it in")
            continue
        labels = labels_of_images.get(image_id, {}) if isinstance(image_id, (int, str)) else {}
        problem, label = rules.of_several(list(labels))
        if problem:
            yield no_label(name, problem)
        text = str(clean(name.strip()))
        uri, match = (None, NOT_THERE) if "://" in text else resolver.resolve(text)
        if match.is_ambiguous:
            yield several_meant(text, match)
            continue
        uri = uri or locate(text, str(resolver.images or resolver.folder))
        yield FoundImage(text, uri, label, split_of(_get(image, "split")), labels.get(label or ""))
    yield from _about_names(path, resolver)


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _list(value: Any, key: str) -> list[Any]:
    items = _get(value, key)
    return items if isinstance(items, list) else []
