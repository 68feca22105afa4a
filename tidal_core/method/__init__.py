"""The method: training dynamics as the paper defines them, and the statistics of what was recorded.

``tidal`` is the tracker, the module and the loss (torch); ``estimators`` score images; ``dynamics``, ``stopping`` and
``theory`` compute on arrays.
May import: the ground, torch in ``tidal`` only, numpy and scipy. Never the store, the engine or Streamlit.
Add here: an equation of the paper, or a statistic of curves, each with its source.
"""
