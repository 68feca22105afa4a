"""What the cells of a label column say: a class, no label, several labels, or the number of a class.

A column is looked at before its cells are read: ``1.0`` is the class 1 only where all are whole numbers, and
``cat|dog`` is two labels only where cat and dog are labels by themselves. Words that programs write for "nothing"
(nan, N/A, None, unlabeled) are no classes unless a person says so, or a list of classes names them. Tables that this
studio wrote are taken letter by letter.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tidal_core.records import ImportProblem

Several = Literal["leave-out", "first", "as-one"]
"""What becomes of an image with several labels: it is read without one; the first is taken; or the whole cell is the
name of a class."""

MISSING_WORDS = frozenset(
    {
        *("nan", "n/a", "na", "#n/a", "none", "null", "nil", "<na>", "nat", "-", "--", "?"),
        *("unlabeled", "unlabelled", "not labeled", "not labelled", "no label", "missing", "undefined"),
    }
)
"""What stands for "no label", in lower case; ``-1`` does, too, where numbers have names."""

_DISTINCT_KEPT = 10_000  # different cells of a column; beyond them, they are no classes
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?")
_WHOLE = re.compile(r"([+-]?\d+)[.,]0+")
_SEPARATORS = ("|", ";", ",", "/", "+", "&", " ")
_SURE_SEPARATORS = "|;"  # hardly a class is called so: what stands between them need not stand alone elsewhere
_LONGEST_LIST = 10_000  # letters of a cell that is read as a list
_NAMED = 5  # words or labels in one remark
NO_NAME = "its label is not a name"


@dataclass(frozen=True)
class CellRules:
    """What a person may say about label cells."""

    several: Several = "leave-out"
    keep_missing: bool = False  # whether "nan", "None" and the like are classes


def clean(value: Any) -> Any:
    """Text without the half characters that JSON can hold and nothing can store."""
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else value


def text_of(cell: object) -> str:
    """A cell as the text by which it is compared; "" for none."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    try:
        return " ".join(str(clean(cell)).split())
    except (ValueError, RecursionError):  # a number of more digits than Python writes, a list without end
        return ""


def is_missing_word(text: str) -> bool:
    """Whether a text is what programs and people write for "no label"."""
    return not text or text.lower() in MISSING_WORDS


def whole_number(text: str) -> str | None:
    """``1.0`` and ``1,00`` as ``1``, ``1`` as it is; None for what is no whole number."""
    whole = _WHOLE.fullmatch(text)
    if whole is not None:
        return whole[1]
    return text if text.lstrip("+-").isdecimal() else None


@dataclass
class Labels:
    """Reads the label cells of one source.

    ``names`` are the classes' names by their numbers as text; with ``names_are_for_text`` also cells of text that hold
    a number are such numbers (in CSV files all cells are text), else only cells that are numbers. ``declared`` are
    names that a list of classes holds: they are classes, whatever the word.
    """

    rules: CellRules = field(default_factory=CellRules)
    names: Mapping[str, str] = field(default_factory=dict)
    names_are_for_text: bool = False
    declared: Collection[str] = ()
    literally: bool = False  # this studio wrote it: a class may be called "null" or "red, orange"

    is_whole: bool = field(default=False, init=False)  # all cells are whole numbers
    missing: Counter[str] = field(default_factory=Counter, init=False)
    firsts: int = field(default=0, init=False)  # images of which the first of several labels was taken
    _composed: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False)
    _read: dict[str, tuple[str | None, str | None]] = field(default_factory=dict, init=False)

    def look(self, cells: Iterable[object]) -> None:
        """Look at the cells of the column: all of them, or many."""
        if self.literally:
            return
        texts = Counter[str]()
        for cell in cells:
            if isinstance(cell, (str, int, float)) and (len(texts) < _DISTINCT_KEPT or text_of(cell) in texts):
                texts[text_of(cell)] += 1
        said = [text for text in texts if not is_missing_word(text)]
        self.is_whole = bool(said) and all(whole_number(text) is not None for text in said)
        self._composed = {} if all(map(_NUMBER.fullmatch, said)) else composed(said)
        self._read.clear()

    def read(self, cell: Any) -> tuple[str | None, str | None]:
        """``(problem, label)`` of a cell; both None where it says nothing."""
        if isinstance(cell, str):
            known = self._read.get(cell)
            if known is None:
                known = self._text(cell)
                if len(self._read) < _DISTINCT_KEPT and not self._is_counted(cell):
                    self._read[cell] = known
            return known
        if cell is None or (isinstance(cell, float) and math.isnan(cell)):
            return None, None
        if isinstance(cell, (list, tuple)):
            return self.of_several(cell)
        if isinstance(cell, dict) and isinstance(cell.get("choices"), list):
            return self.of_several(cell["choices"])
        if isinstance(cell, (dict, bytes)):
            return NO_NAME, None
        if isinstance(cell, bool):
            return None, str(cell)
        text = text_of(cell)
        return self._number(text) if text else (NO_NAME, None)

    def of_several(self, cells: Sequence[Any], whole: str = "") -> tuple[str | None, str | None]:
        """``(problem, label)`` of an image that was given these; ``whole`` is the cell that holds them all."""
        if any(isinstance(cell, (list, tuple, dict)) for cell in cells):
            return NO_NAME, None
        labels: dict[str, None] = {}
        for cell in cells:
            problem, label = self.read(cell) if not isinstance(cell, str) else self._one(" ".join(clean(cell).split()))
            if problem:
                return problem, None
            if label is not None:
                labels[label] = None
        if len(labels) < 2:
            return None, next(iter(labels), None)
        if self.rules.several == "first":
            self.firsts += 1
            return None, next(iter(labels))
        if self.rules.several == "as-one":
            return None, whole or ", ".join(labels)
        more = f", and {len(labels) - _NAMED} more" if len(labels) > _NAMED else ""
        named = ", ".join(list(labels)[:_NAMED]) + more
        return f"it has {len(labels)} labels ({named}), an image can have one", None

    def remarks(self, title: str) -> Iterator[ImportProblem]:
        """One remark each on words that were taken for no label, and on labels that were left out, after all cells."""
        if self.missing:
            n = self.missing.total()
            words = ", ".join(word for word, _ in self.missing.most_common(_NAMED))
            words += ", ..." if len(self.missing) > _NAMED else ""
            yield ImportProblem(
                title,
                f"{n:,} {'label says' if n == 1 else 'labels say'} {words}: no label",
                'nothing to do; if these are classes, tick "Words for no label are classes" in the preview, or import '
                "with --keep-missing-words",
            )
        if self.firsts:
            yield ImportProblem(
                title, f"{self.firsts:,} images have several labels: the first was taken", "nothing to do, as you chose"
            )

    def _is_counted(self, cell: str) -> bool:
        """Whether a cell of text is counted each time it comes."""
        text = " ".join(clean(cell).split())
        return bool(text) and (text in self._composed or is_missing_word(text) or text[0] in "[{" or text == "-1")

    def _text(self, cell: str) -> tuple[str | None, str | None]:
        text = " ".join(clean(cell).split())
        if self.literally:
            return None, text or None
        if text[:1] in ("[", "{") and text[-1:] in ("]", "}"):
            listed = _list_in(text)
            if listed is not None:
                return self.of_several(listed, text)
        if text in self._composed and text not in self.declared:
            return self.of_several(self._composed[text], text)
        return self._one(text)

    def _one(self, text: str) -> tuple[str | None, str | None]:
        """One label of text."""
        if not text or self.literally or text in self.declared:
            return None, text or None
        if not self.rules.keep_missing and is_missing_word(text):
            self.missing[text] += 1
            return None, None
        number = whole_number(text) if self.is_whole else None
        if number is not None and self.names and self.names_are_for_text:
            return self._number(number)
        return None, number or text

    def _number(self, text: str) -> tuple[str | None, str | None]:
        if not self.names:
            return None, text
        if text in self.names:
            return None, self.names[text]
        if text == "-1":
            if self.names_are_for_text and not self.rules.keep_missing:
                self.missing[text] += 1
            return None, None
        numbers = sorted(map(int, filter(str.isdecimal, self.names)))
        known = f"{numbers[0]} to {numbers[-1]}" if numbers else "no numbers are"
        return f"its label {text} is not the number of a class ({known})", None


def composed(texts: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Which of a column's cells are several labels in one, and those labels.

    Each part is a cell by itself somewhere, or, between bars and semicolons, a part of another such cell. Between
    blanks there have to be two such cells: one "red panda" beside "red" and "panda" is an animal.
    """
    alone = set(texts)
    for separator in _SEPARATORS:
        split = {text: tuple(part.strip() for part in text.split(separator)) for text in texts if separator in text}
        split = {text: parts for text, parts in split.items() if all(parts) and len(set(parts)) > 1}
        times = Counter(part for parts in split.values() for part in set(parts))
        enough = 2 if separator in _SURE_SEPARATORS else len(texts) + 1
        is_part = {part for part, n in times.items() if n >= enough} | alone
        found = {text: parts for text, parts in split.items() if is_part.issuperset(parts)}
        if found and (separator != " " or len(found) > 1):
            return found
    return {}


def _list_in(text: str) -> list[Any] | None:
    """The labels of a cell that holds a list or ``{"choices": [...]}``, as JSON or Python writes them."""
    if len(text) > _LONGEST_LIST:
        return None
    value: Any = None
    for reads in (json.loads, ast.literal_eval):
        try:
            value = reads(text)
            break
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
    if isinstance(value, dict):
        value = value.get("choices")
    if isinstance(value, (list, tuple)):
        return list(value)
    if "'" not in text and '"' not in text and text[0] == "[":  # [cat, dog], which numpy and people write
        return [part for part in re.split(r"[,;|]", text[1:-1]) if part.strip()]
    return None
