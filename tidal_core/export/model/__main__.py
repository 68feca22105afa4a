"""``python -m tidal_core.export.model FORMAT WEIGHTS SIZE FOLDER``: convert weights, in a process of its own.

torch.export changes settings of the whole process while it traces: a round that trained beside it in another thread
ended with other weights than the same round alone (3 of 3 tries). A round must come out the same whatever is
exported meanwhile, so tracing never shares a process with training.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tidal_core.errors import TidalError
from tidal_core.export.model import find_format


def main(name: str, weights: str, size: str, folder: str) -> None:
    """Write the files; what went wrong on purpose is one line on stderr."""
    if hasattr(os, "nice"):
        os.nice(10)  # labelling and training go first
    try:
        find_format(name).write(Path(weights), int(size), Path(folder))
    except TidalError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
