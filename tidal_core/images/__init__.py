"""The way in: reading and checking images, importing them, their previews and their pixels for the model.

May import: the ground, ``store``, pillow, numpy, pyarrow. Never the engine, rounds, export or Streamlit.
Add here: a source of images as a file in ``importers/``, a check of a file in ``reading``.
"""
