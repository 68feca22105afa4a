"""The running studio: open projects, the HTTP API of the labelling page, and what it does for other programs.

May import: the ground, ``access``, ``store``, ``images``, ``rounds``, ``labelling``, ``export``, of ``figures``
numbers, starlette. Never Streamlit.
Add here: an ``Endpoint`` in ``api`` (for the page) or ``owner_api`` (for commands beside it), its format in ``wire``;
what every request must pass in ``web``.
"""
