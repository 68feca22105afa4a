from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.driver import BROWSER_MS, Labelling, launch
from tests.browser.server import Server
from tests.helpers.gates import RoundGate

expect.set_options(timeout=BROWSER_MS)


def patient(context: BrowserContext) -> BrowserContext:
    """Waits end a test that hangs and judge nothing."""
    context.set_default_timeout(BROWSER_MS)
    return context


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = launch(playwright, webgl=False)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = patient(browser.new_context(viewport={"width": 1440, "height": 900}))
    yield context.new_page()
    context.close()


@pytest.fixture(scope="session")
def demo_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the demo project in it, made once and copied for each test."""
    from tidal_core.server.studio import make_demo

    home = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIDAL_HOME", str(home))
        make_demo().close()
    return home


@pytest.fixture
def server(demo_home: Path, tmp_path: Path) -> Iterator[Server]:
    home = tmp_path / "home"
    shutil.copytree(demo_home, home)
    with Server(home) as running:
        yield running


@pytest.fixture
def gate(tmp_path: Path) -> RoundGate:
    """Holds the rounds of ``held_server`` after their first epoch."""
    return RoundGate(tmp_path / "gate", epochs=1)


@pytest.fixture
def held_server(demo_home: Path, tmp_path: Path, gate: RoundGate) -> Iterator[Server]:
    """As ``server``, with its rounds held."""
    home = tmp_path / "home"
    shutil.copytree(demo_home, home)
    with Server(home, gate=gate) as running:
        yield running


@pytest.fixture
def known(demo_home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], str]:
    """The key that answers a demo image as its known class."""
    from tidal_core.projects import open_project

    monkeypatch.setenv("TIDAL_HOME", str(demo_home))
    project = open_project("digits")
    classes = {record.id: record.key for record in project.store.classes.all()}
    keys = {image.id: classes[image.known_class] for image in project.store.images.all() if image.known_class}
    project.close()
    monkeypatch.undo()
    return keys.__getitem__


@pytest.fixture(scope="session")
def shared_server(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the tests that neither stop it nor train: each has a project of its own in it."""
    home = tmp_path_factory.mktemp("shared") / "home"
    shutil.copytree(demo_home, home)
    with Server(home) as running:
        yield running


@pytest.fixture
def own_project(demo_home: Path, shared_server: Server, request: pytest.FixtureRequest) -> str:
    """A fresh copy of the demo project in the shared server; its slug."""
    slug = "t" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:10]
    shutil.copytree(demo_home / "projects" / "digits", shared_server.home / "projects" / slug)
    return slug


@pytest.fixture
def labelling(page: Page, shared_server: Server, own_project: str) -> Labelling:
    return Labelling(page, shared_server.url, own_project)


@pytest.fixture
def browser_phone(browser: Browser) -> Iterator[Page]:
    context = patient(browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True))
    yield context.new_page()
    context.close()


@pytest.fixture
def labelling_phone(browser_phone: Page, shared_server: Server, own_project: str) -> Labelling:
    return Labelling(browser_phone, shared_server.url, own_project)
