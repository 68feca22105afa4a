"""Tables that leave the studio hold no cell that a spreadsheet runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from streamlit.testing.v1 import AppTest

from tests.experiments.test_report import BETTER, RANDOM, made_up
from tests.figures.samples import all_figures
from tests.helpers.gates import WAIT_SECONDS
from tidal_core.experiments import report
from tidal_core.experiments.results import read_results
from tidal_core.text import from_spreadsheet
from tidal_core.ui import charts

ROOT = Path(__file__).parents[2]
RUN = ("=HYPERLINK(1)", "+1", "-1+1", "@SUM(1)", "\t=1", "＝1", "'=1")
BROKEN = ("\r=1", "\n=1", "a\r=1", "a\n=1", "a\r\n=1", 'a"\r=1')  # where a row may break without its quotes


class Hostile(NamedTuple):
    """A figure's numbers with such names in its head and its cells."""

    def table(self) -> dict[str, Sequence[Any]]:
        """Its columns."""
        names = (*RUN, *BROKEN)
        return {"=class": names, "share": [-0.5] * len(names)}


def cells(written: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(written.decode("utf-8-sig"), newline="")))


def test_a_figures_numbers_hold_no_formula_and_are_read_back_as_they_were() -> None:
    head, *rows = cells(charts.as_csv(Hostile()))

    assert head == ["'=class", "share"]
    assert all(name.startswith(("'", "a")) for name, _ in rows)
    assert [from_spreadsheet(name) for name, _ in rows] == [*RUN, *BROKEN]
    assert {share for _, share in rows} == {"-0.5"}  # a number stays one


def test_the_numbers_of_every_figure_are_left_as_they_are_where_they_are_safe() -> None:
    for name, (info, _) in all_figures().items():
        head, *rows = cells(charts.as_csv(info))
        assert head == list(info.table()), name
        assert len(rows) == len(next(iter(info.table().values()))), name


def test_an_experiments_table_holds_no_formula(tmp_path: Path) -> None:
    experiment = made_up(tmp_path, {"random": RANDOM, "margin": BETTER})
    for file in (experiment.folder / "spec.json", *(experiment.folder / "runs").glob("margin*")):
        file.write_text(file.read_text().replace('"margin"', '"=margin()"'))

    _, build = report.parts(read_results(experiment))["points.csv"]

    assert {row[0] for row in cells(build())[1:]} == {"random", "'=margin()"}


def test_a_table_on_a_page_which_its_tool_bar_saves_holds_no_formula() -> None:
    script = f"""
from tidal_core.ui.forms import table
table([{{"File": name, "n": -1}} for name in {RUN + BROKEN!r}])
"""
    page = AppTest.from_string(script, default_timeout=WAIT_SECONDS).run()

    names = page.dataframe[0].value["File"].tolist()
    assert [from_spreadsheet(name) for name in names[: len(RUN)]] == list(RUN)
    assert all(name.startswith(("'", "a", " =")) and name.isprintable() for name in names[1:4] + names[len(RUN) :])


@pytest.mark.parametrize("call", ["st.dataframe(", "st.table("])
def test_every_table_on_a_page_goes_that_way(call: str) -> None:
    sources = [*(ROOT / "pages").glob("*.py"), *(ROOT / "tidal_core" / "ui").glob("*.py")]

    assert {path.name for path in sources if call in path.read_text(encoding="utf-8")} <= {"forms.py"}
