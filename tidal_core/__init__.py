"""TiDAL Studio's library: everything but the pages.

Start reading at ``tidal.py`` (the method), then ``training.py``, ``rounds.py`` and ``store/``.
"""

__version__ = "0.1.0"
