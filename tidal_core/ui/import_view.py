"""Images in: how many there are, an import from a path or from the browser, and a new project from either."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import streamlit as st

from tidal_core.errors import InputError
from tidal_core.projects import Project
from tidal_core.records import Split
from tidal_core.rounds.queue_plan import fill_queue
from tidal_core.text import literal
from tidal_core.ui.forms import attempt, choice, table
from tidal_core.ui.runtime import get_studio, go_to

if TYPE_CHECKING:
    from tidal_core.images.ingest import LabelUse

PROBLEMS_SHOWN = 1_000  # drawn anew every second while the page is open
LABEL_USES = {
    "none": "Ignore them: I add the classes and label every image",
    "known": "Use them only to measure accuracy (the model never trains on them)",
    "answers": "Use them as labels",
}
SOURCE_HELP = (
    "A path on the machine that runs the studio, or an address: s3://bucket/photos, gs://, https://. Your files are "
    "read where they are and never changed."
)
UPLOAD_HELP = (
    "From the computer you are using: images, a zip or tar of images, and a table with image names and "
    "labels. They are copied into the project's folder."
)


def counts(project: Project) -> None:
    """How many images there are, and of which kind."""
    store = project.store
    pool, test = store.images.count(Split.POOL), store.images.count(Split.TEST)
    columns = st.columns(4)
    columns[0].metric("Images to label", f"{pool:,}")
    columns[1].metric(
        "Test images", f"{test:,}", help="Images whose class is already known; used only to measure accuracy."
    )
    columns[2].metric("Labelled", f"{sum(store.answers.counts_by_class().values()):,}")
    columns[3].metric(
        "Training size",
        f"{project.settings.training_size} px",
        help="Height and width of the images that the model sees.",
    )


def import_form(project: Project) -> None:
    """Where images come from and what becomes of labels that come along."""
    with st.form(f"import-{project.slug}", border=True):
        source, uploads = _source_fields("/home/me/photos", f"import-{project.slug}")
        labels = choice(
            "Existing labels (folder names, columns)", LABEL_USES, "none", key=f"import-{project.slug}-labels"
        )
        hide = st.checkbox(
            "Skip near-duplicates (images that look almost the same)", value=True, key=f"import-{project.slug}-hide"
        )
        if not st.form_submit_button("Import", type="primary", icon=":material/download:"):
            return
    if not source and not uploads:
        st.warning("Type the path of a folder with images, or upload files, first.")
        return

    def begin() -> None:
        sources = [*([source] if source else []), *_kept(project, uploads)]
        get_studio().start_import(project, sources, labels=cast("LabelUse", labels), hide_near_duplicates=hide)

    attempt(begin)


def _source_fields(example: str, key: str) -> tuple[str, list[Any]]:
    """A path, and files of this browser."""
    source = st.text_input("Folder or file with images", placeholder=example, help=SOURCE_HELP, key=f"{key}-source")
    uploads = st.file_uploader("Or upload files", accept_multiple_files=True, help=UPLOAD_HELP, key=f"{key}-files")
    return source.strip(), list(uploads or [])


def _kept(project: Project, uploads: Sequence[Any]) -> list[str]:
    """Copy uploaded files into the project's folder; the sources to import."""
    from tidal_core.images.uploads import keep_uploads

    if not uploads:
        return []
    try:
        return [str(path) for path in keep_uploads(project, [(upload.name, upload) for upload in uploads])]
    except OSError as error:
        raise InputError(
            f"The files could not be saved in {project.folder}: {error.strerror or error}. Free some disk space, or "
            "type the path of their folder instead."
        ) from error


def import_status(project: Project) -> None:
    """The import under way, or how the last one ended."""
    job = get_studio().import_job(project.slug)
    if job is None:
        return
    if job.running and st.button(f"Cancel {job.title}", key=f"cancel-{job.title}-{project.slug}"):
        job.cancel()
    _import_progress(project.slug)


@st.fragment(run_every=1.0)
def _import_progress(slug: str) -> None:
    from tidal_core.images.reports import report_in_words

    job = get_studio().import_job(slug)
    if job is None:
        return
    if job.running:
        p = job.progress
        if p is None:
            st.progress(0.0, text=f"Starting {job.title}")
        else:
            share = p.done / p.total if p.total else 0.0
            left = f", about {p.seconds_left:.0f} s left" if p.seconds_left is not None else ""
            st.progress(min(share, 1.0), text=f"{p.done:,} files, {p.per_second:,.0f} a second{left}")
        return
    if job.error:
        st.error(literal(job.error))
    if job.report is not None:
        st.success(literal(report_in_words(job.report)))
        problems = job.report.problems[:PROBLEMS_SHOWN]
        if problems:
            rows = [{"File": p.name, "What is wrong": p.reason, "What to do": p.remedy} for p in problems]
            table(rows, width="stretch")
        if len(job.report.problems) > PROBLEMS_SHOWN:
            st.caption(
                f"The first {PROBLEMS_SHOWN:,} of {len(job.report.problems):,}; all of them are in the newest table in "
                f"{literal(str(job.project.folder / 'imports'))}."
            )


def new_project_form() -> None:
    """A name, classes, images: the way to own photos."""
    with st.form("new-project"):
        name = st.text_input("Name", placeholder="flowers", max_chars=60)
        source, uploads = _source_fields("/home/me/photos, or s3://bucket/photos", "new")
        labels = choice("Existing labels (folder names, columns)", LABEL_USES, "none", key="new-labels")
        classes = st.text_area("Classes, one per line (you can add more later)", placeholder="cat\ndog", height=100)
        submitted = st.form_submit_button("Create", type="primary", icon=":material/add:")
    if not submitted:
        return
    if not name.strip():
        st.warning("Give the project a name first.")
        return
    made = attempt(lambda: _create(name, source, uploads, labels, classes))
    if made is not None:
        go_to(made.slug)


def _create(name: str, source: str, uploads: Sequence[Any], labels: str, classes: str) -> Project:
    from tidal_core.images.new_project import new_project, suit

    studio = get_studio()
    lines = tuple(line for line in classes.splitlines() if line.strip())
    project = new_project(name, source or None, classes=lines, create=studio.create)
    kept = _kept(project, uploads)
    if kept and not source:
        with suppress(InputError):  # the project is there: its import says what is wrong with the files
            suit(project, kept[0])
    if source or kept:
        studio.start_import(project, [*([source] if source else []), *kept], labels=cast("LabelUse", labels))
    else:
        fill_queue(project)
    return project
