"""Labels new images by a round's model, into a table: a folder in, one row per file out. Imports torch.

Files are read and decoded as an import does, a block at a time, so memory does not grow with the folder; what cannot
be read gets a row with the reason, and the others go on. Nothing is added to the project.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from tidal_core.config import PixelSpec
from tidal_core.engine.model import Model
from tidal_core.engine.scoring import SquareScorer
from tidal_core.errors import ImageUnreadable, InputError
from tidal_core.export.model.facts import ModelFacts, model_facts
from tidal_core.export.prediction_files import check_ending, table_file
from tidal_core.files import replaced
from tidal_core.images.importers.base import FoundImage, ImportOptions
from tidal_core.images.importers.folder import FolderImporter
from tidal_core.images.importers.typed import source_as_typed
from tidal_core.images.reading import READERS
from tidal_core.images.sources.file import shown_name
from tidal_core.images.squares import square_of
from tidal_core.method.estimators import margin, td_entropy
from tidal_core.projects import Project
from tidal_core.records import ImportProblem, UInt8

_AHEAD = 32  # files read ahead of the model
_BLOCK_BYTES = 32_000_000  # of squares scored and written together

SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("class", pa.string()),
        ("probability", pa.float32()),
        ("second_class", pa.string()),
        ("margin", pa.float32()),  # the first probability minus the second
        ("td_entropy", pa.float32()),  # of the predicted training dynamics, nats; null without the TD module
        ("error", pa.string()),  # why a file could not be read; null where it could
    ]
)


@dataclass(frozen=True)
class Predicted:
    """How it ended."""

    path: Path
    round_id: int
    images: int  # labelled
    problems: tuple[ImportProblem, ...]  # files that could not be read
    stopped: bool


@dataclass(frozen=True)
class _Read:
    """One file after a worker looked at it: a square, or what is wrong."""

    path: str
    square: UInt8 | None = None  # (S, S, 3)
    problem: ImportProblem | None = None


def predict(
    project: Project,
    source: str,
    target: Path | None = None,
    round_id: int | None = None,
    *,
    overwrite: bool = False,
    progress: Callable[[int, int | None], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Predicted:
    """Label the images of the folder ``source`` and the folders below it by a round's model.

    Default: the newest round whose weights are kept, a file below the project's ``exports``. ``progress`` gets the
    number of files done; ``should_stop`` is asked before each file, what was done until then is written. The format is
    what the target's name ends with. Raises InputError for a folder that cannot be read, a round without weights, a
    target that exists or has another ending.
    """
    if target is not None:
        check_ending(target)
    facts = model_facts(project, round_id)
    root = Path(os.path.abspath(source_as_typed(source)))
    if not root.is_dir():
        raise InputError(f"{source!r} is not a folder; give the folder with the images to label.")
    target = target or project.exports / f"{root.name or 'images'}-round-{facts.round_id:04d}.parquet"
    target = Path(target).expanduser().absolute()
    if target.is_dir() or (target.exists() and not overwrite):
        raise InputError(f"{target} already exists; choose another name (--out), or replace it with --overwrite.")
    model = Model.load(facts.weights)
    scorer = SquareScorer(model, precision=facts.body.precision if facts.body is not None else "float32")
    block = max(8, _BLOCK_BYTES // (facts.pixels.size**2 * 3))
    problems: list[ImportProblem] = []
    done, stopped = 0, False
    rows: list[_Read] = []
    with replaced(target) as beside, table_file(beside, _schema(facts), target.suffix) as table:
        for file in _squares(root, facts.pixels):
            rows.append(file)
            done += 1
            if file.problem is not None:
                problems.append(file.problem)
            if len(rows) == block:
                table.write(_table(rows, scorer, facts))
                rows = []
            if progress is not None:
                progress(done, None)
            if should_stop is not None and should_stop():
                stopped = True
                break
        table.write(_table(rows, scorer, facts))
    return Predicted(target, facts.round_id, done - len(problems), tuple(problems), stopped)


def _squares(root: Path, spec: PixelSpec) -> Iterator[_Read]:
    """Every file of the folder in the order in which people list them, read ahead by ``READERS`` threads."""

    def read(item: FoundImage | ImportProblem) -> _Read:
        if isinstance(item, ImportProblem):
            return _Read(shown_name(root / item.name), problem=item)
        try:
            return _Read(item.uri, square_of(item.read(), item.name, spec.size, spec.fit, spec.grayscale))
        except ImageUnreadable as error:
            return _Read(item.uri, problem=ImportProblem(item.name, error.reason, error.remedy))

    waiting: deque[Future[_Read]] = deque()
    with ThreadPoolExecutor(READERS, thread_name_prefix="predict") as pool:
        try:
            for item in FolderImporter().scan(str(root), ImportOptions()).items:
                waiting.append(pool.submit(read, item))
                if len(waiting) >= _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _table(rows: list[_Read], scorer: SquareScorer, facts: ModelFacts) -> pa.Table:
    """The rows of one block; those without a square have their reason."""
    names = np.array([class_facts.name for class_facts in facts.classes], dtype=object)
    squares = [file.square for file in rows if file.square is not None]
    columns: dict[str, list[object]] = {name: [None] * len(rows) for name in SCHEMA.names}
    columns["path"] = [file.path for file in rows]
    columns["error"] = [_reason(file.problem) for file in rows]
    if squares:
        log_p, td_log_p = scorer(np.stack(squares))
        order = np.argsort(-log_p, axis=1, kind="stable")
        p = np.take_along_axis(np.exp(log_p), order, axis=1)  # (B, C), largest first
        margins = margin(log_p) if p.shape[1] > 1 else None
        entropies = None if td_log_p is None else td_entropy(td_log_p)
        read_rows = [row for row, file in enumerate(rows) if file.square is not None]
        for i, row in enumerate(read_rows):
            columns["class"][row] = names[order[i, 0]]
            columns["probability"][row] = p[i, 0]
            if margins is not None:
                columns["second_class"][row] = names[order[i, 1]]
                columns["margin"][row] = margins[i]
            if entropies is not None:
                columns["td_entropy"][row] = entropies[i]
    return pa.table(columns, schema=_schema(facts))


def _reason(problem: ImportProblem | None) -> str | None:
    if problem is None:
        return None
    return f"{problem.reason}; {problem.remedy}" if problem.remedy else problem.reason


def _schema(facts: ModelFacts) -> pa.Schema:
    return SCHEMA.with_metadata({"tidal_project": facts.title, "tidal_round": str(facts.round_id)})
