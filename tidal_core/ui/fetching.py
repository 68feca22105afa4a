"""The question whether a project's images may be fetched from where they lie, asked beside every page."""

from __future__ import annotations

import streamlit as st

from tidal_core.images.sources import consent
from tidal_core.projects import Project
from tidal_core.text import literal
from tidal_core.ui.owners import owners


def ask_to_fetch(project: Project) -> None:
    """Ask about the hosts that nobody has said yes to; nothing where there are none, or this browser has said no."""
    hosts = consent.unasked_hosts(project.folder, project.store.images.addresses())
    declined = f"fetch-declined-{project.slug}-{' '.join(hosts)}"
    if not hosts or st.session_state.get(declined):
        return
    with st.container(border=True, key="fetching"):
        more = f" and {len(hosts) - 5:,} more" if hosts[5:] else ""
        names = ", ".join(literal(host) for host in hosts[:5]) + more
        st.markdown(
            f"This project's images come from **{names}**. Fetch them? Who has that address sees that you look."
        )
        yes, no = st.columns(2)
        # What is allowed is what was shown, whatever the project says by then.
        with yes:
            owners.button("Fetch them", key="fetch-yes", on_click=consent.allow, args=(project.folder, hosts))
        no.button("No", key="fetch-no", on_click=st.session_state.__setitem__, args=(declined, True))
