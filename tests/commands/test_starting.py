"""``tidal-studio`` without a command: where it listens, what it refuses, how it ends."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from tests.browser.server import ROOT, Server
from tests.helpers.gates import WAIT_SECONDS
from tests.helpers.serving import Listening
from tests.helpers.tiny import tiny_project
from tidal_core import __version__, cli
from tidal_core.access import hosts
from tidal_core.commands import starting
from tidal_core.errors import InputError, ProjectInUse, ProjectNotFound


def test_it_starts_from_any_folder_and_ctrl_c_ends_it_cleanly(tmp_path: Path, tidal_home: Path) -> None:
    tiny_project(6, test=0).close()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "app.py").write_text("raise SystemExit('another app')\n", encoding="utf-8")
    program = [sys.executable, "-P", "-m", "tidal_core", "--project", "Tiny", "--port"]
    variables = {"TIDAL_TOKEN": "of-the-test", "PYTHONPATH": str(ROOT)}

    with Server(tidal_home, program=program, folder=elsewhere, variables=variables) as server:
        request = Request(f"{server.url}/api/p/tiny/classes", headers={"X-Tidal-Token": "of-the-test"})
        with urlopen(request, timeout=WAIT_SECONDS) as answer:
            classes = json.load(answer)["classes"]
        status = server.stop()

    assert [record["name"] for record in classes] == ["red", "green", "blue"]
    assert status == 0
    assert "The studio has stopped." in server.log.read_text(encoding="utf-8")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.20"])
def test_an_address_that_other_computers_reach_is_refused_without_a_login(host: str) -> None:
    with pytest.raises(
        InputError, match=r"without a login.*pass-phrase.*docs/people\.md.*ssh -L 8501:127\.0\.0\.1:8501"
    ):
        cli.app(["--host", host])


def test_what_is_no_address_or_no_name_is_refused_with_the_option_that_takes_it() -> None:
    with pytest.raises(InputError, match=r"no address of this computer.*goes into --name"):
        cli.app(["--host", "example.org"])
    with pytest.raises(InputError, match=r"no name of a computer.*--name studio\.example\.org"):
        cli.app(["--name", "https://studio.example.org:8501/"])


def test_with_a_pass_phrase_another_address_is_taken_and_others_are_told_where(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TIDAL_PASS_PHRASE", "four words of mine")
    with pytest.raises(SystemExit, match="0"):
        cli.app(["pass-phrase"])
    served: list[object] = []
    monkeypatch.setattr(starting, "_serve", lambda *what: served.extend(what))
    monkeypatch.delenv(hosts.NAMES, raising=False)

    with pytest.raises(SystemExit, match="0"):
        cli.app(["--host", "0.0.0.0", "--name", "Studio.example.org"])

    assert served[2] == "0.0.0.0"
    assert os.environ[hosts.NAMES] == "studio.example.org"
    told = " ".join(capsys.readouterr().err.split())
    assert "Others open http://studio.example.org:" in told
    assert "proxy with TLS" in told


def test_a_pass_phrase_is_never_taken_from_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDAL_PASS_PHRASE", raising=False)
    monkeypatch.setattr(os, "isatty", lambda handle: False)
    with pytest.raises(SystemExit, match="2"):
        cli.app(["pass-phrase", "four words of mine"])
    with pytest.raises(InputError, match=r"no terminal to type a pass phrase on; .* TIDAL_PASS_PHRASE"):
        cli.app(["pass-phrase"])


def test_a_project_that_is_not_there_is_refused_with_those_that_are() -> None:
    tiny_project(6, test=0).close()

    with pytest.raises(ProjectNotFound, match=r"no project 'roses'; there are: digits, tiny\."):
        cli.app(["--project", "Roses"])


def test_options_of_the_start_before_a_command_are_refused() -> None:
    with pytest.raises(InputError, match="leave them out before 'projects'"):
        cli.app(["--port", "8600", "projects"])


def test_a_busy_port_is_refused_where_it_was_asked_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(
            InputError, match=rf"Port {port} is in use by another program; choose another port with --port"
        ):
            cli.app(["--port", str(port)])


def test_the_next_free_port_is_taken_and_said_where_none_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        first = other.getsockname()[1]
        monkeypatch.setattr(starting, "FIRST_PORT", first)
        monkeypatch.setattr(starting, "LAST_PORT", first + 100)

        port = starting.free_port()

    assert first < port <= first + 100
    assert f"Port {first} is in use by another program; the studio takes {port}." in capsys.readouterr().err


def test_ports_that_are_all_in_use_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        first = other.getsockname()[1]
        monkeypatch.setattr(starting, "FIRST_PORT", first)
        monkeypatch.setattr(starting, "LAST_PORT", first)

        with pytest.raises(InputError, match="all in use; choose another port: --port"):
            starting.free_port()


def test_a_studio_that_runs_already_is_named_with_its_address() -> None:
    tiny_project(6, test=0).close()
    with Listening() as running:
        running.studio.project("tiny")
        port = int(running.address.rpartition(":")[2])

        with pytest.raises(ProjectInUse, match=rf"already running \(process {os.getpid()}\): open {running.address} "):
            starting.free_port(port)


def test_the_version_and_the_commands_are_shown() -> None:
    def printed(*arguments: str) -> str:
        command = [sys.executable, "-m", "tidal_core", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert printed("--version") == f"TiDAL Studio {__version__}\n"
    shown = printed("--help")
    assert "8501, or the" in shown
    assert "export-model" in shown


def test_messages_name_the_command_as_it_was_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for program, command in (
        ("/usr/bin/tidal-studio", "tidal-studio"),
        ("tidal_core/__main__.py", "python -m tidal_core"),
    ):
        monkeypatch.setattr(sys, "argv", [program, "projects"])
        with pytest.raises(SystemExit):
            cli.app()
        assert f"Create one with: {command} import FOLDER" in capsys.readouterr().out
