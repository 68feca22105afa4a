"""What the sentences share: counts with their noun, names, and when a difference is more than chance."""

from __future__ import annotations

import math
from typing import NamedTuple

from scipy import stats

from tidal_core.figures.palettes import ClassStyle
from tidal_core.text import literal

LEVEL = 0.95
_LEAST = 5  # values: of fewer, quartiles say nothing about the spread of a median


class Told(NamedTuple):
    """Two sentences for one figure, as Markdown."""

    look: str  # what to look at; begins with "Look at"
    here: str  # what it means here, computed from the numbers


def counted(n: int, noun: str = "image") -> str:
    """A number with its noun: "1 image", "1,437 images", "no images"."""
    several = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"1 {noun}" if n == 1 else f"{n:,} {several}" if n else f"no {several}"


def times(n: int) -> str:
    """How often: "never", "once", "twice", "3 times"."""
    return {0: "never", 1: "once", 2: "twice"}.get(n, f"{n:,} times")


def points(share: float) -> str:
    """A difference of two shares, without its sign, in percentage points."""
    rounded = round(100 * abs(share))
    return "1 point" if rounded == 1 else f"{rounded:,} points" if rounded else "less than 1 point"


def called(style: ClassStyle) -> str:
    """The name of a class within a sentence."""
    return f"“{literal(style.name)}”"


def capital(sentence: str) -> str:
    """The sentence with a capital letter first."""
    return sentence[:1].upper() + sentence[1:]


def differ(one: tuple[float, float, float], other: tuple[float, float, float], n: tuple[int, int], pairs: int) -> bool:
    """Whether two medians differ beyond chance; each with its quarters as (lower, median, upper), of n values.

    The error of a median is about 1.25 IQR / (1.35 sqrt(n)) (McGill, Tukey and Larsen 1978). ``pairs``: how many
    differences there were to pick this one from (Bonferroni). Never for fewer than five values.
    """
    if min(n) < _LEAST:
        return False
    errors = [
        1.25 * (upper - lower) / (1.35 * math.sqrt(size))
        for (lower, _, upper), size in zip((one, other), n, strict=True)
    ]
    return bool(abs(one[1] - other[1]) > z_of(pairs) * math.hypot(*errors))


def z_of(comparisons: int) -> float:
    """How many standard errors a difference must have, if it was picked from so many."""
    return float(stats.norm.ppf(1 - (1 - LEVEL) / 2 / max(comparisons, 1)))


def wins_in_words(wins: int, n: int, noun: str) -> str:
    """What k of n decisions for one side say: by the sign test, beyond chance or not."""
    if stats.binomtest(wins, n).pvalue < 1 - LEVEL:
        return "more often than chance would" if 2 * wins > n else "less often than chance would"
    return f"with so few {noun}s, that may be chance" if n < 20 else "that may be chance"
