"""Weights of torchvision and the hub: small files in the original formats, where those keep them, and none at all."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file
from torch import Tensor
from torchvision.models import get_model, get_model_weights

from tests.helpers.training import stripes
from tidal_core.config import FROZEN, PixelSpec, Seeds
from tidal_core.engine import published_weights
from tidal_core.engine.downloads import download, hub_file
from tidal_core.engine.features.extract import Extractor, extract
from tidal_core.engine.features.store import FeatureStore
from tidal_core.engine.model import Model, build_model
from tidal_core.engine.pretrained import build_pretrained, load_body, preprocessing_of
from tidal_core.engine.published_weights import BUILT_IN, describe, feature_key
from tidal_core.engine.torchvision_facts import TORCHVISION
from tidal_core.engine.train_inputs import TrainOptions
from tidal_core.engine.training import train
from tidal_core.errors import InputError
from tidal_core.records import TrainImages

CPU = torch.device("cpu")
SMALL, OF_TIMM = "torchvision/mobilenet_v3_small", "timm/test_vit.r160_in1k"


@pytest.fixture(autouse=True)
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Empty places of torch and the hub."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))  # read from $HF_HOME once, at its import
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tmp_path
    torch.set_num_threads(n_threads)


def torchvision_weights(home: Path, name: str) -> torch.nn.Module:
    """A network with random weights, saved as torchvision's file of ``name``."""
    net = get_model(TORCHVISION[name].model, weights=None).eval()
    path = home / "torch/hub/checkpoints" / TORCHVISION[name].file
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = dict(net.state_dict())
    if "vit" in name:  # its published files have names of an earlier version
        earlier = {"mlp.0.": "mlp.linear_1.", "mlp.3.": "mlp.linear_2."}
        for new, old in earlier.items():
            tensors = {key.replace(new, old): value for key, value in tensors.items()}
    torch.save(tensors, path)
    return net


def hub_weights(home: Path, name: str) -> torch.nn.Module:
    """A network of timm with random weights, saved as the hub's client keeps its file."""
    net = timm.create_model(name.removeprefix("timm/"), pretrained=False).eval()
    repository = home / "hub" / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs/main").write_text("0123abc")
    (repository / "snapshots/0123abc").mkdir(parents=True)
    save_file(net.state_dict(), repository / "snapshots/0123abc/model.safetensors")
    return net


def some(side: int) -> Tensor:
    return torch.randn(2, 3, side, side)


@pytest.mark.parametrize("name", [SMALL, "torchvision/swin_t", "torchvision/vit_b_32"])
def test_a_file_of_torchvision_classifies_as_there(homes: Path, name: str) -> None:
    net, x = torchvision_weights(homes, name), some(224)

    backbone = build_pretrained(name, fetch=False)

    with torch.inference_mode():
        assert torch.allclose(backbone(x)[0], net(x), atol=1e-4)


def test_a_file_of_the_hub_gives_the_features_of_timm(homes: Path) -> None:
    net, x = hub_weights(homes, OF_TIMM), some(160)

    with torch.inference_mode():
        vector = build_pretrained(OF_TIMM, fetch=False)(x)[1][-1]

        assert torch.allclose(vector, net.forward_head(net.forward_features(x), pre_logits=True), atol=1e-5)


@pytest.mark.parametrize("name", [SMALL, OF_TIMM])
def test_a_head_trains_on_frozen_features(homes: Path, name: str) -> None:
    (torchvision_weights if name == SMALL else hub_weights)(homes, name)
    squares, labels = stripes(12, 2, side=32)
    pixels, rows = homes / "pixels.npy", np.arange(12)
    np.save(pixels, squares)
    store = FeatureStore(homes / "features", feature_key(name, PixelSpec(32)))
    extractor = Extractor(name, device=CPU)
    assert extract(extractor, pixels, store, rows)
    config = replace(FROZEN, backbone=name, epochs=2, min_steps=0, batch_size=6)
    model = build_model(config, 2, Seeds(), CPU)

    records = list(train(config, TrainImages(pixels, rows, labels, 2, store.path), model, Seeds(), TrainOptions()))
    model.save(homes / "weights.safetensors")

    assert [record.epoch for record in records] == [1, 2]
    loaded = Model.load(homes / "weights.safetensors", CPU)
    assert all(torch.equal(value, loaded.state()[key]) for key, value in model.state().items())


def test_squares_are_prepared_as_the_weights_want(homes: Path) -> None:
    torchvision_weights(homes, SMALL)
    squares, _ = stripes(2, 2, side=40)
    prepare = get_model_weights("mobilenet_v3_small").DEFAULT.transforms(resize_size=224)
    x = prepare(torch.from_numpy(squares).permute(0, 3, 1, 2))
    with torch.inference_mode():
        vector = build_pretrained(SMALL, fetch=False)(x)[1][-1].numpy()

    features = Extractor(SMALL, device=CPU)(squares)[:, -vector.shape[1] :]

    np.testing.assert_allclose(features, vector, rtol=5e-2, atol=2e-2)


def test_fine_tuning_starts_from_the_body_and_its_own_classes(homes: Path) -> None:
    net = torchvision_weights(homes, SMALL)
    model = Model.build(SMALL, (), 3, Seeds())
    head = model.head()[0].clone()

    load_body(model.backbone, SMALL)

    assert torch.equal(model.head()[0], head)
    assert torch.equal(model.backbone.state_dict()["body.features.0.0.weight"], net.features[0][0].weight)


@pytest.mark.parametrize(
    ("name", "file"),
    [(SMALL, r"mobilenet_v3_small-047dcff4.pth \(10 MB\)"), (OF_TIMM, r"model.safetensors \(about 1 MB\)")],
)
def test_without_a_network_the_file_its_size_and_place_are_named(homes: Path, name: str, file: str) -> None:
    with pytest.raises(
        InputError, match=f"fetch {file} from .*, and put it at {homes}/torch/hub/checkpoints/"
    ) as caught:
        build_pretrained(name, fetch=False)

    assert "Until then the project goes on with efficientnet-lite0" in str(caught.value)


def test_a_file_put_where_the_message_says_is_used(homes: Path) -> None:
    hub_weights(homes, OF_TIMM)
    given = homes / "torch/hub/checkpoints/timm/test_vit.r160_in1k.safetensors"
    given.parent.mkdir(parents=True)
    (held,) = (homes / "hub").rglob("model.safetensors")
    held.rename(given)

    assert build_pretrained(OF_TIMM, fetch=False).stage_channels == (64, 64, 64, 64)


@pytest.mark.parametrize("content", [b"no weights at all", b""])
def test_a_damaged_file_is_named(homes: Path, content: bytes) -> None:
    path = homes / "torch/hub/checkpoints" / TORCHVISION[SMALL].file
    path.parent.mkdir(parents=True)
    path.write_bytes(content)

    with pytest.raises(InputError, match=f"{path.name} does not hold the weights of {SMALL}.*delete it and try again"):
        build_pretrained(SMALL)


@pytest.fixture
def served() -> Iterator[tuple[str, bytes]]:
    """An address of this machine that answers every path with the same three megabytes, as a hub would."""
    content = bytes(range(256)) * 12_000

    class Answers(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", '"abc"')
            self.send_header("X-Repo-Commit", "0123abc")
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", content
        server.shutdown()
        thread.join()


def test_a_download_reports_its_bytes_and_is_checked(homes: Path, served: tuple[str, bytes]) -> None:
    url, content = served
    reports: list[tuple[int, int | None]] = []
    whole = homes / f"net-{hashlib.sha256(content).hexdigest()[:8]}.pth"

    download(f"{url}/net.pth", whole, lambda done, total: reports.append((done, total)))

    assert whole.read_bytes() == content
    assert reports[-1] == (len(content), len(content))
    assert len(reports) >= 3
    with pytest.raises(InputError, match="is not the published one"):
        download(f"{url}/net.pth", homes / "net-00000000.pth")
    assert not (homes / "net-00000000.pth").exists()


def test_the_hub_s_client_reports_its_bytes(
    homes: Path, served: tuple[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, content = served
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
    reports: list[tuple[int, int | None]] = []

    path = hub_file("timm/any", "model.safetensors", fetch=True, progress=lambda *report: reports.append(report))

    assert path.read_bytes() == content
    assert reports[-1] == (len(content), len(content))
    assert hub_file("timm/any", "model.safetensors", fetch=False) == path


@pytest.mark.parametrize("name", TORCHVISION)
def test_what_is_noted_of_torchvision_is_what_it_says(name: str) -> None:
    facts = TORCHVISION[name]
    weights = get_model_weights(facts.model).DEFAULT
    transforms = weights.transforms()

    assert weights.url.endswith(f"/{facts.file}")
    assert facts.megabytes == round(weights.meta["_file_size"])
    assert [facts.preprocessing.side] == transforms.crop_size
    assert facts.preprocessing.interpolation == transforms.interpolation.value
    assert (facts.preprocessing.mean, facts.preprocessing.std) == (tuple(transforms.mean), tuple(transforms.std))


def test_features_are_noted_with_the_weights_they_are_of() -> None:
    assert feature_key("torchvision/resnet50", PixelSpec(224)).weights == "resnet50-11ad3fa6.pth"
    assert feature_key(OF_TIMM, PixelSpec(224)).weights == "r160_in1k"
    assert feature_key("timm/test_vit", PixelSpec(224)).weights == f"the default of timm {timm.__version__}"
    assert preprocessing_of(OF_TIMM).side == 160
    with pytest.raises(InputError, match="no pretrained weights for 'small'"):
        feature_key("small", PixelSpec(224))
    with pytest.raises(InputError, match="no backbone 'vit'"):
        feature_key("vit", PixelSpec(224))


def test_every_listed_name_is_known_and_described() -> None:
    assert [describe(name).name for name in (*BUILT_IN, *TORCHVISION)] == [*BUILT_IN, *TORCHVISION]
    with pytest.raises(InputError, match="no backbone 'torchvision/alexnet'"):
        describe("torchvision/alexnet")
    assert describe("torchvision/resnet50").megabytes == 98
    assert not describe("efficientnet-lite0").downloads


def test_without_timm_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr(published_weights, "version", missing)

    with pytest.raises(InputError, match="needs the package timm"):
        describe(OF_TIMM)
    with pytest.raises(InputError, match=r"needs the package timm, .*run: python -m pip install timm"):
        build_pretrained(OF_TIMM)
