"""An exported model says of every image what the studio says, in a process that knows nothing of the studio."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.export.model.conftest import Exported
from tests.export.model.photos import finish_real_round, photo_project, studio_says
from tidal_core.config import Seeds
from tidal_core.engine.model import Model
from tidal_core.engine.scoring import score
from tidal_core.export import model as model_room
from tidal_core.export.model import export_model

FORMATS = ("onnx", "torch", "safetensors")
PHOTOS = 41

# What predict.py must do without: the guard fails when it, or what it imports, asks for one of these.
FORBIDDEN = {
    "onnx": ("torch", "torchvision", "onnx", "tidal_core"),
    "torch": ("torchvision", "onnxruntime", "tidal_core"),
    "safetensors": ("torchvision", "onnxruntime", "tidal_core"),
}
GUARD = """
import runpy, sys
for name in {names!r}:
    sys.modules[name] = None  # importing it raises ImportError
sys.path.insert(0, {folder!r})
sys.argv = ["predict.py", *sys.stdin.read().splitlines()]
runpy.run_path({folder!r} + "/predict.py", run_name="__main__")
"""


def run_predict(folder: Path, paths: list[str], forbidden: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """The written predict.py in a fresh process, away from the studio's code."""
    return subprocess.run(
        [sys.executable, "-c", GUARD.format(names=forbidden, folder=str(folder))],
        input="\n".join(paths),
        capture_output=True,
        text=True,
        check=False,
        cwd=folder.parent,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )


def compare(folder: Path, expected: dict[str, np.ndarray], forbidden: tuple[str, ...]) -> None:
    """Predictions of predict.py and the studio's, image by image."""
    classes = [entry["name"] for entry in json.loads((folder / "classes.json").read_text())]
    ended = run_predict(folder, list(expected), forbidden)
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = [line.split("\t") for line in ended.stdout.splitlines()]
    assert [path for path, _, _ in lines] == list(expected)
    for path, label, probability in lines:
        p = expected[path]
        assert label == classes[int(p.argmax())], path
        assert abs(float(probability) - p.max()) < 1e-4, path


@pytest.mark.parametrize("name", FORMATS)
def test_predictions_are_the_studios_image_by_image(exported: Exported, name: str) -> None:
    assert len(exported.expected) == PHOTOS
    compare(exported.folders[name], exported.expected, FORBIDDEN[name])


def test_the_photos_are_told_apart_so_that_the_comparison_means_something(exported: Exported) -> None:
    p = np.array(list(exported.expected.values()))
    assert set(p.argmax(axis=1)) == {0, 1}
    assert np.ptp(p[:, 0]) > 0.2
    kinds = {Path(path).suffix for path in exported.expected}
    assert kinds == {".png", ".jpg", ".tif", ".gif", ".bmp"}


def test_a_letterboxed_project_of_grey_images_is_read_the_same_way(tmp_path: Path, short_rounds: None) -> None:
    project = photo_project(tmp_path / "photos", fit="letterbox", grayscale=True, training_size=33)
    round_id = finish_real_round(project)

    folder, facts = export_model(project, tmp_path / "out", "safetensors")

    assert facts.preprocessing().items() >= {"size": 33, "fit": "letterbox", "grayscale": True}.items()
    assert "colours become grey" in (folder / "README.md").read_text(encoding="utf-8")
    compare(folder, studio_says(project, round_id), FORBIDDEN["safetensors"])
    project.close()


def test_a_resnet_needs_no_torchvision_once_it_is_out(tmp_path: Path, short_rounds: None) -> None:
    project = photo_project(tmp_path / "photos")
    finish_real_round(project)
    model = Model.build("resnet18", ("td",), 2, Seeds())
    model.save(project.checkpoints / "round-0001.safetensors")
    images = project.store.images.all()[-12:]
    rows = np.array([image.pixel_row for image in images])
    p = np.exp(score(model, project.pixels, rows).log_p)

    folder, _ = export_model(project, tmp_path / "out", "safetensors")

    compare(folder, dict(zip([image.uri for image in images], p, strict=True)), FORBIDDEN["safetensors"])
    project.close()


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_in_the_files_names_a_folder_of_this_machine(exported: Exported, name: str) -> None:
    folder = exported.folders[name]
    folder_names = [str(path).encode() for path in (Path(model_room.__file__).parents[3], folder.parent, Path.home())]
    for file in (path for path in folder.iterdir() if path.is_file()):  # running predict.py leaves a folder of its own
        packed = zipfile.ZipFile(file) if file.suffix == ".pt2" else None
        contents = [file.read_bytes()] if packed is None else [packed.read(member) for member in packed.namelist()]
        assert not [name for name in folder_names for content in contents if name in content], file


@pytest.mark.parametrize("n", [1, 3, 64])
def test_any_number_of_images_goes_through_onnx_at_once(exported: Exported, n: int) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(exported.folders["onnx"] / "model.onnx")
    pixels = np.random.default_rng(n).integers(0, 256, (n, 24, 24, 3), dtype=np.uint8)

    (together,) = session.run(None, {"pixels": pixels})

    assert together.shape == (n, 2)
    alone = np.concatenate([session.run(None, {"pixels": image[None]})[0] for image in pixels])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-5)


def test_the_studio_reads_the_safetensors_file_too(exported: Exported) -> None:
    assert Model.load(exported.folders["safetensors"] / "model.safetensors").n_classes == 2


def test_the_script_goes_on_after_a_file_that_is_no_image(exported: Exported, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("hello")
    Image.new("RGB", (20, 30), "red").save(tmp_path / "red.png")
    paths = [tmp_path / "words.txt", tmp_path / "gone.png", tmp_path / "red.png"]

    script = exported.folders["onnx"] / "predict.py"
    ended = subprocess.run([sys.executable, script, *paths], capture_output=True, text=True, check=False)

    assert f"{paths[0]}\tnot read: " in ended.stderr
    assert f"{paths[1]}\tnot read: " in ended.stderr
    assert ended.stdout.startswith(f"{paths[2]}\tred\t")
    assert ended.stdout.count("\n") == 1
