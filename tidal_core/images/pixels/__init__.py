"""One store of pixels: each image of a project as a square of uint8 RGB at training size.

``PixelStore`` is its face: rows in, squares out. Below it ``array_file`` keeps squares and ``beyond`` decodes what does
not fit; ``addressed`` reads a copy that lies at an address. ``cache_state`` says what a project's squares are and whose
turn it is, ``refilling`` makes them anew. Others import from here alone, so that how squares are kept can change.
May import: the ground, ``images.squares``, ``.reading`` and ``.sources``. Never importers, torch or Streamlit.
Add here: another way to keep or to make squares; whoever reads them asks for rows and need not know.
"""

from tidal_core.images.pixels.addressed import AddressedPixels
from tidal_core.images.pixels.cache_state import (
    cached_spec,
    is_waiting,
    needs_refill,
    note_spec,
    project_writer,
    round_uses,
    sole_writer,
)
from tidal_core.images.pixels.refilling import REFILL_SOURCE, refill
from tidal_core.images.pixels.store import FILE_NAMES, PixelStore
from tidal_core.images.pixels.writer import PixelWriter

__all__ = [
    "FILE_NAMES",
    "REFILL_SOURCE",
    "AddressedPixels",
    "PixelStore",
    "PixelWriter",
    "cached_spec",
    "is_waiting",
    "needs_refill",
    "note_spec",
    "project_writer",
    "refill",
    "round_uses",
    "sole_writer",
]
