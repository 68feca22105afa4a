"""Classes on the Project page: names, keys, colours, order; new ones; merging and retiring, and the way back.

Every widget is keyed by the project and by what it shows, and what a person does there is done once, in a callback that
knows what was shown: it never reaches another project, nor undoes what another tab has changed meanwhile. What takes
labels out of a class is chosen first, confirmed with its numbers second, and can be undone. ``class_about`` describes
and splits one class, ``class_history`` has every change with its way back.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import streamlit as st

from tidal_core.labelling.desk import classes_version
from tidal_core.projects import Project
from tidal_core.records import ClassRecord
from tidal_core.store.class_rules import plain_name
from tidal_core.text import from_spreadsheet, literal, plain_colour, spreadsheet_safe
from tidal_core.ui import class_about, class_history
from tidal_core.ui.forms import attempt_in_callback, show_refused
from tidal_core.ui.owners import for_owners
from tidal_core.ui.runtime import annotator

AT_THE_END = "at the end"


def class_editor(project: Project) -> None:
    """All of it."""
    store, slug = project.store, project.slug
    known, labelled = store.classes.all(), store.answers.counts_by_class()
    version = classes_version(known)
    if not known:
        st.info("No classes yet. Add at least two below: the model learns to tell classes apart.")
    else:
        key = f"classes-{slug}-{version}-{st.session_state.get(_edits_of(project), 0)}"
        st.data_editor(
            [
                {
                    "id": record.id,
                    "Place": place,
                    "Name": spreadsheet_safe(record.name),
                    "Key": record.key,
                    "Colour": record.colour,
                    "Labels": labelled.get(record.id, 0),
                }
                for place, record in enumerate(known, start=1)
            ],
            hide_index=True,
            width="stretch",
            disabled=["id", "Labels"],
            column_config={
                "id": None,
                "Place": st.column_config.NumberColumn(
                    help="Type another number to move the class there.", width="small", step=1
                ),
                "Key": st.column_config.TextColumn(help="The key that labels an image as this class."),
                "Colour": st.column_config.TextColumn(
                    help="As #rrggbb, used in every figure. Below is a colour picker."
                ),
            },
            key=key,
            on_change=_change_classes,
            args=(project, known, key),
        )
    show_refused(f"classes-{slug}")
    _show_done(project)
    _new_classes(project, known)
    if known:
        _one_class(project, known, labelled, version)
    if len(known) > 1:
        _merging(project, known, labelled, version)
    _out_of_use(project)
    class_history.files(project)
    class_history.history(project)


def _edits_of(project: Project) -> str:
    """Where it is counted how often this browser has edited the project's classes."""
    return f"class-edits-{project.slug}"


@for_owners
def _change_classes(project: Project, shown: list[ClassRecord], key: str) -> None:
    """What was typed into the table of ``shown`` classes; the next table begins without it, also if it was refused."""
    rows: dict[int, dict[str, str | int | None]] = st.session_state[key]["edited_rows"]
    st.session_state[_edits_of(project)] = st.session_state.get(_edits_of(project), 0) + 1
    refused, classes = f"classes-{project.slug}", project.store.classes
    for row, cells in rows.items():
        record = shown[int(row)]
        changed = {column.lower(): str(cells[column] or "") for column in ("Name", "Key", "Colour") if column in cells}
        if "name" in changed:  # the table can be downloaded, so it is safe for spreadsheets
            changed["name"] = from_spreadsheet(changed["name"])
        for column, text in changed.items():  # each on its own: a refused key leaves the name
            attempt_in_callback(
                refused,
                functools.partial(classes.change, record.id, shown=record, author=annotator(), **{column: text}),
            )
        if "Place" in cells:
            place = int(cells["Place"] or 0)
            attempt_in_callback(refused, functools.partial(_move, project, shown, record, place))


def _move(project: Project, shown: list[ClassRecord], record: ClassRecord, place: int) -> None:
    """Put a class at a place, from 1; beyond the ends it is the first or the last."""
    order = [other.id for other in shown if other.id != record.id]
    order.insert(max(place, 1) - 1, record.id)
    project.store.classes.arrange(order, keep_looks=True, author=annotator())


# ---- new ones


def _new_classes(project: Project, known: list[ClassRecord]) -> None:
    slug = project.slug
    with st.form(f"new-classes-{slug}"):
        key = f"new-classes-{slug}-names"
        st.text_area("New classes, one per line", placeholder="cat\ndog", height=100, key=key)
        places = {0: AT_THE_END} | {record.id: f"before {record.name}" for record in known}
        where = f"new-classes-{slug}-where"
        if len(known) > 1:
            st.selectbox("Where", list(places), format_func=lambda before: places.get(before, AT_THE_END), key=where)
        st.form_submit_button("Add classes", on_click=_add_classes, args=(project, key, where))
    show_refused(f"new-classes-{slug}")
    for sentence in st.session_state.pop(f"new-classes-{slug}-added", []):
        st.info(sentence)


@for_owners
def _add_classes(project: Project, key: str, where: str) -> None:
    """Add what was typed; the field keeps it where nothing came of it, and a sentence says why."""
    names = [line for line in str(st.session_state[key]).splitlines() if line.strip()]
    before = {record.name for record in project.store.classes.all()}
    added = attempt_in_callback(
        f"new-classes-{project.slug}", lambda: project.store.classes.add(names, author=annotator())
    )
    if added is None:
        return
    sentences = st.session_state.setdefault(f"new-classes-{project.slug}-added", [])
    there = [literal(name) for name in dict.fromkeys(map(plain_name, names)) if name in before]
    new = list(dict.fromkeys(record.id for record in added if record.name not in before))
    if not names:
        sentences.append("Nothing was added: type at least one name.")
    if there:
        sentences.append(
            f"{'Already classes' if len(there) > 1 else 'Already a class'} of this project: {', '.join(there)}."
            + ("" if new else " Nothing was added.")
        )
    if not new:
        return
    st.session_state[key] = ""
    next_id = st.session_state.get(where)
    order = [record.id for record in project.store.classes.all() if record.id not in new]
    if next_id in order:
        order[order.index(next_id) : order.index(next_id)] = new
        project.store.classes.arrange(order, keep_looks=True, author=annotator())


# ---- one class: its colour, and retiring it


def _one_class(project: Project, known: list[ClassRecord], labelled: dict[int, int], version: str) -> None:
    key = f"one-class-{project.slug}-{version}"
    record = _chosen("Change a class", known, key)
    if record is None:
        show_refused(f"one-class-{project.slug}")
        return
    colour_key = f"{key}-{record.id}-colour"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.color_picker(
            "Colour", plain_colour(record.colour), key=colour_key, on_change=_set_colour,
            args=(project, record, colour_key),
        )  # fmt: skip
        asked = _asks_first("Retire", f"{key}-{record.id}-retire")
    if asked:
        with st.container(border=True):
            st.markdown(
                f"**{literal(record.name)}** will be offered no more, and its {_labels(labelled, record)} will not be "
                "used to train. They stay on record: you can bring the class back."
            )
            _confirm(f"{key}-{record.id}-retire", "Retire this class", functools.partial(_retire, project, record))
    show_refused(f"one-class-{project.slug}")
    class_about.describe(project, record, key)
    class_about.split(project, record, key)


@for_owners
def _set_colour(project: Project, record: ClassRecord, key: str) -> None:
    colour = str(st.session_state[key])
    attempt_in_callback(
        f"one-class-{project.slug}",
        lambda: project.store.classes.change(record.id, shown=record, colour=colour, author=annotator()),
    )


def _retire(project: Project, record: ClassRecord) -> None:
    def retire() -> bool:
        project.store.classes.retire(record.id, author=annotator())
        return True

    if attempt_in_callback(f"one-class-{project.slug}", retire):
        _note_done(project, record, f"{literal(record.name)} is offered no more.")


# ---- merging


def _merging(project: Project, known: list[ClassRecord], labelled: dict[int, int], version: str) -> None:
    key = f"merge-{project.slug}-{version}"
    left, right = st.columns(2)
    with left:
        source = _chosen("Merge class", known, f"{key}-source")
    with right:
        into = _chosen("into class", [record for record in known if record != source], f"{key}-into")
    if source is not None and into is not None:
        confirm = f"{key}-{source.id}-{into.id}"
        if _asks_first("Merge", confirm):
            total = labelled.get(source.id, 0) + labelled.get(into.id, 0)
            with st.container(border=True):
                st.markdown(
                    f"**{literal(source.name)}** has {_labels(labelled, source)}, **{literal(into.name)}** has "
                    f"{_labels(labelled, into)}. All {total:,} will count as {literal(into.name)}, and "
                    f"{literal(source.name)} will be offered no more. You can undo this."
                )
                _confirm(confirm, "Merge these classes", functools.partial(_merge, project, source, into))
    show_refused(f"merge-{project.slug}")


def _merge(project: Project, source: ClassRecord, into: ClassRecord) -> None:
    def merge() -> bool:
        project.store.classes.merge(source.id, into.id, shown=(source, into), author=annotator())
        return True

    if attempt_in_callback(f"merge-{project.slug}", merge):
        _note_done(project, source, f"{literal(source.name)} counts as {literal(into.name)} now.")


# ---- the way back


def _note_done(project: Project, record: ClassRecord, sentence: str) -> None:
    st.session_state[f"class-done-{project.slug}"] = (record.id, sentence)


def _show_done(project: Project) -> None:
    """What was merged or retired last here, with the button that takes it back; until it is back."""
    class_id, sentence = st.session_state.get(f"class-done-{project.slug}", (0, ""))
    in_use = {record.id for record in project.store.classes.all()}
    if class_id and class_id not in in_use:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.success(sentence)
            st.button(
                "Undo", icon=":material/undo:", key=f"class-undo-{project.slug}-{class_id}", on_click=_bring_back,
                args=(project, class_id),
            )  # fmt: skip
    show_refused(f"bring-back-{project.slug}")


@for_owners
def _bring_back(project: Project, class_id: int) -> None:
    attempt_in_callback(
        f"bring-back-{project.slug}", lambda: project.store.classes.bring_back(class_id, author=annotator())
    )


def _out_of_use(project: Project) -> None:
    """Classes that were merged or retired, whenever that was: each can be brought back."""
    every = project.store.classes.all(include_retired=True)
    names = {record.id: record.name for record in every}
    gone = [record for record in every if record.merged_into is not None or record.retired_at is not None]
    if not gone:
        return
    with st.expander(f"Classes out of use: {len(gone):,}"):
        key = f"out-of-use-{project.slug}-{len(gone)}-{gone[-1].id}"
        record = _chosen("Class out of use", gone, key)
        if record is not None:
            how = "Retired." if record.merged_into is None else f"Merged into {literal(names[record.merged_into])}."
            st.caption(f"{how} Labels that were given as {literal(record.name)} will count as its own again.")
            st.button("Bring it back", key=f"{key}-{record.id}", on_click=_bring_back, args=(project, record.id))


# ---- the parts of the forms above


def _chosen(label: str, records: list[ClassRecord], key: str) -> ClassRecord | None:
    """The class that a person chose; nothing is chosen before."""
    by_id = {record.id: record for record in records}
    class_id = st.selectbox(
        label, list(by_id), index=None, placeholder="Choose a class",
        format_func=lambda number: by_id[number].name if number in by_id else "", key=key,
    )  # fmt: skip
    return by_id.get(class_id) if class_id is not None else None


def _labels(labelled: dict[int, int], record: ClassRecord) -> str:
    count = labelled.get(record.id, 0)
    return f"{count:,} label{'' if count == 1 else 's'}"


def _asks_first(label: str, key: str) -> bool:
    """A button that does nothing yet; whether it was pressed and what it asks is still open."""
    st.button(label, key=f"{key}-ask", on_click=_set, args=(f"{key}-open", True))
    return bool(st.session_state.get(f"{key}-open"))


def _confirm(key: str, label: str, action: Callable[[], None]) -> None:
    with st.container(horizontal=True):
        st.button(label, type="primary", key=f"{key}-yes", on_click=_answer, args=(f"{key}-open", action))
        st.button("Cancel", key=f"{key}-no", on_click=_set, args=(f"{key}-open", False))


def _set(key: str, value: bool) -> None:
    st.session_state[key] = value


@for_owners
def _answer(key: str, action: Callable[[], None]) -> None:
    st.session_state[key] = False
    action()
