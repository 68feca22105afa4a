"""What the labelling page asks of a project: the next images, answers, undo, sheets of a sweep, counts.

One ``Desk`` per open project. It serves leases from the queue, so that two tabs never show the same image, records
answers and puts an image that an undo freed back in front. It trains nothing and knows nothing of HTTP.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tidal_core.projects import Project
from tidal_core.records import Answer, AnswerKind, AnswerMode, ClassRecord, ImageRecord, Purpose, QueueItem, RoundState
from tidal_core.rounds import audit, queue_plan
from tidal_core.rounds.due import round_due
from tidal_core.store.answers import Outcome

LEASE_SECONDS = 30.0  # a tab that is alive renews within two
LOW = 40  # images in the queue: below it is topped up
SHEET_AT_MOST = 60
HISTORY_AT_MOST = 200


@dataclass(frozen=True)
class Asked:
    """One image as the labelling page gets it."""

    image: ImageRecord
    purpose: Purpose
    round_id: int | None  # that ranked it
    guess: tuple[int, float] | None  # class id and probability, by the newest finished round
    score: float | None = None


@dataclass(frozen=True)
class Counts:
    """Where the labelling stands."""

    seq: int  # the last answer these counts know
    images: int  # of the pool
    labelled: int  # images with a label that stands
    new_labels: int  # of these, since the last round claimed its labels; audit labels do not count
    next_round: int
    without_label: tuple[int, ...]  # class ids
    why_not: str  # why no round can start at all, for people; "" when one can
    classes_version: str


@dataclass(frozen=True)
class Sheet:
    """Images of one predicted class, most certain first."""

    class_id: int | None
    images: list[tuple[ImageRecord, float]]  # and the probability of that class
    round_id: int | None
    reason: str = ""  # why there are none, for people


def classes_version(classes: Sequence[ClassRecord]) -> str:
    """A short text that changes when what the page shows of the classes changes."""
    shown = [(c.id, c.name, c.key, c.colour, c.position) for c in classes]
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:12]


class Desk:
    """The labelling side of one open project; every method may be called from any thread."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._store = project.store
        self._lock = threading.Lock()
        self._sheets: dict[int, tuple[str, float]] = {}  # image -> tab that has it on a sheet, until (monotonic)
        self._counts: tuple[tuple[object, ...], Counts] | None = None
        # Leases in the file are of an earlier process: tabs that are still open take theirs up again (``renew``).
        self._store.queue.release_all()

    def project_id(self) -> str:
        """A text that no other project has, also none of the same name; made at the first call."""
        with self._lock:
            known = self._store.settings.get("project_id")
            if known is None:
                known = secrets.token_hex(8)
                self._store.settings.set("project_id", known)
        return known

    # --- the next images

    def next(self, tab: str, n: int, held: Iterable[int] = (), *, fresh: bool = False) -> list[Asked]:
        """The next n images for a tab beyond those it ``held``s; ``fresh`` gives up the rest of what it had."""
        held = set(held)
        if fresh:
            self._store.queue.release(tab)
        self._top_up()
        items = self._store.queue.lease(tab, n, LEASE_SECONDS, held | self._on_sheets_of_others(tab))
        return self._asked(items)

    def _top_up(self) -> None:
        with self._lock:
            if self._store.queue.count() < LOW:
                queue_plan.fill_queue(self.project)

    def _asked(self, items: Sequence[QueueItem]) -> list[Asked]:
        images = {image.id: image for image in self._store.images.many(item.image_id for item in items)}
        guesses = self._guesses(images)
        return [
            Asked(images[item.image_id], item.purpose, item.round_id, guesses.get(item.image_id), item.score)
            for item in items
            if item.image_id in images
        ]

    def _guesses(self, image_ids: Iterable[int]) -> dict[int, tuple[int, float]]:
        round_id = self._store.scores.latest_round()
        return {} if round_id is None else self._store.scores.guesses(round_id, image_ids)

    def renew(self, tab: str, held: Iterable[int]) -> None:
        """A tab is alive: what it holds stays its own, also what an earlier process had given it."""
        self._store.queue.hold(tab, held, LEASE_SECONDS)
        until = time.monotonic() + LEASE_SECONDS
        with self._lock:
            self._sheets = {i: (t, until if t == tab else end) for i, (t, end) in self._sheets.items()}

    def release(self, tab: str) -> None:
        """A tab was closed: others may have what it held."""
        self._store.queue.release(tab)
        with self._lock:
            self._sheets = {i: lease for i, lease in self._sheets.items() if lease[0] != tab}

    def _on_sheets_of_others(self, tab: str) -> set[int]:
        now = time.monotonic()
        with self._lock:
            return {i for i, (holder, until) in self._sheets.items() if holder != tab and until > now}

    # --- answers

    def record(self, answers: Sequence[Answer], tab: str | None = None) -> list[Outcome]:
        """Store answers; they are committed when this returns. An undone image is asked next, by the same tab."""
        outcomes = self._store.answers.record(answers)
        for answer, outcome in zip(answers, outcomes, strict=True):
            # A sweep that is undone goes back to its sheet, not 60 images to the front of the queue.
            if outcome.new and answer.kind is AnswerKind.UNDO and answer.mode is not AnswerMode.SWEEP:
                purpose = self._purposes([answer.image_id])[answer.image_id]
                self._store.queue.put_front(answer.image_id, purpose, answer.round_id, tab)
        return outcomes

    def _purposes(self, image_ids: Iterable[int]) -> dict[int, Purpose]:
        """What images were asked for; a query where that is not known (labels of an import)."""
        wanted = list(image_ids)
        return dict.fromkeys(wanted, Purpose.QUERY) | audit.purposes(self.project, wanted)

    def history(self, annotator: str, before: int | None, limit: int) -> list[tuple[int, Answer, Asked]]:
        """The last answers of a person that stand, newest first: sequence number, answer, image."""
        found = self._store.answers.history(annotator, min(limit, HISTORY_AT_MOST), before)
        said = [stored for stored in found if stored.answer.kind in (AnswerKind.LABEL, AnswerKind.SKIP)]
        images = {image.id: image for image in self._store.images.many(s.answer.image_id for s in said)}
        guesses, purposes = self._guesses(images), self._purposes(images)
        return [
            (
                stored.seq,
                stored.answer,
                Asked(
                    images[stored.answer.image_id],
                    purposes[stored.answer.image_id],
                    stored.answer.round_id,
                    guesses.get(stored.answer.image_id),
                ),
            )
            for stored in said
            if stored.answer.image_id in images
        ]

    # --- sweeps

    def sheet(self, tab: str, n: int, after: int | None, without: Iterable[int]) -> Sheet:
        """Up to n images that look like one class, most certain first; of another class than ``after`` if there is one.

        Never an audit image, never one that is answered or that another tab has on screen.
        """
        store = self._store
        round_id = store.scores.latest_round()
        if round_id is None:
            return Sheet(None, [], None, "Sheets come after the first round: the model sorts the images into classes.")
        candidates = store.scores.unanswered(round_id, tab)
        taken = self._on_sheets_of_others(tab) | set(without) | set(audit.reserved(self.project).tolist())
        in_use = {c.id for c in store.classes.all()}
        by_class: dict[int, list[tuple[int, float]]] = {}
        for image_id, class_id, p in candidates:
            if image_id not in taken and class_id in in_use:
                by_class.setdefault(class_id, []).append((image_id, p))
        if not by_class:
            return Sheet(None, [], round_id, "No image is left for a sheet: each has an answer, or is held elsewhere.")
        n = min(n, SHEET_AT_MOST)
        others = [c for c in by_class if c != after] or list(by_class)
        chosen = max(others, key=lambda c: (sum(p for _, p in by_class[c][:n]) / min(n, len(by_class[c])), -c))
        picked = dict(by_class[chosen][:n])
        until = time.monotonic() + LEASE_SECONDS
        with self._lock:
            # Kept beside what the tab has already: it fetches the next sheet while the one before is looked at.
            self._sheets = {i: lease for i, lease in self._sheets.items() if lease[1] > time.monotonic()}
            self._sheets |= dict.fromkeys(picked, (tab, until))
        images = store.images.many(picked)
        return Sheet(chosen, [(image, picked[image.id]) for image in images], round_id)

    # --- counts

    def counts(self) -> Counts:
        """Where the labelling stands; remembered until an answer, a round or a class changes it."""
        store = self._store
        classes = store.classes.all()
        latest = store.rounds.latest()
        images = store.images.count()
        key = (store.answers.last_seq(), classes_version(classes), latest and (latest.id, latest.state), images)
        known = self._counts
        if known is not None and known[0] == key:
            return known[1]
        by_class = store.answers.counts_by_class()
        due = round_due(self.project)
        started = latest.id if latest else 0
        counts = Counts(
            seq=store.answers.last_seq(),
            images=images,
            labelled=sum(by_class.values()),
            new_labels=due.new_labels,
            next_round=started + 1,
            without_label=tuple(c.id for c in classes if not by_class.get(c.id)),
            why_not=due.why_not,
            classes_version=classes_version(classes),
        )
        self._counts = (key, counts)
        return counts

    def waiting(self) -> int:
        """How many images wait in the queue, held by some tab or not."""
        return self._store.queue.count()

    def ranking(self) -> int:
        """The round whose ranking is being served, 0 before the first."""
        done = self._store.rounds.latest(RoundState.DONE)
        return done.id if done else 0


_desks: dict[int, Desk] = {}
_desks_lock = threading.Lock()


def desk_of(project: Project) -> Desk:
    """The one desk of an open project. A project that was closed and opened again gets a new one."""
    with _desks_lock:
        desk = _desks.get(id(project))
        if desk is None or desk.project is not project:
            for key in [key for key, each in _desks.items() if each.project.slug == project.slug]:
                del _desks[key]
            desk = _desks[id(project)] = Desk(project)
        return desk
