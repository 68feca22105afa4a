"""One store of pixels: each image of a project as a square of uint8 RGB at training size.

``cache`` is the memory map, ``beyond`` decodes what does not fit in it, ``refill`` makes it anew at another size.
May import: the ground, ``images.reading`` and ``images.sources``. Never importers, the engine or Streamlit.
Add here: another way to keep or to make squares; whoever reads them asks for rows and need not know.
"""
