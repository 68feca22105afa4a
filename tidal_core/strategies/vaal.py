"""VAAL and TA-VAAL: query what a discriminator tells apart from the labelled images."""

from tidal_core.records import Floats, PoolView
from tidal_core.strategies.base import ScoreStrategy


class Vaal(ScoreStrategy):
    """The discriminator's score, lowest where an image is unlike the labelled ones."""

    name = "vaal"
    title = "VAAL"
    explanation = "Images that a network trained to tell labelled from unlabelled images finds least like the labelled."
    because = "a network that tells labelled from unlabelled images finds it unlike the labelled ones"
    paper = (
        "Sinha, Ebrahimi and Darrell, Variational Adversarial Active Learning, ICCV 2019; on frozen features a "
        "variant that describes feature vectors in place of images"
    )
    cost = (
        "Time N log N, memory N, once an auto-encoder and a discriminator have trained beside the classifier on "
        "labelled and unlabelled images: 23 million weights beside ResNet-18, 1 to 2 million on frozen features."
    )
    needs = frozenset({"labelled_score"})
    query_end = "lowest"

    def scores(self, pool: PoolView) -> Floats:
        """(N,) log-odds that an image is taken for a labelled one."""
        return pool.extra["labelled_score"]


class TaVaal(Vaal):
    """VAAL that is also told how the loss of an image is ranked."""

    name = "ta-vaal"
    title = "TA-VAAL"
    explanation = (
        "Images that a network finds least like the labelled, as VAAL does, by their predicted loss as well as their "
        "looks."
    )
    because = "a network that knows its predicted loss, too, finds it unlike the labelled ones"
    paper = (
        "Kim, Park, Kim and Chun, Task-Aware Variational Adversarial Active Learning, CVPR 2021; on frozen features a "
        "variant that describes feature vectors in place of images"
    )
    cost = (
        "Time N log N, memory N, once what VAAL trains and the module of learning loss have trained; the classifier "
        "also looks at every batch and as many unlabelled images once more."
    )
    needs = frozenset({"predicted_rank", "task_labelled_score"})

    def scores(self, pool: PoolView) -> Floats:
        """(N,) log-odds that an image is taken for a labelled one."""
        return pool.extra["task_labelled_score"]
