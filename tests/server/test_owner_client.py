"""A project that another process owns: how the command line finds that process and what it gets from it."""

from __future__ import annotations

import csv
import json
import os
import stat
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.browser.server import Server
from tests.helpers.gates import WAIT_SECONDS, wait_for
from tests.helpers.serving import ROOT, Listening, run_command
from tests.helpers.tiny import label_next, tiny_project
from tidal_core import ownership
from tidal_core.errors import ProjectInUse, TidalError
from tidal_core.ownership import Owner
from tidal_core.projects import Project, open_project
from tidal_core.rounds.queue_plan import fill_queue
from tidal_core.server.owner_client import ask_status, copied, reading
from tidal_core.server.studio import DEMO, make_demo

HOLDER = """
import sys
from tidal_core.projects import open_project
project = open_project("tiny")
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def listening() -> Iterator[Listening]:
    project = tiny_project()
    fill_queue(project)
    label_next(project, 7)
    project.close()
    with Listening() as running:
        running.studio.project("tiny")
        yield running


def owner_file(project: Project) -> Path:
    return project.folder / ownership.FILE


def post(listening: Listening, path: str, headers: dict[str, str], slug: str = "tiny") -> httpx.Response:
    address = f"{listening.address}/api/p/{slug}/owner/{path}"
    return httpx.post(address, headers=headers, trust_env=False, timeout=WAIT_SECONDS)


def test_the_running_studio_tells_the_status(listening: Listening) -> None:
    told = run_command("status", "tiny")

    assert told.returncode == 0, told.stderr
    assert f"Open in a running studio: process {os.getpid()} at {listening.address}, since" in told.stdout
    assert "60 images to label, 15 to test with" in told.stdout
    assert "7 labels in 3 of 3 classes" in told.stdout
    assert "53 images wait in the queue." in told.stdout


def test_the_running_studio_counts_and_exports_what_a_condition_chooses(listening: Listening, tmp_path: Path) -> None:
    told = run_command("status", "tiny", "--where", "labelled or id>70")
    ended = run_command("export", "tiny", "--to", tmp_path / "red.csv", "--where", "label=red")
    refused = run_command("status", "tiny", "--where", "labelled and")

    assert "12 images fulfil labelled or id>70\n  state: labelled 7, unlabelled 5\n" in told.stdout
    assert ended.returncode == 0, ended.stderr
    labels = [line.split(",")[1] for line in (tmp_path / "red.csv").read_text().splitlines()[1:]]
    assert set(labels) == {"red"}
    assert f"{len(labels)} labels written to" in ended.stdout
    assert "cannot be read at its end" in refused.stderr


def test_projects_says_where_each_is_open(listening: Listening) -> None:
    told = run_command("projects").stdout

    assert f"process {os.getpid()}, {listening.address}" in told
    assert told.splitlines()[1].split()[:4] == ["tiny", "75", "7", "0"]


@pytest.mark.parametrize("name", ["labels.csv", "labels.parquet", "all.labelstudio.json"])
def test_an_export_through_the_studio_equals_one_of_the_closed_project(
    listening: Listening, tmp_path: Path, name: str
) -> None:
    through = run_command("export", "tiny", "--to", tmp_path / "through" / name)
    listening.studio.close()
    alone = run_command("export", "tiny", "--to", tmp_path / "alone" / name)

    assert "This project is open in a running studio" in through.stderr
    assert "labels written to" in through.stdout
    assert "running studio" not in alone.stderr
    assert (tmp_path / "through" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


def test_an_export_that_is_refused_is_one_line_also_through_the_studio(listening: Listening, tmp_path: Path) -> None:
    ended = run_command("export", "tiny", "--to", tmp_path / "p.parquet", "--what", "predictions")

    assert ended.returncode == 1
    assert "Error: there are no predictions yet: no round has finished" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not list(tmp_path.glob("*.parquet"))


def test_a_table_does_not_wait_for_a_copy_of_the_whole_project(listening: Listening, tmp_path: Path) -> None:
    snapshot = listening.studio.project("tiny").store.snapshot()  # a second one would have to wait for its end

    ended = run_command("export", "tiny", "--to", tmp_path / "labels.csv")

    snapshot.close()
    assert ended.returncode == 0, ended.stderr
    with (tmp_path / "labels.csv").open(newline="", encoding="utf-8") as file:
        assert Counter(row["labelled_by"] for row in csv.DictReader(file)) == {"person": 7, "none": 15}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("format=zip", "needs the photos"),
        ("format=nothing", "there is no export format 'nothing'"),
        ("format=csv&where=colour%3Dred", "Images have no 'colour'"),
        ("format=coco&what=history", "coco cannot hold history"),
        ("format=csv&what=all", "what is 'all'; it must be one of labels"),
        ("format=csv&round=first", "round is 'first'; it must be the number of a round"),
        ("what=labels", "format is missing"),
    ],
)
def test_an_export_that_cannot_be_is_refused_in_words(listening: Listening, asked: str, said: str) -> None:
    assert listening.studio.owner is not None

    answer = post(listening, f"export?{asked}", {"X-Tidal-Owner": listening.studio.owner.token})

    assert answer.status_code == 400
    assert said in answer.json()["error"]


def test_images_are_exported_through_the_studio_too(listening: Listening, tmp_path: Path) -> None:
    ended = run_command("export", "tiny", "--to", tmp_path / "images.zip")

    assert ended.returncode == 0, ended.stderr
    assert "labels written to" in ended.stdout


def test_an_import_is_sent_to_the_page(listening: Listening) -> None:
    ended = run_command("import", "digits", "--name", "tiny")

    assert ended.returncode == 1
    assert f"process {os.getpid()} at {listening.address}" in ended.stderr
    assert "Import on its Project page" in ended.stderr


def test_labels_go_on_and_stay_out_of_a_copy_that_was_taken_before(listening: Listening) -> None:
    project = listening.studio.project("tiny")
    assert listening.studio.owner is not None
    with copied("tiny", listening.studio.owner) as copy:
        label_next(project, 3)
        assert copy.store.answers.count() == 7
        assert project.store.answers.count() == 10


def test_the_address_is_readable_by_its_user_alone_and_gone_after_the_studio(listening: Listening) -> None:
    file = owner_file(listening.studio.project("tiny"))

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["pid"] == os.getpid()
    listening.studio.close()
    assert not file.exists()


def test_another_projects_studio_keeps_its_address(listening: Listening) -> None:
    folder = listening.studio.project("tiny").folder
    later = Owner.of(1, "http://127.0.0.1:1", "another")
    ownership.announce(folder, later)

    listening.studio.close()

    assert ownership.announced(folder) == later


@pytest.mark.parametrize("path", ["status", "snapshot", "export?format=csv"])
@pytest.mark.parametrize("kind", ["none", "wrong", "the pages'", "not ASCII"])
def test_without_the_owners_token_nothing_is_answered(listening: Listening, path: str, kind: str) -> None:
    tokens = {"wrong": "guessed", "the pages'": listening.studio.token, "not ASCII": "schl\u00fcssel"}
    headers = {"X-Tidal-Owner": tokens[kind]} if kind in tokens else {"X-Tidal-Token": listening.studio.token}
    if kind == "not ASCII":
        answer = httpx.post(
            f"{listening.address}/api/p/tiny/owner/{path}",
            headers=[(b"X-Tidal-Owner", tokens[kind].encode("latin-1"))],
            trust_env=False,
            timeout=WAIT_SECONDS,
        )
    else:
        answer = post(listening, path, headers)

    assert answer.status_code == 403
    assert "token" in answer.json()["error"]


@pytest.mark.parametrize("path", ["status", "snapshot", "export?format=csv"])
@pytest.mark.parametrize(
    "header", [{"Origin": "https://example.org"}, {"Origin": "http://127.0.0.1"}, {"Sec-Fetch-Site": "same-origin"}]
)
def test_no_browser_is_answered_whatever_its_origin(listening: Listening, path: str, header: dict[str, str]) -> None:
    assert listening.studio.owner is not None
    token = {"X-Tidal-Owner": listening.studio.owner.token}

    assert post(listening, path, {**token, **header}).status_code == 403
    assert post(listening, path, token).status_code == 200
    assert post(listening, path, token, slug="nothing").status_code == 404


def test_a_wrong_token_in_the_file_is_refused_in_words(listening: Listening) -> None:
    folder = listening.studio.project("tiny").folder
    ownership.announce(folder, Owner.of(os.getpid(), listening.address, "of an earlier run"))

    told = run_command("status", "tiny")

    assert told.returncode == 1
    assert f"The studio at {listening.address} (process {os.getpid()}) refused: The token is missing" in told.stderr


def test_what_a_killed_studio_left_is_passed_over() -> None:
    project = tiny_project()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    ownership.announce(project.folder, Owner.of(gone.pid, "http://127.0.0.1:1", "old"))
    project.close()

    assert "Not open in any process" in run_command("status", "tiny").stdout
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(ProjectInUse, match=f"open in another process \\(number {holder.pid}\\)"), reading("tiny"):
            pass


def test_a_studio_that_does_not_answer_is_named() -> None:
    project = tiny_project()
    ownership.announce(project.folder, Owner.of(os.getpid(), "http://127.0.0.1:9", "t" * 20))
    try:
        told = run_command("export", "tiny", "--to", "labels.csv")
    finally:
        project.close()

    assert told.returncode == 1
    assert f"is open in process {os.getpid()}, which does not answer at http://127.0.0.1:9" in told.stderr


def test_a_studio_that_ends_in_the_middle_leaves_no_half_copy(listening: Listening) -> None:
    project, owner = listening.studio.project("tiny"), listening.studio.owner
    assert owner is not None
    with project.store.database.write() as cursor:
        cursor.execute("INSERT INTO log SELECT now(), 'info', i, md5(i::TEXT) FROM range(1_500_000) r(i)")

    with (
        pytest.raises(TidalError, match=r"ended while it handed over the project 'tiny': [\d,]+ of [\d,]+ bytes came"),
        copied("tiny", owner, progress=lambda done, total: project.close()),
    ):
        pytest.fail("half a copy was given out")
    assert not list(Path(tempfile.gettempdir()).glob(f".copy.{os.getpid()}-*"))


def test_a_killed_command_leaves_no_copy(listening: Listening, tmp_path: Path) -> None:
    temp = tmp_path / "temp"
    left = temp / f".copy.{2**22 + 1}-0123abcd-0.tidal-part"  # of one that was killed while its copy was on the way
    left.mkdir(parents=True)
    code = (
        "from tidal_core.server.owner_client import reading\n"
        "with reading('tiny') as p:\n print('open', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(temp)},
        cwd=ROOT,
    ) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == b"open\n"
        reader.kill()
    assert list(temp.iterdir()) == []


def test_the_real_studio_announces_itself_and_takes_it_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_demo().close()
    server = Server(Path(os.environ["TIDAL_HOME"]))
    with server:
        folder = Path(os.environ["TIDAL_HOME"]) / "projects" / DEMO
        wait_for(lambda: ownership.announced(folder), "the studio's word where it is")
        told = run_command("status", DEMO)
        assert f"at {server.url}, since" in told.stdout, told.stderr
    assert ownership.announced(folder) is None
    open_project(DEMO).close()


@pytest.mark.parametrize(
    ("address", "token"),
    [
        ("http://[::1", "t"), ("http://127.0.0.1:port", "t"), ("http://127.0.0.1:1/a b", "t"), ("rubbish", "t"),
        ("http://127.0.0.1:1", "a\nb"), ("http://127.0.0.1:1", "\u20ac"),
    ],
)  # fmt: skip
def test_a_damaged_record_of_a_studio_is_one_that_does_not_answer(address: str, token: str) -> None:
    with pytest.raises(ProjectInUse, match="which does not answer at"):
        ask_status("tiny", Owner.of(7, address, token))
