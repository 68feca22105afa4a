"""Pages that show labels of all images, for somebody who is still to answer some that others have answered."""

from __future__ import annotations

import streamlit as st

from tidal_core.projects import Project
from tidal_core.rounds import again
from tidal_core.ui.owners import may_change, owners
from tidal_core.ui.runtime import annotator


def may_look(project: Project, page: str, *, titled: bool) -> bool:
    """Whether to draw a page that cannot leave such images out. Says why not; an owner may look all the same.

    ``titled``: whether the page has its title by then.
    """
    n = len(again.hidden_from(project, annotator()))
    if not n:
        return True
    if not titled:
        st.title(page)
    images = "1 image" if n == 1 else f"{n:,} images"
    st.info(
        f"{page} shows what others say of {images} that you are still to answer without seeing it. Answer them first, "
        "on the page Label.",
        icon=":material/visibility_off:",
    )
    return may_change() and owners.toggle("Show it all the same", False, key=f"blind-{page}-{project.slug}")
