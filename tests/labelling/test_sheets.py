"""Which class a sheet shows, and which tab has which images on one."""

import pytest

from tidal_core.labelling import sheets
from tidal_core.labelling.sheets import SheetLeases, surest_class

BY_CLASS = {1: [(10, 0.9), (11, 0.3)], 2: [(12, 0.8), (13, 0.8)], 3: [(14, 0.8), (15, 0.8)]}


def test_the_class_whose_first_images_are_the_most_certain_comes_first() -> None:
    assert surest_class(BY_CLASS, 1, None) == 1
    assert surest_class(BY_CLASS, 2, None) == 2, "the smaller id of two that are equal"
    assert surest_class(BY_CLASS, 60, after=2) == 3


def test_the_only_class_left_comes_again() -> None:
    assert surest_class({2: [(12, 0.8)]}, 6, after=2) == 2


def test_what_a_tab_has_on_a_sheet_is_free_when_it_is_closed() -> None:
    leases = SheetLeases()
    leases.take("one", [1, 2])
    leases.take("one", [3])
    leases.take("two", [4])

    assert leases.of_others("two") == {1, 2, 3}
    leases.release("one")
    assert leases.of_others("two") == set()
    assert leases.of_others("one") == {4}


def test_a_sheet_is_its_tabs_for_ten_minutes_and_for_others_where_nothing_else_is_left_when_it_is_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = {"is": 0.0}
    monkeypatch.setattr(sheets, "monotonic", lambda: now["is"])
    leases = SheetLeases()
    leases.take("one", [1, 2])

    now["is"] = 100.0
    assert leases.of_others("two") == {1, 2}
    assert leases.of_others("two", silent=75) == set()
    leases.drop([2])
    leases.renew("one")
    now["is"] = 699.0
    assert leases.of_others("two") == {1}
    now["is"] = 700.0
    assert leases.of_others("two") == set()
