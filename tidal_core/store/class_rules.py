"""What may be a class's name, key, colour or description, whoever asks, and which key a new class gets."""

from __future__ import annotations

import re
import unicodedata

from tidal_core.errors import InputError

# Ten that stay apart for colour-blind people and on both backgrounds: how they were found stands in
# ``figures.palettes``, which must list the same ones (the store imports nothing that draws).
PALETTE = (
    "#105bc3", "#bfac06", "#ab2f2c", "#008b79", "#8368ff", "#ff8ca7", "#b56900", "#68b5ff", "#b474be", "#ff047e",
)  # fmt: skip

LONGEST_NAME = 200  # characters
LONGEST_DESCRIPTION = 2_000
MOST_EXAMPLES = 8
RESERVED_KEYS = frozenset("usfwg")  # what the labelling page uses itself: undo, skip, flag, why, grid

LARGEST_POSITION = 1_000_000
_JOINERS = "\u200c\u200d"  # invisible letters that words of some languages, and some emoji, are written with

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_KEY = re.compile(r"[0-9a-z]")


def plain_name(name: str) -> str:
    """A name as it is kept and compared: with single spaces, and letters with accents as one letter each."""
    return " ".join(unicodedata.normalize("NFC", name).split())


def checked_name(name: object) -> str:
    """A class's name as ``plain_name`` writes it. Raises InputError for what is none."""
    clean = plain_name(name) if isinstance(name, str) else ""
    if not clean:
        raise InputError(f"A class name cannot be empty: type 1 to {LONGEST_NAME} characters.")
    if len(clean) > LONGEST_NAME:
        raise InputError(
            f"The class name {clean[:40]!r} ... of {len(clean):,} characters cannot be used: type 1 to {LONGEST_NAME} "
            "characters."
        )
    kinds = {letter: unicodedata.category(letter) for letter in clean if letter not in _JOINERS}
    if {"Cc", "Cf", "Cs"} & set(kinds.values()) or not any(kind[0] in "LNPS" for kind in kinds.values()):
        raise InputError(f"The class name {clean[:40]!a} contains invisible or broken characters; type it again.")
    return clean


def checked_key(key: object) -> str:
    """The key that answers a class, "" for none. Raises InputError for one that no class may have."""
    if key in ("", None):
        return ""
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise InputError(
            f"The key {str(key)[:20]!r} cannot be used: choose one lower-case letter (a to z) or one digit."
        )
    if key in RESERVED_KEYS:
        raise InputError(
            f"The key {key!r} is taken: the labelling page uses {', '.join(sorted(RESERVED_KEYS))} for its own "
            "commands; choose another letter or digit."
        )
    return key


def choose_key(name: str, taken: set[str]) -> str:
    """The key that answers a class: its own digit, else the first free letter or digit of its name, else none."""
    for letter in name.strip().lower():
        if letter.isascii() and letter.isalnum() and letter not in taken:
            return letter
    return ""


def key_at(name: str, position: int, taken: set[str]) -> str:
    """The key of a class that is made at a place (from 0): its digit where it has one, else ``choose_key``."""
    digit = name if len(name) == 1 and name.isdigit() else str(position + 1)
    return digit if len(digit) == 1 and digit not in taken else choose_key(name, taken)


def colour_at(position: int, taken: set[str]) -> str:
    """The colour of a class that is made at a place (from 0): of the palette, and no other's while one is free."""
    order = [PALETTE[(position + step) % len(PALETTE)] for step in range(len(PALETTE))]
    return next((colour for colour in order if colour not in taken), order[0])


def checked_colour(colour: object) -> str:
    """A colour as #rrggbb. Raises InputError."""
    if not isinstance(colour, str) or not _COLOUR.fullmatch(colour):
        raise InputError(
            f"The colour {str(colour)[:20]!r} cannot be used: type it as #rrggbb, such as {PALETTE[0]}, or choose it "
            "with the colour picker."
        )
    return colour


def checked_description(text: object) -> str:
    """What tells a class from others, on one or several lines. Raises InputError for what is no such text."""
    if not isinstance(text, str):
        raise InputError(f"The description {str(text)[:20]!r} cannot be used: type a text.")
    lines = [plain_name(line) for line in unicodedata.normalize("NFC", text).strip().splitlines()]
    clean = "\n".join(lines)
    if len(clean) > LONGEST_DESCRIPTION:
        raise InputError(
            f"The description {clean[:40]!r} ... of {len(clean):,} characters is too long: type at most "
            f"{LONGEST_DESCRIPTION:,}."
        )
    if any(unicodedata.category(letter) in ("Cc", "Cf", "Cs") for letter in clean if letter not in _JOINERS + "\n"):
        raise InputError(f"The description {clean[:40]!a} contains invisible or broken characters; type it again.")
    return clean


def checked_examples(image_ids: object) -> tuple[int, ...]:
    """Images that show what a class is, each once. Raises InputError for more than ``MOST_EXAMPLES``."""
    ids = tuple(dict.fromkeys(int(number) for number in image_ids))  # type: ignore[attr-defined]
    if len(ids) > MOST_EXAMPLES:
        raise InputError(f"A class shows at most {MOST_EXAMPLES} example images; take one away first.")
    return ids


def checked_position(position: object) -> int:
    """A place in the order, from 0. Raises InputError."""
    if type(position) is not int or not 0 <= position <= LARGEST_POSITION:
        raise InputError(
            f"The position {str(position)[:20]!r} cannot be used: give a whole number from 0 to {LARGEST_POSITION:,}."
        )
    return position
