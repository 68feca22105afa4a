"""The model as a download on the Project page: made when it is asked for, off the script's thread."""

from __future__ import annotations

import functools

import streamlit as st

from tidal_core.errors import TidalError
from tidal_core.export.model import FORMATS, zipped_model
from tidal_core.export.model.base import ModelFormat
from tidal_core.export.model.facts import kept_rounds
from tidal_core.projects import Project
from tidal_core.records import RoundState
from tidal_core.ui.owners import owners


def model_downloads(project: Project) -> None:
    """A round to choose and a button for each format."""
    st.header("The model")
    kept = {record.id: record for record in kept_rounds(project)}
    if not kept:
        if project.store.rounds.latest(RoundState.DONE) is None:
            st.info("No round has finished yet. Label more images, or press *Train now* on the Training page.")
        else:
            st.info(
                "The files with the weights of the finished rounds are gone. Press *Train now* on the Training page to "
                "train a model anew."
            )
        return
    st.write(
        "A zip with the weights, the classes, the preprocessing, a model card and a script that labels images on a "
        "computer without the studio. Preparing it takes a few seconds."
    )
    accuracy = {metric.round_id: f", {metric.value:.1%} right" for metric in project.store.metrics.series("accuracy")}
    number = st.selectbox(
        "Round",
        list(kept)[::-1],
        format_func=lambda round_id: f"Round {round_id}: {kept[round_id].labels:,} labels{accuracy.get(round_id, '')}",
        width=320,
        key=f"model-round-{project.slug}",
    )
    for column, kind in zip(st.columns(len(FORMATS)), FORMATS, strict=True):
        missing = f"Needs {' and '.join(kind.missing)}: {kind.install}" if kind.missing else ""
        with column:
            owners.download_button(
                f"Download as {kind.title}",
                data=functools.partial(_zipped, project, kind, number),
                file_name=f"{project.slug}-round-{number:04d}-{kind.name}.zip",
                mime="application/zip",
                disabled=bool(missing),
                help=missing or f"Runs with {kind.runs_with}.",
                key=f"model-{kind.name}-{project.slug}-{number}",
            )


def _zipped(project: Project, kind: ModelFormat, round_id: int) -> bytes:
    """The zip; the browser only learns that it failed, so the reason goes to the log on the Training page."""
    try:
        return zipped_model(project, kind.name, round_id)
    except TidalError as error:
        project.store.log.add(f"The model could not be exported: {error}", level="error", round_id=round_id)
        raise
