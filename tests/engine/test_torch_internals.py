"""What torch does not document and the engine relies on: each test names what an upgrade has changed."""

from __future__ import annotations

import pytest
import torch

from tidal_core.engine.torch_internals import is_out_of_memory


def test_the_cpus_allocator_still_says_that_memory_ran_out_in_these_words() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**60, dtype=torch.uint8)

    assert is_out_of_memory(raised.value), f"torch's words for it are now: {raised.value}"


def test_an_error_about_something_else_is_no_lack_of_memory() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.ones(2, 3) @ torch.ones(2, 3)

    assert not is_out_of_memory(raised.value)
    assert not is_out_of_memory(MemoryError("out of memory"))  # Python's own: the machine's, not the device's
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA"))
