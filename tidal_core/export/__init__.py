"""The way out: labels as tables and trees, models as folders, predictions for new images.

May import: the ground, ``store``, ``images``, ``engine``, ``method``, ``strategies``. Never rounds, labelling, server
or Streamlit.
Add here: a table or tree format as a file in ``tables/``, a model format as a file in ``model/``.
"""
