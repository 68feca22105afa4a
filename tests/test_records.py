"""What travels between modules."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tidal_core.records import class_positions


def test_class_ids_become_positions_and_unknown_ones_minus_one() -> None:
    ids = np.array([[7, 2, -1], [9, 4, 7]])
    assert class_positions(ids, (4, 7, 2)).tolist() == [[1, 2, -1], [-1, 0, 1]]
    assert class_positions(ids, ()).tolist() == [[-1] * 3, [-1] * 3]
    assert class_positions(np.array([], np.int64), (4, 7)).tolist() == []


@given(
    ids=npst.arrays(np.int64, st.integers(0, 30), elements=st.integers(-1, 12)),
    order=st.lists(st.integers(0, 12), unique=True, max_size=12),
)
def test_positions_are_those_of_a_dictionary(ids: np.ndarray, order: list[int]) -> None:
    position = {class_id: place for place, class_id in enumerate(order)}
    assert class_positions(ids, order).tolist() == [position.get(int(class_id), -1) for class_id in ids]
