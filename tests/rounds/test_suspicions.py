"""Which labels of a real project look wrong: on real features, after rounds without any, and on copies."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.made_up import Size, make
from tests.helpers.tiny import tiny_project
from tidal_core.config import ProjectSettings
from tidal_core.images.ingest import ingest
from tidal_core.labelling import review
from tidal_core.labelling.desk import desk_of
from tidal_core.projects import Project, create_project
from tidal_core.records import Answer, AnswerKind, Purpose
from tidal_core.rounds.suspicions import suspicions_of


def test_planted_mistakes_come_first_before_any_round(mistaken: tuple[Project, list[int]]) -> None:
    project, planted = mistaken

    suspicions = suspicions_of(project)

    first = suspicions.order()[: len(planted)]
    assert sorted(suspicions.image_ids[first].tolist()) == planted
    known = {image.id: image.known_class for image in project.store.images.all()}
    assert [known[image] for image in suspicions.image_ids[first].tolist()] == suspicions.suggested[first].tolist()
    assert suspicions.is_out_of_fold
    assert suspicions.round_id is None
    assert abs(suspicions.contradicted - len(planted)) <= 2


def test_images_that_measure_accuracy_are_left_out(mistaken: tuple[Project, list[int]]) -> None:
    project, planted = mistaken
    project.store.answers.record([Answer("audited", AnswerKind.LABEL, planted[0], class_id=1, purpose=Purpose.AUDIT)])

    assert planted[0] not in suspicions_of(project).image_ids


def test_without_features_the_curves_of_the_last_round_judge() -> None:
    project = make("curves", Size(labelled=40, pool=20, test=10, rounds=2, epochs=5))

    suspicions = suspicions_of(project)

    assert set(suspicions.signals) == {"margin_area", "p_bar"}
    assert not suspicions.is_out_of_fold
    seen = project.store.views.map(2)
    hardest = seen.image_ids[np.argmin(seen.statistics["margin_area"])]
    assert hardest in suspicions.image_ids[suspicions.order("margin_area")[:1]]
    assert suspicions.contradicted == int((seen.statistics["margin_area"] < 0).sum())
    later = np.setdiff1d(suspicions.image_ids, seen.image_ids)
    assert set(suspicions.image_ids[suspicions.order()[-len(later) :]].tolist()) == set(later.tolist())
    project.close()


def test_a_label_that_was_changed_since_the_round_is_judged_by_nothing_of_it() -> None:
    project = make("curves", Size(labelled=40, pool=20, test=10, rounds=2, epochs=5))
    before = project.store.answers.labels().class_ids[0]
    project.store.answers.record([Answer("other", AnswerKind.LABEL, 1, class_id=int(before) % 10 + 1)])

    suspicions = suspicions_of(project)

    assert np.isnan(suspicions.signals["margin_area"][0])
    assert suspicions.suggested[0] == 0
    project.close()


def test_copies_with_different_labels_come_first() -> None:
    project = tiny_project(12, test=0, side=32)
    with project.store.database.write() as cursor:
        cursor.execute("UPDATE images SET phash = 7 WHERE id IN (1, 4, 7)")  # squares of one colour, and noise
        cursor.execute("UPDATE images SET pixel_row = 0 WHERE id IN (4, 7)")
    project.store.answers.record(
        [Answer(f"a{image}", AnswerKind.LABEL, image, class_id=2 if image == 4 else 1) for image in (1, 2, 4, 7)]
    )

    suspicions = suspicions_of(project)

    assert suspicions.image_ids.tolist() == [1, 2, 4, 7]
    assert suspicions.twins.tolist() == [4, 0, 1, 4]
    assert suspicions.image_ids[suspicions.order()].tolist() == [1, 4, 7]
    project.close()


def picture(seed: int) -> Image.Image:
    """Something with soft shapes, as a photo has."""
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((160, 160), Image.Resampling.BICUBIC)


def test_real_copies_that_were_imported_under_two_classes_come_first(tmp_path: Path) -> None:
    for folder in ("cat", "dog"):
        (tmp_path / "photos" / folder).mkdir(parents=True)
    for number in range(4):
        picture(number).save(tmp_path / "photos" / "cat" / f"{number}.jpg", quality=95)
        picture(number + 10).save(tmp_path / "photos" / "dog" / f"{number + 10}.jpg", quality=95)
    shutil.copy(tmp_path / "photos" / "cat" / "0.jpg", tmp_path / "photos" / "dog" / "exact.jpg")
    picture(1).save(tmp_path / "photos" / "dog" / "saved again.jpg", quality=35)
    picture(12).resize((97, 97)).save(tmp_path / "photos" / "cat" / "smaller.png")
    project = create_project("copies", ProjectSettings(title="copies", training_size=32, preset="quick"))
    ingest(project, str(tmp_path / "photos"), labels="answers")
    names = {image.id: image.name for image in project.store.images.all()}
    ids = {Path(name).name: image_id for image_id, name in names.items()}
    cat, dog = (record.id for record in project.store.classes.all())

    suspicions = suspicions_of(project)
    suspects = {suspect.image_id: suspect for suspect in review.waiting(project, suspicions, "combined")}

    assert {Path(names[image]).name for image in suspects} == {
        "0.jpg", "1.jpg", "saved again.jpg", "12.jpg", "smaller.png"
    }  # fmt: skip
    exact = suspects[ids["0.jpg"]]
    assert (exact.twin, exact.label, exact.suggested) == (exact.image_id, cat, dog)
    assert suspects[ids["saved again.jpg"]].twin == ids["1.jpg"]
    assert suspects[ids["smaller.png"]].suggested == dog

    # One of two is changed, and the image with two labels kept: nothing is left of these.
    desk = desk_of(project)
    review.answer(desk, suspects[ids["saved again.jpg"]], "change", "a", "me", cat)
    review.answer(desk, exact, "keep", "b", "me")
    left = {suspect.image_id for suspect in review.waiting(project, suspicions, "combined")}
    assert left == {ids["12.jpg"], ids["smaller.png"]}
    ingest(project, str(tmp_path / "photos"), labels="answers")
    assert set(suspicions_of(project).twins.tolist()) == {0, ids["12.jpg"], ids["smaller.png"]}
    project.close()


@pytest.mark.parametrize("labelled", [0, 1])
def test_nothing_is_said_of_no_label_and_of_one(labelled: int) -> None:
    project = tiny_project(6, test=0)
    project.store.answers.record([Answer(f"a{i}", AnswerKind.LABEL, i + 1, class_id=1) for i in range(labelled)])

    suspicions = suspicions_of(project)

    assert len(suspicions.image_ids) == labelled
    assert suspicions.order().tolist() == []
    project.close()
