"""What a figure says to a listener without statistics: where to look, and what is to be seen there.

One module for each page, as the figures have. ``x_told(info)`` takes the numbers of ``x_figure`` and gives two
sentences: ``look`` says where to look, ``here`` what is there, computed. A difference is called one only beyond chance:
by the intervals that the numbers have, at 95 % over everything that was compared to find it. Else the sentence says
that it may be chance. Nothing here draws, reads the store or knows Streamlit. Names come out as Markdown that shows
them as they are.

May import: figures' numbers, ``method``, the ground. Add here: the two sentences of a new figure.
"""

from tidal_core.figures.words.common import Told

__all__ = ["Told"]
