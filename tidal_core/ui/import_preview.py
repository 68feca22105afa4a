"""What an import would bring, before anything is imported: ten rows, images, classes, and the choice of columns.

Nothing here is stored. The choices of a preview hold for the import of the same source: ``chosen_options`` has them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import streamlit as st

from tidal_core import files
from tidal_core.text import literal
from tidal_core.ui.forms import attempt, choice, table

if TYPE_CHECKING:
    from tidal_core.images.importers.base import ImportOptions
    from tidal_core.images.importers.cells import Several
    from tidal_core.images.preview import Preview

FOUND_OUT, NONE, ONE_EACH = "\0found out", "\0none", "\0one each"
ENCODINGS = (
    *("utf-8", "utf-16", "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "koi8_r", "mac_roman"),
    *("shift_jis", "gb18030", "big5", "euc_kr"),
)
SEVERAL = {
    "leave-out": "Read the image without a label",
    "first": "Take the first label",
    "as-one": "Take the whole cell as the name of one class",
}
_PROBLEMS_SHOWN = 20


def ask_for_preview(key: str, source: str, uploads: Sequence[Any]) -> None:
    """Remember that a source is to be looked at; ``show_preview`` does it until another is asked for."""
    st.session_state[f"{key}-previewed"] = _name_of(source, uploads)


def show_preview(key: str, source: str, uploads: Sequence[Any], *, labels_asked: bool, button: str) -> None:
    """The preview that was asked for, with its choices; nothing where the source is another one now."""
    if not (source or uploads) or st.session_state.get(f"{key}-previewed") != _name_of(source, uploads):
        return
    st.subheader("Preview", anchor=False)
    with st.container(key=f"{key}-preview"):
        options = chosen_options(key, source, uploads)
        looked = attempt(lambda: _look(source, uploads, options, labels_asked))
        names = looked[0].table.names if looked and looked[0].table else _names(source, uploads, options)
        if looked is not None:
            _results(*looked)
        if names or (looked is not None and looked[0].tables):
            _choices(_prefix(key, source, uploads), names, looked[0] if looked else None)
        st.caption(f"Nothing is imported yet. Your choices hold when you press “{button}”.")


def chosen_options(key: str, source: str, uploads: Sequence[Any]) -> ImportOptions:
    """How the person wants a source to be read, by the choices below its preview."""
    from tidal_core.images.importers.base import Columns, ImportOptions
    from tidal_core.images.importers.cells import CellRules

    prefix = _prefix(key, source, uploads)

    def picked(what: str) -> str | None:
        value = st.session_state.get(f"{prefix}-{what}", FOUND_OUT)
        return None if value == FOUND_OUT else "" if value == NONE else value

    label = picked("label")
    one_hot = tuple(st.session_state.get(f"{prefix}-one-hot", ())) if label == ONE_EACH else ()
    folder = (st.session_state.get(f"{prefix}-images") or "").strip()
    return ImportOptions(
        columns=Columns(
            image=picked("image"),
            label=None if label == ONE_EACH else label,
            one_hot=one_hot,
            split=picked("split"),
            annotator=picked("annotator"),
        ),
        images=Path(folder).expanduser() if folder else None,
        encoding=picked("encoding"),
        cells=CellRules(
            cast("Several", st.session_state.get(f"{prefix}-several", "leave-out")),
            bool(st.session_state.get(f"{prefix}-keep-missing", False)),
        ),
        class_names=picked("class-names"),
        class_level=st.session_state.get(f"{key}-level") or None,
        table=picked("table"),
    )


def _name_of(source: str, uploads: Sequence[Any]) -> str:
    return "\n".join([source, *(str(upload.name) for upload in uploads)])


def _prefix(key: str, source: str, uploads: Sequence[Any]) -> str:
    """Of the keys of one source's choices: those of another table are no choices of this one."""
    return f"{key}-preview-{_name_of(source, uploads)}"


def _look(
    source: str, uploads: Sequence[Any], options: ImportOptions, labels_asked: bool
) -> tuple[Preview, list[str], list[str]]:
    """The preview, its lines, and a small picture of each row as a data address, "" where there is none."""
    from tidal_core.errors import InputError
    from tidal_core.images.preview import preview, preview_in_words, thumbnail

    if options.images is not None and not options.images.is_dir():
        raise InputError(f"there is no folder {str(options.images)!r}; check its path.")
    with files.scratch("preview") as folder:
        named = _source(source, uploads, folder)
        workspace = dataclasses.replace(options, workspace=folder / "unpacked")
        shown = preview(named, workspace, labels_asked=labels_asked)
        return shown, preview_in_words(shown, named), [thumbnail(row.file) for row in shown.rows]


def _source(source: str, uploads: Sequence[Any], folder: Path) -> str:
    """The source to look at; of files from a browser the table, which names the others."""
    from tidal_core.images.uploads import store_uploads

    if source or not uploads:
        return source
    return str(store_uploads(folder / "uploads", [(upload.name, upload) for upload in uploads])[-1])


def _names(source: str, uploads: Sequence[Any], options: ImportOptions) -> tuple[str, ...]:
    """The columns of a table that could not be read with these choices."""
    from tidal_core.images.preview import column_names

    with files.scratch("preview") as folder:
        return column_names(_source(source, uploads, folder), options)


def _results(shown: Preview, lines: Sequence[str], pictures: Sequence[str]) -> None:
    for notice in shown.notices:
        st.error(literal(notice))
    for line in lines:
        st.markdown(literal(line))
    rows = [
        {
            "Image": picture,
            "Name": row.name,
            "File": row.file or "not there",
            "Class": row.label or "no label",
            "Use": "test" if row.split is not None and row.split.value == "test" else "",
        }
        for row, picture in zip(shown.rows, pictures, strict=True)
    ]
    if rows:
        table(rows, column_config={"Image": st.column_config.ImageColumn(width="small")}, width="stretch")
    if shown.problems:
        with st.expander(f"Problems and remarks: {len(shown.problems):,}", expanded=len(shown.problems) <= 3):
            for problem in shown.problems[:_PROBLEMS_SHOWN]:
                remedy = f"; {problem.remedy}" if problem.remedy else ""
                st.markdown(f"{literal(problem.name)}: {literal(problem.reason + remedy)}")


def _choices(prefix: str, names: tuple[str, ...], shown: Preview | None) -> None:
    """How the table is to be read; each choice draws the preview anew."""
    columns = shown.columns if shown is not None else None
    if shown is not None and shown.tables:
        by_path = {offer.path.name: offer.in_words(offer.path.parent) for offer in shown.tables}
        _pick(prefix, "table", "Labels from", tuple(by_path), "what fits", none="the folders", words=by_path)
    if not names:
        return
    st.text_input(
        "Folder of the images that the table names", key=f"{prefix}-images", placeholder="beside and below the table"
    )
    left, right = st.columns(2)
    with left:
        _pick(prefix, "image", "Column with images", names, columns.image if columns else "")
        _pick(prefix, "split", "Column with train or test", names, (columns.split if columns else "") or "none")
    with right:
        guess = columns.labels_in_words.removeprefix("the column ") if columns else ""
        picked = _pick(prefix, "label", "Column with labels", (ONE_EACH, *names), guess or "none", none="no labels",
                       words={ONE_EACH: "one column for each class"})  # fmt: skip
        if picked == ONE_EACH:
            st.multiselect("Columns that are classes", names, key=f"{prefix}-one-hot", format_func=literal)
        _pick(prefix, "annotator", "Column with annotators", names, (columns.annotator if columns else "") or "none")
    with st.expander("More"):
        _pick(prefix, "encoding", "How the file is written (encoding)", ENCODINGS, "")
        choice("An image with several labels", SEVERAL, "leave-out", key=f"{prefix}-several")
        st.checkbox("Words for no label are classes (nan, N/A, None, unlabeled)", key=f"{prefix}-keep-missing")
        files = shown.table.name_files if shown is not None and shown.table is not None else ()
        if files:
            named_by = (shown.table.named_by if shown is not None and shown.table else "") or "none"
            words = {str(path): path.name for path in files}
            _pick(prefix, "class-names", "Names of the class numbers", tuple(words), named_by, none="none: the numbers",
                  words=words)  # fmt: skip


def _pick(
    prefix: str,
    what: str,
    label: str,
    values: tuple[str, ...],
    guess: str | None,
    *,
    none: str = "",
    words: dict[str, str] | None = None,
) -> str:
    """A select box over values, with what is found out first."""
    shown = {FOUND_OUT: f"Found out: {guess}" if guess else "Found out", NONE: none, **(words or {})}
    options = [FOUND_OUT, *([NONE] if none else []), *values]
    return st.selectbox(label, options, format_func=lambda value: shown.get(value, value), key=f"{prefix}-{what}")
