"""What the labelling page asks of a project: the next images, answers, undo, sheets of a sweep, counts.

One ``Desk`` per open project. It serves leases from the queue, so that two tabs never show the same image, records
answers and puts an image that an undo freed back in front. It trains nothing and knows nothing of HTTP.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tidal_core.labelling.naming import NameRule, name_rule
from tidal_core.labelling.sheets import SHEET_AT_MOST, Sheet, SheetLeases, surest_class
from tidal_core.projects import Project
from tidal_core.records import Answer, AnswerKind, AnswerMode, ClassRecord, ImageRecord, Purpose, QueueItem, RoundState
from tidal_core.rounds import again, audit, queue_plan
from tidal_core.rounds.calibrated import temperature_of
from tidal_core.rounds.due import count_for_round, round_due
from tidal_core.store.answers import Outcome
from tidal_core.store.queue import SILENT_SECONDS

LOW = 40  # images in the queue that no tab holds: with fewer, it is topped up
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
    left: int  # images that nobody has labelled or skipped
    new_labels: int  # of these, since the last round claimed its labels; audit labels do not count
    next_round: int
    without_label: tuple[int, ...]  # class ids
    why_not: str  # why no round starts, for people; "" when one will, or only labels are missing
    classes_version: str


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
        self._fitted = (0, 1.0)  # a round and its temperature
        self._serving = threading.Lock()  # held while it is decided who gets an image: by the queue or on a sheet
        self._sheets = SheetLeases()
        self._counts: tuple[tuple[object, ...], Counts] | None = None
        self._names: tuple[tuple[object, ...], NameRule] | None = None
        # Leases in the file are of an earlier process: tabs that are still open take theirs up again (``renew``).
        self._store.queue.release_all()
        again.queue_all(project)
        self._doubles = self._double_rule()  # what the queue was brought up to

    def project_id(self) -> str:
        """A text that no other project has, also none of the same name; made at the first call."""
        with self._lock:
            known = self._store.settings.get("project_id")
            if known is None:
                known = secrets.token_hex(8)
                self._store.settings.set("project_id", known)
        return known

    def names(self) -> NameRule:
        """What of an image's name people may see here; remembered until a setting, a class or an image changes it."""
        store = self._store
        classes = store.classes.all(include_retired=True)
        key = (self.project.settings.shown_names, classes_version(classes), store.images.count())
        known = self._names
        if known is not None and known[0] == key:
            return known[1]
        rule = name_rule(self.project.settings.shown_names, store, [record.name for record in classes])
        self._names = (key, rule)
        return rule

    # --- the next images

    def next(
        self, tab: str, n: int, held: Iterable[int] = (), *, fresh: bool = False, annotator: str | None = None
    ) -> list[Asked]:
        """The next n images for a tab beyond those it ``held``s; ``fresh`` gives up the rest of what it had.

        ``annotator``: who answers there. Nobody is asked again what they have answered; without a name, nothing is
        asked again at all.
        """
        held = set(held)
        if fresh:
            self._store.queue.release(tab, keep=held)  # among them the one on its screen
        self._top_up()
        with self._serving:
            not_asked = held | self._not_again(annotator)
            items = self._store.queue.lease(tab, n, exclude=not_asked | self._sheets.of_others(tab))
            if not items:  # as the queue itself, nothing else is left: what is on the sheets of silent tabs
                alive = self._sheets.of_others(tab, silent=SILENT_SECONDS)
                items = self._store.queue.lease(tab, n, exclude=not_asked | alive)
                self._sheets.drop(item.image_id for item in items)
        return self._asked(items)

    def _not_again(self, annotator: str | None) -> set[int]:
        """Images that wait for a second answer, and not for this person's."""
        waiting = self._store.queue.asked_again()
        if annotator is None or not waiting:
            return set(waiting)
        return self._store.people.answered_by(annotator, waiting)

    def _double_rule(self) -> tuple[float, int, int]:
        settings = self.project.settings
        return settings.double_share, settings.people_per_image, settings.seed

    def _top_up(self) -> None:
        with self._lock:
            if self._doubles != (rule := self._double_rule()):
                again.queue_all(self.project)
                self._doubles = rule
            if self._store.queue.free() < LOW:
                queue_plan.fill_queue(self.project)

    def _asked(self, items: Sequence[QueueItem]) -> list[Asked]:
        images = {image.id: image for image in self._store.images.many(item.image_id for item in items)}
        # A model that trained on somebody's answer would tell it.
        guesses = self._guesses(item.image_id for item in items if item.purpose is not Purpose.AGAIN)
        return [
            Asked(images[item.image_id], item.purpose, item.round_id, guesses.get(item.image_id), item.score)
            for item in items
            if item.image_id in images
        ]

    def _guesses(self, image_ids: Iterable[int]) -> dict[int, tuple[int, float]]:
        round_id = self._store.scores.latest_round()
        if round_id is None:
            return {}
        return self._store.scores.guesses(round_id, image_ids, self._temperature(round_id))

    def _temperature(self, round_id: int) -> float:
        """What the round's probabilities are shown with; fitted once, when the first is shown."""
        if self._fitted[0] != round_id:
            self._fitted = round_id, temperature_of(self.project, round_id)
        return self._fitted[1]

    def renew(self, tab: str, held: Iterable[int]) -> set[int]:
        """A tab is alive: what it holds stays its own, also what an earlier process had given it.

        Returns what it holds no more: others got it while the tab was silent, or it was answered or taken out of the
        project meanwhile, by one act on many images, too.
        """
        held = list(held)
        with self._serving:
            sheets = self._sheets.of_others(tab)
            self._store.queue.hold(tab, [image_id for image_id in held if image_id not in sheets])
            self._sheets.renew(tab)
            gone = self._store.queue.held_by_others(tab, held) | self._store.acts.gone(held)
            return gone | (sheets & set(held))

    def release(self, tab: str) -> None:
        """A tab was closed: others may have what it held."""
        self._store.queue.release(tab)
        self._sheets.release(tab)

    # --- answers

    def record(self, answers: Sequence[Answer], tab: str | None = None) -> list[Outcome]:
        """Store answers; they are committed when this returns.

        An undone image is asked next, by the same tab, if no other answer of it stands.
        """
        outcomes = self._store.answers.record(answers)
        for answer, outcome in zip(answers, outcomes, strict=True):
            # A sweep that is undone goes back to its sheet, not 60 images to the front of the queue.
            asked_again = outcome.new and answer.kind is AnswerKind.UNDO and answer.mode is not AnswerMode.SWEEP
            if asked_again and self._store.answers.current(answer.image_id) is None:
                purpose = self._purposes([answer.image_id])[answer.image_id]
                self._store.queue.put_front(answer.image_id, purpose, answer.round_id, tab)
        new = [answer for answer, outcome in zip(answers, outcomes, strict=True) if outcome.new]
        undone = {answer.image_id for answer in new if answer.kind is AnswerKind.UNDO}
        said = {answer.image_id for answer in new if answer.kind in (AnswerKind.LABEL, AnswerKind.SKIP)} - undone
        again.queue_some(self.project, said)
        again.queue_some(self.project, undone, tab)
        return outcomes

    def _purposes(self, image_ids: Iterable[int]) -> dict[int, Purpose]:
        """What images were asked for; a query where that is not known (labels of an import)."""
        wanted = list(image_ids)
        return dict.fromkeys(wanted, Purpose.QUERY) | audit.purposes(self.project, wanted)

    def history(self, annotator: str, before: int | None, limit: int) -> list[tuple[int, Answer, Asked]]:
        """The last answers of a person that stand, newest first: sequence number, answer, image."""
        standing = self._store.answers.history(annotator, min(limit, HISTORY_AT_MOST), before)
        entries = [stored for stored in standing if stored.answer.kind in (AnswerKind.LABEL, AnswerKind.SKIP)]
        images = {image.id: image for image in self._store.images.many(stored.answer.image_id for stored in entries)}
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
            for stored in entries
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
            return Sheet(
                None, [], None, "Sheets appear after the first round, when the model can sort images by class."
            )
        by_class = self._sweepable(round_id, tab, without)
        if not by_class:
            return Sheet(
                None,
                [],
                round_id,
                "No images are left for a sheet: the rest are answered, open elsewhere or kept to measure accuracy.",
            )
        n = min(n, SHEET_AT_MOST)
        class_id = surest_class(by_class, n, after)
        with self._serving:  # others may have got some of them since they were looked up
            most_certain = dict(by_class[class_id][: 2 * n])
            gone = self._sheets.of_others(tab) | store.queue.held_by_others(tab, most_certain)
            p_by_image = dict([(image_id, p) for image_id, p in most_certain.items() if image_id not in gone][:n])
            self._sheets.take(tab, p_by_image)
        images = store.images.many(p_by_image)
        return Sheet(class_id, [(image, p_by_image[image.id]) for image in images], round_id)

    def _sweepable(self, round_id: int, tab: str, without: Iterable[int]) -> dict[int, list[tuple[int, float]]]:
        """What a sheet may show, by predicted class in use: (image, probability), most certain first.

        Of each class twice as many as a sheet has: others may get some of them before it is made.
        """
        taken = self._sheets.of_others(tab) | set(without) | set(audit.reserved(self.project).tolist())
        in_use = {c.id for c in self._store.classes.all()}
        by_class: dict[int, list[tuple[int, float]]] = {}
        rows = self._store.scores.unanswered(
            round_id, tab, self._temperature(round_id), without=taken, most=2 * SHEET_AT_MOST
        )
        for image_id, class_id, p in rows:
            if class_id in in_use:
                by_class.setdefault(class_id, []).append((image_id, p))
        return by_class

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
        counted = count_for_round(self.project)
        by_class, due = counted.by_class, round_due(self.project, counted)
        # While a round runs, that it does is said elsewhere.
        hindrance = "" if due.missing or (latest and latest.state.is_active) else due.hindrance
        started = latest.id if latest else 0
        counts = Counts(
            seq=store.answers.last_seq(),
            images=images,
            labelled=sum(by_class.values()),
            new_labels=due.new_labels,
            next_round=started + 1,
            without_label=tuple(c.id for c in classes if not by_class.get(c.id)),
            left=due.left,
            why_not=due.why_not or hindrance,
            classes_version=classes_version(classes),
        )
        self._counts = (key, counts)
        return counts

    def waiting(self, annotator: str | None = None) -> int:
        """How many images wait in the queue for this person, held by some tab or not."""
        return self._store.queue.count(self._not_again(annotator))

    def ranking(self) -> int:
        """The round whose ranking is served; before the first 0, then -1, -2, ... as the first images are replanned."""
        done = self._store.rounds.latest(RoundState.DONE)
        return done.id if done else -int(self._store.settings.get(queue_plan.FIRST_PLANS) or 0)


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
