"""The commands of ``python -m tidal_core``, one file per family; ``cli.py`` lists them. No SQL, no Streamlit."""
