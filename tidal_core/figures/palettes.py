"""The colours of all pages and figures, and how names are written in figures.

Class colours are the same on every page and in both themes. They were found by maximising the smallest OKLab distance
between any two, over normal vision and the three dichromacies (simulation: Machado et al. 2009), with a contrast of at
least 2:1 against both backgrounds; a test keeps it so. Every page needs them: nothing here loads Plotly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike

from tidal_core.records import Float64

CLASS_COLOURS: tuple[str, ...] = (
    "#105bc3", "#bfac06", "#ab2f2c", "#008b79", "#8368ff", "#ff8ca7", "#b56900", "#68b5ff", "#b474be", "#ff047e",
)  # fmt: skip
"""Ten colours that stay apart for colour-blind people; from the eleventh class on they come again."""

FINAL, DYNAMICS = "#b56900", "#008b79"
"""What belongs to the classifier (its final prediction), and to training dynamics and the TD module."""

GROUP_COLOURS: dict[str, str] = {"labelled": "#105bc3", "asked": "#ff047e", "remaining": "#8a959d"}
"""Already labelled, queried by this round, and the rest of the pool."""

FONT = '"Source Sans", "Source Sans Pro", "Segoe UI", Helvetica, Arial, sans-serif'


@dataclass(frozen=True)
class Theme:
    """The colours around the data."""

    name: str
    text: str
    muted: str
    grid: str
    background: str
    panel: str
    primary: str
    low: str  # the end of a sequential scale that fades into the background
    high: str  # its other end, on which white text can be read


LIGHT = Theme("light", "#14212b", "#566571", "#dde5ea", "#fbfcfd", "#eef3f6", "#0b6e8f", "#e8eff3", "#0b6e8f")
DARK = Theme("dark", "#e6eef3", "#9db0bc", "#2b3b47", "#0f171d", "#18242d", "#43b5d9", "#1d2b35", "#22799b")


def theme_of(name: str | None) -> Theme:
    """The theme called "dark", else the light one."""
    return DARK if name == "dark" else LIGHT


class ClassStyle(NamedTuple):
    """How a class is shown."""

    id: int
    name: str
    colour: str


class Info(Protocol):
    """Numbers that a figure shows and a CSV file carries."""

    def table(self) -> dict[str, Sequence[Any]]:
        """Columns by a title that a person reads, all of one length."""


def class_colour(position: int) -> str:
    """The colour of the class at this position."""
    return CLASS_COLOURS[position % len(CLASS_COLOURS)]


def sequential(theme: Theme) -> list[list[float | str]]:
    """A scale from the background to the theme's own colour; numbers can be read on all of it."""
    return [[0.0, theme.low], [1.0, theme.high]]


def _linear(channel: Float64) -> Float64:
    """sRGB channels from 0 to 1 as light (IEC 61966-2-1)."""
    light: Float64 = np.where(channel <= 0.04045, channel / 12.92, ((channel + 0.055) / 1.055) ** 2.4)
    return light


def ink_on(theme: Theme, shares: ArrayLike) -> list[str]:
    """White or black for numbers on the colours of ``sequential`` at ``shares`` (N,): what stands out more.

    One of the two has at least 4.58:1 on any colour; Plotly's own choice is white or a grey, which go down to 3.4:1.
    """
    along = np.nan_to_num(np.asarray(shares, dtype=np.float64))[:, None]
    low, high = (
        np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
        for colour in (theme.low, theme.high)
    )
    light = _linear(low + along * (high - low)) @ [0.2126, 0.7152, 0.0722]  # (N,)
    return np.where((light + 0.05) ** 2 > 1.05 * 0.05, "#000000", "#ffffff").tolist()  # type: ignore[no-any-return]


def faded(colour: str, opacity: float) -> str:
    """ "#rrggbb" as "rgba(r,g,b,opacity)"."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def short(text: str, length: int = 24) -> str:
    """A name that fits a legend or an axis, as ``plain`` text."""
    return plain(text if len(text) <= length else text[: length - 1].rstrip() + "…")


def plain(text: str) -> str:
    """A name shown as it is in a figure: plotly reads ``<`` and ``&`` as markup, links included."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
