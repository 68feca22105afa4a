"""The way out: labels as tables and trees, models as folders, predictions for new images, rounds as a replay.

May import: the ground, ``store``, ``images``, ``engine``, ``method``, ``strategies``, of ``figures`` numbers and
colours, and of ``rounds`` what accuracy is measured on (``measured``). Never labelling, server or Streamlit.
Add here: a table or tree format as a file in ``tables/``, a model format as a file in ``model/``.
"""
