"""The pages' parts: the labelling component, views, forms, the theme's colours and Streamlit helpers.

May import: every room; beside ``app.py`` and ``pages/`` the only place that imports Streamlit. Never torch at the top.
Add here: a part of a page as a view of its own (``x_view``), called by a file of ``pages/`` that holds widgets only.
"""
