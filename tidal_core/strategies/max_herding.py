"""MaxHerding: with few labels, query the images that stand for most others."""

from tidal_core.strategies.herding import Herding


class MaxHerding(Herding):
    """Greedy coverage of the pool by a Gaussian kernel of width 1 on features of unit length."""

    name = "maxherding"
    title = "MaxHerding"
    explanation = "Images that represent the most others without a label; meant for the first few dozen labels."
    because = "it represents many images that no label represents yet"
    paper = "Bae, Wang and Sutherland, Generalized Coverage for More Robust Low-Budget Active Learning, ECCV 2024"
    needs = frozenset({"features", "labelled_features"})
