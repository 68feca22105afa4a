"""Which column of a table says what: by its name, else by what is in it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tidal_core.errors import InputError
from tidal_core.images.importers.base import Columns
from tidal_core.images.importers.cells import is_missing_word, text_of, whole_number
from tidal_core.images.reading import SUFFIXES
from tidal_core.records import Split

# In the order of preference; compared in lower case, without spaces, dashes and underscores.
_NAMES: dict[str, tuple[str, ...]] = {
    "image": (
        *("path", "imagepath", "filepath", "filename", "file", "image", "img", "uri", "url", "imageurl", "imageuri"),
        *("imagename", "imagefile", "picture", "photo", "imgpath", "imgname", "imgfile", "fname", "name", "imageid"),
        *("filepathabs", "filepathabsolute", "abspath", "absolutepath", "absolutefilepath"),
        *("imgid", "id", "uuid", "key", "sourceref", "isicid", "datei", "dateiname", "bild", "bilddatei", "foto"),
        *("fichier", "nomdefichier", "archivo", "imagen", "immagine", "imagem", "arquivo", "bestand", "plik", "obraz"),
        *(
            "файл",
            "имяфайла",
            "изображение",
            "文件名",
            "文件",
            "图片",
            "图像",
            "ファイル名",
            "画像",
            "파일명",
            "이미지",
        ),
    ),
    "label": (
        *("label", "labels", "class", "classname", "category", "categoryname", "target", "labelname", "classlabel"),
        *("choice", "species", "y", "classes", "categories", "tag", "tags", "classid", "categoryid", "labelid"),
        *("labeltext", "labelstr", "diagnosis", "finding", "findings", "findinglabels", "disease", "dx", "breed"),
        *("groundtruth", "gt", "truth", "annotation", "klasse", "klassen", "kategorie", "art", "beschriftung"),
        *("classe", "étiquette", "etiquette", "catégorie", "espèce", "clase", "etiqueta", "categoría", "categoria"),
        *("especie", "etichetta", "specie", "etykieta", "klasa", "метка", "класс", "категория", "标签", "类别", "分类"),
        *("ラベル", "クラス", "カテゴリ", "라벨", "레이블", "클래스"),
    ),
    "split": ("split", "subset", "partition", "set", "dataset", "fold", "phase", "usage"),
    "annotator": (
        *("annotator", "labeler", "labeller", "labeledby", "labelledby", "annotatedby", "author", "user"),
        *("annotationsource", "labelsource"),
    ),
    "sha256": ("sha256",),
}
# What is often in tables of images and is no class, whatever its name's order or form.
_NO_LABELS = {
    *("width", "height", "size", "bytes", "filesize", "date", "time", "timestamp", "created", "url", "link", "source"),
    *(
        "license",
        "licence",
        "credit",
        "caption",
        "text",
        "description",
        "comment",
        "comments",
        "note",
        "notes",
        "prompt",
    ),
    *("camera", "lat", "lon", "latitude", "longitude", "location", "folder", "index", "sha256", "md5", "hash", "email"),
    *("xmin", "ymin", "xmax", "ymax", "x", "bbox", "area", "confidence", "score", "probability", "patientid", "age"),
    *("sex", "gender", "view", "doi", "offset", "title", "format", "mode", "channels", "numberofimages", "count"),
}

SPLITS: dict[str, Split] = {
    **dict.fromkeys(("train", "training", "pool", "val", "valid", "validation", "dev", "unlabeled"), Split.POOL),
    **dict.fromkeys(("test", "testing", "holdout"), Split.TEST),
}


LABELLED_BY = "labelled_by"  # the column of this studio's own exports

_VALUES_KEPT = 2_000  # different values of a column; more are no classes
_ONES, _ZEROS = {"1", "true"}, {"0", "false", ""}
_MOST_UNREPEATED = 20  # different values that may be classes although none comes again
_LONGEST_LABEL = 80  # letters of what may be a class where only the content tells


@dataclass
class ColumnFacts:
    """What is in one column, as far as it was looked at."""

    filled: int = 0
    values: dict[str, int] = field(default_factory=dict)  # how often each value is there; as text
    is_whole: bool = True  # False: there are more values than are kept

    def note(self, cell: object) -> None:
        """Take down one cell."""
        text = text_of(cell)
        self.filled += bool(text)
        if text in self.values or len(self.values) < _VALUES_KEPT:
            self.values[text] = self.values.get(text, 0) + 1
        else:
            self.is_whole = False

    @property
    def example(self) -> str:
        """One of the values."""
        return next((value for value in self.values if value), "")

    @property
    def is_flags(self) -> bool:
        """Whether every cell is 1, 0 or empty, and some are filled."""
        values = {_flag(value) for value in self.values}
        return self.is_whole and self.filled > 0 and values <= _ONES | _ZEROS

    def may_be_labels(self, name: str) -> bool:
        """Whether these could be classes: a few values that come again, and no measure, text or date."""
        values = [value for value in self.values if not is_missing_word(value)]
        if not self.is_whole or len(values) < 2 or _compared(name) in _NO_LABELS:
            return False
        if any(len(value) > _LONGEST_LABEL for value in values):
            return False
        numbers = [whole_number(value) for value in values]
        fractions = sum(number is None and _is_number(value) for number, value in zip(numbers, values, strict=True))
        return not fractions and len(values) <= max(2, self.filled // 2) and len(values) < self.filled


def facts_of(names: Sequence[str], rows: Iterable[Mapping[str, object]]) -> dict[str, ColumnFacts]:
    """What is in each column."""
    facts = {name: ColumnFacts() for name in names}
    for row in rows:
        for name, cell in row.items():
            if name in facts:
                facts[name].note(cell)
    return facts


def guess_columns(
    names: Sequence[str],
    samples: Sequence[Mapping[str, object]],
    chosen: Columns,
    *,
    rows: Callable[[], Iterable[Mapping[str, object]]] | None = None,
    names_a_file: Callable[[str], bool] | None = None,
    by_name_alone: bool = False,
) -> Columns:
    """The columns of a table; what a person has given stands. Raises InputError when no column holds images.

    ``samples`` are a few rows, ``rows`` goes through many. ``names_a_file`` says whether a cell without a suffix names
    an image that is there. With ``by_name_alone`` no label is taken from a column that is not called like one: there
    are other labels. A column that was given and is not there is refused by name.
    """
    for column in (chosen.image, chosen.label, chosen.split, chosen.annotator, *chosen.one_hot):
        if column and column not in names:
            raise InputError(
                f"there is no column {column!r}; the columns are: {', '.join(map(repr, names)) or 'none'}."
            )
    if {"event_id", "kind"} <= set(names):
        raise InputError(
            "this table is a history of all answers; export the current labels (--what labels) and import those."
        )
    taken = {chosen.image, chosen.label, chosen.split, chosen.annotator, *chosen.one_hot}
    image = chosen.image or _image(names, samples, taken, names_a_file)
    taken.add(image)
    many = rows if rows is not None else lambda: samples
    facts = facts_of([name for name in names if name != image], many())
    split = chosen.split or _known("split", names, taken)
    taken.add(split)
    label, one_hot = chosen.label, chosen.one_hot
    if label is None and not one_hot:
        label = _label(names, samples, taken, facts)
        if label is None:
            one_hot = _one_hot([name for name in names if name not in taken], facts, many)
        if label is None and not one_hot and not by_name_alone:
            label = _only_candidate([name for name in names if name not in taken], facts)
    taken |= {label, *one_hot}
    return Columns(
        image=image,
        label=label or None,
        one_hot=one_hot,
        split=split,
        annotator=chosen.annotator or _known("annotator", names, taken),
        sha256=_known("sha256", names, taken),
    )


def offered_columns(names: Iterable[str], facts: Mapping[str, ColumnFacts]) -> tuple[str, ...]:
    """The columns of a few different values: a person may mean them as labels."""
    return tuple(name for name in names if name in facts and facts[name].may_be_labels(name))


def is_known_name(cell: str) -> bool:
    """Whether a cell of a first line is what a column is often called."""
    compared = _compared(cell)
    return any(compared in known for known in _NAMES.values())


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


def one_hot_labels(row: Mapping[str, object], columns: Sequence[str]) -> list[str]:
    """The classes whose columns say 1."""
    return [name for name in columns if _flag(text_of(row.get(name))) in _ONES]


def _compared(name: str) -> str:
    """A column's name as it is compared."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _known(role: str, names: Sequence[str], taken: Collection[str | None]) -> str | None:
    compared = {_compared(name): name for name in reversed(names) if name not in taken}
    return next((compared[known] for known in _NAMES[role] if known in compared), None)


def _image(
    names: Sequence[str],
    samples: Sequence[Mapping[str, object]],
    taken: Collection[str | None],
    names_a_file: Callable[[str], bool] | None,
) -> str:
    """The column of images: one that is called so and holds paths, one that holds paths, one that names files."""
    free = [name for name in names if name not in taken]
    compared = {_compared(name): name for name in reversed(free)}
    called_so = [compared[known] for known in _NAMES["image"] if known in compared]
    in_order = list(dict.fromkeys([*called_so[:1], *free]))
    by_content = next((name for name in in_order if _holds_images(name, samples)), None)
    if by_content is not None:
        return by_content
    if names_a_file is not None:
        for name in dict.fromkeys([*called_so, *free]):
            cells = [text_of(row.get(name)) for row in samples]
            filled = [cell for cell in cells if cell]
            # A column of classes 0, 1, 2 beside 0.jpg, 1.jpg, 2.jpg names files, too, but each of them again and again.
            is_distinct = name in called_so or 10 * len(set(filled)) >= 9 * len(filled)
            if filled and is_distinct and 2 * sum(map(names_a_file, filled)) > len(filled):
                return name
    raise InputError(
        f"no column seems to name image files; the columns are: {', '.join(map(repr, names)) or 'none'}. "
        'Call the right one "path", or name it with --image-column; where the images lie elsewhere, name their folder '
        "with --images."
    )


def _label(
    names: Sequence[str],
    samples: Sequence[Mapping[str, object]],
    taken: Collection[str | None],
    facts: Mapping[str, ColumnFacts],
) -> str | None:
    """The column that is called like labels; of several, one that is filled, and names rather than their numbers."""
    compared = {_compared(name): name for name in reversed(names) if name not in taken}
    called_so = [compared[known] for known in _NAMES["label"] if known in compared]
    filled = [name for name in called_so if facts[name].filled]
    if not filled:
        return next(iter(called_so), None)
    first = filled[0]
    if _is_numbers(facts[first]):
        for other in filled[1:]:
            pairs = {(text_of(row.get(first)), text_of(row.get(other))) for row in samples}
            is_one_to_one = len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
            if is_one_to_one and not _is_numbers(facts[other]):
                return other
    return first


def _one_hot(
    free: Sequence[str], facts: Mapping[str, ColumnFacts], rows: Callable[[], Iterable[Mapping[str, object]]]
) -> tuple[str, ...]:
    """Columns of which one says 1 in most rows: all columns of ones and zeros, else such that stand side by side."""
    flags = [name for name in free if facts[name].is_flags and _compared(name) not in _NO_LABELS]
    if len(flags) < 2:
        return ()
    ones = [
        [position for position, name in enumerate(flags) if _flag(text_of(row.get(name))) in _ONES] for row in rows()
    ]
    places = [free.index(name) for name in flags]
    breaks = [0, *(n for n, (before, after) in enumerate(pairwise(places), start=1) if after - before > 1), len(flags)]
    runs = [range(start, end) for start, end in pairwise(breaks) if end - start > 1]
    for run in [range(len(flags)), *sorted(runs, key=len, reverse=True)]:
        per_row = [sum(position in run for position in row) for row in ones]
        said = [n for n in per_row if n]
        if len(run) > 1 and said and 2 * said.count(1) >= len(said) and 2 * len(said) >= len(per_row):
            return tuple(flags[position] for position in run)
    return ()


def _only_candidate(free: Sequence[str], facts: Mapping[str, ColumnFacts]) -> str | None:
    """The one column that can be labels: the only other one, or the only one of a few different values."""
    candidates = [name for name in free if facts[name].may_be_labels(name)]
    if len(candidates) == 1:
        return candidates[0]
    alone = [name for name in free if facts[name].filled and not _counts_rows(facts[name])]
    if len(alone) == 1 and _compared(alone[0]) not in _NO_LABELS:
        values = [value for value in facts[alone[0]].values if value]
        is_text = not any(_is_number(value) for value in values)
        is_few = len(values) <= _MOST_UNREPEATED or len(values) < facts[alone[0]].filled
        if is_text and is_few and facts[alone[0]].is_whole and all(len(value) <= _LONGEST_LABEL for value in values):
            return alone[0]
    return None


def _flag(text: str) -> str:
    return (whole_number(text) or text).lower()


def _counts_rows(facts: ColumnFacts) -> bool:
    """Whether a column numbers the rows, as pandas writes them."""
    return all(map(_is_number, facts.values)) and all(n == 1 for n in facts.values.values())


def _is_numbers(facts: ColumnFacts) -> bool:
    return all(_is_number(value) for value in facts.values if not is_missing_word(value))


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


def _holds_images(name: str, samples: Sequence[Mapping[str, object]]) -> bool:
    """Most of the cells that are not empty are paths of images, or image bytes."""
    cells = [row.get(name) for row in samples]
    filled = [cell for cell in cells if cell not in (None, "")]
    good = sum(isinstance(cell, (bytes, dict)) or looks_like_a_path(cell) for cell in filled)
    return bool(filled) and 2 * good > len(filled)
