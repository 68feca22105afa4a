"""Numbers first (``x_info``), drawing second (``x_figure``): one file per page.

May import: the ground, ``method``, ``experiments.statistics``, scipy, plotly (by way of ``look``). Never the store:
figures get arrays.
Add here: a figure of a page in the page's file; its colours and hover texts come from ``palettes``, its axes and fonts
from ``look``.
"""
