"""What Streamlit does not document and the studio relies on: each test names what an upgrade has changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit import runtime
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest

from tidal_core.ui import streamlit_internals

ROOT = Path(__file__).parents[2]


def test_the_runtime_exists_within_a_page_view_and_not_before() -> None:
    script = """
import streamlit
from tidal_core.ui import streamlit_internals
streamlit.write(str(streamlit_internals.serves_already()))
"""
    before = streamlit_internals.serves_already()

    view = AppTest.from_string(script).run()

    assert not before, "streamlit.runtime.exists() is true outside a server"
    assert view.markdown[0].value == "True", "streamlit.runtime.exists() is false within a page view"


def test_a_folder_named_pages_still_has_to_be_overruled_and_still_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PagesManager, "uses_pages_directory", None)
    PagesManager(str(ROOT / "app.py"))
    by_itself = PagesManager.uses_pages_directory
    monkeypatch.setattr(PagesManager, "uses_pages_directory", None)

    streamlit_internals.run_our_script_for_every_page()
    PagesManager(str(ROOT / "app.py"))

    assert by_itself is True, "PagesManager no longer looks for the folder: run_our_script_for_every_page can go"
    assert PagesManager.uses_pages_directory is False, (
        "PagesManager.uses_pages_directory no longer overrules the folder"
    )


def test_the_modules_that_reach_into_streamlit_are_this_one_only() -> None:
    sources = [ROOT / "app.py", *(ROOT / "pages").glob("*.py"), *(ROOT / "tidal_core").rglob("*.py")]

    reaching = {path.name for path in sources if "from streamlit" in path.read_text(encoding="utf-8")}

    assert runtime.__all__  # what is imported from there is at least exported
    assert reaching == {"streamlit_internals.py"}
