"""What an exported folder holds, which rounds can go out, and what is said when one cannot."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest

from tests.helpers.tiny import label_next, tiny_project
from tests.test_cli import run
from tidal_core.config import PixelSpec, RoundConfig
from tidal_core.errors import InputError
from tidal_core.export.model import export_model, zipped_model
from tidal_core.export.model.base import ModelFormat
from tidal_core.export.model.facts import model_facts
from tidal_core.images.pixels import cached_spec, note_spec
from tidal_core.projects import Project
from tidal_core.records import RoundState
from tidal_core.rounds.due import claim_round, end_round
from tidal_core.rounds.queue_plan import fill_queue
from tidal_core.rounds.run import RoundRun

pytestmark = pytest.mark.usefixtures("short_rounds")


@pytest.fixture
def project() -> Iterator[Project]:
    made = tiny_project()
    fill_queue(made)
    label_next(made, 6)
    record = claim_round(made, started_by="labels")
    RoundRun(made, record, report=lambda _: None, should_stop=lambda: False).run()
    yield made
    made.close()


def test_the_folder_holds_weights_classes_preprocessing_card_and_script(project: Project, tmp_path: Path) -> None:
    folder, _ = export_model(project, tmp_path / "out", "safetensors")

    assert {file.name for file in folder.iterdir()} == {
        *("model.safetensors", "model.py", "classes.json", "preprocessing.json"),
        *("preprocessing.py", "predict.py", "README.md"),
    }
    assert json.loads((folder / "classes.json").read_text()) == [
        {"id": 1, "name": "red", "position": 0},
        {"id": 2, "name": "green", "position": 1},
        {"id": 3, "name": "blue", "position": 2},
    ]
    settings = json.loads((folder / "preprocessing.json").read_text())
    assert (settings["size"], settings["fit"], len(settings["mean"])) == (8, "crop", 3)


def test_the_same_folder_comes_as_a_zip(project: Project) -> None:
    packed = zipfile.ZipFile(BytesIO(zipped_model(project, "safetensors")))

    assert packed.testzip() is None
    assert "tiny-safetensors/predict.py" in packed.namelist()
    assert len(packed.namelist()) == 7


def test_the_card_tells_the_labels_the_accuracy_and_what_it_was_measured_on(project: Project, tmp_path: Path) -> None:
    project.store.classes.change(2, name="gr|een <b>")
    project.store.classes.merge(3, into=1)
    metrics = project.store.metrics.of_round(1)
    (accuracy,) = (metric for metric in metrics if metric.name == "accuracy" and metric.class_id is None)

    folder, facts = export_model(project, tmp_path / "out", "safetensors")

    card = (folder / "README.md").read_text(encoding="utf-8")
    front = card.split("---\n")[1]
    assert f"      value: {accuracy.value:.4f}\n" in front
    assert "license" not in front
    assert f"{accuracy.value:.1%} ({accuracy.low:.1%} to {accuracy.high:.1%}) of 15 test images" in card
    assert "trained with TiDAL Studio on 6 labelled images of 60" in card
    labels = {class_facts.name: class_facts.labels for class_facts in facts.classes}
    assert sum(labels.values()) == 6
    assert f"| gr\\|een \\<b\\> (called green when it was trained) | {labels['gr|een <b>']} |" in card
    assert "blue (since then merged into red)" in card
    assert f"The model of round 1 of {facts.finished_at:%Y-%m-%d}" in card
    assert "Classes with fewer than ten labels: red, gr" in card
    assert "torch 2." in card


def test_a_round_whose_weights_are_gone_names_those_that_can_be_had(project: Project, tmp_path: Path) -> None:
    label_next(project, 6)
    record = claim_round(project, started_by="labels")
    end_round(project, record.id, RoundState.CANCELLED)
    label_next(project, 6)
    record = claim_round(project, started_by="labels")
    RoundRun(project, record, report=lambda _: None, should_stop=lambda: False).run()

    with pytest.raises(InputError, match="no round 9 with a model in 'tiny'; choose one of: 1, 3"):
        export_model(project, tmp_path / "out", "safetensors", 9)
    with pytest.raises(InputError, match="round 2 is cancelled and has no finished model; choose one of: 1, 3"):
        export_model(project, tmp_path / "out", "safetensors", 2)
    (project.checkpoints / "round-0001.safetensors").unlink()
    with pytest.raises(InputError, match=r"model of round 1 was deleted .* last 5 rounds\); choose one of: 3"):
        export_model(project, tmp_path / "out", "safetensors", 1)
    assert not (tmp_path / "out").exists()


def test_a_round_goes_out_with_the_squares_that_it_saw_whatever_was_set_since(project: Project) -> None:
    label_next(project, 6)
    note_spec(project, cached_spec(project))
    changed = replace(project.settings, training_size=16, fit="letterbox", grayscale=True)
    project.store.settings.save(changed)  # the squares on the disk are still of 8 pixels
    end_round(project, claim_round(project, started_by="person").id, RoundState.CANCELLED)
    assert RoundConfig.from_json(project.store.rounds.get(2).config).training_size == 8

    note_spec(project, changed.pixels)  # they have been processed at the new size

    assert model_facts(project, 1).pixels == PixelSpec(8, "crop", False)


def test_a_project_without_a_round_says_what_to_do() -> None:
    project = tiny_project()
    with pytest.raises(InputError, match="no finished round yet; label more images, or press Train now"):
        export_model(project, name="safetensors")
    project.close()


def test_a_folder_that_is_taken_and_an_unknown_format_are_refused(project: Project, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no model format 'keras'; choose one of: onnx, torch, safetensors"):
        export_model(project, tmp_path / "out", "keras")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("x")
    with pytest.raises(InputError, match="already exists; choose another folder"):
        export_model(project, tmp_path / "taken", "safetensors")


def test_missing_packages_are_named_with_the_way_to_get_them() -> None:
    class Exotic(ModelFormat):
        name = "exotic"
        needs = ("json", "no_such_package")
        install = "python -m pip install no-such-package"

        def write(self, weights: Path, size: int, folder: Path) -> None:
            (folder / "model.exotic").write_bytes(weights.read_bytes())

    with pytest.raises(InputError, match=r"needs no_such_package, .* python -m pip install no-such-package"):
        Exotic().check()


def test_damaged_weights_are_one_clear_line(project: Project, tmp_path: Path) -> None:
    path = project.checkpoints / "round-0001.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])

    with pytest.raises(InputError, match=r"round-0001\.safetensors cannot be read as weights"):
        export_model(project, tmp_path / "out", "torch")
    assert not (tmp_path / "out").exists()


def test_the_command_writes_into_the_project_unless_told_otherwise(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project.close()

    assert run(monkeypatch, "export-model", "tiny", "--format", "safetensors") == 0

    folder = project.exports / "model-round-0001-safetensors"
    assert (folder / "predict.py").exists()
    printed = capsys.readouterr().out
    assert "The model of round 1 (6 labels, accuracy" in printed
    assert f"is in {folder}" in printed
