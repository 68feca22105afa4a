"""Parts of the Project page: settings. Classes are in ``class_parts``, images in ``import_view``."""

from __future__ import annotations

import dataclasses
import hashlib

import streamlit as st

from tidal_core import strategies
from tidal_core.config import ProjectSettings
from tidal_core.images.new_project import REASON, could_gain, reason_of, with_training
from tidal_core.labelling.people import TIE_RULE
from tidal_core.projects import Project
from tidal_core.rounds import foreseen
from tidal_core.rounds.audit import WHAT_IT_MEASURES
from tidal_core.text import literal
from tidal_core.ui.forms import attempt, attempt_in_callback, choice, show_refused
from tidal_core.ui.owners import owners
from tidal_core.ui.runtime import get_studio

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
CONSENSUS_WORDS = {
    "majority": "what most people say",
    "crowdlab": "what CROWDLAB finds most probable",
}
NAME_WORDS = {
    "blind": "what does not give the class away",
    "path": "folder and file name",
    "file": "file name only",
    "nothing": "nothing",
}


def why_this_training(project: Project) -> None:
    """Why the project trains as it does, how long that takes here, and what an older project could gain."""
    if could_gain(project):
        st.info(
            "The pretrained model knows photos already: on flower photos 40 labels gave it 80 % where the small "
            "network has 46 to 50 %. Your labels stay as they are.",
            icon=":material/lightbulb:",
        )
        use, keep = st.columns(2)
        with use:
            uses = owners.button("Use the pretrained model", type="primary", key=f"use-pretrained-{project.slug}")
        with keep:
            keeps = owners.button("Keep the small network", key=f"keep-small-{project.slug}")
        if uses:
            side = project.store.images.median_side()
            now = project.settings
            wanted = dataclasses.replace(with_training(now, "frozen", side), find_fastest=True)
            if attempt(lambda: get_studio().change_settings(project, wanted, shown=now)) is not None:
                project.store.settings.set(REASON, "You chose this training.")
                st.rerun()
        if keeps:
            project.store.settings.set(REASON, "You chose this training.")
            st.rerun()
    st.caption(" ".join([literal(reason_of(project)), *foreseen.sentences(project)]))


FORM = (
    "title", "rounds_enabled", "labels_per_round", "strategy", "preset", "backbone", "quick_network", "augmentation",
    "class_balance", "suggestions", "shown_names", "double_share", "people_per_image", "consensus", "people_shown",
    "audit_share", "training_size", "fit", "grayscale", "pixel_cache_gb",
    "curve_rounds",
)  # fmt: skip
"""The settings that the form shows, by their names in ``ProjectSettings``."""


def settings_form(project: Project) -> None:
    """What a person can set; the next round follows it. Keyed by the project and by what the form shows."""
    now = project.settings
    why_this_training(project)
    shown = repr([getattr(now, field) for field in FORM])
    key = f"settings-{project.slug}-{hashlib.sha256(shown.encode()).hexdigest()[:12]}"
    with st.form(key):
        st.text_input("Title", now.title, max_chars=100, key=f"{key}-title")
        st.toggle("Train while I label", now.rounds_enabled, key=f"{key}-rounds_enabled")
        st.number_input("Labels per round", 1, 100_000, now.labels_per_round, step=5, key=f"{key}-labels_per_round")
        choice(
            "Choose images by",
            {name: f"{strategies.get(name).title} ({name})" for name in strategies.names()},
            now.strategy,
            help="The strategy that picks the next images to label. For photos the studio proposes exact-herding: it "
            "is the best with few labels or within a point of it; tidal-entropy is the method of the TiDAL paper.",
            key=f"{key}-strategy",
        )
        choice(
            "Training",
            PRESET_WORDS,
            now.preset,
            help="Another training brings the size, the strategy and the labels per round that go with it, unless you "
            "change these, too. You may change it at any round.",
            key=f"{key}-preset",
        )
        st.text_input(
            "Pretrained model",
            now.backbone,
            max_chars=120,
            help="For the trainings Pretrained and Fine-tune. efficientnet-lite0 is installed with the studio. Others "
            "are downloaded when they are first used: torchvision/resnet50, torchvision/convnext_tiny, ..., or models "
            "of the package timm, such as timm/vit_small_patch14_dinov2.lvd142m.",
            key=f"{key}-backbone",
        )
        st.text_input(
            "Network of the training Quick",
            now.quick_network,
            max_chars=120,
            help="What learns from nothing: small, resnet18, or one that another package registers.",
            key=f"{key}-quick_network",
        )
        choice("Vary images while training", AUGMENTATION_WORDS, now.augmentation, key=f"{key}-augmentation")
        choice(
            "Classes with few labels",
            BALANCE_WORDS,
            now.class_balance,
            help="The training Paper ignores this.",
            key=f"{key}-class_balance",
        )
        choice("Show the model's suggestion", SUGGESTION_WORDS, now.suggestions, key=f"{key}-suggestions")
        choice(
            "Show of an image's name",
            NAME_WORDS,
            now.shown_names,
            help="Folders are often called like classes, and so tell the labeller the answer. At first they are shown "
            "only if no folder is called like a class and no class came with the import; a file's name only if it "
            "holds no class's name. Exports always have the whole name.",
            key=f"{key}-shown_names",
        )
        share_column, people_column, consensus_column = st.columns(3, vertical_alignment="bottom")
        share_column.number_input(
            "Share of images asked of several people",
            0.0,
            1.0,
            now.double_share,
            0.05,
            help="To measure how far people agree (Review, Agreement). Which images these are is drawn once. Nobody "
            "sees what others said of such an image before answering it.",
            key=f"{key}-double_share",
        )
        people_column.number_input("Of how many people", 2, 20, now.people_per_image, key=f"{key}-people_per_image")
        with consensus_column:
            choice(
                "Where people disagree, train with",
                CONSENSUS_WORDS,
                now.consensus,
                help=f"{TIE_RULE} CROWDLAB (Goh, Tkachenko and Mueller 2022) weighs each person by how well they agree "
                "with others, and the model's opinion beside; it needs a round of the training Pretrained. It chooses "
                "among classes that somebody gave.",
                key=f"{key}-consensus",
            )
        st.toggle("Everybody sees how each person labels", now.people_shown, key=f"{key}-people_shown")
        st.slider(
            "Share of images picked at random, only to measure accuracy",
            0.0,
            0.5,
            now.audit_share,
            0.05,
            help=f"{WHAT_IT_MEASURES} The model never trains on them. Not needed where the project has test images.",
            key=f"{key}-audit_share",
        )
        st.caption("Changing size, fit or colour re-processes all images in the background; labels are kept.")
        size_column, fit_column, cache_column = st.columns(3)
        size_column.number_input("Training size, pixels", 8, 512, now.training_size, step=8, key=f"{key}-training_size")
        with fit_column:
            choice("Images that are not square", FIT_WORDS, now.fit, key=f"{key}-fit")
        fit_column.toggle("Greyscale", now.grayscale, key=f"{key}-grayscale")
        cache_column.number_input(
            "Pixel cache, GB",
            min_value=0.001,
            max_value=100_000.0,
            value=now.pixel_cache_gb,
            format="%g",
            help="Disk space for prepared images. Images beyond it are decoded at each use, which is slower.",
            key=f"{key}-pixel_cache_gb",
        )
        st.number_input(
            "Rounds with whole curves",
            1,
            1_000,
            now.curve_rounds,
            help="Of so many of the last rounds every curve is kept, epoch by epoch. Of older rounds what describes "
            "the curves stays; their room is used again, or given back when the project is opened.",
            key=f"{key}-curve_rounds",
        )
        owners.form_submit_button("Save", type="primary", on_click=_save_settings, args=(project, now, key))
    show_refused(f"settings-{project.slug}")


def _save_settings(project: Project, shown: ProjectSettings, key: str) -> None:
    """Keep what a person changed of the settings ``shown``, and what goes with another training."""
    entered = {field: st.session_state[f"{key}-{field}"] for field in FORM}
    entered |= {field: entered[field].strip() for field in ("title", "backbone", "quick_network")}
    base = with_training(shown, entered["preset"], project.store.images.median_side())
    changed = {field: value for field, value in entered.items() if value != getattr(shown, field)}
    filling = attempt_in_callback(
        f"settings-{project.slug}",
        lambda: get_studio().change_settings(project, dataclasses.replace(base, **changed), shown=shown),
    )
    if filling is not None:
        st.toast(
            "Saved; all images are being re-processed, see the Images tab."
            if filling
            else "Saved; the next round uses it."
        )
