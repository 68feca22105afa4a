"""One round's computation: networks, training, scoring, checkpoints, on whatever device there is.

Functions of explicit inputs (configuration, paths, rows, seeds): the worker, experiments and tests drive one code.
May import: the ground, ``method``, ``images.pixels`` (to open squares), torch. Never the store, rounds or Streamlit.
Add here: a network as a file in ``backbones/``, what is trained beside it for a strategy in ``companions/``,
another kind of input as a ``Batches`` (``batches.py``).
"""
