"""The commands of ``tidal-studio``, one file per family; ``cli.py`` lists them.

May import: every room but ``ui``, inside the function that needs it, so that ``--help`` is quick. No SQL, no Streamlit.
Add here: a function in the file of its family, and a line in ``cli.py``.
"""
