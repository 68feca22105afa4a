"""Fill a project's pixel cache anew: another training size, fit, or grey, or another limit.

The new cache is made beside the old one from the original files, and takes its place between two rounds once it is
whole: nobody sees half of it. Killed or cancelled, it goes on where it was. Rows stay the images' own, so nothing else
in the project changes. An original that is gone, or is not the file that was imported, keeps its place: its old square
is brought to the new size, and the report names it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tidal_core.config import PixelSpec
from tidal_core.errors import ImageUnreadable, InputError
from tidal_core.images.pixels.cache_state import UNFINISHED, between_rounds, cached_spec, note_spec, sole_writer
from tidal_core.images.pixels.store import PixelStore
from tidal_core.images.reading import READERS, open_image
from tidal_core.images.sources import read_original
from tidal_core.images.squares import decoded_side, fit_square
from tidal_core.projects import Project
from tidal_core.records import ImageRecord, ImportProblem, ImportProgress, ImportReport, UInt8

REFILL_SOURCE = "the project's own images"
NOTES = ".problems"  # suffix of the file beside the new cache that names what could not be read so far
_BLOCK = 256  # images: what a kill can cost


@dataclass(frozen=True)
class _Filled:
    """How far a new cache is."""

    spec: PixelSpec
    limit: int  # rows of pixels.npy
    through: int = 0  # id of the last image in it

    def to_json(self) -> str:
        return json.dumps({"spec": self.spec.to_json(), "limit": self.limit, "through": self.through})

    @classmethod
    def from_json(cls, text: str) -> _Filled:
        values = json.loads(text)
        return cls(PixelSpec.from_json(values["spec"]), int(values["limit"]), int(values["through"]))


def refill(
    project: Project,
    *,
    progress: Callable[[ImportProgress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> ImportReport:
    """Make the cache what the settings ask for; returns when it is in place.

    ``progress`` and ``should_stop`` are those of ``ingest``. Cancelled, the old cache stays in use and the next call
    goes on. Raises InputError while an import into the project is under way, and when the disk is full.
    """
    with sole_writer(project.folder):
        filling = _Refill(project, progress or (lambda _: None), should_stop or (lambda: False))
        try:
            return filling.run()
        except OSError as error:
            raise InputError(
                f"processing the images stopped after {filling.done:,}: {error.strerror or error} "
                f"({error.filename or project.folder}); the model still sees the images as they were. Make room on the "
                "disk and save the settings again."
            ) from error


class _Refill:
    def __init__(
        self, project: Project, progress: Callable[[ImportProgress], None], should_stop: Callable[[], bool]
    ) -> None:
        self._project, self._images = project, project.store.images
        self._progress, self._should_stop = progress, should_stop
        self._started = time.monotonic()
        self._new = PixelStore(project.folder / "pixels-next.npy")
        self._notes = self._new.path.with_suffix(NOTES)
        self._total = self._images.count()
        settings = project.settings
        self._now = cached_spec(project)
        self._filled = self._left_by_an_earlier_one(
            _Filled(settings.pixels, settings.pixels.rows_in(settings.pixel_cache_gb))
        )
        self._old = _opened(project)
        self._problems = self._named_by_an_earlier_one()
        self._first = self.done = self._images.count_through(self._filled.through)

    def run(self) -> ImportReport:
        if self._in_place():
            self._forget()
            return ImportReport(source=REFILL_SOURCE)
        cancelled = not self._fill()
        if self._old is not None:
            self._old.close()  # where an open file cannot be replaced
            self._old = None
        if not cancelled:
            cancelled = not between_rounds(self._project, self._swap, self._should_stop)
        return ImportReport(
            source=REFILL_SOURCE,
            refilled=self.done - self._first,
            problems=tuple(problem for _, problem in sorted(self._problems, key=lambda numbered: numbered[0])),
            seconds=time.monotonic() - self._started,
            cancelled=cancelled,
        )

    def _in_place(self) -> bool:
        """Whether the cache is what is asked for: the settings were changed there and back."""
        wanted, rows = self._filled, self._images.next_pixel_row()
        return (
            self._now == wanted.spec
            and self._old is not None
            and min(rows, wanted.limit) == min(rows, self._old.cached_rows)
        )

    def _forget(self) -> None:
        self._remove_files()
        self._project.store.settings.remove(UNFINISHED)

    def _remove_files(self) -> None:
        self._new.remove()
        self._notes.unlink(missing_ok=True)

    def _left_by_an_earlier_one(self, wanted: _Filled) -> _Filled:
        """Where to go on; from the start, with nothing left over, when that was on its way to something else."""
        note = self._project.store.settings.get(UNFINISHED)
        before = _Filled.from_json(note) if note else None
        if before is not None and self._new.exists and (before.spec, before.limit) == (wanted.spec, wanted.limit):
            return before
        self._remove_files()
        return wanted

    def _named_by_an_earlier_one(self) -> list[tuple[int, ImportProblem]]:
        """Problems of images that are in the new cache already; those of the block that a kill cut off come again."""
        try:
            lines = self._notes.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        problems = []
        for line in lines:
            with suppress(ValueError):  # the last line of a process that was killed
                image_id, *texts = json.loads(line)
                if image_id <= self._filled.through:
                    problems.append((image_id, ImportProblem(*texts)))
        self._note_problems(problems, "w")
        return problems

    def _note_problems(self, problems: list[tuple[int, ImportProblem]], mode: str = "a") -> None:
        """Keep problems with their images' ids, so that a process that is killed later has not lost them."""
        lines = [
            json.dumps([image_id, problem.name, problem.reason, problem.remedy]) + "\n"
            for image_id, problem in problems
        ]
        with self._notes.open(mode, encoding="utf-8") as file:
            file.writelines(lines)

    def _fill(self) -> bool:
        """Every image into the new cache; False when asked to stop."""
        filled = self._filled
        next_row = self._images.next_pixel_row() if filled.through else 0
        block = self._images.after(filled.through, _BLOCK)
        if block:
            next_row = block[0].pixel_row
        with (
            self._new.writer(filled.spec, filled.limit, next_row) as rows,
            ThreadPoolExecutor(READERS, thread_name_prefix="refill") as pool,
        ):
            while block:
                cached = [image for image in block if image.pixel_row < rows.first_beyond]
                named = len(self._problems)
                squares = list(pool.map(self._square, cached))
                if len(self._problems) > named:
                    self._note_problems(self._problems[named:])
                for adjacent in _runs(block):
                    first = adjacent[0].pixel_row
                    cached_squares = squares[: sum(image.pixel_row < rows.first_beyond for image in adjacent)]
                    squares = squares[len(cached_squares) :]
                    rows.write(first, cached_squares, [(image.uri, image.name) for image in adjacent])
                self.done += len(block)
                filled = _Filled(filled.spec, filled.limit, block[-1].id)
                self._project.store.settings.set(UNFINISHED, filled.to_json())
                self._report_progress(block[-1].name)
                if self._should_stop():
                    return False
                block = self._images.after(filled.through, _BLOCK)
        return True

    def _square(self, image: ImageRecord) -> UInt8:
        """The new square of one image (S, S, 3); in a worker."""
        spec = self._filled.spec
        kept = self._kept(image.pixel_row)
        if spec == self._now and kept is not None:
            return kept
        try:
            data = read_original(self._project.folder, image.uri, image.name)
            picture, facts = open_image(data, image.name, at_least=decoded_side(spec.size))
            if facts.sha256 != image.sha256:
                raise ImageUnreadable(image.name, "the file is not the one that was imported: its content has changed")
            return fit_square(picture, spec.size, spec.fit, spec.grayscale)
        except ImageUnreadable as error:
            stand_in = f"its old pixels were resized to {spec.size}"
            if kept is None:
                stand_in = "a grey square stands for it"
                kept = np.full((spec.size, spec.size, 3), 128, dtype=np.uint8)
            problem = ImportProblem(
                image.name,
                f"{error.reason}; {stand_in}",
                f"{error.remedy or 'put the original file back'}; then save another training size, and once it is in "
                "use, this one again",
            )
            self._problems.append((image.id, problem))
            return fit_square(Image.fromarray(kept), spec.size, grayscale=spec.grayscale)

    def _kept(self, row: int) -> UInt8 | None:
        """What the old cache has of an image; nothing is decoded for it."""
        return None if self._old is None or row >= self._old.cached_rows else self._old[row]

    def _swap(self) -> None:
        """The files first, the note last: killed in between, the next call goes on here."""
        is_partly_beyond = self._images.next_pixel_row() > self._filled.limit
        PixelStore(self._project.pixels).swap_in(self._new, is_partly_beyond=is_partly_beyond)
        note_spec(self._project, self._filled.spec)
        self._forget()

    def _report_progress(self, name: str) -> None:
        seconds = max(time.monotonic() - self._started, 1e-6)
        speed = (self.done - self._first) / seconds
        self._progress(
            ImportProgress(
                done=self.done,
                total=self._total,
                read=self.done - self._first,
                problems=len(self._problems),
                name=name,
                per_second=speed,
                seconds_left=(self._total - self.done) / speed,
            )
        )


def _opened(project: Project) -> PixelStore | None:
    """The store in use; None where there is none to read."""
    try:
        return PixelStore(project.pixels).open()
    except InputError:
        return None


def _runs(block: list[ImageRecord]) -> list[list[ImageRecord]]:
    """Parts of a block whose rows follow one another."""
    runs: list[list[ImageRecord]] = []
    for image in block:
        if runs and runs[-1][-1].pixel_row + 1 == image.pixel_row:
            runs[-1].append(image)
        else:
            runs.append([image])
    return runs
