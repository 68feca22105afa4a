"""A full disk in front of the pages: they say what to do, and are themselves again once there is room."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from tests.helpers.disks import SmallDisk
from tests.helpers.gates import WAIT_SECONDS
from tests.helpers.serving import ROOT


@pytest.mark.usefixtures("studio")
def test_the_page_says_what_to_do_on_a_full_disk_and_is_itself_again_afterwards(disk: SmallDisk) -> None:
    disk.fill()
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=WAIT_SECONDS).run()
    assert not page.exception
    assert ["Free some space there" in error.value for error in page.error] == [True]

    disk.free()
    page.run()
    assert not page.exception
    assert not page.error
