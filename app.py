"""TiDAL Studio's front door: ``streamlit run app.py``.

Streamlit finds ``app`` here and serves it: the pages, and beside them the routes of the labelling component. The same
file is the script of every page view, where it lists the pages and draws the sidebar.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import streamlit as st

from tidal_core.ui import streamlit_internals

ROOT = Path(__file__).parent
# Drawn here: an icon that is named (":material/...:", or an emoji) is fetched from the network at each visit.
ICON = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#0b6e8f" stroke-width="2.5">
<path d="M2 8q2.5-3 5 0t5 0 5 0 5 0M2 13q2.5-3 5 0t5 0 5 0 5 0M2 18q2.5-3 5 0t5 0 5 0 5 0"/></svg>"""


def parts() -> dict[str, Any]:
    """What the server is made of beside the pages: routes, and a studio that lives as long as it does."""
    from starlette.middleware import Middleware

    from tidal_core import projects
    from tidal_core.access import hosts
    from tidal_core.access.configured import check_address, login_of
    from tidal_core.server import web
    from tidal_core.server.ending import end_quietly
    from tidal_core.server.sockets import send_at_once
    from tidal_core.ui.race_starter import RaceStarter
    from tidal_core.ui.runtime import get_studio, show_error

    streamlit_internals.run_our_script_for_every_page()
    base = str(st.get_option("server.baseUrlPath") or "")
    n_pages = len(list((ROOT / "pages").glob("*.py")))
    access = login_of(projects.home(), [Path.home(), Path.cwd(), ROOT], streamlit_internals.user_cookie)
    address = str(st.get_option("server.address") or "0.0.0.0")  # what Streamlit listens on where none is named
    check_address(address, "a login" if access.is_on else "")
    names = hosts.allowed(address, hosts.names_told())
    streamlit_internals.allow_hosts(names)

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        send_at_once(int(st.get_option("server.port")))
        studio = get_studio()
        studio.access = access
        if not st.get_option("server.sslCertFile"):
            studio.reachable_at(own_address())
        studio.open_in_background()
        starter = RaceStarter(studio)
        starter.start()
        try:
            yield
        finally:
            starter.stop()
            studio.close()
            end_quietly()

    return {
        "routes": web.routes(get_studio),
        "lifespan": lifespan,
        "middleware": [
            *web.middleware(access, names, streamlit_internals.login_href),
            Middleware(streamlit_internals.OwnPage, base, n_pages),
        ],
        "on_script_error": show_error,
    }


def own_address() -> str:
    """Where programs on this machine reach the server: its port is bound before it starts up."""
    host = st.get_option("server.address")
    if not host or host in {"0.0.0.0", "::", "localhost"}:
        host = "127.0.0.1"
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"http://{f'[{host}]' if ':' in host else host}:{st.get_option('server.port')}{'/' + base if base else ''}"


def main() -> None:
    """One page view: which pages there are, the sidebar, the page."""
    from tidal_core.errors import TidalError
    from tidal_core.ui.appearance import appearance, give_way
    from tidal_core.ui.connection import watch_connection
    from tidal_core.ui.first_figure import begin_visit
    from tidal_core.ui.runtime import get_studio, show_error
    from tidal_core.ui.sidebar import sidebar

    st.set_page_config(page_title="TiDAL Studio", page_icon=ICON, layout="wide")
    # No sections: Streamlit's lists of pages with sections are none for a screen reader.
    pages = [
        st.Page(ROOT / "pages/label.py", title="Label", icon=":material/sell:", default=True),
        st.Page(ROOT / "pages/gallery.py", title="Gallery", icon=":material/grid_view:"),
        st.Page(ROOT / "pages/review.py", title="Review", icon=":material/rate_review:"),
        st.Page(ROOT / "pages/training.py", title="Training", icon=":material/model_training:"),
        st.Page(ROOT / "pages/progress.py", title="Progress", icon=":material/trending_up:"),
        st.Page(ROOT / "pages/dynamics.py", title="Dynamics", icon=":material/show_chart:"),
        st.Page(ROOT / "pages/replay.py", title="Replay", icon=":material/replay:"),
        st.Page(ROOT / "pages/uncertainty.py", title="Uncertainty", icon=":material/help_center:"),
        st.Page(ROOT / "pages/predictions.py", title="Predictions", icon=":material/fact_check:"),
        st.Page(ROOT / "pages/finish.py", title="Finish", icon=":material/done_all:"),
        st.Page(ROOT / "pages/experiments.py", title="Experiments", icon=":material/science:"),
        st.Page(ROOT / "pages/race.py", title="Race", icon=":material/flag:"),
        st.Page(ROOT / "pages/theory.py", title="Theory", icon=":material/menu_book:"),
        st.Page(ROOT / "pages/present.py", title="Present", icon=":material/co_present:"),
        st.Page(ROOT / "pages/project.py", title="Project", icon=":material/folder_open:"),
    ]
    page = st.navigation(pages, expanded=True)
    appearance()
    begin_visit(page.url_path)
    try:
        sidebar(page.url_path)
        with st.sidebar:
            watch_connection(ROOT, get_studio().token)
            give_way(page.title)
        page.run()
    except (TidalError, OSError) as error:
        show_error(error)


if streamlit_internals.serves_already():
    main()
else:
    # Streamlit looks for this very assignment in the source, without running it.
    app = st.App(ROOT / "app.py", **parts())
