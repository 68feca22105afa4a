"""``python -m tidal_core``: the same as ``tidal-studio``, see ``cli.py``."""

from tidal_core.cli import main

if __name__ == "__main__":
    main()
