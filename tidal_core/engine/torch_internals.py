"""What the engine relies on in torch that torch does not document, in one place.

``tests/engine/test_torch_internals.py`` fails by name when an upgrade changes one of them.
"""

from __future__ import annotations

import torch

# The words of torch's allocators where there is no error class of their own: those of MPS and of the CPU.
OUT_OF_MEMORY_WORDS = ("out of memory", "can't allocate memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch says that memory ran out.

    CUDA raises ``torch.OutOfMemoryError``, which is public; a CPU and MPS raise a plain RuntimeError, so that only its
    text tells.
    """
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY_WORDS)
