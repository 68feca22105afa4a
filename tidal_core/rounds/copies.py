"""A copy of a project's squares at an address, for machines that do not see the project's folder. No torch here."""

from __future__ import annotations

import numpy as np

from tidal_core.errors import InputError
from tidal_core.images.pixels import AddressedPixels, PixelStore
from tidal_core.projects import Project

COMPARED = 16  # rows, spread over the file


def check_copy(project: Project, address: str) -> None:
    """Raises InputError unless the file at ``address`` holds the project's squares as they are now.

    Size and ``COMPARED`` rows are compared; what lies between them is not looked at.
    """
    own, copy = PixelStore(project.pixels).open(), AddressedPixels(address).open()
    if own.is_partly_beyond:
        raise InputError(
            "Some images lie beyond the limit of the pixel cache and are in no copy of it; leave --pixels out, and let "
            "the machines share the project's folder."
        )
    rows = np.unique(np.linspace(0, len(own) - 1, COMPARED).astype(np.int64)) if len(own) else np.empty(0, np.int64)
    same = (copy.rows, copy.side) == (own.rows, own.side) and np.array_equal(copy[rows], own[rows])
    if not same:
        raise InputError(f"{address} is not the same as {project.pixels}; copy that file there again.")
