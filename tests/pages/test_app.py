"""The front door: every page opens from it, and there is one studio however often code is imported anew."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.helpers.gates import WAIT_SECONDS
from tests.helpers.tiny import tiny_project
from tidal_core.images.sources.consent import allowed_hosts
from tidal_core.projects import FIRST_SHOWN
from tidal_core.server.studio import Studio, make_demo

ROOT = Path(__file__).parents[2]
PAGES = sorted(path.name for path in (ROOT / "pages").glob("*.py"))


def workers() -> set[int | None]:
    """The worker threads of this process."""
    return {thread.ident for thread in threading.enumerate() if thread.name == "tidal-worker"}


@pytest.mark.parametrize("name", PAGES)
def test_every_page_opens_on_the_fresh_demo_without_an_error(name: str, studio: Studio) -> None:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=WAIT_SECONDS)
    app.switch_page(f"pages/{name}").run()
    assert not app.exception


def test_the_front_door_shows_the_project_and_what_is_missing_to_the_next_round(studio: Studio) -> None:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=WAIT_SECONDS).run()
    assert not app.exception
    assert app.sidebar.selectbox[0].value == "digits"
    assert "20 more labels until the next round." in [caption.value for caption in app.sidebar.caption]


def test_the_project_named_at_the_start_is_shown_unless_the_address_names_another(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_project(6, test=0).close()
    monkeypatch.setenv(FIRST_SHOWN, "tiny")

    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=WAIT_SECONDS).run()
    assert app.sidebar.selectbox[0].value == "tiny"

    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=WAIT_SECONDS)
    app.query_params["project"] = "digits"
    assert app.run().sidebar.selectbox[0].value == "digits"


def test_a_project_whose_images_lie_elsewhere_asks_before_any_is_fetched(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tiny_project(6, test=0)
    project.store.images.set_uris({1: "https://example.com/a.png", 2: "s3://x*y*/c.png"})
    project.close()
    monkeypatch.setenv(FIRST_SHOWN, "tiny")

    def question(app: AppTest) -> list[str]:
        return [text.value for text in app.sidebar.markdown if "Fetch them?" in text.value]

    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=WAIT_SECONDS).run()
    assert "https://example.com" in question(app)[0].replace("\\", "").replace("\u2060", "")
    assert "x*y*" not in question(app)[0]  # as text, not as markup
    assert question(app.button(key="fetch-no").click().run()) == []
    assert allowed_hosts(project.folder) == set()

    another_browser = AppTest.from_file(str(ROOT / "app.py"), default_timeout=WAIT_SECONDS).run()
    assert len(question(another_browser)) == 1
    assert question(another_browser.button(key="fetch-yes").click().run()) == []
    assert allowed_hosts(project.folder) == {"https://example.com", "s3://x*y*"}


def test_a_project_in_the_address_that_is_not_there_is_said(studio: Studio) -> None:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=WAIT_SECONDS)
    app.query_params["project"] = "no*where"

    app.run()

    assert not app.exception
    assert r"There is no project 'no\*where' here" in app.warning[0].value
    assert app.sidebar.selectbox[0].value == "digits"


def test_every_page_is_listed_in_the_front_door() -> None:
    source = (ROOT / "app.py").read_text(encoding="utf-8")
    assert [name for name in PAGES if f"pages/{name}" not in source] == []


def test_code_that_is_imported_anew_finds_the_same_studio_and_worker(studio: Studio) -> None:
    before = workers()
    # What Streamlit's file watcher does after an edit: it forgets the modules, and the next run imports them again.
    kept = {name: module for name, module in sys.modules.items() if name.startswith("tidal_core")}
    for name in kept:
        del sys.modules[name]
    try:
        from tidal_core.ui.runtime import get_studio

        assert get_studio() is studio
    finally:
        sys.modules.update(kept)
    assert studio.worker.alive
    assert workers() == before


def test_a_project_that_another_process_owns_is_explained_on_the_page(studio: Studio) -> None:
    make_demo().close()
    code = (
        "from tidal_core.projects import open_project; p = open_project('digits'); print('open', flush=True); input()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=WAIT_SECONDS).run()
        assert not app.exception
        assert [f"number {other.pid}" in error.value for error in app.main.error] == [True]
    finally:
        other.communicate("\n")
