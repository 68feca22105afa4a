"""Which images, in words: ``predicted=rose and margin<0.2``, the same on pages, in addresses and in commands.

A condition is a comparison of a field (``FIELDS``), or a state by its name (``labelled``, ``flagged``); conditions are
joined by ``and``, ``or``, ``not`` and parentheses. ``parse`` makes SQL of it, with every value as a parameter.

    state           labelled, unlabelled, skipped, flagged, hidden, excluded, disagrees
    = !=            any field; a class by its name (in quotes if it has blanks; a quote within them stands
                    twice), ``none`` for no class
    < <= > >=       numbers, dates (2026-11-26)
    ~               a text that contains another, capitals alike
    in (a, b)       one of several
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any, Literal, NamedTuple

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedInput, UnexpectedToken, VisitError

from tidal_core.errors import InputError
from tidal_core.estimator_facts import ESTIMATORS
from tidal_core.records import ClassRecord
from tidal_core.store.class_rules import plain_name

Kind = Literal["number", "class", "text", "date"]

GRAMMAR = r"""
    ?start: either
    ?either: both ("or"i both)*             -> either
    ?both: one ("and"i one)*                -> both
    ?one: "not"i one                        -> negated
        | "(" either ")"
        | NAME OPERATOR value               -> comparison
        | NAME "in"i "(" value ("," value)* ")" -> listed
        | NAME                              -> state
    value: QUOTED | WORD | NAME
    OPERATOR: "<=" | ">=" | "!=" | "==" | "=" | "<" | ">" | "~"
    NAME: /(?!(?:and|or|not|in)\b)[a-z_]+(?=[\s<>=!~()]|$)/i
    WORD: /[^\s"'(),<>=!~]+/
    QUOTED: /"(?:[^"]|"")*"|'(?:[^']|'')*'/
    %ignore /\s+/
"""
LONGEST = 2_000  # characters of a condition


@dataclass(frozen=True)
class Field:
    """Something that images are chosen by."""

    kind: Kind
    source: str  # of ``SOURCES``
    meaning: str  # for people


SOURCES = ("image", "answer", "known", "score")
"""Where fields come from: what changes together, see ``image_facts``."""

FIELDS: dict[str, Field] = {
    "label": Field("class", "answer", "the label that people gave"),
    "predicted": Field("class", "score", "the class that the model predicts"),
    "known": Field(
        "class", "known", "the class that the source of a test image names, of others once they are labelled"
    ),
    "p": Field("number", "score", "the probability of the predicted class, 0 to 1"),
    **{name: Field("number", "score", f"the {estimator.words}") for name, estimator in ESTIMATORS.items()},
    "p_bar": Field("number", "score", "the mean probability of the label while the model trained"),
    "margin_area": Field("number", "score", "by how much the label led the best other class"),
    "round": Field("number", "answer", "the round that asked for the image"),
    "id": Field("number", "image", "the number of the image"),
    "width": Field("number", "image", "its width in pixels"),
    "height": Field("number", "image", "its height in pixels"),
    "name": Field("text", "image", "the name of its file, with folders"),
    "annotator": Field("text", "answer", "who labelled or skipped it"),
    "mode": Field("text", "answer", "how it was answered: single, sweep, bulk, review, import, ..."),
    "reason": Field("text", "answer", "why it was skipped"),
    "purpose": Field("text", "answer", "why it was asked: query, audit, seed, chosen or again"),
    "split": Field("text", "image", "pool, or test"),
    "added": Field("date", "image", "when it was imported (UTC)"),
    "answered": Field("date", "answer", "when it was labelled or skipped (UTC)"),
}
"""By the name that conditions use, which is that of a column of ``image_facts``."""


class State(NamedTuple):
    """Something that an image is or is not."""

    sql: str  # over the columns of ``image_facts``
    meaning: str  # for people


STATES: dict[str, State] = {
    "labelled": State("coalesce(kind = 'label', FALSE)", "has a label"),
    "unlabelled": State("kind IS NULL", "neither labelled nor skipped"),
    "skipped": State("coalesce(kind = 'skip', FALSE)", "skipped"),
    "flagged": State("flagged", "flagged, labelled or not"),
    "hidden": State("status = 'hidden'", "not asked: it looks almost the same as another image"),
    "excluded": State("status = 'excluded'", "excluded from the project by a person"),
    "disagrees": State("coalesce(label <> predicted, FALSE)", "the model predicts another class than its label"),
}
"""By the name that conditions use."""


@dataclass(frozen=True)
class Where:
    """A condition as SQL over the columns of ``image_facts``."""

    sql: str = "TRUE"
    parameters: dict[str, Any] = field(default_factory=dict)


EVERYTHING = Where()


def words_table() -> str:
    """Every word of a condition with its meaning, as a table in Markdown: docs/conditions.md has it."""
    how = {"number": "`=` `!=` `<` `<=` `>` `>=` `in`", "date": "`=` `!=` `<` `<=` `>` `>=` `in`"}
    how |= {"class": "`=` `!=` `in`", "text": "`=` `!=` `~` `in`"}
    rows = [f"| `{name}` | a {field.kind}: {how[field.kind]} | {field.meaning} |" for name, field in FIELDS.items()]
    rows += [f"| `{name}` | a state | {state.meaning} |" for name, state in STATES.items()]
    return "\n".join(["| word | is | meaning |", "|---|---|---|", *rows])


def parse(text: str, classes: Sequence[ClassRecord]) -> Where:
    """The condition that a text says; everything for an empty one. ``classes``: those of the project.

    Raises InputError for what is none, with what was expected.
    """
    if len(text) > LONGEST:
        raise InputError(f"The condition has {len(text):,} characters; give at most {LONGEST:,}.")
    if not text.strip():
        return EVERYTHING
    try:
        tree = _parser().parse(text)
        sql, parameters = _Sql(classes).transform(tree).of({})
    except UnexpectedInput as error:
        is_at_end = isinstance(error, UnexpectedToken) and error.token.type == "$END"
        where = "at its end" if is_at_end else f"at {text[error.pos_in_stream or 0 :][:30]!r}"
        raise InputError(
            f"The condition {text[:80]!r} cannot be read {where}; write for example: predicted=rose and margin<0.2."
        ) from None
    except VisitError as error:
        if isinstance(error.orig_exc, InputError):
            raise error.orig_exc from None
        raise
    except RecursionError:
        raise InputError("The condition has too many parentheses; write it simpler.") from None
    return Where(sql, parameters)


@cache
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", maybe_placeholders=False)


@dataclass(frozen=True)
class _Part:
    """SQL in the making: parameters get their names when the whole is known."""

    of: Callable[[dict[str, Any]], tuple[str, dict[str, Any]]]


def _joined(word: str, parts: Sequence[_Part]) -> _Part:
    if len(parts) == 1:
        return parts[0]

    def of(parameters: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        texts = []
        for part in parts:
            sql, parameters = part.of(parameters)
            texts.append(f"({sql})")
        return f" {word} ".join(texts), parameters

    return _Part(of)


def _with(sql: str, values: Sequence[Any]) -> _Part:
    """``{0}``, ``{1}``, ... in the SQL stand for the values."""

    def of(parameters: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        names = [f"w{len(parameters) + number}" for number in range(len(values))]
        named = dict(zip(names, values, strict=True))
        return sql.format(*(f"${name}" for name in names)), {**parameters, **named}

    return _Part(of)


class _Sql(Transformer[Token, _Part]):
    """From the tree of a condition to SQL."""

    def __init__(self, classes: Sequence[ClassRecord]) -> None:
        super().__init__()
        self._classes = classes

    def value(self, tokens: list[Token]) -> str:
        """A value as text, without its quotes."""
        token = str(tokens[0])
        return token[1:-1].replace(2 * token[0], token[0]) if tokens[0].type == "QUOTED" else token

    def either(self, parts: list[_Part]) -> _Part:
        """One of them."""
        return _joined("OR", parts)

    def both(self, parts: list[_Part]) -> _Part:
        """All of them."""
        return _joined("AND", parts)

    def negated(self, parts: list[_Part]) -> _Part:
        """Not that; what is not known does not fulfil a condition, so that it fulfils its opposite."""

        def of(parameters: dict[str, Any]) -> tuple[str, dict[str, Any]]:
            sql, parameters = parts[0].of(parameters)
            return f"NOT coalesce({sql}, FALSE)", parameters

        return _Part(of)

    def state(self, tokens: list[Token]) -> _Part:
        """A state by its name."""
        name = str(tokens[0]).lower()
        if name not in STATES:
            known = f"states are {', '.join(STATES)}; a field needs a comparison, such as margin<0.2"
            raise InputError(f"There is no state {name!r} of images: {known}.")
        return _with(STATES[name].sql, ())

    def comparison(self, parts: list[Any]) -> _Part:
        """A field against a value."""
        name, operator, text = str(parts[0]).lower(), str(parts[1]), parts[2]
        return self._compared(name, "=" if operator == "==" else operator, [text])

    def listed(self, parts: list[Any]) -> _Part:
        """A field that is one of several values."""
        return self._compared(str(parts[0]).lower(), "=", parts[1:])

    def _compared(self, name: str, operator: str, texts: list[str]) -> _Part:
        if name not in FIELDS:
            raise InputError(f"Images have no {name!r}; compare {', '.join(FIELDS)}.")
        chosen = FIELDS[name]
        if operator == "~" and chosen.kind != "text":
            raise InputError(f"{name} is no text that could contain {texts[0]!r}; compare it with = or <.")
        if operator in {"<", "<=", ">", ">="} and chosen.kind in {"class", "text"}:
            raise InputError(
                f"{name} has no order; compare it with = or !=" + (" or ~." if chosen.kind == "text" else ".")
            )
        ways = [self._against(name, chosen, operator, text) for text in texts]
        parts = [_with(sql, values) for sql, values in ways]
        return _joined("OR", parts)

    def _against(self, name: str, chosen: Field, operator: str, text: str) -> tuple[str, list[Any]]:
        if chosen.kind == "class":
            class_id = None if text.lower() == "none" and not self._has(text) else self._class(text)
            is_or_not = "IS NOT DISTINCT FROM" if operator == "=" else "IS DISTINCT FROM"
            return f"{name} {is_or_not} {{0}}::INTEGER", [class_id]
        if chosen.kind == "text":
            if operator == "~":
                return f"coalesce(contains(lower({name}), lower({{0}})), FALSE)", [text]
            is_or_not = "IS NOT DISTINCT FROM" if operator == "=" else "IS DISTINCT FROM"
            return f"{name} {is_or_not} {{0}}", [text]
        if chosen.kind == "date":
            return self._on_day(name, chosen, operator, text)
        return f"coalesce({name} {operator} {{0}}::DOUBLE, FALSE)", [_number(name, text)]

    def _on_day(self, name: str, chosen: Field, operator: str, text: str) -> tuple[str, list[Any]]:
        """A day is from its first moment to its last: ``added=2026-11-26`` is all of it, ``>`` what comes after."""
        try:
            day = date.fromisoformat(text)
        except ValueError:
            raise InputError(f"{name} is a day; write it as 2026-11-26, not {text!r}.") from None
        begin = datetime(day.year, day.month, day.day)
        end = begin + timedelta(days=1)
        between = f"coalesce({name} >= {{0}}::TIMESTAMP AND {name} < {{1}}::TIMESTAMP, FALSE)"
        if operator in {"=", "!="}:
            return ("" if operator == "=" else "NOT ") + between, [begin, end]
        edge = end if operator in {"<=", ">"} else begin
        sign = "<" if operator in {"<", "<="} else ">="
        return f"coalesce({name} {sign} {{0}}::TIMESTAMP, FALSE)", [edge]

    def _has(self, text: str) -> bool:
        return any(record.name == plain_name(text) for record in self._classes)

    def _class(self, text: str) -> int:
        name = plain_name(text)
        exact = [record.id for record in self._classes if record.name == name]
        alike = exact or [record.id for record in self._classes if record.name.casefold() == name.casefold()]
        if len(alike) != 1:
            known = ", ".join(repr(record.name) for record in self._classes[:20]) or "none"
            raise InputError(f"There is no class {text[:60]!r} in this project; its classes are {known}.")
        return alike[0]


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not abs(number) < float("inf"):
        raise InputError(f"{name} is a number; write it with digits, such as 0.2, not {text[:40]!r}.")
    return number
