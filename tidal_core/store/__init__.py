"""The project's file: the only place with SQL."""
