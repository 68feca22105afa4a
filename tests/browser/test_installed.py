"""The studio as a package: built, installed where no checkout is, started from an empty folder, looked at."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.driver import Labelling
from tests.browser.server import ROOT, Server

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel in it, which finds what the wheel depends on where these tests found it."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", folder, ROOT]
    subprocess.run(build, check=True)
    (wheel,) = folder.glob("*.whl")
    made = folder / "venv"
    venv.create(made)
    paths = sysconfig.get_paths(vars={"base": str(made), "platbase": str(made)})
    dependencies = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    Path(paths["purelib"], "dependencies.pth").write_text("\n".join(dependencies) + "\n", encoding="utf-8")
    install = [*pip, "--python", made, "install", "--no-deps", "--no-index", "--no-compile", wheel]
    subprocess.run(install, check=True)
    return Path(paths["scripts"])


def test_an_installed_studio_opens_from_an_empty_folder_with_its_own_settings(
    environment: Path, demo_home: Path, tmp_path: Path, page: Page
) -> None:
    home, folder = tmp_path / "home", tmp_path / "empty"
    shutil.copytree(demo_home, home)
    folder.mkdir()
    variables = {"HOME": str(tmp_path / "nobody"), "PYTHONPATH": ""}
    theme = tomllib.loads((ROOT / ".streamlit/config.toml").read_text(encoding="utf-8"))["theme"]["light"]
    background = tuple(bytes.fromhex(theme["backgroundColor"].removeprefix("#")))

    program = [environment / "tidal-studio", "--port"]
    with Server(home, program=program, folder=folder, variables=variables) as server:
        labelling = Labelling(page, server.url).open()
        page.keyboard.press("0")
        labelling.wait_saved()
        expect(page.locator(".stApp")).to_have_css("background-color", f"rgb{background}")
        for name in ("Theory", "Project"):
            page.get_by_test_id("stSidebarNav").get_by_role("link", name=name).click()
            expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()
        assert labelling.errors == []
        assert server.stop() == 0

    assert server.log.read_text(encoding="utf-8").rstrip().endswith("Start it again with: tidal-studio")
    assert list(folder.iterdir()) == []
    where = [environment / "python", "-c", "import tidal_core; print(tidal_core.__file__)"]
    found = subprocess.run(where, cwd=folder, env=variables, capture_output=True, text=True, check=True).stdout
    assert found.startswith(str(environment.parent))
