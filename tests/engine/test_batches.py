"""Pixels where they are needed, and augmentation with a draw for each image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from tests.helpers.training import brief, training_images
from tidal_core.config import Seeds
from tidal_core.engine import batches
from tidal_core.engine.batches import PixelBatches, Place, augment, choose_place, open_pixels
from tidal_core.engine.model import build_model
from tidal_core.engine.train_inputs import TrainOptions
from tidal_core.engine.training import train
from tidal_core.errors import InputError

CPU = torch.device("cpu")


def ramps(n: int, side: int = 16) -> Tensor:
    """Images whose channels hold the row, the column and the image's number."""
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return torch.stack([torch.stack((rows, columns, torch.full_like(rows, i)), dim=2) for i in range(n)]).byte()


def test_each_image_is_shifted_by_a_draw_of_its_own_within_reach() -> None:
    augmented = augment(ramps(64), brief(augmentation="crop", crop_padding=4), Generator().manual_seed(1))
    down, right = augmented[:, 8, 8, 0].int() - 8, augmented[:, 8, 8, 1].int() - 8  # 4 pixels at 32 are 2 at 16

    assert set(down.tolist()) == set(right.tolist()) == {-2, -1, 0, 1, 2}
    assert (augmented[..., 2] == torch.arange(64).view(64, 1, 1)).all()


def test_half_of_the_images_are_mirrored_where_asked_and_none_elsewhere() -> None:
    for augmentation, expected in (("flip-crop", pytest.approx(0.5, abs=0.15)), ("crop", 0)):
        config = brief(augmentation=augmentation, crop_padding=0)
        augmented = augment(ramps(200), config, Generator().manual_seed(1))

        assert (augmented[:, 0, 0, 1] == 15).float().mean().item() == expected


def test_what_moves_in_is_the_edge_or_black() -> None:
    white = torch.full((64, 16, 16, 3), 255, dtype=torch.uint8)
    draws = [Generator().manual_seed(1) for _ in range(2)]
    edge, black = (augment(white, brief(crop_fill=fill), g) for fill, g in zip(("edge", "black"), draws, strict=True))

    assert (edge == 255).all()
    assert (black[:, 0] == 0).any()
    assert (black[:, 4:12, 4:12] == 255).all()


def test_without_augmentation_images_are_left_as_they_are() -> None:
    assert torch.equal(augment(ramps(3), brief(augmentation="none"), Generator()), ramps(3))


def test_the_normalised_training_images_have_mean_nought_and_deviation_one(tmp_path: Path) -> None:
    images = training_images(tmp_path, n=60)
    source = PixelBatches(open_pixels(images.pixels), images.rows, CPU)
    model = build_model(brief(), 3, Seeds(), CPU)
    model.mean, model.std = source.moments()

    x = model.normalise(source.take(torch.arange(60)))

    assert torch.allclose(x.mean((0, 2, 3)), torch.zeros(3), atol=1e-4)
    assert torch.allclose(x.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-4)


def test_images_of_one_colour_can_be_normalised(tmp_path: Path) -> None:
    np.save(tmp_path / "pixels.npy", np.full((4, 8, 8, 3), 77, np.uint8))
    _, std = PixelBatches(open_pixels(tmp_path / "pixels.npy"), np.arange(4), CPU).moments()

    assert (std > 0).all()


@pytest.mark.parametrize("place", ["host", "file"])
def test_a_round_ends_the_same_wherever_its_pixels_are(tmp_path: Path, place: Place) -> None:
    images, ends = training_images(tmp_path), []
    for where in ("device", place):
        model = build_model(brief(), 3, Seeds(), CPU)
        list(train(brief(), images, model, Seeds(), TrainOptions(place=where)))  # type: ignore[arg-type]
        ends.append(model.state())

    assert all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())


def test_pixels_go_to_the_device_to_the_host_or_stay_in_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    free = {"cuda": 1_000, "cpu": 10_000}
    monkeypatch.setattr(batches, "free_bytes", lambda device: free[device.type])

    places = [choose_place(n, torch.device("cuda")) for n in (400, 401, 4_000, 4_001)]

    assert places == ["device", "host", "host", "file"]
    assert choose_place(4_001, CPU) == "file"


@pytest.mark.parametrize(
    "content", [np.zeros((2, 8, 8), np.uint8), np.zeros((2, 8, 8, 3)), np.zeros((2, 8, 9, 3), "u1")]
)
def test_a_file_that_holds_no_pixels_is_refused(tmp_path: Path, content: np.ndarray) -> None:
    np.save(tmp_path / "pixels.npy", content)

    with pytest.raises(InputError, match=r"should be uint8 .*; save another size of the pixel cache"):
        open_pixels(tmp_path / "pixels.npy")


def test_what_was_read_ahead_is_given_only_if_it_is_asked_for(tmp_path: Path) -> None:
    images = training_images(tmp_path)
    pixels = open_pixels(images.pixels)
    batches = PixelBatches(pixels, images.rows, torch.device("cpu"), "file")

    first = batches.take(torch.tensor([0, 1]), torch.tensor([2, 3]))
    other = batches.take(torch.tensor([4, 5]))  # not what was foreseen
    batches.close()

    np.testing.assert_array_equal(first.numpy(), pixels[np.array([0, 1])])
    np.testing.assert_array_equal(other.numpy(), pixels[np.array([4, 5])])
