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
from tidal_core.ui.address import LABEL_PAGE
from tidal_core.ui.folder_picker import folder_picker
from tidal_core.ui.forms import attempt, choice, table
from tidal_core.ui.import_preview import ask_for_preview, chosen_options, show_preview
from tidal_core.ui.owners import owners
from tidal_core.ui.runtime import get_studio, go_to

if TYPE_CHECKING:
    from tidal_core.images.ingest import LabelUse
    from tidal_core.images.jobs import Job

PROBLEMS_SHOWN = 1_000
CLASSES_SHOWN = 100  # in one line
TEST_HELP = "Images whose class is already known; used only to measure accuracy."
LABEL_USES = {
    "none": "Ignore them: I add the classes and label every image",
    "known": "Use them only to measure accuracy (the model never trains on them)",
    "answers": "Use them as labels",
}
SOURCE_HELP = (
    "A path on the machine that runs the studio (“Browse folders” finds it), or an address: s3://bucket/photos, gs://, "
    "https://. Your files are read where they are and never changed."
)
CLASS_LEVEL_HELP = (
    "For folders within folders: 1 takes the folders directly in the source as classes, 2 those within them. 0: the "
    "studio reads it from the folders, and says after the import what it was not sure of."
)
PREVIEW_HELP = (
    "Shows ten rows, how many images and which classes would come; there you can say which column of a table is which."
)
UPLOAD_HELP = (
    "From the computer you are using: images, a zip or tar of images, and a table with image names and "
    "labels. They are copied into the project's folder."
)


def counts(project: Project) -> None:
    """How many images there are, and how far their labelling is, class by class."""
    store = project.store
    tally = store.answers.tally()
    numbers = {
        "Images": (tally.images, "Images in this project that are there to be labelled."),
        "Labelled": (tally.labelled, None),
        "Skipped": (tally.skipped, "Images that somebody skipped with a reason; the page Dynamics lists them."),
        "Still to label": (tally.left, None),
    }
    if n_test := store.images.count(Split.TEST):
        numbers["Test images"] = (n_test, TEST_HELP)
    columns = st.columns(len(numbers))
    for column, (title, (number, explanation)) in zip(columns, numbers.items(), strict=True):
        column.metric(title, f"{number:,}", help=explanation)
    if tally.hidden:
        st.caption(f"{tally.hidden:,} more look almost the same as another image and are not asked about.")
    by_class = store.answers.counts_by_class()
    shares = [f"{literal(record.name)} {by_class.get(record.id, 0):,}" for record in store.classes.all()]
    if by_class and shares:
        more = f" and {len(shares) - CLASSES_SHOWN:,} more classes" if len(shares) > CLASSES_SHOWN else ""
        st.caption(f"Labels per class: {' · '.join(shares[:CLASSES_SHOWN])}{more}.")
    st.caption(f"The model sees the images at {project.settings.training_size} pixels (width and height).")


def import_form(project: Project) -> None:
    """Where images come from and what becomes of labels that come along."""
    folder_picker(f"import-{project.slug}-source")
    with st.form(f"import-{project.slug}", border=True):
        source, uploads = _source_fields("/home/me/photos", f"import-{project.slug}")
        labels = choice(
            "Existing labels (folder names, columns)", LABEL_USES, "none", key=f"import-{project.slug}-labels"
        )
        _class_level_field(f"import-{project.slug}")
        hide = st.checkbox(
            "Skip near-duplicates (images that look almost the same)", value=True, key=f"import-{project.slug}-hide"
        )
        submitted, asks_first = _import_buttons("Import", ":material/download:")
    key = f"import-{project.slug}"
    if (submitted or asks_first) and not source and not uploads:
        st.warning("Type the path of a folder with images, or upload files, first.")
        return
    if asks_first:
        ask_for_preview(key, source, uploads)

    def begin() -> None:
        options = chosen_options(key, source, uploads)
        sources = [*([source] if source else []), *_kept(project, uploads)]
        get_studio().start_import(
            project, sources, labels=cast("LabelUse", labels), options=options, hide_near_duplicates=hide
        )

    if submitted:
        attempt(begin)
    else:
        show_preview(key, source, uploads, labels_asked=labels != "none", button="Import")


def _import_buttons(does: str, icon: str) -> tuple[bool, bool]:
    """The button that imports, and the one that only looks; whether each was pressed."""
    with st.container(horizontal=True):
        imports = owners.form_submit_button(does, type="primary", icon=icon)
        looks = owners.form_submit_button("Preview", icon=":material/preview:", help=PREVIEW_HELP)
    return imports, looks


def _source_fields(example: str, key: str) -> tuple[str, list[Any]]:
    """A path, and files of this browser."""
    source = st.text_input("Folder or file with images", placeholder=example, help=SOURCE_HELP, key=f"{key}-source")
    uploads = owners.file_uploader("Or upload files", help=UPLOAD_HELP, key=f"{key}-files")
    return source.strip(), uploads


def _class_level_field(key: str) -> None:
    """The folder level that is the class, for ``chosen_options``; 0 where the tree says it."""
    st.number_input(
        "Folder level of the classes (0: read from the folders)", 0, 64, 0, help=CLASS_LEVEL_HELP, key=f"{key}-level"
    )


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


def job_state(project: Project) -> tuple[int, bool]:
    """Changes when an import begins or ends: which is the last one, and whether it runs."""
    job = get_studio().import_job(project.slug)
    return id(job), job is not None and job.running


def import_status(project: Project, seen: tuple[int, bool]) -> None:
    """The import under way, or how the last one ended; ``seen`` is ``job_state`` before the page drew anything."""
    job = get_studio().import_job(project.slug)
    if job is not None:
        if not seen[1]:
            _how_it_ended(project, job)
        elif owners.button(f"Cancel {job.title}", key=f"cancel-{job.title}-{project.slug}"):
            job.cancel()
    _follow(project, seen)


@st.fragment(run_every=1.0)
def _follow(project: Project, seen: tuple[int, bool]) -> None:
    """How far the import is; runs the page again when one began or ended. No buttons here."""
    if job_state(project) != seen:
        st.rerun(scope="app")
    job = get_studio().import_job(project.slug)
    if job is None or not job.running:
        return
    p = job.progress
    if p is None:
        st.progress(0.0, text=f"Starting {job.title}")
    else:
        share = p.done / p.total if p.total else 0.0
        left = f", about {p.seconds_left:.0f} s left" if p.seconds_left is not None else ""
        st.progress(min(share, 1.0), text=f"{p.done:,} files, {p.per_second:,.0f} a second{left}")


def _how_it_ended(project: Project, job: Job) -> None:
    from tidal_core.images.reports import report_in_words

    if job.error:
        st.error(literal(job.error))
    if job.report is not None:
        for notice in job.report.notices:
            st.error(literal(notice))
        box = st.warning if job.report.problems else st.success
        box(literal(report_in_words(job.report)))
        if job.report.how_read:
            st.caption(literal(job.report.how_read))
    _what_next(project)
    if job.report is not None:
        problems = job.report.problems[:PROBLEMS_SHOWN]
        if problems:
            rows = [{"File": p.name, "What is wrong": p.reason, "What to do": p.remedy} for p in problems]
            table(rows, width="stretch")
        if len(job.report.problems) > PROBLEMS_SHOWN:
            st.caption(
                f"The first {PROBLEMS_SHOWN:,} of {len(job.report.problems):,}; all of them are in the newest table in "
                f"{literal(str(job.project.folder / 'imports'))}."
            )


def _what_next(project: Project) -> None:
    """How many images are ready, and the way on."""
    tally = project.store.answers.tally()
    if not tally.images:
        return
    verb = "image is" if tally.images == 1 else "images are"
    st.markdown(f"**{tally.images:,} {verb} ready.**")
    if not project.store.classes.all():
        st.info("Next, add the classes to choose from (tab Classes).", icon=":material/category:")
    elif tally.left:
        st.page_link(LABEL_PAGE, label="Label now", icon=":material/sell:")


def new_project_form() -> None:
    """A name, classes, images: the way to own photos."""
    folder_picker("new-source")
    with st.form("new-project"):
        name = st.text_input("Name", placeholder="flowers", max_chars=60)
        source, uploads = _source_fields("/home/me/photos, or s3://bucket/photos", "new")
        labels = choice("Existing labels (folder names, columns)", LABEL_USES, "none", key="new-labels")
        _class_level_field("new")
        classes = st.text_area("Classes, one per line (you can add more later)", placeholder="cat\ndog", height=100)
        submitted, asks_first = _import_buttons("Create", ":material/add:")
    if asks_first:
        ask_for_preview("new", source, uploads)
    if not submitted:
        show_preview("new", source, uploads, labels_asked=labels != "none", button="Create")
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
    options = chosen_options("new", source, uploads)
    project = new_project(name, source or None, classes=lines, create=studio.create, options=options)
    kept = _kept(project, uploads)
    if kept and not source:
        with suppress(InputError):  # the project is there: its import says what is wrong with the files
            suit(project, kept[0])
    if source or kept:
        sources = [*([source] if source else []), *kept]
        studio.start_import(project, sources, labels=cast("LabelUse", labels), options=options)
    else:
        fill_queue(project)
    return project
