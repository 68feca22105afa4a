"""Who may use the studio: people and their roles, the pass phrase, the identity provider, and the door before it all.

May import: the ground, starlette, itsdangerous. Never Streamlit, nor another room.
Add here: another way to sign in is a new ``Login`` in a file of its own, and a line in ``configured.login_of``; what a
role may do stands with what is done (``server.endpoints.Endpoint.role``, ``ui.owners``).
"""
