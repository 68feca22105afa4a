"""A home that cannot be one, and settings that cannot be read: named with what helps, in commands and on pages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers.disks import NoSmallDisk, read_only
from tests.helpers.serving import run_command
from tidal_core import projects
from tidal_core.config import SETTINGS_VERSION, ProjectSettings
from tidal_core.errors import ProjectError, SettingsTooNew
from tidal_core.server.studio import Studio, make_demo
from tidal_core.store import Store
from tidal_core.store.settings import DAMAGE


@pytest.mark.parametrize("arguments", [("projects",), ("status", "birds"), ("--port", "8599")])
def test_commands_say_that_the_home_is_no_folder(tidal_home: Path, arguments: tuple[str, ...]) -> None:
    tidal_home.write_text("a file")

    ended = run_command(*arguments)

    assert ended.returncode == 1
    assert ended.stdout == ""
    assert f"The folder of projects, {tidal_home / 'projects'}, cannot be used: it is no folder." in ended.stderr
    assert "set TIDAL_HOME to another folder" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_home_below_a_file_or_of_nobody_is_named(tidal_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tidal_home.write_text("a file")
    monkeypatch.setenv("TIDAL_HOME", str(tidal_home / "below"))
    with pytest.raises(ProjectError, match="cannot be used: Not a directory"):
        make_demo()
    monkeypatch.setenv("TIDAL_HOME", "~nobody-of-this-name/studio")
    with pytest.raises(ProjectError, match="names no folder"):
        projects.project_slugs()


def test_a_home_that_cannot_be_written_is_named_and_its_projects_too(tidal_home: Path) -> None:
    tidal_home.mkdir()
    try:
        with read_only(tidal_home):
            with pytest.raises(ProjectError, match=r"cannot be used: .*(Read-only|Permission denied)"):
                make_demo()
            studio = Studio(with_worker=False)
            with pytest.raises(ProjectError, match="set TIDAL_HOME to another folder"):
                studio.demo()
            studio.close()
    except NoSmallDisk as error:
        pytest.skip(f"needs a folder in which nobody can write: {error.strerror}")


def damaged(text: str) -> None:
    projects.create_project("birds", ProjectSettings(title="Birds", training_size=16)).close()
    with Store(projects.project_folder("birds") / "project.duckdb") as store:
        store.settings.set("project", text)


@pytest.mark.parametrize("newer", [{"version": SETTINGS_VERSION + 1}, {"version": 1, "a_later_setting": True}])
def test_settings_of_a_newer_version_are_refused_and_stay(newer: dict[str, object]) -> None:
    text = json.dumps({**json.loads(ProjectSettings(title="Birds").to_json()), **newer})
    damaged(text)

    with pytest.raises(SettingsTooNew, match=r"written by a newer version of TiDAL Studio .* Update the studio"):
        projects.open_project("birds")
    assert "Update the studio" in run_command("status", "birds").stderr
    with Store(projects.project_folder("birds") / "project.duckdb") as store:
        assert store.settings.get("project") == text


@pytest.mark.parametrize("text", ["rubbish", "[1]", "", "null"])
def test_settings_that_are_rubbish_are_at_their_default_again_and_it_is_said(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    damaged(text)

    project = projects.open_project("birds")

    assert project.settings == ProjectSettings()
    assert project.store.settings.get("damaged-project") == text
    assert "Look at them on the Project page (Settings)" in (project.store.settings.get(DAMAGE) or "")
    assert "The settings of this project were damaged" in caplog.text
    project.close()


def test_of_damaged_settings_what_can_be_used_stays_until_somebody_has_looked_at_the_rest() -> None:
    good = json.loads(ProjectSettings(title="Birds", labels_per_round=7).to_json())
    damaged(json.dumps({**good, "preset": "none such", "audit_share": "much"}))

    studio = Studio(with_worker=False)
    project = studio.project("birds")
    assert project.settings == ProjectSettings(title="Birds", labels_per_round=7)
    assert "At their default again: preset, audit_share." in (project.store.settings.get(DAMAGE) or "")
    studio.change_settings(project, project.settings)
    assert project.store.settings.get(DAMAGE) is None
    studio.close()


def test_whoever_adds_a_setting_raises_the_version() -> None:
    fields = sorted(json.loads(ProjectSettings().to_json()))

    assert (SETTINGS_VERSION, len(fields)) == (3, 27), "a new setting: raise SETTINGS_VERSION, then these numbers"
