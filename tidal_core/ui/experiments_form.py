"""The form of the Experiments page that begins an experiment, and what its ways of asking are."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import streamlit as st

from tidal_core import strategies
from tidal_core.errors import TidalError
from tidal_core.experiments import owner
from tidal_core.experiments.datasets import (
    LEAST_CLASSES,
    LEAST_LABELLED,
    PROJECT,
    TITLES,
    Dataset,
    available,
    is_prepared,
    keep_project,
    prepare,
)
from tidal_core.experiments.files import Experiment, Spec, begin, experiments
from tidal_core.experiments.options import AUGMENTATIONS, Options, check_backbone
from tidal_core.experiments.protocol import BY_FEATURES, MOST_SIDE, PRESETS, STARTS, Protocol, Tail
from tidal_core.projects import home, project_folder, project_slugs, slugify
from tidal_core.server.studio import DEMO
from tidal_core.text import literal
from tidal_core.ui.forms import table
from tidal_core.ui.owners import owners
from tidal_core.ui.project_parts import AUGMENTATION_WORDS
from tidal_core.ui.runtime import current_slug, get_studio

START_WORDS = {False: "Start every round from new weights (cold)", True: "Continue from the round before (warm)"}
TAIL_WORDS: dict[Tail, str] = {
    "exponential": "Exponential: each class is a little smaller than the one before",
    "step": "Step: the second half of the classes is small",
}


def data_folder() -> Path | None:
    """Where data sets' files are: $TIDAL_DATA."""
    return Path(os.environ["TIDAL_DATA"]) if os.environ.get("TIDAL_DATA") else None


def start_form() -> None:
    """Begin an experiment, or add configurations and runs to one."""
    with st.expander("Start an experiment", icon=":material/play_arrow:", expanded=not experiments(home())):
        titles = _offered()
        left, right = st.columns(2, gap="large")
        dataset = str(left.selectbox(
            "Images with known labels", list(titles), list(titles).index(_first_choice(titles)),
            format_func=lambda name: titles.get(name, name), key="exp-data",
        ))  # fmt: skip
        presets = list(PRESETS)
        preset = left.selectbox(
            "Preset", presets, presets.index(_first_preset(dataset)), key=f"exp-preset-{dataset}",
            help="quick: a first try. human: as people label, minutes a run. frozen: the same on stored features of a "
            "pretrained model, seconds a run. paper: as published, hours on a GPU. paper-cpu: the same with a thin "
            "network and a fifth of the budgets, for CIFAR-10 at 16 pixels (cifar10@16 in the command).",
        )  # fmt: skip
        configurations = right.multiselect(
            "Compare", list(strategies.names()), default=["random", "margin", "tidal-margin"], key="exp-configurations",
            format_func=lambda name: f"{strategies.get(name).title} ({name})",
        )  # fmt: skip
        more = right.text_input(
            "More to compare, by name", key="exp-more", placeholder="random+td, tidal-entropy/plain",
            help="A way of asking with a change to it. random+td asks at random and also trains the TD module (the "
            "small network that predicts training dynamics); tidal-entropy/plain asks as tidal-entropy does and "
            "measures accuracy with a classifier that was trained without the module.",
        )  # fmt: skip
        imbalance = float(st.session_state.get("exp-ratio", 1.0))
        protocol = Options(dataset=dataset, preset=str(preset), imbalance=(imbalance,)).protocol()
        kept = _kept(dataset)
        if kept is not None:
            protocol = protocol.fitted(len(kept.pool_rows))
        shown = f"{dataset}-{preset}" + (f"-{imbalance:g}" if preset == "paper" and imbalance > 1 else "")
        columns = st.columns(5)
        runs = int(columns[0].number_input("Runs per configuration", 1, 50, 3, key="exp-runs"))
        first = int(columns[1].number_input("First labels", 2, 20_000, protocol.first, key=f"exp-first-{shown}"))
        step = int(columns[2].number_input("Labels per round", 1, 20_000, protocol.per_round, key=f"exp-step-{shown}"))
        rounds = int(columns[3].number_input("Rounds", 1, 100, protocol.rounds, key=f"exp-rounds-{shown}"))
        ratio = float(columns[4].number_input("Imbalance ratio", 1.0, 1000.0, 1.0, key="exp-ratio"))
        protocol = _more_choices(protocol, str(preset))
        if kept is not None:
            st.caption(shares_in_words(kept, protocol))
        name = st.text_input("Name", f"{_short_title(dataset)} {preset}", key=f"exp-name-{shown}")
        if owners.button("Start", type="primary", key="exp-start", icon=":material/play_arrow:"):
            changed = protocol.changed(first=first, per_round=step, rounds=rounds)
            all_configurations = tuple(
                dict.fromkeys(
                    [
                        *configurations,
                        *(configuration.strip() for configuration in more.split(",") if configuration.strip()),
                    ]
                )
            )
            try:
                check_backbone(protocol)
                spec = Spec(dataset, changed, all_configurations, (ratio,), runs, " ".join(name.split()))
                begun = begin(home(), slugify(name), spec, kept)
                start_runs(begun)
                st.session_state["exp-shown"] = begun.name
            except TidalError as error:
                st.error(literal(str(error)), icon=":material/error:")


def _more_choices(protocol: Protocol, preset: str) -> Protocol:
    """What few change; the preset's where it is not shown."""
    if not st.toggle("More options", key="exp-more-choices"):
        return protocol
    left, right = st.columns(2, gap="large")
    warm = left.selectbox(
        "Weights", list(START_WORDS), list(START_WORDS).index(protocol.train.warm_start), START_WORDS.__getitem__,
        key=f"exp-warm-{preset}",
        help="Cold: the accuracy of a round depends on its labels alone. Warm: as the studio trains, and as published.",
    )  # fmt: skip
    tail = right.selectbox(
        "Class imbalance shape", list(TAIL_WORDS), format_func=TAIL_WORDS.__getitem__, key="exp-tail",
        help="Used when the imbalance ratio is above 1.",
    )  # fmt: skip
    stale = left.toggle(
        "Delay as in the studio", key="exp-stale",
        help="Each batch comes from the ranking of the round before, as when a person labels while the model trains.",
    )  # fmt: skip
    audit = right.slider(
        "Share of audit images", 0.0, 0.5, 0.0, 0.05, key="exp-audit",
        help="This share of images is picked at random, only to measure accuracy, as in the studio.",
    )  # fmt: skip
    enlarge_to = protocol.enlarge_to
    if protocol.train.body == "frozen":
        enlarge_to = int(left.number_input(
            "Enlarge small images to, pixels", 0, MOST_SIDE, enlarge_to, 16, key="exp-enlarge",
            help="Before the pretrained model sees them; 0: as they are. Twice as many pixels take four times as long, "
            "once for each data set.",
        ))  # fmt: skip
    backbone = left.text_input(
        "Network", protocol.train.backbone, max_chars=120, key=f"exp-backbone-{preset}",
        help="What looks at the images: small or resnet18 (learn from nothing), efficientnet-lite0 (pretrained, "
        "installed with the studio), torchvision/resnet50 and others as in a project's settings.",
    )  # fmt: skip
    augment = protocol.train.augmentation
    if protocol.train.body != "frozen":
        augment = right.selectbox(
            "Vary images while training", AUGMENTATIONS, AUGMENTATIONS.index(augment),
            format_func=AUGMENTATION_WORDS.__getitem__, key=f"exp-augment-{preset}",
        )  # fmt: skip
    starts = [start for start in STARTS if protocol.train.body == "frozen" or start not in BY_FEATURES]
    start = left.selectbox(
        "First images", starts, starts.index(protocol.start), lambda name: STARTS[name].capitalize(),
        key=f"exp-first-images-{preset}", help="All that are compared begin with the same in a run.",
    )  # fmt: skip
    held_out = int(right.number_input(
        "Test images drawn for each run", 0, 100_000, protocol.held_out, 100, key=f"exp-held-out-{preset}",
        help="From all images, so that runs differ in these, too; 0: the same test images in all runs.",
    ))  # fmt: skip
    first_seed = int(right.number_input(
        "Seed of the first run", 0, 10**9, protocol.first_seed, key="exp-first-seed",
        help="The next run has the next one. Another number gives other runs, for a second opinion.",
    ))  # fmt: skip
    train = dataclasses.replace(protocol.train, warm_start=bool(warm), backbone=backbone.strip(), augmentation=augment)
    return dataclasses.replace(
        protocol,
        train=train,
        tail=tail,
        stale=stale,
        audit_share=float(audit),
        enlarge_to=enlarge_to,
        start=start,
        held_out=held_out,
        first_seed=first_seed,
    )


def ways_of_asking() -> None:
    """What each strategy does, where it is from and what it costs; those of other packages that cannot be used."""
    for problem in strategies.problems():
        st.warning(literal(problem), icon=":material/extension_off:")
    with st.expander("What each strategy does", icon=":material/help:"):
        table(
            [
                {
                    "Title": strategy.title,
                    "Name": strategy.name,
                    "Chooses": strategy.explanation,
                    "Source": strategy.paper,
                    "Cost": strategy.cost,
                    "Extra model heads": ", ".join(sorted(strategy.companions)),
                }
                for strategy in map(strategies.get, strategies.names())
            ]
        )
        st.caption("N: images without a label, L: labelled images, C: classes, D: features, n: images chosen.")


def _cache() -> Path:
    return home() / "experiments" / "data"


def _offered() -> dict[str, str]:
    """Data sets that can be compared on, with their titles: the person's projects that have labels enough first."""
    titles = {}
    for slug in project_slugs():
        title, images, classes = _labelled_in(slug)
        if slug != DEMO and images >= LEAST_LABELLED and classes >= LEAST_CLASSES:
            titles[f"{PROJECT}{slug}"] = f"{title} ({images:,} labelled images)"
    return titles | {name: TITLES[name] for name in available(_cache(), data_folder())}


def _labelled_in(slug: str) -> tuple[str, int, int]:
    """Title, labelled images and their classes of a project; no image of one that cannot be opened."""
    for project in get_studio().open_projects():
        if project.slug == slug:
            return project.title, *project.store.views.labelled()
    file = project_folder(slug) / "project.duckdb"
    stamps = [path.stat().st_mtime_ns for path in (file, file.with_name(f"{file.name}.wal")) if path.exists()]
    return _labelled_in_closed(slug, tuple(stamps))


@st.cache_data(max_entries=500, show_spinner=False)
def _labelled_in_closed(slug: str, _stamps: tuple[int, ...]) -> tuple[str, int, int]:
    try:
        with get_studio().glance(slug) as project:
            return project.title, *project.store.views.labelled()
    except TidalError:
        return slug, 0, 0


def _first_choice(titles: dict[str, str]) -> str:
    """What a person most likely wants to compare on: the project that is on screen, else another of theirs."""
    own = f"{PROJECT}{current_slug()}"
    if own in titles:
        return own
    return "digits" if current_slug() == DEMO else next(iter(titles))


def _first_preset(dataset: str) -> str:
    """As the project itself trains: on the features of a pretrained model, or a small network from nothing."""
    slug = dataset.removeprefix(PROJECT)
    is_frozen = slug != dataset and get_studio().project(slug).settings.train_config().body == "frozen"
    return "frozen" if is_frozen else "human"


def _short_title(dataset: str) -> str:
    """For the name of an experiment."""
    slug = dataset.removeprefix(PROJECT)
    return dataset if slug == dataset else get_studio().project(slug).title


def _kept(dataset: str) -> Dataset | None:
    """A project's labels as they are kept for the other process, which cannot open what is open here.

    Once, for all its comparisons. None for other data sets, and, with the reason on the page, where it is not possible.
    """
    slug = dataset.removeprefix(PROJECT)
    if slug == dataset:
        return None
    try:
        if not is_prepared(dataset, _cache()):
            keep_project(get_studio().project(slug), _cache())
        return prepare(dataset, _cache())
    except TidalError as error:
        st.error(literal(str(error)), icon=":material/error:")
        return None


def shares_in_words(dataset: Dataset, protocol: Protocol) -> str:
    """What becomes of a project's labelled images."""
    pool, test = len(dataset.pool_rows), len(dataset.test_rows)
    if protocol.held_out:
        return (
            f"Of {pool + test:,} labelled images, as they were when the project was first compared, each run draws "
            f"{min(protocol.held_out, pool + test):,} to measure accuracy; it never trains on these."
        )
    validation = min(protocol.validation, pool)
    tested = min(protocol.test_limit, test) if protocol.test_limit else test
    watched = f" {validation:,} only watch (validation accuracy)," if validation else ""
    return (
        f"Of {pool + test:,} labelled images, as they were when the project was first compared, {test:,} are kept to "
        f"measure accuracy (test{f'; {tested:,} of them are used' if tested < test else ''}),{watched} and "
        f"{pool - validation:,} can be chosen. None of those kept is ever trained on."
    )


def start_runs(experiment: Experiment) -> None:
    """Play in a process of its own, at low priority: it lives on without the studio."""
    owner.resume(experiment.folder)
    st.toast(f"{literal(experiment.name)} runs in the background.")
