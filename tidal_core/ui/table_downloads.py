"""Labels and predictions as downloads, in every format that the command ``export`` has; made when asked for."""

from __future__ import annotations

import functools
import zipfile

import streamlit as st

from tidal_core.errors import TidalError
from tidal_core.export.report import report
from tidal_core.export.tables import EXPORTERS, export
from tidal_core.export.tables.base import Exporter, ExportOptions
from tidal_core.files import scratch
from tidal_core.projects import Project
from tidal_core.ui.owners import owners

MIME = {".csv": "text/csv", ".parquet": "application/vnd.apache.parquet", ".json": "application/json"}


def label_downloads(project: Project) -> None:
    """Every label, a row for each format."""
    st.header("The labels")
    st.write("Every label with its image, its class, who gave it and when.")
    n_accepted = len(project.store.model_answers.images())
    with_model = bool(n_accepted) and st.checkbox(
        f"With the model's class for {n_accepted:,} images",
        key=f"export-model-{project.slug}",
        help="They were accepted on the page Finish, and are marked as the model's: an import here does not take them "
        "for labels. Other programs may not see the mark in folders of images.",
    )
    for exporter in EXPORTERS:
        text, button = st.columns([3, 1], vertical_alignment="center")
        large = "" if exporter.from_store else " With many photos use the command `export`: it needs no memory."
        text.markdown(f"**{exporter.title}**. {exporter.for_whom}{large}")
        with button:
            options = ExportOptions(with_model=with_model, beside=False)
            _download(project, exporter, options, "labels", f"export-{project.slug}-{exporter.name}")


def report_download(project: Project) -> None:
    """The report, one file for people."""
    st.header("The report")
    st.write("One page to read, send or print: the collection, who labelled it, how often the model is right and why.")
    owners.download_button(
        "Download the report",
        data=functools.partial(_report, project),
        file_name=f"{project.slug}-report.html",
        mime="text/html",
        icon=":material/description:",
        key=f"report-{project.slug}",
    )


def _report(project: Project) -> bytes:
    try:
        return report(project).encode()
    except TidalError as error:
        project.store.log.add(f"The report could not be made: {error}", level="error")
        raise


def prediction_downloads(project: Project, round_id: int) -> None:
    """Every prediction of a round, in the formats that hold them."""
    with st.container(horizontal=True):
        for exporter in EXPORTERS:
            if exporter.name in {"csv", "parquet"}:
                options = ExportOptions(what="predictions", round_id=round_id)
                key = f"predictions-{project.slug}-{round_id}-{exporter.name}"
                _download(project, exporter, options, f"predictions-round-{round_id:04d}", key)


def _download(project: Project, exporter: Exporter, options: ExportOptions, what: str, key: str) -> None:
    suffix = exporter.suffix or f"-{exporter.name}.zip"
    owners.download_button(
        f"Download {options.what} as {exporter.name}",
        data=functools.partial(exported, project, exporter, options),
        file_name=f"{project.slug}-{what}{suffix}",
        mime=next((mime for ending, mime in MIME.items() if suffix.endswith(ending)), "application/zip"),
        key=key,
    )


def exported(project: Project, exporter: Exporter, options: ExportOptions) -> bytes:
    """The file of an exporter, or a zip of its folder; the log has the reason where it fails: a browser learns none."""
    try:
        with scratch("export") as folder:
            target = folder / f"{project.slug}{exporter.suffix}"
            report = export(project, target, exporter.name, options)
            if report.note:  # a download has no place for it
                project.store.log.add(f"Download of {options.what} as {exporter.name}: {report.note}")
            if exporter.suffix:
                return target.read_bytes()
            packed = folder / "packed.zip"
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:  # photos are compressed already
                for file in sorted(target.rglob("*")):
                    archive.write(file, file.relative_to(folder))
            return packed.read_bytes()
    except TidalError as error:
        project.store.log.add(f"The {options.what} could not be exported: {error}", level="error")
        raise
