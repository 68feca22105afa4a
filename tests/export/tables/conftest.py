"""A project of six photos in two classes, four of them labelled by two annotators."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.images.photos import save
from tidal_core.config import ProjectSettings
from tidal_core.images.ingest import ingest
from tidal_core.projects import Project, create_project
from tidal_core.records import Answer, AnswerKind


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    for seed in range(6):
        save(tmp_path / "photos" / f"{seed}.jpg", seed=seed)
    made = create_project("flowers", ProjectSettings(training_size=16))
    ingest(made, str(tmp_path / "photos"))
    made.store.classes.add(["daisy", "=cmd('x')"])
    made.store.answers.record(
        [
            Answer("a", AnswerKind.LABEL, image_id=1, class_id=1),
            Answer("b", AnswerKind.LABEL, image_id=2, class_id=2, annotator="Zoë"),
            Answer("c", AnswerKind.LABEL, image_id=3, class_id=2),
            Answer("d", AnswerKind.LABEL, image_id=4, class_id=1),
            Answer("e", AnswerKind.UNDO, image_id=3, undoes="c"),
            Answer("f", AnswerKind.SKIP, image_id=5, note="blurred"),
        ]
    )
    yield made
    made.close()
