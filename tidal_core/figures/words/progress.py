"""The sentences of the page Progress: accuracy, classes, confusions, probabilities, the foresight of dynamics."""

from __future__ import annotations

import numpy as np

from tidal_core.figures.progress import AccuracyInfo, ConfusionInfo, PerClassInfo, PoolQualityInfo, QualityInfo
from tidal_core.figures.words.common import LEVEL, Told, called, counted, points, wins_in_words
from tidal_core.method.dynamics import wilson
from tidal_core.method.stopping import difference


def accuracy_told(info: AccuracyInfo, *, comparable: bool = True, since: int = 0) -> Told:
    """Of ``accuracy_figure``: how often the newest round is right, and whether labels have helped.

    ``comparable``: rounds were measured on images of one kind; ``since``: the number of the first round that was.
    """
    look = (
        "Look at the band around the line: the accuracy on images never seen lies within it 19 times out of 20."
        if comparable
        else "Look at the line for a rough idea only: each round was measured on images that were chosen."
    )
    known = np.flatnonzero(np.isfinite(info.accuracy) & (info.tested > 0))
    if not len(known):
        return Told(look, "No round was measured yet.")
    last = int(known[-1])
    labels = counted(int(info.labels[last]), "label")
    now = f"With {labels} the model is right about {info.accuracy[last]:.0%} of the time"
    if not comparable:
        return Told(look, f"{now}, as a rough estimate.")
    now += f" (between {info.low[last]:.0%} and {info.high[last]:.0%})"
    first = next((int(place) for place in known if info.round[place] >= since), last)
    if first == last or info.labels[first] == info.labels[last]:
        return Told(look, f"{now}; what more labels bring, the next round will tell.")
    gain = difference(*_right(info, last), *_right(info, first))
    then = counted(int(info.labels[first]), "label")
    way = "more" if gain.value >= 0 else "less"
    if gain.low <= 0 <= gain.high:
        return Told(look, f"{now}; with {then} it was no different beyond chance.")
    ends = sorted((abs(gain.low), abs(gain.high)))
    return Told(look, f"{now}: {100 * ends[0]:.0f} to {points(ends[1])} {way} than with {then}.")


def _right(info: AccuracyInfo, place: int) -> tuple[int, int]:
    n = int(info.tested[place])
    return min(round(float(info.accuracy[place]) * n), n), n


def per_class_told(info: PerClassInfo) -> Told:
    """Of ``per_class_figure``: the hardest class, if it is harder than the others beyond chance."""
    look = "Look at the top, where the hardest classes are, and at the bars: the longer, the less is known."
    known = np.flatnonzero(np.isfinite(info.recall))
    if not len(known):
        return Told(look, "No image has measured a class yet.")
    hardest, n = int(known[0]), info.images[known]
    right = np.rint(info.recall[known] * n).astype(int)
    here = (
        f"Of {counted(int(n[0]))} of {called(info.classes[hardest])} {info.recall[hardest]:.0%} are right (between "
        f"{info.low[hardest]:.0%} and {info.high[hardest]:.0%})"
    )
    if len(known) == 1:
        return Told(look, f"{here}.")
    if right[0] == n[0]:
        return Told(look, "All images that measure the classes are right.")
    # It is the hardest of all that were looked at: so many comparisons were made.
    level = 1 - (1 - LEVEL) / len(known)
    apart = difference(int(right[0]), int(n[0]), int(right[1:].sum()), int(n[1:].sum()), level)
    real = "fewer than in the other classes" if apart.high < 0 else "that it is the hardest may be chance"
    return Told(look, f"{here}: {real}.")


def confusion_told(info: ConfusionInfo) -> Told:
    """Of ``confusion_figure``: how many mistakes, and the most frequent one."""
    look = "Look at the fields off the diagonal: each is a mistake, the darker the more frequent in its row."
    n = int(info.counts.sum())
    if not n:
        return Told(look, "No image has measured the classes yet.")
    wrong = info.counts - np.diag(np.diag(info.counts))
    total, shown = int(wrong.sum()), " of the classes shown" if info.left_out else ""
    if not total:
        return Told(look, f"None of {counted(n)}{shown} is taken for another class.")
    row, column = (int(place) for place in np.unravel_index(wrong.argmax(), wrong.shape))
    most, ties = int(wrong.max()), int((wrong == wrong.max()).sum())
    here = f"{total:,} of {counted(n)}{shown} {'is' if total == 1 else 'are'} taken for another class"
    pair = f"{called(info.classes[row])} for {called(info.classes[column])}"
    if total == 1:
        return Told(look, f"{here}: {pair}.")
    if most == 1:
        return Told(look, f"{here}, each in another way: no two classes stand out.")
    more = f", and {counted(ties - 1, 'other pair')} as often" if ties > 1 else ""
    return Told(look, f"{here}, most often {pair} ({most:,} times{more}).")


def calibration_told(claimed: float, right: int, n: int) -> Told:
    """Of the table of probabilities: is the model too sure; ``claimed`` is the mean probability of its first class."""
    look = "Look at the first two columns: where they agree, a probability means what it says."
    if not n:
        return Told(look, "No image has measured the probabilities yet.")
    share = wilson(right, n)
    said = f"On average it says {claimed:.0%} and is right {share.value:.0%} of the time, over {counted(n)}"
    if share.low <= claimed <= share.high:
        return Told(look, f"{said}: no difference beyond chance.")
    how = "too sure" if claimed > share.value else "not sure enough"
    return Told(look, f"{said}: it is {how}, by about {points(claimed - share.value)}.")


def quality_told(info: QualityInfo) -> Told:
    """Of ``quality_figure``: in how many rounds the module foresaw the dynamics better than the final prediction."""
    look = "Look at which line is lower: lower is a better guess of how the training of new labels will go."
    both = info.module[:, 0], info.final[:, 0]
    return Told(look, _wins("The TD module", "guessed better than", *both))


def pool_quality_told(info: PoolQualityInfo) -> Told:
    """Of ``pool_quality_figure``: as ``quality_told``, over all images."""
    look = "Look at which line is lower: lower is a better guess of the dynamics of all images."
    return Told(look, _wins("The TD module", "was closer than", info.module, info.final))


def _wins(who: str, did: str, module: np.ndarray, final: np.ndarray) -> str:
    known = np.isfinite(module) & np.isfinite(final)
    n = int(known.sum())
    if not n:
        return "No round can be judged yet."
    wins = int((module[known] < final[known]).sum())
    if n == 1:
        better, worse = (who, "the final prediction") if wins else ("The final prediction", who[:1].lower() + who[1:])
        return f"{better} {did} {worse} in the one round so far: that may be chance."
    verdict = wins_in_words(wins, n, "round")
    return f"{who} {did} the final prediction in {wins or 'none'} of {counted(n, 'round')}: {verdict}."
