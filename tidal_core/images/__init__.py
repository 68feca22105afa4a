"""The way in: reading and checking images, importing them, their previews and their pixels for the model.

May import: the ground, ``store``, pillow, numpy, pyarrow. Never the engine, rounds, export or Streamlit.
Add here: a kind of source as a file in ``importers/``, a scheme of URIs as a file in ``sources/``, a check of a file in
``reading``. Importers import ``sources``, never the other way round; squares are asked of ``pixels``.
"""
