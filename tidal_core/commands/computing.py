"""``features`` and ``train``: what the studio computes in the background, by itself, and on several machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from rich.markup import escape

from tidal_core.commands.console import called_as, err, out, progress_bar, stopped_by_ctrl_c
from tidal_core.errors import Stopped, TidalError
from tidal_core.experiments.command import AddressOption, ExecutorOption
from tidal_core.records import FeatureProgress, RoundProgress, RoundState

if TYPE_CHECKING:
    from tidal_core.engine.executors.base import Executor
    from tidal_core.projects import Project

ProjectName = Annotated[str, typer.Argument(help="The project's name; `projects` lists them.")]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Processes that compute at the same time.",
        show_default="1; with --executor ray as many as there is room for",
    ),
]
Pixels = Annotated[
    str | None,
    typer.Option(
        help="Address of a copy of the project's file pixels.npy, such as s3://bucket/birds/pixels.npy, for machines "
        "that do not see the project's folder.",
        show_default="the project's own file",
    ),
]


def _say(words: str) -> None:
    err.print(escape(words), soft_wrap=True)


class _Computing(NamedTuple):
    """What a command of this file computes with."""

    project: Project
    executor: Executor
    show: Callable[[int, int | None], None]  # done and total, on the progress bar
    should_stop: Callable[[], bool]


@contextmanager
def _computing(name: str, what: str, executor: str, address: str | None, workers: int | None) -> Iterator[_Computing]:
    """The project ``name`` and its executor while the block lasts, with a progress bar that says ``what``."""
    from tidal_core import projects
    from tidal_core.engine.executors.choosing import chosen

    project = projects.open_project(projects.slugify(name))
    try:
        with (
            chosen(executor, address, workers) as where,
            progress_bar(what) as show,
            stopped_by_ctrl_c("the images that are under way") as stop,
        ):
            yield _Computing(project, where, show, stop)
    finally:
        project.close()


def features(
    project: ProjectName,
    executor: ExecutorOption = "local",
    address: AddressOption = None,
    workers: Workers = None,
    pixels: Pixels = None,
) -> None:
    """Compute the features of a project's images, for a pretrained model. The same command goes on after a stop."""
    from tidal_core.rounds.feature_work import compute_all
    from tidal_core.rounds.features import progress_of

    with _computing(project, "features", executor, address, workers) as work:

        def tell(step: FeatureProgress) -> None:
            work.show(step.done, step.total)

        complete = compute_all(
            work.project, executor=work.executor, copy=pixels, progress=tell, should_stop=work.should_stop, say=_say
        )
        state = progress_of(work.project)
    if state is not None:
        out.print(f"{state.done:,} of {state.total:,} images have their features{'' if complete else '; stopped'}.")


def train(
    project: ProjectName,
    executor: ExecutorOption = "local",
    address: AddressOption = None,
    workers: Workers = None,
    pixels: Pixels = None,
) -> None:
    """Train a round on the labels of now, score all images and choose what is asked next, without the studio.

    A round that was interrupted goes on where it was. The executor scores the images; the training is done here.
    """
    from tidal_core.rounds.copies import check_copy
    from tidal_core.rounds.due import claim_round, end_round
    from tidal_core.rounds.fastest import settle_speed
    from tidal_core.rounds.run import RoundRun

    with _computing(project, "training, then scoring", executor, address, workers) as work:
        opened, stop = work.project, work.should_stop

        def tell(step: RoundProgress) -> None:
            if step.training is not None:
                work.show(step.training.epoch, step.training.epochs)
            elif step.state is RoundState.SCORING and step.to_score:
                work.show(step.scored, step.to_score)

        if pixels is not None:
            check_copy(opened, pixels)
        record = opened.store.rounds.active()
        if record is None:
            settle_speed(opened, should_stop=stop)
            record = claim_round(opened, started_by="person")
        try:
            RoundRun(opened, record, report=tell, should_stop=stop, executor=work.executor, copy=pixels).run()
        except Stopped as error:
            raise Stopped(f"Round {record.id} was stopped; to go on: {called_as()} train {opened.slug}") from error
        except TidalError as error:
            end_round(opened, record.id, RoundState.FAILED, str(error))
            raise
        metrics = opened.store.metrics.of_round(record.id)
    accuracy = next((metric for metric in metrics if metric.name == "accuracy" and metric.class_id is None), None)
    measured = "" if accuracy is None else f", accuracy {accuracy.value:.1%} on {accuracy.n:,} images"
    out.print(f"Round {record.id} is done{measured}.")
