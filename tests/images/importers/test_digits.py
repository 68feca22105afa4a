"""The demo's digits."""

import numpy as np
from sklearn.datasets import load_digits as sklearn_digits

from tests.images.photos import pixels_of
from tidal_core.images.importers import scan
from tidal_core.images.importers.base import FoundImage
from tidal_core.images.importers.digits import split_indices
from tidal_core.images.sources.digits import load_digits
from tidal_core.records import Split


def digits() -> list[FoundImage]:
    return [item for item in scan("digits").items if isinstance(item, FoundImage)]


def test_there_are_1797_digits_of_ten_classes_with_their_keys() -> None:
    demo = scan("digits:")

    assert demo.total == 1_797 == len(digits())
    assert [(digit_class.name, digit_class.key) for digit_class in demo.classes] == [
        (str(d), str(d)) for d in range(10)
    ]


def test_pixels_and_labels_are_scikit_learns() -> None:
    inks, labels = sklearn_digits(return_X_y=True)
    pixels, ours = load_digits()

    assert np.array_equal(ours, labels)
    assert np.array_equal(pixels.reshape(len(inks), -1), np.rint(inks * 255 / 16).astype(np.uint8))


def test_a_digit_opens_as_an_eight_pixel_image() -> None:
    pixels, facts = pixels_of(digits()[17].read(), "17")

    assert (facts.width, facts.height) == (8, 8)
    assert np.array_equal(pixels[..., 0], load_digits()[0][17])


def test_500_are_the_test_split_with_every_class_in_its_share() -> None:
    _, labels = load_digits()
    test = np.bincount(labels[split_indices()], minlength=10)

    assert test.sum() == 500
    assert np.abs(test - np.bincount(labels) * 500 / 1_797).max() < 1
    assert sum(image.split is Split.TEST for image in digits()) == 500


def test_the_test_split_is_the_same_each_time() -> None:
    first = split_indices().copy()
    split_indices.cache_clear()

    assert np.array_equal(split_indices(), first)
