"""What the studio knows of Streamlit that Streamlit does not document, in one place.

``tests/ui/test_streamlit_internals.py`` fails by name when an upgrade changes one of them.
"""

from __future__ import annotations

from streamlit import runtime
from streamlit.runtime.pages_manager import PagesManager


def serves_already() -> bool:
    """Whether a server or a test already runs this file as the script of a page view.

    Streamlit reads ``app.py`` twice: once to find the app in it, and then as the script of each view. Between the two
    lies the making of its runtime. The function is exported, but stands on no page of the manual.
    """
    return runtime.exists()


def run_our_script_for_every_page() -> None:
    """Let ``app.py`` answer from the first visitor on, although our pages lie in a folder named ``pages``.

    A folder of this name beside the script makes Streamlit run a page's file by itself, without ours, until
    ``st.navigation`` has been called once in the process: the first visitor who comes by the address of a page would
    see it without sidebar and settings. There is no option for it.
    """
    PagesManager.uses_pages_directory = False
