"""Agreement of people against examples that others computed, and against the definitions."""

from __future__ import annotations

import numpy as np
import pytest

from tidal_core.method.agreement import Votes, agreement, fleiss, in_words, krippendorff, pairs

# Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), example C: four observers, twelve units, "." missing.
FOUR_OBSERVERS = (
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
)


def votes_of(*rows: str) -> Votes:
    """A row of classes for each person, an image for each place."""
    given = [
        (image, who, int(label))
        for who, row in enumerate(rows)
        for image, label in enumerate(row.split())
        if label != "."
    ]
    images, people, classes = (np.array(column, dtype=np.int64) for column in zip(*given, strict=True))
    return Votes(images, people, classes)


def test_alpha_of_four_observers_is_the_published_one() -> None:
    assert krippendorff(votes_of(*FOUR_OBSERVERS).shared()) == pytest.approx(0.743, abs=5e-4)


def test_fleiss_kappa_of_fourteen_raters_is_the_published_one() -> None:
    """The example of Wikipedia's article on Fleiss' kappa: ten subjects, fourteen raters, five categories, 0.210."""
    counts = [
        (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1),
        (7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
    ]  # fmt: skip
    images = np.repeat(np.arange(10), 14)
    classes = np.concatenate([np.repeat(np.arange(5), row) for row in counts])
    # Whoever said it: the votes of an image are of people 0 to 139, no two images have the same people.
    assert fleiss(Votes(images, np.arange(140), classes)) == pytest.approx(0.210, abs=5e-4)


def test_cohens_kappa_is_the_one_computed_by_hand() -> None:
    # 50 proposals, two readers: both yes 20, both no 15, yes and no 5, no and yes 10: p_o 0.7, p_e 0.5.
    first = "1 " * 20 + "0 " * 15 + "1 " * 5 + "0 " * 10
    second = "1 " * 20 + "0 " * 15 + "0 " * 5 + "1 " * 10

    (pair,) = pairs(votes_of(first, second))

    assert (pair.images, pair.same) == (50, 35)
    assert pair.kappa == pytest.approx(0.4)


def test_alpha_is_one_less_observed_by_expected_disagreement_for_random_votes() -> None:
    rng = np.random.default_rng(3)
    given = rng.random((4, 30)) < 0.6
    said = rng.integers(0, 3, (4, 30))
    people, images = np.nonzero(given)
    votes = Votes(images, people, said[people, images]).shared()
    # Coincidences: every ordered pair of votes of an image, weighted by 1 / (votes of the image - 1).
    o = np.zeros((3, 3))
    for image in np.unique(votes.images):
        labels = votes.classes[votes.images == image]
        for place, first in enumerate(labels):
            for other, second in enumerate(labels):
                if place != other:
                    o[first, second] += 1 / (len(labels) - 1)
    n, total = o.sum(axis=1), o.sum()
    expected = (total**2 - (n**2).sum()) / (total - 1)
    observed = total - np.trace(o)

    assert krippendorff(votes) == pytest.approx(1 - observed / expected)


def test_everything_is_counted_per_image_class_and_pair() -> None:
    result = agreement(votes_of("1 1 2 2 . 3", "1 2 2 . 1 3", ". 1 2 2 . ."))

    assert (result.images, result.unanimous) == (5, 4), "the fifth image has one label only"
    assert {(pair.first, pair.second): (pair.images, pair.same) for pair in result.pairs} == {
        (0, 1): (4, 3),
        (0, 2): (3, 3),
        (1, 2): (2, 1),
    }
    of_class = {each.class_id: (each.images, each.unanimous) for each in result.classes}
    assert of_class == {1: (2, 1), 2: (3, 2), 3: (1, 1)}
    assert (result.fleiss_people, result.fleiss_images) in {(2, 3)}
    assert "4 of 5 images" in in_words(result)
    assert "may still be chance" in in_words(result)


def test_nobody_one_person_and_one_class_give_words_and_no_number() -> None:
    empty = np.empty(0, np.int64)
    assert "No image" in in_words(agreement(Votes(empty, empty, empty)))
    assert agreement(votes_of("1 2 1")).images == 0
    one_class = agreement(votes_of("1 1", "1 1"))
    assert (one_class.alpha, one_class.fleiss, one_class.pairs[0].kappa) == (None, None, None)
    assert "cannot be measured" in in_words(one_class)
