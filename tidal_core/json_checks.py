"""JSON that comes from outside becomes records, or an InputError that a person can act on.

msgspec decides what fits; the words are ours, made from the type's own annotations: which field, what it is, what it
must be. No text of msgspec is read or shown. Refused are wrong types (no text is taken for a number), NaN and numbers
that no machine holds, halves of characters, JSON that is nested without end, and, where asked, keys that nobody knows.

A record is a frozen dataclass, or a ``msgspec.Struct`` where a key is no name in Python (``class``). A field's bounds
stand in ``Annotated[..., Meta(...)]``; where a pattern says what may be, ``description`` says it in words.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from tidal_core.errors import InputError

T = TypeVar("T")
_SHOWN = 40  # characters of a value in a message


def decode(text: str | bytes, kind: type[T], *, unknown: Literal["refuse", "ignore"] = "ignore") -> T:
    """The record of type ``kind`` that JSON text holds. Raises InputError naming field, value and what it must be."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InputError(_why_unreadable(error)) from error
    return convert(value, kind, unknown=unknown)


def convert(value: object, kind: type[T], *, unknown: Literal["refuse", "ignore"] = "ignore") -> T:
    """As ``decode``, of a value that is decoded already, perhaps by a decoder that is less strict."""
    try:
        if unknown == "refuse":
            _refuse_unknown(value, kind)
        record = msgspec.convert(value, kind)
        if _is_sound(value):
            return record
    except RecursionError as error:
        raise InputError(_why_unreadable(error)) from error
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, InputError):  # the record's own check of its values
            raise error.__cause__ from None
        raise InputError(_fault(value, kind, "")) from error
    raise InputError(_fault(value, kind, ""))


def _why_unreadable(error: Exception) -> str:
    if isinstance(error, msgspec.ValidationError):
        return "the JSON contains a number that is too large; write a smaller one."
    if isinstance(error, RecursionError):
        return "the JSON is nested too deeply; send it with fewer levels."
    return "the text is not JSON (damaged, cut off, NaN, or half a character); send or write it again."


def _is_sound(value: object) -> bool:
    """Whether numbers are finite and texts whole: a decoder other than ``decode`` may have let them through."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, str):
        return _is_whole(value)
    if isinstance(value, Mapping):
        return all(_is_sound(key) and _is_sound(part) for key, part in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_sound, value))
    return True


def _is_whole(text: str) -> bool:
    """Whether a text can be written down: no half of a surrogate pair."""
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


class _Field(NamedTuple):
    key: str
    kind: Any
    required: bool


@cache
def _fields_of(kind: Any) -> list[_Field] | None:
    """The fields of a record by the keys that they have in JSON; None for what is no record."""
    if not isinstance(kind, type):
        return None
    hints = get_type_hints(kind, include_extras=True) if hasattr(kind, "__annotations__") else {}
    if dataclasses.is_dataclass(kind):
        missing = dataclasses.MISSING
        return [
            _Field(field.name, hints[field.name], field.default is missing and field.default_factory is missing)
            for field in dataclasses.fields(kind)
        ]
    if issubclass(kind, msgspec.Struct):
        return [_Field(field.encode_name, hints[field.name], field.required) for field in msgspec.structs.fields(kind)]
    return None


def _refuse_unknown(value: object, kind: Any) -> None:
    fields = _fields_of(kind)
    if fields is None or not isinstance(value, Mapping):
        return
    unknown = sorted(map(str, set(value) - {field.key for field in fields}))
    if unknown:
        raise InputError(
            f"{kind.__name__} has no setting {', '.join(repr(key[:_SHOWN]) for key in unknown[:5])}; it was written by "
            "another version of the studio, or misspelt."
        )
    for field in fields:
        if field.key in value:
            _refuse_unknown(value[field.key], field.kind)


def _fits(value: object, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except (msgspec.ValidationError, RecursionError):
        return False
    return _is_sound(value)


def _fault(value: Any, kind: Any, name: str) -> str:
    """What is wrong with a value that does not fit: the first part of it that does not, in words."""
    wanted = _in_words(kind)
    kind, _ = _bare(kind)
    parts = _alternatives(kind)
    if len(parts) == 1:
        kind, _ = _bare(parts[0])
    fields = _fields_of(kind)
    if fields is not None:
        if not isinstance(value, Mapping):
            keys = ", ".join(field.key for field in fields if field.required) or "its keys"
            return f"{name or 'the JSON'} is {_shown(value)}; it must be an object with {keys}."
        for field in fields:
            inner = f"{field.key} of {name}" if name else field.key
            if field.key not in value:
                if field.required:
                    return f"{inner} is missing; it must be {_in_words(field.kind)}."
            elif not _fits(value[field.key], field.kind):
                return _fault(value[field.key], field.kind, inner)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (list, tuple) and isinstance(value, list | tuple):
        kinds: Sequence[Any] = arguments
        if origin is list or arguments[-1] is Ellipsis:
            kinds = [arguments[0]] * len(value)
        if len(kinds) == len(value):
            for number, (part, inner_kind) in enumerate(zip(value, kinds, strict=True), start=1):
                if not _fits(part, inner_kind):
                    return _fault(part, inner_kind, f"{name or 'the list'}, number {number:,},")
    if origin is dict and isinstance(value, Mapping):
        for key, part in value.items():
            if not _fits(part, arguments[1]):
                return _fault(part, arguments[1], f"{name}, {_shown(key)},")
    return f"{name or 'the JSON'} is {_shown(value)}; it must be {wanted}."


def _bare(kind: Any) -> tuple[Any, list[Meta]]:
    if get_origin(kind) is Annotated:
        inner, *metas = get_args(kind)
        return inner, [meta for meta in metas if isinstance(meta, Meta)]
    return kind, []


def _alternatives(kind: Any) -> list[Any]:
    """The parts of a union but for None."""
    if get_origin(kind) in (Union, UnionType):
        return [part for part in get_args(kind) if part is not NoneType]
    return [kind]


def _in_words(kind: Any) -> str:
    """What a value of a type must be."""
    kind, metas = _bare(kind)
    described = next((meta.description for meta in metas if meta.description), None)
    if described:
        return described
    parts = _alternatives(kind)
    if parts != [kind]:
        return " or ".join(map(_in_words, parts))  # that it may be left out helps nobody who gave something else
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return f"one of {', '.join(str(member.value) for member in kind)}"
    bounds = _bounds(metas)
    origin = get_origin(kind)
    if origin in (list, tuple):
        arguments = get_args(kind)
        if origin is tuple and Ellipsis not in arguments:
            return "a list of " + " and ".join(map(_in_words, arguments))
        return f"a list{bounds}"
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", NoneType: "null"}
    return words.get(kind, "an object") + bounds


def _bounds(metas: Sequence[Meta]) -> str:
    limits = ""
    for meta in metas:
        if meta.ge is not None and meta.le is not None:
            limits += f" from {meta.ge} to {meta.le}"
        elif meta.ge is not None:
            limits += f" of at least {meta.ge}"
        elif meta.le is not None:
            limits += f" of at most {meta.le}"
        if meta.gt is not None:
            limits += f" above {meta.gt}"
        if meta.max_length is not None:
            limits += f" of at most {meta.max_length:,}"
    return limits


def _shown(value: object) -> str:
    """A value in a message: short, on one line, and whole characters only."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) > 10**_SHOWN:
        return "a number of too many digits"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return f"a list of {len(value):,}"
    if isinstance(value, str):
        return ascii(value[:_SHOWN]) if not _is_whole(value) else repr(value[:_SHOWN])
    return str(value)[:_SHOWN]
