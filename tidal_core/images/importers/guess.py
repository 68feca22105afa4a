"""Which column of a table says what: by its name, else by what is in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tidal_core.errors import InputError
from tidal_core.images.importers.base import Columns
from tidal_core.images.reading import SUFFIXES
from tidal_core.records import Split

# In the order of preference; compared in lower case, without spaces, dashes and underscores.
_NAMES: dict[str, tuple[str, ...]] = {
    "image": (
        *("path", "imagepath", "filepath", "filename", "file", "image", "img", "uri", "url", "imageurl", "imageuri"),
        *("imagename", "imagefile", "picture", "photo"),
    ),
    "label": (
        *("label", "labels", "class", "classname", "category", "categoryname", "target", "labelname", "classlabel"),
        *("choice", "species", "y"),
    ),
    "split": ("split", "subset", "partition", "set", "dataset", "fold"),
    "annotator": ("annotator", "labeler", "labeller", "labeledby", "labelledby", "annotatedby", "author", "user"),
    "sha256": ("sha256",),
}

SPLITS: dict[str, Split] = {
    **dict.fromkeys(("train", "training", "pool", "val", "valid", "validation", "dev", "unlabeled"), Split.POOL),
    **dict.fromkeys(("test", "testing", "holdout"), Split.TEST),
}


LABELLED_BY = "labelled_by"  # the column of this studio's own exports


def guess_columns(names: Sequence[str], samples: Sequence[Mapping[str, object]], chosen: Columns) -> Columns:
    """The columns of a table; what a person has given stands. Raises InputError when no column holds images.

    ``samples`` are a few rows. A column that was given and is not there is refused by name.
    """
    for role in ("image", "label", "split", "annotator"):
        column = getattr(chosen, role)
        if column is not None and column not in names:
            raise InputError(
                f"there is no column {column!r}; the columns are: {', '.join(map(repr, names)) or 'none'}."
            )
    if {"event_id", "kind"} <= set(names):
        raise InputError(
            "this table is a history of all answers; export the current labels (--what labels) and import those."
        )
    taken = {chosen.image, chosen.label, chosen.split, chosen.annotator}

    def by_name(role: str) -> str | None:
        compared = {_compared(name): name for name in reversed(names) if name not in taken}
        return next((compared[known] for known in _NAMES[role] if known in compared), None)

    image = chosen.image or by_name("image")
    if image is not None and chosen.image is None and not _holds_images(image, samples):
        image = None
    image = image or next((name for name in names if name not in taken and _holds_images(name, samples)), None)
    if image is None:
        raise InputError(
            f"no column seems to name image files; the columns are: {', '.join(map(repr, names)) or 'none'}. "
            'Call the right one "path", or name it with --image-column.'
        )
    taken.add(image)
    return Columns(
        image=image,
        label=chosen.label or by_name("label"),
        split=chosen.split or by_name("split"),
        annotator=chosen.annotator or by_name("annotator"),
        sha256=by_name("sha256"),
    )


def is_of_model(values: Mapping[str, object]) -> bool:
    """Whether a row of this studio's own export has a class that a model gave: it is nobody's label."""
    return values.get(LABELLED_BY) == "model"


def split_of(text: str | None) -> Split | None:
    """What a split column says; None for what it does not say clearly."""
    return SPLITS.get(text.strip().lower()) if text else None


def looks_like_a_path(value: object) -> bool:
    """Whether a cell names an image file or a URI of one."""
    if not isinstance(value, str) or not value.strip():
        return False
    text = value.strip().lower()
    if "://" in text:
        text = text.partition("?")[0]
    return text.endswith(tuple(SUFFIXES)) or text.startswith(("digits:", "parquet:"))


def _compared(name: str) -> str:
    """A column's name as it is compared."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _holds_images(name: str, samples: Sequence[Mapping[str, object]]) -> bool:
    """Most of the cells that are not empty are paths of images, or image bytes."""
    cells = [row.get(name) for row in samples]
    filled = [cell for cell in cells if cell not in (None, "")]
    good = sum(isinstance(cell, (bytes, dict)) or looks_like_a_path(cell) for cell in filled)
    return bool(filled) and 2 * good > len(filled)
