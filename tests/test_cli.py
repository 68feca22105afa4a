"""The command line, as a person types it."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer

from tests.images.photos import save
from tidal_core import cli
from tidal_core.engine.backbones import BACKBONES
from tidal_core.experiments.datasets import NAMES
from tidal_core.experiments.protocol import PRESETS
from tidal_core.export.model import FORMATS
from tidal_core.export.tables import EXPORTERS
from tidal_core.projects import open_project, project_slugs
from tidal_core.records import Answer, AnswerKind

ROOT = Path(__file__).parent.parent


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for seed, name in enumerate(["daisy/1.jpg", "daisy/2.jpg", "rose/3.jpg"]):
        save(tmp_path / "photos" / name, seed=seed, size=(120, 90))
    return tmp_path / "photos"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Run a command in this process; returns its exit code."""
    monkeypatch.setattr(sys, "argv", ["tidal_core", *map(str, arguments)])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_a_folder_becomes_a_project(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "broken[b].jpg").write_bytes(b"\0")

    assert run(monkeypatch, "import", photos, "--name", "My flowers", "--labels", "from-folders") == 0

    printed = capsys.readouterr().out
    assert "3 images read" in printed
    assert "broken[b].jpg: it holds only zeros; remove it" in printed
    assert re.search(r"Looking at all 3 images once takes about [\d.]+ s here\. The first round trains for", printed)
    project = open_project("my-flowers")
    assert [record.name for record in project.store.classes.all()] == ["daisy", "rose"]
    assert project.settings.title == "My flowers"
    assert project.settings.preset == "frozen"
    assert "broken[b].jpg" in (project.folder / "imports" / "import-001.csv").read_text()
    project.close()


def test_importing_again_adds_to_the_project(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "import", photos, "--name", "flowers")
    save(photos / "new.jpg", seed=9)
    run(monkeypatch, "import", photos, "--name", "flowers")

    assert "1 image read" in capsys.readouterr().out
    assert project_slugs() == ["flowers"]


def test_labels_are_exported(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "import", photos, "--name", "flowers", "--labels", "from-folders", "--size", 16)
    project = open_project("flowers")
    project.store.answers.record([Answer("a", AnswerKind.LABEL, image_id=1, class_id=1, annotator="me")])
    project.close()

    assert run(monkeypatch, "export", "flowers", "--to", tmp_path / "labels.csv") == 0

    lines = (tmp_path / "labels.csv").read_text().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith(f"{photos}/daisy/1.jpg,daisy,me,")
    assert "1 labels written to" in capsys.readouterr().out


def test_a_condition_chooses_what_status_counts_and_export_writes(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "import", photos, "--name", "flowers", "--labels", "from-folders", "--size", 16)
    project = open_project("flowers")
    project.store.answers.record([Answer(f"a{i}", AnswerKind.LABEL, image_id=i, class_id=1) for i in (1, 2)])
    project.close()

    assert run(monkeypatch, "status", "flowers", "--where", "labelled and id>1") == 0
    assert run(monkeypatch, "export", "flowers", "--to", tmp_path / "labels.csv", "--where", "id=2") == 0
    assert run(monkeypatch, "export", "flowers", "--to", tmp_path / "no.csv", "--where", "colour=red") == 1

    printed = capsys.readouterr()
    assert "1 images fulfil labelled and id>1\n  state: labelled 1\n  label: daisy 1\n" in printed.out
    assert len((tmp_path / "labels.csv").read_text().splitlines()) == 2
    assert "Error: Images have no 'colour'; compare label" in printed.err
    assert not (tmp_path / "no.csv").exists()


def test_status_and_projects_tell_where_things_stand(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "projects") == 0
    assert "No projects yet" in capsys.readouterr().out
    run(monkeypatch, "import", photos, "--name", "flowers", "--labels", "from-folders")

    assert run(monkeypatch, "projects") == 0
    assert run(monkeypatch, "status", "flowers") == 0

    printed = capsys.readouterr().out
    assert "3 images to label, 0 to test with" in printed
    assert "0  daisy" in printed
    assert "no rounds yet" in printed


def test_a_source_without_an_image_makes_no_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("hello")

    assert run(monkeypatch, "import", tmp_path / "texts", "--name", "texts") == 1
    assert "no project was made" in capsys.readouterr().err
    assert project_slugs() == []


def test_the_folder_level_of_the_classes_can_be_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for seed, name in enumerate(("animals/cat/1.jpg", "animals/dog/2.jpg", "plants/fern/3.jpg")):
        save(tmp_path / "in" / name, seed=seed)

    arguments = ("--name", "deep", "--labels", "known", "--size", 16, "--class-level", 2)
    assert run(monkeypatch, "import", tmp_path / "in", *arguments) == 0

    project = open_project("deep")
    assert [record.name for record in project.store.classes.all()] == ["cat", "dog", "fern"]
    project.close()


def test_the_columns_of_a_table_are_shown_and_can_be_corrected(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "t.csv").write_text("path,label,kind\ndaisy/1.jpg,x,flower\n")
    arguments = ("import", photos / "t.csv", "--name", "t", "--labels", "answers", "--label-column", "kind")

    assert run(monkeypatch, *arguments) == 0

    assert "Columns read: images in 'path', labels in the column 'kind'." in capsys.readouterr().out
    project = open_project("t")
    assert [record.name for record in project.store.classes.all()] == ["flower"]
    project.close()


def test_what_cannot_be_done_is_one_line_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "import", tmp_path / "nowhere", "--name", "x") == 1
    assert run(monkeypatch, "status", "nothing") == 1
    printed = capsys.readouterr().err
    assert printed.count("Error:") == 2
    assert "Traceback" not in printed


def test_a_project_owned_by_another_process_is_named_with_its_number(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(monkeypatch, "import", photos, "--name", "flowers")
    project = open_project("flowers")
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "tidal_core", "status", "flowers"],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
        )
    finally:
        project.close()

    assert ended.returncode == 1
    assert "is open in another process" in ended.stderr
    assert "stop it first" in ended.stderr


def test_control_characters_in_a_name_do_not_reach_the_terminal(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "\x1b[2Jwipe.jpg").write_bytes(b"")

    run(monkeypatch, "import", photos, "--name", "flowers")

    assert "\x1b[2J" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("export", [exporter.name for exporter in EXPORTERS]),
        ("export-model", [kind.name for kind in FORMATS]),
        ("experiment", [*NAMES, *PRESETS]),
        ("separability", list(BACKBONES)),
    ],
)
def test_the_help_of_a_command_names_what_can_be_chosen(
    command: str, names: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, command, "--help") == 0
    printed = capsys.readouterr().out
    assert [name for name in names if name not in printed] == []


def test_every_option_says_in_a_sentence_what_it_is_and_what_it_is_without() -> None:
    root = typer.main.get_command(cli.app)
    assert isinstance(root, typer.core.TyperGroup)
    for command in [root, *root.commands.values()]:
        for parameter in command.params:
            where = f"{command.name} {parameter.name}"
            assert (parameter.help or "").endswith((".", "?")), where
            stated = parameter.required or parameter.default is not None or isinstance(parameter.show_default, str)
            assert stated or parameter.envvar, f"{where} does not say what it is when it is left out"


def test_status_and_the_report_tell_the_models_classes_from_labels(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "import", photos, "--name", "My flowers")
    project = open_project("my-flowers")
    project.store.classes.add(["daisy"])
    project.store.answers.record([Answer("a", AnswerKind.LABEL, image_id=1, class_id=1)])
    one = np.array([2])
    project.store.model_answers.take(one, np.array([1]), np.array([0.9]), round_id=1, note="", annotator="Ann")
    project.close()
    capsys.readouterr()

    assert run(monkeypatch, "status", "my flowers") == 0
    said = capsys.readouterr().out
    assert "1 labels in 1 of 1 classes" in said
    assert "1 images have the model's class" in said
    assert run(monkeypatch, "report", "my flowers", "--out", tmp_path / "r.html") == 0
    assert "The report is in" in capsys.readouterr().out
    assert "<b>1</b> with the model" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_a_dry_run_shows_what_would_come_and_makes_no_project(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "t.csv").write_text("id,kind\n1,flower\n")
    arguments = ("import", photos / "t.csv", "--name", "t", "--labels", "answers", "--dry-run")

    assert run(monkeypatch, *arguments, "--images", photos / "daisy") == 0

    shown = capsys.readouterr().out
    assert f"1 -> {photos / 'daisy' / '1.jpg'}: flower" in shown
    assert "1 class: flower 1." in shown
    assert "1 of 1 found, .jpg added" in shown
    assert project_slugs() == []
