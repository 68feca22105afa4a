"""The autopilot: answers from known classes at a chosen speed, by the way that a person's answers take.

It leases images from the queue and records its answers through the project's ``Desk``, as the annotator ``AUTOPILOT``.
A thread works while it flies; the thread keeps nothing that the store does not have, so that a process that is killed
leaves a project like one that a person walked away from.

It makes mistakes when it is told to. Whether it is wrong about an image, and which class it says then, depends on the
seed and the image alone: a demo that is repeated has the same mistakes. With ``wait_for_rounds``, or up to the next
round, the same labels are given before each round, too, so that all of it comes out the same.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from tidal_core.errors import InputError, ProjectClosed, TidalError
from tidal_core.files import in_words
from tidal_core.labelling.desk import Asked, Desk
from tidal_core.records import Answer, AnswerKind, AnswerMode, ClassRecord, RoundState, StoredAnswer
from tidal_core.rounds import features
from tidal_core.rounds.due import Due, round_due
from tidal_core.rounds.worker import Worker

logger = logging.getLogger(__name__)

AUTOPILOT = "autopilot"
"""The annotator of its answers, and the tab that it leases images as."""

AT_THE_START = "TIDAL_AUTOPILOT"
"""The variable of the environment in which whoever starts a studio leaves a ``Takeoff``."""

SLOWEST, FASTEST = 1, 50  # answers a second
BY_HAND = (AnswerMode.SINGLE, AnswerMode.SWEEP, AnswerMode.WIDGETS)
"""Answers of a person that takes over."""

_TICK = 0.2  # seconds between two batches of answers, at most as often
_FEATURES_AWAITED = 2_000  # images that the pretrained model may look at before the first answer: a minute or two
_FAST_BATCH = 10  # answers at once where it is as fast as it can
_LOOK_SECONDS = 0.1  # between two looks at what it waits for
_RATE_OVER = 30  # answers that the rate is taken over


@dataclass(frozen=True)
class Plan:
    """How the autopilot answers. Raises InputError for what it cannot do."""

    per_second: float | None = 5.0  # None: as fast as it can, until the next round has ended
    mistakes: float = 0.0  # share of images that it says another class of, 0 to 1
    seed: int = 0  # of the mistakes
    wait_for_rounds: bool = False  # answer what a round needs, wait until it has ended, go on with what it asks
    labels: int | None = None  # end after so many; None: go on

    def __post_init__(self) -> None:
        if self.per_second is not None and not SLOWEST <= self.per_second <= FASTEST:
            raise InputError(
                f"The autopilot cannot give {self.per_second:g} answers a second; choose from {SLOWEST} to {FASTEST}, "
                "or next-round."
            )
        if self.labels is not None and self.labels < 1:
            raise InputError(f"The autopilot cannot give {self.labels} labels; choose 1 or more.")
        if not 0 <= self.mistakes <= 1:
            raise InputError(
                f"A share of {self.mistakes:g} mistakes cannot be; choose from 0 (none) to 1 (every answer is wrong)."
            )


@dataclass(frozen=True)
class Takeoff:
    """An autopilot that starts with the studio: the project's slug and the plan, as JSON in ``AT_THE_START``."""

    slug: str
    plan: Plan


class Phase(StrEnum):
    """What the autopilot is doing."""

    OFF = "off"  # it has not been started since the studio was
    ANSWERING = "answering"
    WAITING = "waiting"  # for a round, or for an image
    PAUSED = "paused"  # by a person
    ENDED = "ended"  # it has done what it was asked for
    FAILED = "failed"

    @property
    def flies(self) -> bool:
        """Whether answers come, or will come by themselves."""
        return self in (Phase.ANSWERING, Phase.WAITING)


@dataclass(frozen=True)
class AutopilotState:
    """What the autopilot is doing, and what the store has of it."""

    phase: Phase
    plan: Plan
    sentence: str  # for people
    labels: int  # of its labels, those that stand
    mistakes: int  # of these, wrong ones
    per_second: float | None  # measured over its last answers; None without
    last: tuple[StoredAnswer, ...]  # its last labels that stand, newest first


def why_not(desk: Desk) -> str:
    """Why the autopilot cannot answer in a project, for people; "" where it can."""
    known, left = desk.project.store.images.count_known_left()
    title = desk.project.title
    if not known:
        return (
            f"The autopilot answers from classes that are known, and no image to label in {title!r} came with one. "
            "Import a folder that has a folder of images for each class (Project page, tab Images), and let its labels "
            "only measure accuracy; or choose the project digits at the side."
        )
    if not left:
        return f"Every image of {title!r} whose class is known is labelled or skipped; nothing is left to answer."
    return ""


def said_class(image_id: int, known: int, classes: Sequence[int], plan: Plan) -> int:
    """The class that the autopilot says an image has: the known one, or another of ``classes`` by mistake."""
    draws = np.random.default_rng((plan.seed, image_id))
    others = [class_id for class_id in classes if class_id != known]
    if draws.random() >= plan.mistakes or not others:
        return known
    return others[int(draws.integers(len(others)))]


class _Flight:
    """One start of the thread; what it says counts until another one begins."""

    def __init__(self, seq: int, next_round: int) -> None:
        self.stop = threading.Event()
        self.look = threading.Event()  # the plan is a new one
        self.seq = seq  # answers up to this one were looked at for people's
        self.given = 0  # labels
        self.next_round = next_round  # the round that begins with labels of this flight
        self.strangers: set[int] = set()  # images without a known class that it came upon


class Autopilot:
    """The autopilot of one open project. Every method may be called from any thread."""

    def __init__(self, desk: Desk, worker: Worker) -> None:
        self._desk, self._worker = desk, worker
        self._project, self._store = desk.project, desk.project.store
        self._lock = threading.Lock()
        self._plan = Plan(seed=self._project.settings.seed)
        self._phase, self._sentence = Phase.OFF, ""
        self._flight: _Flight | None = None
        self._thread: threading.Thread | None = None

    @property
    def flies(self) -> bool:
        """Whether it answers, or will by itself; asked often, from no file."""
        return self._phase.flies

    def start(self, plan: Plan) -> None:
        """Answer from now on as ``plan`` says; one that flies already changes to it. There is never a second one.

        Raises InputError where no known class is left to answer with.
        """
        if reason := why_not(self._desk):
            raise InputError(reason)
        seq, latest = self._store.answers.last_seq(), self._store.rounds.latest()
        with self._lock:
            self._plan = plan
            next_round = (latest.id if latest else 0) + 1
            if self._flight is not None and self._phase.flies:
                self._flight.next_round, self._flight.given = next_round, 0
                self._flight.look.set()
                return
            self._flight = _Flight(seq, next_round)
            self._phase, self._sentence = Phase.ANSWERING, ""
            self._thread = threading.Thread(
                target=self._fly, args=(self._flight,), name=f"tidal-autopilot-{self._project.slug}", daemon=True
            )
            self._thread.start()
        self._worker.expect_rounds()

    def pause(self, sentence: str = "Paused; your keys answer.") -> None:
        """Stop answering until ``start``. What it leased is free again."""
        with self._lock:
            if self._flight is not None and self._phase.flies:
                self._end(Phase.PAUSED, sentence)

    def close(self, timeout: float = 2.0) -> None:
        """Stop, and wait for the thread: the project is about to be closed."""
        self.pause()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def state(self, last: int = 12) -> AutopilotState:
        """What it is doing; its numbers are read from the store, with its ``last`` labels."""
        with self._lock:
            phase, plan, sentence = self._phase, self._plan, self._sentence
        given = self._store.answers.given_by(AUTOPILOT)
        newest = self._store.answers.history(AUTOPILOT, max(last, _RATE_OVER))
        rate = None
        if phase is Phase.ANSWERING and len(newest) > 1:
            span = (newest[0].answered_at - newest[-1].answered_at).total_seconds()
            rate = (len(newest) - 1) / span if span > 0 else None
        return AutopilotState(phase, plan, sentence, given.labels, given.mistakes, rate, tuple(newest[:last]))

    # --- the thread

    def _end(self, phase: Phase, sentence: str) -> None:
        """Under the lock: the flight is over."""
        assert self._flight is not None
        self._flight.stop.set()
        self._flight.look.set()
        self._phase, self._sentence = phase, sentence

    def _says(self, flight: _Flight, phase: Phase, sentence: str) -> None:
        with self._lock:
            if flight is not self._flight or flight.stop.is_set():
                return
            if phase.flies:
                self._phase, self._sentence = phase, sentence
            else:
                self._end(phase, sentence)

    def _fly(self, flight: _Flight) -> None:
        try:
            while not flight.stop.is_set():
                began = time.monotonic()
                pause = self._step(flight)
                flight.look.wait(max(0.0, began + pause - time.monotonic()))
                if not flight.stop.is_set():
                    flight.look.clear()
        except ProjectClosed as error:
            self._says(flight, Phase.PAUSED, str(error))
        except (TidalError, OSError) as error:
            words = in_words(error, self._project.folder) if isinstance(error, OSError) else error
            self._says(flight, Phase.FAILED, f"The autopilot has stopped: {words}")
        except Exception as error:
            logger.exception("The autopilot of %s has stopped", self._project.slug)
            self._says(flight, Phase.FAILED, f"The autopilot has stopped; details are in the log: {error}")

    def _step(self, flight: _Flight) -> float:
        """Answer some images, or wait; how many seconds there are from its beginning to the next one's."""
        with self._lock:
            plan = self._plan
        newest = self._store.answers.last_seq()  # before the look: what comes during it is looked at the next time
        people = self._store.answers.others_since(flight.seq, AUTOPILOT, BY_HAND)
        flight.seq = newest
        if people:
            self._says(flight, Phase.PAUSED, f"Paused: {', '.join(people)} has taken over.")
            return 0.0
        if plan.labels is not None and flight.given >= plan.labels:
            self._says(flight, Phase.ENDED, "It has given the labels that it was asked for.")
            return 0.0
        if self._features_are_awaited(flight):
            return _LOOK_SECONDS
        n, pause = _batch(plan)
        due = round_due(self._project)
        if plan.per_second is None or plan.wait_for_rounds:
            if self._round_is_awaited(flight, plan, due):
                return _LOOK_SECONDS
        elif due.ready:
            self._says(flight, Phase.WAITING, "The next round takes its labels.")  # these, whatever the speed
            return _LOOK_SECONDS
        if due.missing and n > due.missing:  # none missing: a round runs, or has labels of one class only
            n, pause = due.missing, pause * due.missing / n
        n = n if plan.labels is None else min(n, plan.labels - flight.given)
        asked = self._desk.next(AUTOPILOT, n, flight.strangers, annotator=AUTOPILOT)
        if flight.stop.is_set():
            self._desk.release(AUTOPILOT)
            return 0.0
        return self._answer(flight, plan, asked, pause)

    def _features_are_awaited(self, flight: _Flight) -> bool:
        """Whether the pretrained model still looks at the images of a new project; says so.

        The first images are chosen by what it sees, and the first round tests on what it has seen: a demo that does
        not wait comes out otherwise each time, and without an accuracy. A large collection is not waited for.
        """
        if self._store.rounds.latest() is not None:
            return False
        seen = features.progress_of(self._project)
        if seen is None or seen.total > _FEATURES_AWAITED:
            return False
        # The first images are chosen anew before the worker's own progress ends.
        if seen.done == seen.total and self._worker.feature_progress(self._project.slug) is None:
            return False
        self._says(
            flight,
            Phase.WAITING,
            f"The pretrained model looks at the images first: {seen.done:,} of {seen.total:,}.",
        )
        return True

    def _round_is_awaited(self, flight: _Flight, plan: Plan, due: Due) -> bool:
        """Whether there is nothing to do but wait for a round; says so, and ends the flight after the next round."""
        latest = self._store.rounds.latest()
        if latest is not None and latest.id >= flight.next_round:
            if not latest.state.is_active:
                done = latest.state is RoundState.DONE
                if plan.per_second is None:
                    self._says(flight, Phase.ENDED, f"Round {latest.id} {'has ended' if done else latest.state}.")
                    return True
                flight.next_round = latest.id + 1
            else:
                self._says(flight, Phase.WAITING, f"Waiting for round {latest.id}.")
                return True
        active = latest is not None and latest.state.is_active
        if plan.wait_for_rounds and active:
            assert latest is not None
            self._says(flight, Phase.WAITING, f"Waiting for round {latest.id}.")
            return True
        if due.ready or (active and not due.missing):
            self._says(flight, Phase.WAITING, f"Round {flight.next_round} has its labels, and is about to begin.")
            return True
        if due.why_not or not self._project.settings.rounds_enabled:
            self._says(flight, Phase.ENDED, due.sentence if due.why_not else _NO_ROUNDS)
            return True
        return False

    def _answer(self, flight: _Flight, plan: Plan, asked: Sequence[Asked], pause: float) -> float:
        """Answer leased images; the seconds to the next step."""
        if not asked:
            self._nothing_to_answer(flight)
            return _LOOK_SECONDS
        classes = {record.id: record for record in self._store.classes.all(include_retired=True)}
        in_use = [record.id for record in self._store.classes.all()]
        answers = []
        for each in asked:
            known = _current(each.image.known_class, classes)
            if known is None:
                flight.strangers.add(each.image.id)
            else:
                answers.append(_answered(each, said_class(each.image.id, known, in_use, plan)))
        outcomes = self._desk.record(answers, AUTOPILOT)
        if len(answers) < len(asked):  # a person may have those
            self._desk.release(AUTOPILOT)
        if answers:
            self._worker.wake()
        flight.given += sum(outcome.refused is None for outcome in outcomes)
        self._says(flight, Phase.ANSWERING, "")
        return pause * len(answers) / max(len(asked), 1)

    def _nothing_to_answer(self, flight: _Flight) -> None:
        _, left = self._store.images.count_known_left()
        if not left:
            self._says(flight, Phase.ENDED, "Every image whose class is known is labelled.")
        elif flight.strangers:
            self._says(flight, Phase.ENDED, "The images that are asked next have no known class: they are yours.")
        else:
            self._says(flight, Phase.WAITING, "The images that are left are open in a browser.")


_NO_ROUNDS = "Rounds do not start by themselves here (Project page, Settings: Train while I label)."


def _batch(plan: Plan) -> tuple[int, float]:
    """How many answers at once, and the seconds that they are for."""
    if plan.per_second is None:
        return _FAST_BATCH, 0.0
    n = max(1, int(plan.per_second * _TICK))
    return n, n / plan.per_second


def _current(class_id: int | None, classes: dict[int, ClassRecord]) -> int | None:
    """The class that a known one has become; None where there is none, or it is not in use any more."""
    record = classes.get(class_id) if class_id is not None else None
    if record is not None and record.merged_into is not None:
        record = classes.get(record.merged_into)
    return None if record is None or record.retired_at is not None else record.id


def _answered(asked: Asked, class_id: int) -> Answer:
    guess = asked.guess or (None, None)
    return Answer(
        f"{AUTOPILOT}-{uuid.uuid4().hex}",
        AnswerKind.LABEL,
        asked.image.id,
        class_id=class_id,
        annotator=AUTOPILOT,
        mode=AnswerMode.AUTOPILOT,
        suggestion_class=guess[0],
        suggestion_p=guess[1],
        round_id=asked.round_id,
        purpose=asked.purpose,
    )
