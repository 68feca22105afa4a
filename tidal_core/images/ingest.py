"""From a source to images in the project: read, check, hash, cache, store, and report every file by name.

Two workers read and decode; the calling thread (never the web server's) writes to the store in batches. A row of the
pixel cache is written before the store hears of its image, so a killed import leaves a project that is whole, and the
same import started again goes on where it was. Equal content is one image, whatever its names.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from tidal_core.config import PixelSpec
from tidal_core.errors import DISK_FULL, ImageUnreadable, InputError, reason_of
from tidal_core.files import sweep
from tidal_core.images.duplicates import candidate_pairs, same_picture
from tidal_core.images.importers import scan
from tidal_core.images.importers.base import FoundImage, ImportOptions, Scan
from tidal_core.images.importers.folder import SKIPPED
from tidal_core.images.labels import LabelBook
from tidal_core.images.notices import label_notices
from tidal_core.images.pixels import PixelStore, PixelWriter, project_writer, sole_writer
from tidal_core.images.reading import READERS, ImageFacts, open_image
from tidal_core.images.sources import consent, has_gone, unchanged_since
from tidal_core.images.squares import decoded_side, fit_square
from tidal_core.projects import Project
from tidal_core.records import (
    ImageRecord,
    ImageStatus,
    ImportProblem,
    ImportProgress,
    ImportReport,
    Split,
    UInt8,
)

LabelUse = Literal["none", "known", "answers"]
"""What becomes of the source's labels: nothing; known classes (for demos, experiments and the test split, never
trained on); or answers of the annotator that the source names, else ``import``."""

logger = logging.getLogger(__name__)

_IN_FLIGHT = 64  # images decoded ahead of the store: bounds the memory
_BATCH_IMAGES = 256
_BATCH_SECONDS = 1.0  # the first images can be labelled while the rest is coming in
_PROGRESS_SECONDS = 0.2
_COMPARED_AT_ONCE = 1_000  # pairs of squares
_NEAR_SHOWN = 3  # pairs that the line on near-duplicates names


@dataclass(frozen=True)
class _Examined:
    """One file after a worker looked at it. ``pixels`` is None when its content is known or it cannot be read."""

    item: FoundImage
    sha256: str = ""
    facts: ImageFacts | None = None
    square: UInt8 | None = None  # (S, S, 3)
    problem: ImportProblem | None = None
    known_id: int | None = None  # an image that was imported from the same unchanged file


def ingest(
    project: Project,
    source: str,
    *,
    labels: LabelUse = "none",
    hide_near_duplicates: bool = False,
    options: ImportOptions | None = None,
    progress: Callable[[ImportProgress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> ImportReport:
    """Import a source into a project; returns when all of it is in the store.

    Importing a source again adds what is new in it and nothing twice. ``progress`` is called from this thread, about
    five times a second; ``should_stop`` is asked before each file, what was read until then stays. Raises InputError
    when the source as a whole cannot be read or another import into the project is under way.
    """
    with sole_writer(project.folder):
        started = time.monotonic()
        options = options or ImportOptions()
        if options.workspace is None:
            options = replace(options, workspace=project.folder / "originals")
        sweep(project.folder / "imports")
        sweep(project.previews, below=True)
        importing = None
        try:
            source_scan = scan(source, options)
            with project_writer(project) as pixels:
                importing = _Import(project, source_scan, labels, pixels.spec, progress, started)
                cancelled = importing.run(pixels, should_stop or (lambda: False))
            return importing.finish(hide_near_duplicates, cancelled)
        except OSError as error:
            remedy = "Make room on the disk" if error.errno in DISK_FULL else "Correct this"
            raise InputError(
                f"the import stopped at file {importing.done if importing is not None else 0:,}: "
                f"{error.strerror or error} ({error.filename or project.pixels}); what was read until then is kept. "
                f"{remedy} and import again."
            ) from error


class _Import:
    """The state of one import."""

    def __init__(
        self,
        project: Project,
        source_scan: Scan,
        labels: LabelUse,
        spec: PixelSpec,
        progress: Callable[[ImportProgress], None] | None,
        started: float,
    ) -> None:
        self._project = project
        self._store = project.store
        self._scan = source_scan
        self._labels = labels
        self._progress = progress
        self._started = started
        self._spec = spec
        self._ids = self._store.images.ids_by_sha()
        self._files = self._store.images.known_files()
        self._first_new_id = self._next_id = self._store.images.next_id()
        self._next_row = self._store.images.next_pixel_row()
        self._refused: list[ImportProblem] = []  # files that could not be read: they stand first in the report
        self._problems: list[ImportProblem] = []
        self._skipped: list[ImportProblem] = []  # files that are no images: they may be many, and stand last
        self._book = LabelBook(self._store) if labels != "none" else None
        if self._book is not None:
            self._book.add_classes(source_scan.classes)
            self._problems += source_scan.label_remarks
        self._new_uris: dict[str, int] = {}
        self._uris = {file.id: uri for uri, file in self._files.items()}
        self._moved: dict[int, FoundImage] = {}
        self._batch: list[tuple[ImageRecord, UInt8]] = []
        self._batch_started = started
        self._ordered = self._first_new_id - 1  # images that had an audit order when it was last drawn
        self.done = self._read = self._known = self._duplicates = 0
        self._labelled = 0  # of what the source lists, how many it gives a label
        self._last_progress = 0.0

    def run(self, cache: PixelWriter, should_stop: Callable[[], bool]) -> bool:
        """Go through the source; returns whether it was stopped before its end."""
        stopped = False
        waiting: deque[Future[_Examined] | ImportProblem | _Examined] = deque()
        items = iter(self._scan.items)
        with ThreadPoolExecutor(READERS, thread_name_prefix="import") as pool:
            try:
                while True:
                    stopped = should_stop()
                    item = None if stopped else self._next(items)
                    if item is not None:
                        waiting.append(self._start(pool, item))
                    while waiting and (item is None or len(waiting) > _IN_FLIGHT or not isinstance(waiting[0], Future)):
                        self._take(waiting.popleft(), cache)
                    if item is None:
                        break
                self._flush(cache)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return stopped

    def _next(self, items: Iterator[FoundImage | ImportProblem]) -> FoundImage | ImportProblem | None:
        """The next of the source, None at its end; where it breaks off, it ends, and what was read stays."""
        try:
            return next(items, None)
        except Exception as error:  # a source is made elsewhere, and its reader can meet anything in it
            if isinstance(error, OSError) and error.errno in DISK_FULL:
                raise
            logger.warning("A source broke off", exc_info=True)
            reason = f"it cannot be read any further ({reason_of(error)})"
            self._problems.append(
                ImportProblem(self._scan.source, f"{reason}; what comes before was read", "correct it and import again")
            )
            return None

    def finish(self, hide_near_duplicates: bool, cancelled: bool) -> ImportReport:
        """Order the audit images, look for near-duplicates, sum up."""
        count = 0
        if self._book is not None:
            count = self._book.finish()
            self._problems += self._book.remarks
        draw_audit_order(self._project)
        if self._moved:
            self._note_moved()
            name = next(iter(self._moved.values())).name
            more = f" and {len(self._moved) - 1:,} more" if len(self._moved) > 1 else ""
            self._problems.append(
                ImportProblem(
                    name + more,
                    "moved or renamed since the last import; labels and rounds are kept",
                    "nothing to do",
                )
            )
        near, about_near = self._near_duplicates(hide_near_duplicates)
        self._report_progress("", force=True)
        return ImportReport(
            source=self._scan.source,
            read=self._read,
            known=self._known,
            duplicates=self._duplicates,
            labels=count,
            problems=(*self._refused, *self._problems, *about_near, *self._skipped),
            seconds=time.monotonic() - self._started,
            near_duplicates=near,
            cancelled=cancelled,
            how_read=self._scan.how_read,
            notices=()
            if cancelled
            else label_notices(
                self._scan,
                asked=self._labels != "none",
                images=self._read + self._known,
                labelled=self._labelled,
            ),
        )

    def _note_moved(self) -> None:
        """Take down where moved files lie now; killed in between, the next import does it again."""
        consent.allow(self._project.folder, consent.hosts_of(item.uri for item in self._moved.values()))
        moved = ((image.pixel_row, self._moved[image.id]) for image in self._store.images.many(self._moved))
        PixelStore(self._project.pixels).move({row: (item.uri, item.name) for row, item in moved})
        self._store.images.set_places([(id_, item.uri, item.name) for id_, item in self._moved.items()])

    def _start(
        self, pool: ThreadPoolExecutor, item: FoundImage | ImportProblem
    ) -> Future[_Examined] | ImportProblem | _Examined:
        """Give a file to a worker, unless it is known from an earlier import and was not touched since."""
        if isinstance(item, ImportProblem):
            return item
        if item.sha256 is not None and item.sha256 in self._ids:
            return _Examined(item, item.sha256)
        known_file = self._files.get(item.uri)
        if known_file is not None and unchanged_since(item.uri, known_file.bytes, known_file.imported_at):
            return _Examined(item, known_id=known_file.id)
        return pool.submit(self._examine, item)

    def _examine(self, item: FoundImage) -> _Examined:
        """Read, hash and decode one file; in a worker."""
        try:
            data = item.read()
            sha256 = hashlib.sha256(data).hexdigest()
            if sha256 in self._ids:
                return _Examined(item, sha256)
            spec = self._spec
            image, facts = open_image(data, item.name, at_least=decoded_side(spec.size), sha256=sha256)
            return _Examined(item, sha256, facts, fit_square(image, spec.size, spec.fit, spec.grayscale))
        except ImageUnreadable as error:
            return _Examined(item, problem=ImportProblem(item.name, error.reason, error.remedy))
        except MemoryError:
            return _Examined(item, problem=ImportProblem(item.name, "there is not enough memory to read it"))
        except Exception as error:  # nobody knows what a file from elsewhere holds: it is named, the others come in
            if isinstance(error, OSError) and error.errno in DISK_FULL:
                raise
            logger.warning("An image could not be read", exc_info=True)
            reason = f"it cannot be read ({reason_of(error)})"
            return _Examined(item, problem=ImportProblem(item.name, reason, "correct it, or leave it out"))

    def _take(self, result: Future[_Examined] | ImportProblem | _Examined, cache: PixelWriter) -> None:
        """One file, in the order of the source."""
        self.done += 1
        examined = result.result() if isinstance(result, Future) else result
        if isinstance(examined, ImportProblem):
            (self._skipped if examined.remedy == SKIPPED else self._problems).append(examined)
            self._report_progress(examined.name)
            return
        item = examined.item
        self._labelled += item.label is not None
        if examined.problem is not None:
            self._refused.append(examined.problem)
        elif examined.known_id is not None:
            self._known += 1
            self._label(examined.known_id, item, is_again=True)
        elif examined.sha256 in self._ids:
            self._count_again(self._ids[examined.sha256], item)
        else:
            self._add(examined)
        late = time.monotonic() - self._batch_started > _BATCH_SECONDS
        if len(self._batch) >= _BATCH_IMAGES or (self._batch and late):
            self._flush(cache)
        self._report_progress(item.name)

    def _count_again(self, image_id: int, item: FoundImage) -> None:
        """Content that the project has: from an earlier import, or under another name in this one."""
        if image_id < self._first_new_id:
            self._known += 1
            if item.uri not in self._files and has_gone(self._uris.get(image_id, item.uri)):
                self._moved[image_id] = item
        elif self._new_uris.get(item.uri) != image_id:  # the same file named twice is no duplicate: a second opinion
            self._duplicates += 1
            self._problems.append(
                ImportProblem(item.name, "its content is the same as another file's: they count as one image")
            )
        self._label(image_id, item, is_again=True)

    def _add(self, examined: _Examined) -> None:
        """A new image, in the next batch."""
        item, facts, square = examined.item, examined.facts, examined.square
        if facts is None or square is None:
            # A worker saw its content in the project and the store does not: impossible unless ids are removed.
            raise InputError(f"{item.name}: its image was removed while the import ran; import again.")
        image_id = self._next_id
        self._next_id += 1
        self._ids[examined.sha256] = image_id
        known = self._label(image_id, item, is_again=False)
        test = item.split is Split.TEST and known is not None
        record = ImageRecord(
            id=image_id,
            uri=item.uri,
            name=item.name,
            sha256=examined.sha256,
            width=facts.width,
            height=facts.height,
            bytes=facts.bytes,
            split=Split.TEST if test else Split.POOL,
            known_class=known,
            status=ImageStatus.READY,
            pixel_row=self._next_row,
            audit_order=None,
            phash=facts.phash,
        )
        self._new_uris[item.uri] = image_id
        self._next_row += 1
        self._read += 1
        self._problems += [ImportProblem(item.name, f"it {remark}") for remark in facts.remarks]
        self._batch.append((record, square))

    def _label(self, image_id: int, item: FoundImage, *, is_again: bool) -> int | None:
        """Note the source's label of an image; returns the image's known class, if that is what the label becomes."""
        if self._book is None or item.label is None:
            return None
        as_known = self._labels == "known" or item.split is Split.TEST
        is_new = image_id >= self._first_new_id
        return self._book.add(image_id, item, as_known=as_known, is_new=is_new, is_again=is_again)

    def _flush(self, cache: PixelWriter) -> None:
        """Pixels first, then the store: a row that the store names is always there."""
        self._batch_started = time.monotonic()
        if not self._batch:
            return
        records = [record for record, _ in self._batch]
        consent.allow(self._project.folder, consent.hosts_of(record.uri for record in records))
        cache.write(records[0].pixel_row, [square for _, square in self._batch], [(r.uri, r.name) for r in records])
        self._store.images.add(records)
        self._batch = []
        if self._book is not None:
            self._book.flush()
        if self._next_id > max(
            1_000, 2 * self._ordered
        ):  # now and then, so that an early training has its audit images
            draw_audit_order(self._project)
            self._ordered = self._next_id - 1

    def _near_duplicates(self, hide: bool) -> tuple[int, list[ImportProblem]]:
        """Find new images that look like others; hide them from the queue if asked.

        Returns how many there are, and one line on them.
        """
        if not self._read:
            return 0, []
        ids, hashes, rows = self._store.images.hashes()
        pairs = candidate_pairs(hashes, int(np.searchsorted(ids, self._first_new_id)))
        looks_like: dict[int, int] = {}  # the later image's id to the earlier one's
        pixels = PixelStore(self._project.pixels)
        for start in range(0, len(pairs), _COMPARED_AT_ONCE):
            chunk = np.array(pairs[start : start + _COMPARED_AT_ONCE])  # (n, 2)
            same = same_picture(pixels[rows[chunk[:, 0]]], pixels[rows[chunk[:, 1]]])
            for earlier, later in ids[chunk[same]].tolist():
                looks_like.setdefault(later, earlier)
        if not looks_like:
            return 0, []
        shown = dict(list(looks_like.items())[:_NEAR_SHOWN])
        names = {image.id: image.name for image in self._store.images.many({*shown, *shown.values()})}
        pairs_shown = ", ".join(f"{names[later]} like {names[earlier]}" for later, earlier in shown.items())
        more = f" and {len(looks_like) - len(shown):,} more" if len(looks_like) > len(shown) else ""
        if hide:
            self._store.images.set_status(looks_like, ImageStatus.HIDDEN)
        count = "1 image looks" if len(looks_like) == 1 else f"{len(looks_like):,} images look"
        return len(looks_like), [
            ImportProblem(
                self._scan.title or self._scan.source,
                f"{count} the same as another one: {pairs_shown}{more}",
                "nothing to do: they will not be asked" if hide else "skip them on the Label page if they are the same",
            )
        ]

    def _report_progress(self, name: str, *, force: bool = False) -> None:
        now = time.monotonic()
        if self._progress is None or (now - self._last_progress < _PROGRESS_SECONDS and not force):
            return
        self._last_progress = now
        speed = self.done / max(now - self._started, 1e-6)
        total = self._scan.total
        seconds_left = (total - self.done) / speed if total is not None and speed > 0 else None
        problems = len(self._refused) + len(self._problems) + len(self._skipped)
        self._progress(ImportProgress(self.done, total, self._read, problems, name, speed, seconds_left))


def draw_audit_order(project: Project) -> None:
    """Give every pool image its place in the random order in which audit images are drawn.

    An image's place follows from a hash of its content and the project's seed, so the order is random over the whole
    collection at any time: images that are added later fall in between at random, and the others keep their order
    among themselves.
    """
    ids, contents, positions = project.store.images.audit_order()
    seed = f"{project.settings.seed}:".encode()
    keys = [hashlib.sha256(seed + content.encode()).digest() for content in contents]
    order = np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)
    if not np.array_equal(positions[order], np.arange(len(order))):
        project.store.images.set_audit_order(ids[order])
