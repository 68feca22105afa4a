"""What is asked after every answer costs what was answered, not what there is: work is counted, never timed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from benchmarks.made_up import Size, make
from tidal_core.images.ingest import draw_audit_order
from tidal_core.labelling.desk import desk_of
from tidal_core.labelling.sheets import SHEET_AT_MOST
from tidal_core.projects import Project
from tidal_core.records import Answer, AnswerKind, ImageStatus
from tidal_core.rounds import audit
from tidal_core.store import answers as answers_module
from tidal_core.store.acts import Act, ActKind

POOL, LABELLED, CLASSES = 1_500, 12, 3


@pytest.fixture
def project() -> Iterator[Project]:
    made = make("work", Size(labelled=LABELLED, pool=POOL, test=6, rounds=1, epochs=2, classes=CLASSES))
    yield made
    made.close()


def test_only_answered_images_are_joined_for_the_counts(project: Project) -> None:
    store = project.store
    store.answers.record([Answer("skip", AnswerKind.SKIP, 100), Answer("new", AnswerKind.LABEL, 101, class_id=1)])
    store.images.set_status([200, 201, 202], ImageStatus.HIDDEN)
    store.acts.perform(Act(ActKind.EXCLUDE), lambda: np.array([1, 300]), np.empty(0, np.int64))

    census = store.answers.census(0)
    joined = sum(row[-1] for row in store.database.rows(answers_module._ANSWERED, [0]))

    assert joined == LABELLED + 2 - 1  # one labelled image is excluded
    assert census.tally == (LABELLED + POOL - 2 - 3, LABELLED, 1, POOL - 2 - 3 - 1, 3)
    assert sum(census.by_class.values()) == LABELLED


def test_a_sheet_is_chosen_from_so_many_of_each_class(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    scores, read = project.store.scores, []
    asked = scores.unanswered
    whole: list[tuple[int, int, float]] = []

    def counted(round_id: int, tab: str, temperature: float, **more: Any) -> list[tuple[int, int, float]]:
        whole.extend(asked(round_id, tab, temperature))
        rows = asked(round_id, tab, temperature, **more)
        read.append(len(rows))
        return rows

    monkeypatch.setattr(scores, "unanswered", counted)
    sheet = desk_of(project).sheet("tab", SHEET_AT_MOST, None, [])

    assert read == [CLASSES * 2 * SHEET_AT_MOST]
    of_class = [image_id for image_id, class_id, _ in whole if class_id == sheet.class_id]
    assert [image.id for image, _ in sheet.images] == of_class[:SHEET_AT_MOST]


def test_the_front_of_each_class_leaves_out_what_is_named(project: Project) -> None:
    scores = project.store.scores
    whole = scores.unanswered(1, "tab")
    gone = {whole[0][0], whole[5][0]}

    front = scores.unanswered(1, "tab", without=gone, most=7)

    assert Counter(class_id for _, class_id, _ in front) == dict.fromkeys(range(1, CLASSES + 1), 7)
    kept = [row for row in whole if row[0] not in gone]
    for class_id in range(1, CLASSES + 1):
        assert [row for row in front if row[1] == class_id] == [row for row in kept if row[1] == class_id][:7]


def test_what_a_strategy_may_choose_from_is_sorted_and_holds_nothing_reserved(project: Project) -> None:
    draw_audit_order(project)
    reserved, unlabelled = audit.reserved(project), project.store.images.unlabelled_ids()

    rankable = audit.rankable(project)

    assert len(reserved) > 100
    assert rankable.tolist() == sorted(set(unlabelled.tolist()) - set(reserved.tolist()))
