"""Parts of the Project page: classes, settings, labels out. Images in and new projects are in ``import_view``."""

from __future__ import annotations

import dataclasses
import functools
from typing import TypeVar, cast

import streamlit as st

from tidal_core import strategies
from tidal_core.config import Augmentation, ClassBalance, Fit, SuggestionMode
from tidal_core.export.tables import export
from tidal_core.export.tables.base import ExportOptions
from tidal_core.files import scratch
from tidal_core.images.new_project import REASON, could_gain, reason_of, with_training
from tidal_core.projects import Project
from tidal_core.rounds import foreseen
from tidal_core.rounds.audit import WHAT_IT_MEASURES
from tidal_core.ui.forms import attempt, choice
from tidal_core.ui.runtime import get_studio

T = TypeVar("T")

PRESET_WORDS = {
    "frozen": "Pretrained: knows photos already; seconds per round, right with few labels",
    "quick": "Quick: a small network that learns from nothing; up to a minute per round on a laptop",
    "fine-tune": "Fine-tune: a whole pretrained network; for those with a GPU or time",
    "paper": "Paper: ResNet-18, 200 epochs; needs a GPU",
}
AUGMENTATION_WORDS = {
    "crop": "Shift images a little",
    "flip-crop": "Shift and mirror images (not for letters and digits)",
    "none": "Leave images as they are",
}
BALANCE_WORDS = {
    "none": "Every label counts the same",
    "weights": "Every class counts the same, however few labels it has",
}
FIT_WORDS = {
    "crop": "Crop to a square",
    "letterbox": "Keep the whole image, with black bars",
    "stretch": "Keep the whole image, stretched to a square",
}
SUGGESTION_WORDS = {
    "after": "after my answer",
    "always": "before my answer",
    "never": "never",
}


def class_editor(project: Project) -> None:
    """Names, keys, colours; new classes; merging."""
    store = project.store
    known, labelled = store.classes.all(), store.answers.counts_by_class()
    if not known:
        st.info("No classes yet. Add at least two below: the model learns to tell classes apart.")
    table = [
        {"id": c.id, "Name": c.name, "Key": c.key, "Colour": c.colour, "Labels": labelled.get(c.id, 0)} for c in known
    ]
    if table:
        edited = st.data_editor(
            table,
            hide_index=True,
            width="stretch",
            disabled=["id", "Labels"],
            column_config={
                "id": None,
                "Key": st.column_config.TextColumn(max_chars=1, help="The key that labels an image as this class."),
                "Colour": st.column_config.TextColumn(
                    validate="^#[0-9a-fA-F]{6}$", help="As #rrggbb, used in every figure."
                ),
            },
            key=f"classes-{len(table)}",
        )
        for record, before, after in zip(known, table, edited, strict=True):
            changed = {
                column.lower(): after[column] or ""
                for column in ("Name", "Key", "Colour")
                if after[column] != before[column]
            }
            if changed:
                attempt(functools.partial(store.classes.change, record.id, **changed))
    with st.form("new-classes", clear_on_submit=True):
        names = st.text_area("New classes, one per line", placeholder="cat\ndog", height=100)
        if st.form_submit_button("Add classes") and names.strip():
            attempt(lambda: store.classes.add([line for line in names.splitlines() if line.strip()]))
            st.rerun()
    if len(known) > 1:
        with st.form("merge"):
            by_id = {str(c.id): c.name for c in known}
            left, right = st.columns(2)
            with left:
                source = choice("Merge class", by_id, str(known[0].id))
            with right:
                into = choice("into class", by_id, str(known[1].id))
            if st.form_submit_button("Merge"):
                attempt(lambda: store.classes.merge(int(source), int(into)))
                st.rerun()


def why_this_training(project: Project) -> None:
    """Why the project trains as it does, how long that takes here, and what an older project could gain."""
    if could_gain(project):
        st.info(
            "The pretrained model knows photos already: on flower photos 40 labels gave it 80 % where the small "
            "network has 46 to 50 %. Your labels stay as they are.",
            icon=":material/lightbulb:",
        )
        use, keep = st.columns(2)
        if use.button("Use the pretrained model", type="primary"):
            side = project.store.images.median_side()
            wanted = dataclasses.replace(with_training(project.settings, "frozen", side), find_fastest=True)
            if attempt(lambda: get_studio().change_settings(project, wanted)) is not None:
                project.store.settings.set(REASON, "You chose this training.")
                st.rerun()
        if keep.button("Keep the small network"):
            project.store.settings.set(REASON, "You chose this training.")
            st.rerun()
    st.caption(" ".join([reason_of(project), *foreseen.sentences(project)]))


def settings_form(project: Project) -> None:
    """What a person can set; the next round follows it."""
    now = project.settings
    why_this_training(project)
    with st.form("settings"):
        title = st.text_input("Title", now.title, max_chars=100)
        enabled = st.toggle("Train while I label", now.rounds_enabled)
        per_round = st.number_input("Labels per round", 1, 100_000, now.labels_per_round, step=5)
        strategy = choice(
            "Choose images by",
            {name: f"{strategies.get(name).title} ({name})" for name in strategies.names()},
            now.strategy,
            help="The strategy that picks the next images to label; tidal-entropy is the method of the TiDAL paper.",
        )
        preset = choice(
            "Training",
            PRESET_WORDS,
            now.preset,
            help="Another training brings the size, the strategy and the labels per round that go with it, unless you "
            "change these, too. You may change it at any round.",
        )
        backbone = st.text_input(
            "Pretrained model",
            now.backbone,
            max_chars=120,
            help="For the trainings Pretrained and Fine-tune. efficientnet-lite0 is installed with the studio. Others "
            "are downloaded when they are first used: torchvision/resnet50, torchvision/convnext_tiny, ..., or models "
            "of the package timm, such as timm/vit_small_patch14_dinov2.lvd142m.",
        )
        augmentation = choice("Vary images while training", AUGMENTATION_WORDS, now.augmentation)
        balance = choice(
            "Classes with few labels", BALANCE_WORDS, now.class_balance, help="The training Paper ignores this."
        )
        suggestions = choice("Show the model's suggestion", SUGGESTION_WORDS, now.suggestions)
        audit = st.slider(
            "Share of images picked at random, only to measure accuracy",
            0.0,
            0.5,
            now.audit_share,
            0.05,
            help=f"{WHAT_IT_MEASURES} The model never trains on them. Not needed where the project has test images.",
        )
        st.caption("Changing size, fit or colour re-processes all images in the background; labels are kept.")
        size_column, fit_column, cache_column = st.columns(3)
        size = size_column.number_input("Training size, pixels", 8, 512, now.training_size, step=8)
        with fit_column:
            fit = choice("Images that are not square", FIT_WORDS, now.fit)
        grayscale = fit_column.toggle("Greyscale", now.grayscale)
        cache_gb = cache_column.number_input(
            "Pixel cache, GB",
            min_value=0.001,
            max_value=100_000.0,
            value=now.pixel_cache_gb,
            format="%g",
            help="Disk space for prepared images. Images beyond it are decoded at each use, which is slower.",
        )
        if st.form_submit_button("Save", type="primary"):
            base = with_training(now, preset, project.store.images.median_side())

            def chosen(value: T, field: str) -> T:
                """What a person changed, else what goes with the training."""
                return cast("T", getattr(base, field)) if value == getattr(now, field) else value

            changed = attempt(
                lambda: dataclasses.replace(
                    base,
                    title=title.strip(),
                    rounds_enabled=enabled,
                    labels_per_round=chosen(int(per_round), "labels_per_round"),
                    strategy=chosen(strategy, "strategy"),
                    backbone=backbone.strip(),
                    augmentation=cast("Augmentation", augmentation),
                    class_balance=cast("ClassBalance", balance),
                    suggestions=cast("SuggestionMode", suggestions),
                    audit_share=float(audit),
                    training_size=chosen(int(size), "training_size"),
                    fit=chosen(cast("Fit", fit), "fit"),
                    grayscale=grayscale,
                    pixel_cache_gb=float(cache_gb),
                )
            )
            if changed is not None:
                filling = attempt(lambda: get_studio().change_settings(project, changed))
                if filling is not None:
                    st.toast(
                        "Saved; all images are being re-processed, see the Images tab."
                        if filling
                        else "Saved; the next round uses it."
                    )


def export_downloads(project: Project) -> None:
    """Everything that was answered, as files to take away."""
    st.write("Every label with its image, class, annotator and time.")
    columns = st.columns(2)
    for column, (name, suffix, mime) in zip(
        columns,
        (("csv", ".csv", "text/csv"), ("parquet", ".parquet", "application/vnd.apache.parquet")),
        strict=True,
    ):
        column.download_button(
            f"Download labels as {name.upper() if name == 'csv' else name.title()}",
            data=functools.partial(_exported, project, suffix),
            file_name=f"{project.slug}-labels{suffix}",
            mime=mime,
            key=f"export-{name}",
        )


def _exported(project: Project, suffix: str) -> bytes:
    with scratch("labels") as folder:
        target = folder / f"labels{suffix}"
        export(project, target, None, ExportOptions())
        return target.read_bytes()
