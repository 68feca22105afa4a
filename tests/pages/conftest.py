"""Pages run in this process against a real studio, a fresh one per test."""

from collections.abc import Iterator

import pytest
import streamlit as st

from tests.helpers.gates import WAIT_SECONDS
from tidal_core.server.studio import Studio
from tidal_core.ui.runtime import get_studio


@pytest.fixture
def studio() -> Iterator[Studio]:
    st.cache_resource.clear()
    made = get_studio()
    yield made
    made.worker.stop(WAIT_SECONDS)  # closing the studio waits for seconds only
    made.close()
    st.cache_resource.clear()


@pytest.fixture
def quiet(studio: Studio) -> Studio:
    """A studio whose worker has ended: the test decides what rounds there are."""
    assert studio.worker.stop(WAIT_SECONDS)
    return studio
