"""The audit sample: its share, who is in it, that nothing trains on it, ranks it or sweeps it, what it estimates."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.finished import finish_round
from tests.helpers.tiny import label_next, tiny_project
from tidal_core.config import ProjectSettings
from tidal_core.labelling import explaining
from tidal_core.labelling.desk import desk_of
from tidal_core.method.dynamics import wilson
from tidal_core.projects import Project
from tidal_core.records import Answer, AnswerKind, AnswerMode, Purpose, QueueItem
from tidal_core.rounds import audit
from tidal_core.rounds.due import claim_round, round_due
from tidal_core.rounds.queue_plan import fill_queue, plan_queue
from tidal_core.rounds.run import RoundRun
from tidal_core.store.answers import ImportedLabels

SHARES = [0.05, 0.1, 0.15, 0.25, 0.3, 0.4, 0.45, 0.5]
SETTINGS = ProjectSettings(title="audit", training_size=8, labels_per_round=6, audit_share=0.25)


@pytest.fixture
def project() -> Iterator[Project]:
    project = tiny_project(name="audit", test=0, settings=SETTINGS)
    fill_queue(project)
    yield project
    project.close()


def set_share(project: Project, share: float) -> None:
    project.store.settings.save(replace(project.settings, audit_share=share))


def rank_again(project: Project) -> list[QueueItem]:
    """What the end of a round does to the queue."""
    project.store.queue.replace(plan_queue(project, audit.rankable(project)))
    return project.store.queue.items()


def answer(project: Project, item: QueueItem, event: str, kind: AnswerKind = AnswerKind.LABEL) -> Answer:
    answer = Answer(event, kind, item.image_id, 1 if kind is AnswerKind.LABEL else None, purpose=item.purpose)
    assert desk_of(project).record([answer])[0].refused is None
    return answer


def undo(project: Project, answer: Answer, purpose: Purpose | None) -> QueueItem:
    taken_back = Answer(f"{answer.event_id}-undo", AnswerKind.UNDO, answer.image_id, None, answer.event_id)
    assert desk_of(project).record([replace(taken_back, purpose=purpose)])[0].refused is None
    return project.store.queue.items()[0]


def first_for(project: Project, purpose: Purpose) -> QueueItem:
    return next(item for item in project.store.queue.items() if item.purpose is purpose)


def is_audit(woven: audit.Woven) -> list[bool]:
    return (woven.rows < 0).tolist()


# --- the share


@pytest.mark.parametrize("share", SHARES)
def test_every_beginning_of_a_queue_has_its_share_to_within_one_image(share: float) -> None:
    drawn = np.array(is_audit(audit.weave(np.arange(2_000), np.arange(5_000, 8_000), share)))

    counts, places = drawn.cumsum(), np.arange(1, len(drawn) + 1)
    assert len(drawn) > 2_000
    assert (np.abs(counts - share * places) < 1).all()


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("length", [1, 3, 7])
def test_short_rounds_keep_the_share_as_one_long_queue_does(share: float, length: int) -> None:
    is_audit_image: list[bool] = []
    while len(is_audit_image) < 600:
        number = sum(is_audit_image)
        others = is_audit_image[::-1].index(True) if number else len(is_audit_image)
        woven = audit.weave(np.arange(20), np.arange(100, 140), share, audit.SoFar(number, others))
        is_audit_image += is_audit(woven)[:length]

    one_queue = is_audit(audit.weave(np.arange(600), np.arange(1_000, 1_600), share))
    assert is_audit_image[:600] == one_queue[:600]


@given(st.floats(0, 0.5), st.integers(0, 500), st.integers(0, 500))
def test_a_batch_has_the_audit_images_of_its_places(share: float, start: int, n: int) -> None:
    counted = audit.audited_among(share, start, n)

    assert counted == audit.audited_among(share, 0, start + n) - audit.audited_among(share, 0, start)
    assert abs(counted - share * n) < 1 + 1e-3 * (start + n)


@pytest.mark.parametrize("share", SHARES)
def test_a_batch_and_a_queue_agree(share: float) -> None:
    drawn = is_audit(audit.weave(np.arange(500), np.arange(1_000, 1_500), share))

    assert [sum(drawn[k : k + 20]) for k in range(0, 480, 20)] == [
        audit.audited_among(share, k, 20) for k in range(0, 480, 20)
    ]


def test_one_in_ten_is_the_next_of_the_sample() -> None:
    woven = audit.weave(np.arange(100, 119), np.array([1, 2, 3]), 0.1)

    assert np.flatnonzero(woven.rows < 0).tolist() == [9, 19]
    assert woven.image_ids[[9, 19]].tolist() == [1, 2]
    assert woven.image_ids[woven.rows >= 0].tolist() == list(range(100, 119))


def test_an_audit_image_that_is_overdue_comes_first_and_the_past_is_not_made_up_for() -> None:
    woven = audit.weave(np.arange(100, 119), np.array([1, 2]), 0.1, audit.SoFar(0, 200))

    assert np.flatnonzero(woven.rows < 0).tolist() == [0, 10]


def test_without_a_share_nothing_is_woven_in() -> None:
    assert audit.weave(np.array([5, 4]), np.array([1]), 0.0).image_ids.tolist() == [5, 4]


def test_when_the_sample_is_used_up_the_ranking_goes_on() -> None:
    woven = audit.weave(np.arange(10, 20), np.array([1]), 0.5)

    assert (len(woven.rows), is_audit(woven).count(True)) == (11, 1)


def test_rounds_of_three_answers_ask_the_share_in_the_studio(project: Project) -> None:
    set_share(project, 0.4)
    items = []
    for number in range(14):
        for k, item in enumerate(rank_again(project)[:3]):
            answer(project, item, f"event-{number}-{k}")
            items.append(item)

    audited = [item for item in items if item.purpose is Purpose.AUDIT]
    orders = [image.audit_order for image in project.store.images.many(item.image_id for item in audited)]
    assert len(audited) == 16  # floor(42 * 0.4)
    assert orders == list(range(16)), "in the order drawn at import"


# --- who is in it


def test_audit_images_measure_and_are_never_trained_on(project: Project, short_rounds: None) -> None:
    label_next(project, 24)
    record = claim_round(project, started_by="person")
    drawn = set(audit.measured_on(project).image_ids.tolist())
    assert len(drawn) == 6
    assert not drawn & set(project.store.rounds.images(record.id)[0].tolist())

    RoundRun(project, record, report=lambda _: None, should_stop=lambda: False).run()

    (accuracy,) = project.store.metrics.series("accuracy", audit.PART)
    assert accuracy.n == 6
    assert (accuracy.low, accuracy.high) == wilson(round(accuracy.value * 6), 6)[1:]
    ranked = {item.image_id for item in project.store.queue.items() if item.purpose is Purpose.QUERY}
    assert not ranked & set(audit.reserved(project).tolist())
    assert not set(project.store.scores.table(record.id)["image_id"].tolist()) & set(audit.reserved(project).tolist())


def test_with_test_images_the_sample_is_not_what_is_measured() -> None:
    project = tiny_project(name="tested", test=15, settings=SETTINGS)
    fill_queue(project)
    label_next(project, 8)

    measured = audit.measured_on(project)

    assert (measured.part, len(measured.image_ids)) == ("test", 15)
    project.close()


def test_a_skipped_image_leaves_the_sample_and_is_not_asked_again(project: Project) -> None:
    skipped = first_for(project, Purpose.AUDIT)
    answer(project, skipped, "event-skip", AnswerKind.SKIP)

    assert len(audit.measured_on(project).image_ids) == 0
    assert skipped.image_id not in {item.image_id for item in rank_again(project)}


def test_an_audit_label_does_not_bring_the_next_round_nearer(project: Project) -> None:
    answer(project, first_for(project, Purpose.AUDIT), "event-audit")
    answer(project, first_for(project, Purpose.SEED), "event-seed")

    assert round_due(project).new_labels == 1


def test_a_label_that_an_import_brings_takes_its_image_out_of_the_sample(project: Project) -> None:
    image_id = int(audit.reserved(project)[0])
    project.store.answers.import_labels(ImportedLabels([image_id], [1], ["eve"]))

    assert image_id not in audit.reserved(project)
    assert image_id in audit.training_labels(project).image_ids


def test_a_sheet_never_shows_what_is_reserved(project: Project) -> None:
    finish_round(project)
    set_share(project, 0.5)  # the round scored what is reserved only now
    reserved = set(audit.reserved(project).tolist())
    scored = {image for image, _, _ in project.store.scores.unanswered(1, "tab-one")}
    assert scored & reserved

    image_ids: set[int] = set()
    while images := desk_of(project).sheet("tab-one", 60, None, image_ids).images:
        image_ids |= {image.id for image, _ in images}

    assert image_ids == scored - reserved


# --- undo


@pytest.mark.parametrize("sent", [None, Purpose.QUERY, Purpose.SEED])
def test_an_undone_audit_image_never_comes_back_as_a_query(project: Project, sent: Purpose | None) -> None:
    drawn = [item for item in project.store.queue.items() if item.purpose is Purpose.AUDIT][2]

    back = undo(project, answer(project, drawn, "event-1"), sent)

    assert (back.image_id, back.purpose) == (drawn.image_id, Purpose.AUDIT)
    for share in (0.25, 0.01, 0.5):  # at 0.01 the reserve ends before it
        set_share(project, share)
        purposes = {item.purpose for item in rank_again(project) if item.image_id == drawn.image_id}
        assert purposes <= {Purpose.AUDIT}
    again = answer(project, replace(back, purpose=Purpose.QUERY), "event-2")  # whatever a tab believes that it answers
    assert drawn.image_id not in audit.training_labels(project).image_ids
    assert drawn.image_id in audit.measured_on(project).image_ids
    assert undo(project, again, sent).purpose == Purpose.AUDIT


@pytest.mark.parametrize("sent", [None, Purpose.AUDIT])
def test_an_undone_query_never_comes_back_as_an_audit_image(project: Project, sent: Purpose | None) -> None:
    order = {image.id: image.audit_order for image in project.store.images.all()}
    items = [item for item in project.store.queue.items() if item.purpose is Purpose.SEED]
    query = min(items, key=lambda item: order[item.image_id] or 0)  # the next to be reserved if the share is raised

    back = undo(project, answer(project, query, "event-1"), sent)

    assert (back.image_id, back.purpose) == (query.image_id, Purpose.SEED)
    set_share(project, 0.5)
    assert order[query.image_id] < audit.reserve_size(project)
    assert query.image_id not in audit.reserved(project)
    assert {item.purpose for item in rank_again(project) if item.image_id == query.image_id} == {Purpose.QUERY}


def test_a_corrected_audit_label_that_is_taken_back_leaves_the_image_in_the_sample(project: Project) -> None:
    drawn = first_for(project, Purpose.AUDIT)
    answer(project, drawn, "event-1")
    corrected = Answer("event-2", AnswerKind.LABEL, drawn.image_id, 2, mode=AnswerMode.REVIEW)
    desk_of(project).record([corrected])

    undo(project, corrected, None)

    assert project.store.queue.find(drawn.image_id) is None  # its first answer stands again
    assert [answer.purpose for _, _, answer in desk_of(project).history("me", None, 9)] == [Purpose.AUDIT]


# --- what it estimates


def estimates(share: float, *, imported: float = 0.0) -> np.ndarray:
    """400 simulated projects: estimate, accuracy on unseen images, on all images, and whether the interval covers.

    A model that gets the easiest 70 % of 400 images right; the strategy asks the hardest first, until 200 are asked.
    ``imported``: the share of the images, the easiest, that came with labels.
    """
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(400):
        hard = rng.random(400)
        right = hard < 0.7
        unseen = hard >= imported
        order = rng.permutation(400)  # the audit order
        reserve = order[: round(share * 400)]
        others = np.setdiff1d(np.flatnonzero(unseen), reserve)
        woven = audit.weave(others[np.argsort(-hard[others])], reserve[unseen[reserve]], share)
        sample = woven.image_ids[:200][woven.rows[:200] < 0]
        interval = wilson(int(right[sample].sum()), len(sample))
        truth = float(right[unseen].mean())
        rows.append((interval.value, truth, float(right.mean()), interval.low <= truth <= interval.high))
    return np.array(rows, dtype=np.float64)


@pytest.mark.parametrize("share", [0.1, 0.25])
@pytest.mark.parametrize("imported", [0.0, 0.4])
def test_the_sample_estimates_accuracy_on_unseen_images_whatever_the_strategy_asks(
    share: float, imported: float
) -> None:
    value, unseen, _, covered = estimates(share, imported=imported).T

    error = value - unseen
    assert abs(error.mean()) < 3 * error.std() / 20  # three standard errors of a mean of 400
    assert covered.mean() > 0.92


def test_it_is_not_accuracy_on_the_whole_collection_where_easy_images_came_labelled() -> None:
    value, unseen, everything, _ = estimates(0.25, imported=0.4).T

    assert (everything - unseen).mean() == pytest.approx(0.2, abs=0.01)  # 0.7 of all, 0.3 / 0.6 of the unseen
    assert (everything - value).mean() == pytest.approx(0.2, abs=0.02)


@pytest.mark.usefixtures("short_rounds")
def test_a_round_scores_every_image_and_shows_nobody_what_it_says_of_the_reserve(project: Project) -> None:
    # Five labels, one image of the audit sample labelled, one image skipped; the rest of the reserve waits.
    for number, item in enumerate(project.store.queue.items()[:5]):
        answer(project, item, f"label-{number}")
    project.store.answers.record(
        [Answer("other-class", AnswerKind.LABEL, int(audit.rankable(project)[0]), 2, purpose=Purpose.QUERY)]
    )
    skipped = int(audit.rankable(project)[0])
    project.store.answers.record([Answer("skipped", AnswerKind.SKIP, skipped, purpose=Purpose.QUERY)])
    record = claim_round(project, started_by="person")
    RoundRun(project, record, report=lambda _: None, should_stop=lambda: False).run()

    parts = {row["image_id"]: row["part"] for row in project.store.exports.predictions(record.id).to_pylist()}

    waiting = np.intersect1d(audit.reserved(project), project.store.images.unlabelled_ids()).tolist()
    assert sorted(parts) == project.store.images.ids().tolist()
    assert sorted(image for image, part in parts.items() if part == "reserve") == waiting
    assert len(waiting) == 14  # a quarter of 60, one of them labelled
    assert parts[skipped] == "aside"
    scores = project.store.scores
    assert not scores.guesses(record.id, [*waiting, skipped])
    assert len(scores.guesses(record.id, audit.rankable(project))) == len(audit.rankable(project))
    assert not [score for image in waiting for score in scores.of_image(image)]
    assert not [image for image, _, _ in scores.unanswered(record.id, "tab") if image in waiting]
    assert not np.isin(scores.table(record.id)["image_id"], waiting).any()
    desk = desk_of(project)
    items = desk.next("tab", 100)
    assert {item.purpose for item in items if item.image.id in waiting} == {Purpose.AUDIT}
    assert {item.guess for item in items if item.image.id in waiting} == {None}
    assert not explaining.reasons(project, waiting[0]).classes
