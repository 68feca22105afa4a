"""The palette stays readable for people who see colours differently, on both backgrounds."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tidal_core.figures import look, palettes
from tidal_core.store.class_rules import PALETTE

# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear sRGB.
VISIONS = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(colours: tuple[str, ...]) -> NDArray[np.float64]:
    values = np.array([[int(colour[start : start + 2], 16) for start in (1, 3, 5)] for colour in colours]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def oklab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """OKLab (Ottosson 2020) of linear sRGB."""
    to_lms = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    to_lab = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    return np.cbrt(np.clip(rgb, 0, 1) @ np.array(to_lms).T) @ np.array(to_lab).T


@pytest.mark.parametrize("vision", VISIONS)
def test_any_two_class_colours_stay_apart(vision: str) -> None:
    # The seven colours of Okabe and Ito, the usual reference, reach 0.076.
    seen = oklab(linear(palettes.CLASS_COLOURS) @ np.array(VISIONS[vision]).T)
    apart = np.linalg.norm(seen[:, None] - seen[None], axis=-1)[np.triu_indices(len(seen), 1)]

    assert apart.min() > (0.07 if vision == "tritanopia" else 0.1)


@pytest.mark.parametrize("theme", [palettes.LIGHT, palettes.DARK])
def test_class_colours_stand_out_from_both_backgrounds(theme: palettes.Theme) -> None:
    weights = [0.2126, 0.7152, 0.0722]
    ink = linear(palettes.CLASS_COLOURS) @ weights
    paper = linear((theme.background,)) @ weights
    contrast = (np.maximum(ink, paper) + 0.05) / (np.minimum(ink, paper) + 0.05)

    assert contrast.min() > 2


@pytest.mark.parametrize("theme", [palettes.LIGHT, palettes.DARK])
def test_text_is_readable_on_its_background(theme: palettes.Theme) -> None:
    weights = [0.2126, 0.7152, 0.0722]
    text, muted, paper = linear((theme.text, theme.muted, theme.background)) @ weights
    for ink in (text, muted):
        assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) > 4.5


def test_a_name_with_markup_is_shown_as_text() -> None:
    assert palettes.short("<b>cat & dog</b>") == "&lt;b&gt;cat &amp; dog&lt;/b&gt;"


def test_a_long_name_is_cut_with_an_ellipsis() -> None:
    assert palettes.short("a" * 30, 10) == "a" * 9 + "…"


def test_new_classes_get_the_colours_that_the_figures_were_tested_with() -> None:
    assert PALETTE == palettes.CLASS_COLOURS


@pytest.mark.parametrize("theme", [palettes.LIGHT, palettes.DARK], ids=lambda theme: theme.name)
def test_white_numbers_can_be_read_on_the_fullest_cell(theme: palettes.Theme) -> None:
    cell = float(linear((theme.high,))[0] @ [0.2126, 0.7152, 0.0722])

    assert 1.05 / (cell + 0.05) > 4.5  # WCAG 2.1, level AA


@pytest.mark.parametrize("theme", [palettes.LIGHT, palettes.DARK])
def test_numbers_can_be_read_on_every_shade_of_a_heat_map(theme: palettes.Theme) -> None:
    shares = np.linspace(0, 1, 101)
    ends = [np.array([int(end[start : start + 2], 16) for start in (1, 3, 5)]) for end in (theme.low, theme.high)]
    shades = [
        "#" + bytes(np.rint(ends[0] + share * (ends[1] - ends[0])).astype(int).tolist()).hex() for share in shares
    ]

    figure = look.heat_numbers(theme, ["a"], list(range(101)), shares[:, None], [["1"]] * 101)

    weights = [0.2126, 0.7152, 0.0722]
    paper, ink = linear(tuple(shades)) @ weights, linear(tuple(figure.textfont.color)) @ weights
    contrast = (np.maximum(ink, paper) + 0.05) / (np.minimum(ink, paper) + 0.05)
    assert contrast.min() >= 4.5
