"""What of other libraries' errors reaches people."""

from __future__ import annotations

import pytest

from tidal_core.errors import reason_of


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("the end came early.\nand more lines"), "the end came early"),
        (
            OSError("Couldn't deserialize thrift: TProtocolException: Invalid data\n"),
            "Couldn't deserialize thrift: Invalid data",
        ),
        (KeyError("width"), "an entry 'width' is missing in it"),
        (MemoryError(), "there is not enough memory"),
        (RuntimeError(), "the details are in the terminal that runs this"),
        (RuntimeError("KeyError:"), "the details are in the terminal that runs this"),
    ],
)
def test_a_reason_is_one_line_without_names_of_classes(error: Exception, words: str) -> None:
    assert reason_of(error) == words
