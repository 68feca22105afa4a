"""What holds for every figure: readable, in both themes, its numbers beside it."""

import json
from typing import Any

import pytest

from tests.figures.samples import all_figures
from tidal_core.figures.palettes import DARK, LIGHT, Theme

FIGURES = all_figures()
DRAWN: dict[str, dict[str, Any]] = {
    theme.name: {name: json.loads(draw(theme).to_json()) for name, (_, draw) in FIGURES.items()}
    for theme in (LIGHT, DARK)
}


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_a_figure_has_readable_axes_and_no_default_titles(name: str, theme: Theme) -> None:
    layout = DRAWN[theme.name][name]["layout"]

    assert "text" not in layout.get("title", {})
    axes = [value for key, value in layout.items() if key.startswith(("xaxis", "yaxis"))]
    titles = [axis["title"]["text"] for axis in axes if axis.get("title", {}).get("text")]
    assert all("_" not in title and title[0].isupper() for title in titles)
    assert layout["paper_bgcolor"] == "rgba(0,0,0,0)"
    assert layout["font"]["color"] == theme.text


@pytest.mark.parametrize("name", FIGURES)
def test_every_trace_explains_its_points(name: str) -> None:
    for trace in DRAWN["light"][name]["data"]:
        assert trace.get("hoverinfo") == "skip" or "hovertemplate" in trace


@pytest.mark.parametrize("name", FIGURES)
def test_markup_in_a_class_name_never_reaches_a_figure(name: str) -> None:
    assert "<b>five" not in json.dumps(DRAWN["light"][name])


@pytest.mark.parametrize("name", FIGURES)
def test_the_numbers_of_a_figure_are_columns_of_one_length_with_readable_titles(name: str) -> None:
    table = FIGURES[name][0].table()

    assert len({len(column) for column in table.values()}) == 1
    assert all("_" not in title for title in table)


@pytest.mark.parametrize("name", FIGURES)
def test_the_traces_are_the_same_in_both_themes(name: str) -> None:
    light, dark = ([trace.get("name") for trace in DRAWN[theme][name]["data"]] for theme in ("light", "dark"))

    assert light == dark
