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
import torch
from PIL import Image
from torchvision.models import get_model

from tests.export.model.conftest import Exported
from tests.export.model.photos import finish_real_round, photo_project, studio_says
from tests.helpers.frozen import compute_all, frozen_project, run_round
from tests.helpers.tiny import label_next
from tidal_core.config import Seeds
from tidal_core.engine.backbones.torchvision_models import resized
from tidal_core.engine.model import Model, read_tensors
from tidal_core.engine.preprocessing import Interpolation, Preprocessing
from tidal_core.engine.scoring import score
from tidal_core.engine.torchvision_facts import TORCHVISION
from tidal_core.errors import InputError
from tidal_core.export import model as model_room
from tidal_core.export.model import export_model
from tidal_core.export.model.deployed import Resize
from tidal_core.images.pixels import PixelStore
from tidal_core.rounds.queue_plan import fill_queue

FORMATS = ("onnx", "torch", "safetensors")
PHOTOS = 41
MOBILENET = "torchvision/mobilenet_v3_small"
PIXEL_MOMENTS = ("pixel_mean", "pixel_std")

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


def compare(folder: Path, expected: dict[str, np.ndarray], forbidden: tuple[str, ...], *, within: float = 1e-4) -> None:
    """Predictions of predict.py and the studio's, image by image; probabilities may differ by ``within``."""
    classes = [entry["name"] for entry in json.loads((folder / "classes.json").read_text())]
    ended = run_predict(folder, list(expected), forbidden)
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = [line.split("\t") for line in ended.stdout.splitlines()]
    assert [path for path, _, _ in lines] == list(expected)
    for path, label, probability in lines:
        p = expected[path]
        assert label == classes[int(p.argmax())], path
        assert abs(float(probability) - p.max()) < within, path


def random_weights(torch_home: Path, name: str) -> None:
    """A network with random weights that tells images apart, kept where torch keeps those that it has fetched."""
    path = torch_home / "hub/checkpoints" / TORCHVISION[name].file
    path.parent.mkdir(parents=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = get_model(TORCHVISION[name].model, weights=None).train()
        for layer in (layer for layer in net.modules() if isinstance(layer, torch.nn.BatchNorm2d)):
            layer.momentum = 1.0  # its statistics become those of the next images
        net(torch.randn(8, 3, 64, 64))
        torch.save(net.state_dict(), path)


@pytest.mark.parametrize("name", FORMATS)
def test_predictions_are_the_studios_image_by_image(exported: Exported, name: str) -> None:
    assert len(exported.expected) == PHOTOS
    compare(exported.folders[name], exported.expected, FORBIDDEN[name])


@pytest.mark.parametrize("name", FORMATS)
def test_a_frozen_round_goes_out_with_its_body(exported_frozen: Exported, name: str) -> None:
    # The studio keeps features in float16, which its head reads; an exported model has them in float32.
    compare(exported_frozen.folders[name], exported_frozen.expected, FORBIDDEN[name], within=5e-4)


@pytest.mark.parametrize("name", ["torch", "safetensors"])
def test_a_fine_tuned_round_goes_out_whole(exported_fine_tuned: Exported, name: str) -> None:
    compare(exported_fine_tuned.folders[name], exported_fine_tuned.expected, FORBIDDEN[name])


def test_the_card_and_the_settings_tell_the_body_its_licence_and_the_size(
    exported_frozen: Exported, exported_fine_tuned: Exported
) -> None:
    folder = exported_frozen.folders["onnx"]
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "Its body is an EfficientNet-Lite0, pretrained on ImageNet-1k, and frozen" in card
    assert "Licence of the pretrained weights: Apache 2.0." in card
    assert "Trains a classifier on the frozen features of an EfficientNet-Lite0, on 12 labelled images" in card
    assert f"`model.onnx` ({(folder / 'model.onnx').stat().st_size / 1e6:.1f} MB) is the whole model" in card
    settings = json.loads((folder / "preprocessing.json").read_text(encoding="utf-8"))
    assert (settings["size"], settings["mean"], settings["std"]) == (32, [127 / 255] * 3, [128 / 255] * 3)
    assert settings["resizing"] == "none: the network takes the squares at their size"
    whole = (exported_fine_tuned.folders["safetensors"] / "README.md").read_text(encoding="utf-8")
    assert "It began as an EfficientNet-Lite0, pretrained on ImageNet-1k; all of it was trained further" in whole
    assert "Starts from published weights" in whole


def test_a_frozen_body_of_another_library_goes_out_with_its_resizing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    random_weights(tmp_path / "torch", MOBILENET)
    project = frozen_project(12, 3, backbone=MOBILENET)
    compute_all(project)
    fill_queue(project)
    label_next(project, 6)
    run_round(project)
    table = project.store.exports.predictions(1).to_pylist()
    expected = np.array([row["p"] for row in sorted(table, key=lambda row: row["image_id"])])

    folder, facts = export_model(project, tmp_path / "out", "torch")

    assert facts.preprocessing()["resizing"] == "inside the model: to 224 by 224 pixels, bilinear with antialiasing"
    model = torch.export.load(folder / "model.pt2").module()
    p = model(torch.from_numpy(PixelStore(project.pixels)[np.arange(15)])).detach().numpy()
    np.testing.assert_allclose(p, expected, atol=1e-3)
    assert set(p.argmax(axis=1)) == {0, 1, 2}
    with pytest.raises(InputError, match=r"small, resnet18, efficientnet-lite0 and not for 'torchvision/.* onnx or to"):
        export_model(project, tmp_path / "other", "safetensors")
    assert not (tmp_path / "other").exists()
    project.close()


TRACE = """
import torch
from tidal_core.engine.backbones.torchvision_models import as_map
class Stage(torch.nn.Module):
    def forward(self, x):
        return as_map(x, {family!r})
images = {{"x": {{0: torch.export.Dim("images")}}}}
traced = torch.export.export(Stage(), (torch.zeros(4, {shape}),), dynamic_shapes=images).module()
print(tuple(traced(torch.zeros(7, {shape})).shape))
"""


@pytest.mark.parametrize(("family", "shape"), [("vit", "10, 6"), ("swin", "3, 3, 6")])
def test_what_a_transformer_shows_can_be_traced_for_any_number_of_images(family: str, shape: str) -> None:
    ended = subprocess.run(  # in a process of its own, because tracing changes settings
        [sys.executable, "-c", TRACE.format(family=family, shape=shape)], capture_output=True, text=True, check=False
    )

    assert ended.stdout == "(7, 6, 3, 3)\n", ended.stderr


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [8, 96, 224, 300])
def test_squares_are_resized_inside_a_model_as_for_the_studios_features(
    size: int, interpolation: Interpolation
) -> None:
    x = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0)).round() * 255
    expected = resized(x, 224, interpolation).clamp(0, 255)

    x = Resize(size, Preprocessing(224, (0.5,) * 3, (0.5,) * 3, interpolation, resizes=True))(x)

    torch.testing.assert_close(x, expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("training", ["exported", "exported_frozen"])
def test_the_photos_are_told_apart_so_that_the_comparison_means_something(
    training: str, request: pytest.FixtureRequest
) -> None:
    exported: Exported = request.getfixturevalue(training)
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


@pytest.mark.parametrize("training", ["exported", "exported_frozen", "exported_fine_tuned"])
def test_the_studio_reads_the_safetensors_file_too(training: str, request: pytest.FixtureRequest) -> None:
    exported: Exported = request.getfixturevalue(training)

    assert Model.load(exported.folders["safetensors"] / "model.safetensors").n_classes == 2


def test_a_frozen_file_holds_neither_the_module_nor_the_heads_of_all_epochs(exported_frozen: Exported) -> None:
    tensors, _ = read_tensors(exported_frozen.folders["safetensors"] / "model.safetensors")

    assert {name.partition(".")[0] for name in tensors} == {*("body", "backbone", "mean", "std"), *PIXEL_MOMENTS}
    assert not [name for name in tensors if name.startswith("body.classifier")]


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


@pytest.mark.parametrize("name", FORMATS)
def test_predict_py_takes_folders_files_and_patterns_and_names_what_it_cannot_read(
    exported: Exported, tmp_path: Path, name: str
) -> None:
    photos = tmp_path / "photos"
    for place in ("a.png", "below/b.PNG", "below/deeper/c.png", "other.png"):
        (photos / place).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (30, 20), "red").save(photos / place, "PNG")
    (photos / "notes.txt").write_text("no image")
    (photos / "below/no-image.jpg").write_text("no image")
    (photos / "below/cut-off.png").write_bytes((photos / "a.png").read_bytes()[:60])
    (tmp_path / "empty").mkdir()
    below, pattern = str(photos / "below"), str(photos / "*.p[n]g")

    asked = [below, pattern, str(photos / "gone.png"), str(photos / "*.webp"), str(tmp_path / "empty")]
    ended = run_predict(exported.folders[name], asked, FORBIDDEN[name])

    assert [line.split("\t")[0] for line in ended.stdout.splitlines()] == [
        str(photos / place) for place in ("below/b.PNG", "below/deeper/c.png", "a.png", "other.png")
    ]
    reasons = dict(line.split("\t") for line in ended.stderr.splitlines())
    assert reasons.pop(str(photos / "below/cut-off.png")).startswith("not read: it is damaged or cut off (")
    assert reasons == {
        str(photos / "below/no-image.jpg"): "not read: it is not an image of a known kind",
        str(photos / "gone.png"): "not read: there is no such file",
        str(photos / "*.webp"): "nothing matches this",
        str(tmp_path / "empty"): "there is no image in this folder",
    }
    assert ended.returncode == 0
    assert run_predict(exported.folders[name], [str(photos / "gone.png")], FORBIDDEN[name]).returncode == 1
