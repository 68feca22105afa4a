"""The one studio of this process, and which of its projects a browser looks at."""

from __future__ import annotations

import os
from typing import NoReturn

import streamlit as st

from tidal_core import files, projects
from tidal_core.access.people import HERE, Person
from tidal_core.errors import NotAllowed, ProjectInUse, TidalError
from tidal_core.projects import Project
from tidal_core.server.studio import DEMO, Studio
from tidal_core.text import literal

PROJECT_KEY = "project"
ANNOTATOR_KEY = "annotator"
UNKNOWN_KEY = "unknown-project"
GO_TO_KEY = "go-to-project"  # a wish; the sidebar fulfils it before it draws the choice of projects


@st.cache_resource(show_spinner=False)
def get_studio() -> Studio:
    """The process's studio, made at the first call.

    Cached by Streamlit and not held in a module: an edited module is imported again, and a second worker would train
    the same rounds.
    """
    return Studio()


def usual_slug() -> str:
    """The project of an address that names none: the one named at the start, else the demo."""
    at_the_start = os.environ.get(projects.FIRST_SHOWN)
    return at_the_start if at_the_start in known_slugs() else DEMO


def known_slugs() -> list[str]:
    """The projects to choose from, by name; the demo is made when it is chosen."""
    return sorted({*projects.project_slugs(), DEMO})


def current_slug() -> str:
    """The project this browser looks at: chosen in it, else in the address, else the usual one."""
    known = known_slugs()
    for asked in (st.session_state.get(PROJECT_KEY), st.query_params.get(PROJECT_KEY)):
        if asked in known:
            return str(asked)
    return usual_slug()


def unknown_slug() -> str | None:
    """The project that the address names and that is not there, until another one is chosen."""
    asked = st.query_params.get(PROJECT_KEY)
    if PROJECT_KEY not in st.session_state and asked is not None and asked not in known_slugs():
        st.session_state[UNKNOWN_KEY] = asked
    return st.session_state.get(UNKNOWN_KEY)


def leave_project() -> None:
    """Forget what the address says of the project before: image 7 of the next one is another image."""
    st.query_params.pop("image", None)
    st.session_state.pop(UNKNOWN_KEY, None)


def go_to(slug: str) -> NoReturn:
    """Look at another project from now on; draws the page again."""
    leave_project()
    st.session_state[GO_TO_KEY] = slug
    st.rerun()


def current_project() -> Project:
    """The project that this browser looks at, opened. Shows why and ends the page if it cannot be opened."""
    project = open_or_say_why()
    if not isinstance(project, Project):
        show_error(project)
        st.stop()
    return project


def open_or_say_why() -> Project | TidalError:
    """The project that this browser looks at, opened; or why it cannot be opened."""
    slug = current_slug()
    try:
        studio = get_studio()
        return studio.demo() if slug == DEMO else studio.project(slug)
    except TidalError as error:
        return error
    except OSError as error:
        return files.in_words(error, projects.home())


def show_error(error: Exception) -> bool:
    """Show on the page what went wrong on purpose, or with a file, in its words; whether it was such an error.

    Called where a page ends by one, and by Streamlit for what ends a fragment or a widget's callback.
    """
    if isinstance(error, OSError):
        error = files.in_words(error, projects.home())
    if not isinstance(error, TidalError):
        return False
    st.error(literal(str(error)), icon=":material/lock:" if isinstance(error, ProjectInUse) else ":material/error:")
    return True


def person() -> Person:
    """Who looks at this page. Raises NotAllowed where nobody is signed in any more."""
    access = get_studio().access
    who = access.person(st.context.headers.get("Cookie") or "") if access.is_on else HERE
    if who is None:
        raise NotAllowed("Your sign-in has ended, or was ended in another tab. Reload the page to sign in again.")
    return who


def is_named(typed: str | None) -> bool:
    """Whether it is known who answers here, whatever the browser remembers: signed in, or ``typed`` by hand."""
    return person().signed_in or bool(typed)


def annotator() -> str:
    """Who answers in this browser: who has signed in, else the name that was typed in it."""
    return person().name or str(st.session_state.get(ANNOTATOR_KEY) or current_project().settings.annotator)
