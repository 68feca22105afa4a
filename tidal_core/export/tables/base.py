"""What every exporter does: write labels, answers or predictions for another program.

An exporter writes through ``files.replaced``, so that a target is whole or not there; it changes nothing in the
project and reads original images only when it copies them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, get_args

import numpy as np
import pyarrow as pa

from tidal_core.errors import InputError
from tidal_core.images.importers.folder import LABELLED_BY_FILE
from tidal_core.projects import Project
from tidal_core.records import ImportProblem, Int64
from tidal_core.store.scores import RESERVE
from tidal_core.store.where import parse

What = Literal["labels", "history", "predictions", "curves"]
WHATS: tuple[What, ...] = get_args(What)


@dataclass(frozen=True)
class ExportOptions:
    """What to write, and how."""

    what: What = "labels"
    round_id: int | None = None  # predictions and curves; None is the newest finished round
    link: bool = False  # trees of images: links to the originals instead of copies
    overwrite: bool = False  # replace a target that is there
    where: str = ""  # a condition in words (``store.where``) that images fulfil; "" for all
    image_ids: tuple[int, ...] | None = None  # of these images only; None for all
    plain: bool = False  # CSV: cells as they are, also those that a spreadsheet would run as formulas
    beside: bool = True  # whether images that have no file of their own may be written into a folder beside a file
    with_model: bool = False  # labels: also classes of the model that a person accepted, marked as such


@dataclass(frozen=True)
class ExportReport:
    """How an export ended."""

    path: Path
    rows: int  # labels, events, predictions or images written
    problems: tuple[ImportProblem, ...] = ()  # images that could not be copied
    note: str = ""  # what whoever counts the rows should know


class Exporter(Protocol):
    """One target."""

    name: str
    title: str  # for people
    for_whom: str  # a sentence that says who needs it
    suffix: str  # of its file, "" where it writes a folder
    whats: tuple[What, ...]  # what it can write
    from_store: bool  # whether it writes one file and reads no original image for it, but for those without a file

    def write(self, project: Project, target: Path, options: ExportOptions) -> ExportReport:
        """Write to ``target``, which is not there yet."""
        ...


def only_chosen(project: Project, options: ExportOptions, table: pa.Table) -> pa.Table:
    """The rows of a table, which has image_id, whose images were chosen. Raises InputError for what is no condition."""
    ids = chosen_ids(project, options)
    return table if ids is None else table.filter(pa.array(np.isin(table.column("image_id").to_numpy(), ids)))


def chosen_ids(project: Project, options: ExportOptions) -> Int64 | None:
    """(N,) the images that were chosen, by condition, by id or both; None for all."""
    given = None if options.image_ids is None else np.unique(np.asarray(options.image_ids, dtype=np.int64))
    if not options.where.strip():
        return given
    ids = project.store.collection.ids(parse(options.where, project.store.classes.all()))
    return ids if given is None else np.intersect1d(ids, given)


def note_on(project: Project, options: ExportOptions, table: pa.Table) -> str:
    """Which images a table holds that people do not expect, and which it does not hold; or ""."""
    if options.what == "labels":
        return note_on_model(project, options)
    if options.what != "predictions":
        return ""
    round_id = round_of(project, options)
    reserved, missing = (
        table.column("part").to_pylist().count(RESERVE),
        project.store.exports.without_prediction(round_id, chosen_ids(project, options)),
    )
    sentences = []
    if reserved:
        sentences.append(
            f"{reserved:,} of them are of images that are kept to measure accuracy and were not labelled yet (part "
            f'"{RESERVE}").'
        )
    if missing:
        sentences.append(
            f"{missing:,} images of the project are left out, because round {round_id} did not look at them: they were "
            "added later, or a version of the studio trained it that left out what is kept to measure accuracy. The "
            "next round has them."
        )
    return " ".join(sentences)


def note_on_model(project: Project, options: ExportOptions, *, hidden: bool = False) -> str:
    """What became of classes that the model gave; "" where there are none.

    ``hidden``: the format has no place for whose class it is, but for a file of this studio.
    """
    of_model, chosen = project.store.model_answers.images(), chosen_ids(project, options)
    n = len(of_model if chosen is None else np.intersect1d(of_model, chosen))
    if not n:
        return ""
    images = f"{n:,} image{'s have' if n > 1 else ' has'} a class of the model that was accepted on the page Finish"
    if not options.with_model:
        return f"{images}: left out, as no person's label; --with-model adds them."
    if hidden:
        return f"{images}. Other programs cannot tell them from people's labels here; {LABELLED_BY_FILE} can."
    return f"{images}; they are marked as the model's."


def table_of(project: Project, options: ExportOptions) -> pa.Table:
    """The table that was asked for. Raises InputError when the round asked for has none."""
    tables = project.store.exports
    if options.what == "labels":
        return only_chosen(project, options, tables.labels_and_known(with_model=options.with_model))
    if options.what == "history":
        return only_chosen(project, options, tables.history())
    round_id = round_of(project, options)
    table = tables.predictions(round_id) if options.what == "predictions" else tables.curves(round_id)
    if not table.num_rows:
        raise InputError(f"the project has no {options.what} of round {round_id}; choose another round (--round).")
    return only_chosen(project, options, table)


def round_of(project: Project, options: ExportOptions) -> int:
    """The round whose predictions or curves were asked for. Raises InputError where none has finished."""
    round_id = options.round_id or project.store.scores.latest_round()
    if round_id is None:
        raise InputError(
            f"there are no {options.what} yet: no round has finished; label more images, or press Train now on the "
            "Training page."
        )
    return round_id
