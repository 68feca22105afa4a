"""TiDAL Studio's library: everything but the pages.

Rooms follow the stages of the data's way (docs/architecture.md). Start reading at ``method/tidal.py`` (the method),
then ``engine/training.py``, ``rounds/run.py`` and ``store/``. The modules beside this file are the ground: they import
no room but the store (``projects``, which opens one) and the commands (``cli``).
"""

__version__ = "0.1.0"
