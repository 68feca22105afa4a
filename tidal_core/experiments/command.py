"""``python -m tidal_core experiment``: compare strategies on images with known labels."""

from __future__ import annotations

import dataclasses
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, cast

import typer
from typer import Argument, Option

from tidal_core.config import Augmentation
from tidal_core.errors import InputError
from tidal_core.estimator_facts import COMPARED_ESTIMATORS, ESTIMATORS
from tidal_core.experiments.datasets import Dataset
from tidal_core.experiments.files import Experiment
from tidal_core.experiments.options import CONFIG_FILE, DEFAULT_CONFIGURATIONS, Options
from tidal_core.experiments.protocol import FirstChoice, Tail
from tidal_core.files import scratch
from tidal_core.projects import home
from tidal_core.records import TrainProgress

DATA_SETS = (
    "digits (comes with the studio), mnist, cifar10, cifar100, fashion-mnist, svhn, folder:PATH (a folder a class), "
    "parquet:FILE or project:NAME; cifar10:3000,1000: so many images to ask and to test on; "
    "cifar10@16: shrunk to 16 pixels."
)
BY_PRESET = "the preset's"
ExecutorOption = Annotated[
    str,
    Option(
        help="Where to compute: local, this machine, or ray, a Ray cluster (docs/scale.md).", envvar="TIDAL_EXECUTOR"
    ),
]
AddressOption = Annotated[
    str | None,
    Option(
        help="With --executor ray: auto, the cluster that this machine is part of, or HOST:PORT of one.",
        envvar="TIDAL_RAY_ADDRESS",
        show_default="a Ray of its own on this machine",
    ),
]
Jobs = Annotated[
    int | None,
    Option(
        min=1,
        help="Number of runs at the same time.",
        show_default="1; with --executor ray as many as there is room for",
    ),
]


def experiment(
    dataset: Annotated[str | None, Argument(help=DATA_SETS, show_default="the file's")] = None,
    config: Annotated[
        Path | None,
        Option(
            help="TOML file with any of these options by name (runs = 5, per_round = 20, strategies = [...]); what is "
            "given on the command line counts more. It is kept beside the results.",
            show_default="none",
        ),
    ] = None,
    strategies: Annotated[
        str | None,
        Option(
            help="Configurations to compare, separated by commas: margin,margin+td,tidal-entropy/plain.",
            show_default=",".join(DEFAULT_CONFIGURATIONS),
        ),
    ] = None,
    preset: Annotated[
        str | None,
        Option(
            help="human: budgets of one person. frozen: the same on stored features of a pretrained model, seconds a "
            "run; also for exact-margin and exact-entropy. paper: as published for the data set, takes hours. "
            "paper-cpu: the same with a thin network and a fifth of the budgets, for cifar10@16, some minutes a run. "
            "quick: seconds, to try it.",
            show_default="human",
        ),
    ] = None,
    imbalance: Annotated[
        str | None,
        Option(
            help="Imbalance ratios, with commas: 10 leaves the rarest class a tenth, 1 is balanced.", show_default="1"
        ),
    ] = None,
    tail: Annotated[
        str | None, Option(help="Shape of the class imbalance: exponential or step.", show_default="exponential")
    ] = None,
    runs: Annotated[
        int | None,
        Option(
            min=1,
            help="Runs of each configuration; each has its own first labels and initial weights.",
            show_default="5",
        ),
    ] = None,
    rounds: Annotated[int | None, Option(min=1, help="Rounds of each run.", show_default=BY_PRESET)] = None,
    first: Annotated[int | None, Option(min=1, help="Labels of the first round.", show_default=BY_PRESET)] = None,
    per_round: Annotated[
        int | None, Option(min=1, help="Labels added after each round.", show_default=BY_PRESET)
    ] = None,
    subset: Annotated[
        int | None,
        Option(
            min=0,
            help="Number of random images that a strategy chooses from in each round; 0: all.",
            show_default=BY_PRESET,
        ),
    ] = None,
    validation: Annotated[
        int | None,
        Option(min=0, help="Images of the pool that are only watched, never trained on.", show_default=BY_PRESET),
    ] = None,
    backbone: Annotated[
        str | None,
        Option(
            help="Network: small, efficientnet-lite0, resnet18, torchvision/resnet50, ... as in a project.",
            show_default=BY_PRESET,
        ),
    ] = None,
    augment: Annotated[
        str | None,
        Option(help="Vary images while training: crop, flip-crop or none.", show_default=BY_PRESET),
    ] = None,
    enlarge_to: Annotated[
        int | None,
        Option(
            min=0,
            help="Enlarge smaller images to this many pixels before the pretrained model sees them (preset frozen "
            "only); 0: do not.",
            show_default=BY_PRESET,
        ),
    ] = None,
    warm: Annotated[
        bool | None,
        Option(
            "--warm/--cold",
            help="Train each round from the weights of the last one, or from new weights.",
            show_default=BY_PRESET,
        ),
    ] = None,
    stale: Annotated[
        bool,
        Option(
            "--stale",
            help="Choose each batch with the previous model, as in the studio, where people label during training.",
        ),
    ] = False,
    audit_share: Annotated[
        float | None,
        Option(help="Share of the labels that is used only to measure accuracy, 0 to 0.5.", show_default="0"),
    ] = None,
    start: Annotated[
        str | None,
        Option(
            help="How the first labels are chosen: random, classes (one of each), or, by frozen features, k-means or "
            "herding (as the studio begins).",
            show_default="random",
        ),
    ] = None,
    held_out: Annotated[
        int | None,
        Option(min=0, help="Images to test on, drawn anew for each run; 0: the test part.", show_default="0"),
    ] = None,
    candidates: Annotated[
        int | None,
        Option(
            min=1,
            help="Batches of which the configuration oracle takes the best, each for a training.",
            show_default="30",
        ),
    ] = None,
    first_seed: Annotated[
        int | None, Option(min=0, help="Seed of the first run; the next run has the next one.", show_default="0")
    ] = None,
    name: Annotated[
        str | None,
        Option(help="Name of the experiment; an existing one is continued.", show_default="data set and preset"),
    ] = None,
    data: Annotated[Path | None, Option(help="Folder with the data set's files.", envvar="TIDAL_DATA")] = None,
    download: Annotated[bool, Option("--download", help="Download missing files with torchvision.")] = False,
    jobs: Jobs = None,
    executor: ExecutorOption = "local",
    address: AddressOption = None,
    threads: Annotated[int | None, Option(min=1, help="CPU threads of each run.", show_default=BY_PRESET)] = None,
    report_only: Annotated[
        bool, Option("--report-only", help="Run nothing; write the tables of the finished rounds.")
    ] = False,
    check: Annotated[
        bool, Option("--check", help="Repeat the first finished run and compare the results; writes nothing.")
    ] = False,
) -> None:
    """Compare strategies on images with known labels. The same command continues an experiment that was stopped."""
    from tidal_core import files
    from tidal_core.experiments import datasets
    from tidal_core.experiments.files import Experiment, begin
    from tidal_core.experiments.published import in_words, published
    from tidal_core.experiments.report import write
    from tidal_core.experiments.results import read_results

    options = Options(
        dataset=dataset,
        name=name,
        strategies=None if strategies is None else _names(strategies),
        preset=preset,
        imbalance=None if imbalance is None else _numbers(imbalance),
        tail=cast(Tail | None, tail),
        runs=runs,
        rounds=rounds,
        first=first,
        per_round=per_round,
        subset=subset,
        validation=validation,
        enlarge_to=enlarge_to,
        warm=warm,
        stale=stale or None,
        audit_share=audit_share,
        start=cast(FirstChoice | None, start),
        held_out=held_out,
        candidates=candidates,
        first_seed=first_seed,
        threads=threads,
        backbone=backbone,
        augment=cast(Augmentation | None, augment),
    )
    if config is not None:
        options = options.over(Options.read(config))
    comparison = Experiment(home() / "experiments" / options.folder_name())
    if report_only:
        for file in write(read_results(comparison), comparison.folder):
            typer.echo(str(file))
        return
    spec = options.spec()
    if check:
        before = comparison.spec
        if (before.dataset, before.protocol) != (spec.dataset, spec.protocol):
            raise InputError(
                f"The experiment {comparison.name!r} exists with another data set or other settings; give those that "
                "it was started with."
            )
        _check(comparison, data)
        return
    row = published(spec.dataset, spec.imbalances[:1]) if options.preset == "paper" else None
    if row is not None and (words := in_words(row)):
        typer.echo(words)
    with owning_if_there(comparison.folder):  # refused before its specification is changed
        prepared = datasets.prepare(spec.dataset, home() / "experiments" / "data", data, download=download)
        begin(home(), comparison.name, spec, prepared)
        if config is not None:
            files.write(comparison.folder / CONFIG_FILE, config.read_text(encoding="utf-8"))
    try:
        _execute(comparison, prepared, jobs, executor, address)
    except InputError:  # what could be executed is reported all the same
        write(read_results(comparison), comparison.folder)
        raise
    for file in write(read_results(comparison), comparison.folder):
        typer.echo(str(file))


def owning_if_there(folder: Path) -> AbstractContextManager[None]:
    """Hold the folder of an experiment that was begun before; nothing is made where there is none."""
    from tidal_core.ownership import owning

    return owning(folder) if (folder / "spec.json").exists() else nullcontext()


def _execute(comparison: Experiment, prepared: Dataset, jobs: int | None, executor: str, address: str | None) -> None:
    from tidal_core.engine.executors.choosing import chosen
    from tidal_core.experiments.running import execute_all

    with chosen(executor, address, jobs) as where:
        n_runs = execute_all(comparison, prepared, say=typer.echo, executor=where)
    typer.echo(f"{n_runs} runs finished.")


def _check(comparison: Experiment, data: Path | None) -> None:
    """Repeat the first finished run elsewhere; nothing of the experiment is written or made."""
    from tidal_core.experiments import datasets
    from tidal_core.experiments.running import finished_rounds, runs_of
    from tidal_core.experiments.runs import repeat

    prepared = datasets.prepare(comparison.spec.dataset, home() / "experiments" / "data", data)
    run = next((run for run in runs_of(comparison, prepared) if finished_rounds(run)), None)
    if run is None:
        raise InputError(
            f"The experiment {comparison.name!r} has no finished round yet; start it without --check first."
        )
    with scratch("repeat") as folder:
        differences = repeat(run, folder)
    typer.echo(f"{run.stem}: " + ("; ".join(differences) or "identical, bit for bit"))
    if differences:
        raise typer.Exit(1)


def remove(
    name: Annotated[str, Argument(help="Name of an existing experiment.")],
    without: Annotated[
        str, Option(help="Only these configurations, separated by commas.", show_default="the whole experiment")
    ] = "",
    runs: Annotated[
        int | None, Option(min=1, help="Only the runs after the first ones: how many stay.", show_default="all stay")
    ] = None,
) -> None:
    """Remove an experiment with its results, or some of its configurations and runs."""
    from tidal_core.experiments import removing

    comparison = Experiment(home() / "experiments" / name)
    if without or runs is not None:
        removing.shorten(comparison, without=_names(without), runs=runs)
        spec = comparison.spec
        typer.echo(f"Left: {', '.join(spec.configurations)}; {spec.runs} runs each.")
    else:
        removing.remove(comparison)
        typer.echo(f"Removed {name}.")


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in _names(text))
    except ValueError as error:
        raise InputError(
            f"{text!r} cannot be read as imbalance ratios; write numbers separated by commas: 1,10,100."
        ) from error


def resume(
    name: Annotated[str, Argument(help="Name of an existing experiment.")],
    data: Annotated[Path | None, Option(help="Folder with the data set's files.", envvar="TIDAL_DATA")] = None,
    jobs: Jobs = None,
    executor: ExecutorOption = "local",
    address: AddressOption = None,
) -> None:
    """Continue an experiment. Runs at low priority; the Experiments page starts this command."""
    import os

    from tidal_core.experiments import datasets
    from tidal_core.experiments.report import write
    from tidal_core.experiments.results import read_results

    if hasattr(os, "nice"):
        os.nice(10)
    comparison = Experiment(home() / "experiments" / name)
    try:
        prepared = datasets.prepare(comparison.spec.dataset, home() / "experiments" / "data", data)
        _execute(comparison, prepared, jobs, executor, address)
    finally:
        write(read_results(comparison), comparison.folder)


def separability(
    dataset: Annotated[str, Argument(help="As for `experiment`.")] = "digits",
    per_class: Annotated[int, Option(min=0, help="Number of images of each common class; 0: all.")] = 300,
    ratio: Annotated[float, Option(min=1, help="Imbalance ratio: 10 gives rare classes a tenth of the images.")] = 10.0,
    backbone: Annotated[
        str, Option(help="Network: small, efficientnet-lite0, resnet18-thin, or resnet18 as published.")
    ] = "small",
    seed: Annotated[int, Option(help="Seed for the choice of images, the weights and the order.")] = 0,
    data: Annotated[Path | None, Option(help="Folder with the data set's files.", envvar="TIDAL_DATA")] = None,
) -> None:
    """Repeat the paper's motivating experiment. Do training dynamics tell hard images from easy ones?"""
    from tidal_core.experiments import datasets, motivating
    from tidal_core.experiments.separation import RESULT, folder_of, note
    from tidal_core.ownership import owning

    folder = folder_of(home(), dataset)
    with owning(folder):
        note(folder, 0, motivating.CONFIG.epochs, "preparing the images")
        prepared = datasets.prepare(dataset, home() / "experiments" / "data", data)
        config = dataclasses.replace(motivating.CONFIG, backbone=backbone)
        status, time_left = "training begins", ""

        def look(epoch_progress: TrainProgress) -> None:
            nonlocal time_left
            time_left = f", {epoch_progress.seconds_left:,.0f} s left"
            note(folder, epoch_progress.epoch - 1, epoch_progress.epochs, status + time_left)

        run = motivating.measure(prepared, config=config, per_class=per_class, ratio=ratio, seed=seed, progress=look)
        while True:
            try:
                record = next(run)
            except StopIteration as end:
                separation = end.value
                break
            status = f"training accuracy {record.train_accuracy:.1%}"
            note(folder, record.epoch, record.epochs, status + time_left)
            typer.echo(f"epoch {record.epoch}/{record.epochs}: {status}")
        separation.save(folder / RESULT)
    for name in COMPARED_ESTIMATORS:
        numbers = f"AUROC {separation.auroc[name]:.3f}, held-out images {separation.held_out[name]:.3f}"
        typer.echo(f"{ESTIMATORS[name].title}: {numbers}")
