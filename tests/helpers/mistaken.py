"""Labels of which some are planted mistakes, on frozen features."""

from __future__ import annotations

from tests.helpers.frozen import compute_all, frozen_project
from tidal_core.projects import Project
from tidal_core.records import Answer, AnswerKind, Purpose


def mistaken_project(n: int = 60, wrong: int = 4, first: int = 5, **changed: object) -> tuple[Project, list[int]]:
    """A project of three colours with all ``n`` pool images labelled and their features; ids of the wrong labels."""
    project = frozen_project(n, test=0, **changed)
    compute_all(project)
    planted = [first + 7 * number for number in range(wrong)]
    answers = []
    for image in project.store.images.all():
        known = image.known_class or 1
        given = known % 3 + 1 if image.id in planted else known
        answers.append(Answer(f"planted-{image.id}", AnswerKind.LABEL, image.id, class_id=given, purpose=Purpose.QUERY))
    project.store.answers.record(answers)
    return project, planted
