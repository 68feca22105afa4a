"""``tidal-studio classes``: the list, to a file, from a file after a look at what would change."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.helpers.tiny import tiny_project
from tidal_core.cli import app
from tidal_core.errors import InputError
from tidal_core.projects import open_project


def test_a_list_goes_out_and_comes_in_after_a_look_and_a_yes(tmp_path: Path) -> None:
    tiny_project(6, test=0).close()
    file = tmp_path / "classes.csv"
    run = CliRunner().invoke
    assert "3 classes written" in run(app, ["classes", "tiny", "--out", str(file)], catch_exceptions=False).output
    with pytest.raises(InputError, match="already exists"):
        run(app, ["classes", "tiny", "--out", str(file)], catch_exceptions=False)
    file.write_text(file.read_text() + "pink,p,#ff8ca7,\n")

    asked = run(app, ["classes", "tiny", "--in", str(file)], input="n\n", catch_exceptions=False).output
    assert "New: pink" in asked
    assert "Nothing was changed." in asked
    assert "pink" not in run(app, ["classes", "tiny"], catch_exceptions=False).output
    assert (
        "4 classes in use" in run(app, ["classes", "tiny", "--in", str(file), "--yes"], catch_exceptions=False).output
    )
    project = open_project("tiny")
    assert [record.key for record in project.store.classes.all()] == ["1", "2", "3", "p"]
    project.close()

    file.write_text("cat\n")
    with pytest.raises(InputError, match="names no column"):
        run(app, ["classes", "tiny", "--in", str(file)], catch_exceptions=False)
    with pytest.raises(InputError, match="cannot be read"):
        run(app, ["classes", "tiny", "--in", str(tmp_path / "none.csv")], catch_exceptions=False)
