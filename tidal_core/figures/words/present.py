"""The sentences of the presenter's view: what each screen says, from plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tidal_core.figures.palettes import ClassStyle
from tidal_core.figures.words.common import called, counted
from tidal_core.method.dynamics import Interval

FIRST = 10
"""Labels on the second screen."""
_NAMED = 10  # classes whose names fit a sentence


def collection(n: int, labelled: int, classes: Sequence[ClassStyle]) -> str:
    """Below the number of images: what is known of them."""
    known = (
        "Nobody has said yet what they show."
        if not labelled
        else f"{counted(labelled, 'label')} so far; {counted(n - labelled)} without one."
    )
    if not classes:
        return f"{known} No classes are set up yet."
    if len(classes) == 1:
        return f"{known} There is one class, {called(classes[0])}."
    if len(classes) > _NAMED:
        return f"{known} Each belongs to one of {len(classes):,} classes."
    names = [called(style) for style in classes]
    return f"{known} Each is one of {len(classes)}: {', '.join(names[:-1])} or {names[-1]}."


def first_labels(n: int, n_classes: int, *, by_autopilot: bool) -> str:
    """While the first labels are given, and then."""
    if n < FIRST:
        chosen = "The studio has chosen the first images so that they cover the collection."
        have = f"{n} of {FIRST} {'has' if n == 1 else 'have'} a label" if n else "None has a label yet"
        return f"{chosen} {have}."
    who = "The autopilot gave them from known classes" if by_autopilot else "A person pressed one key for each"
    return f"{who}: {counted(n_classes, 'class')} in {FIRST} images, chosen so that they cover the collection."


def round_before(missing: int, hindrance: str) -> str:
    """Before the first round: what it waits for."""
    if hindrance and not missing:
        return hindrance
    if missing:
        return f"{counted(missing, 'more label')}, and the model learns for the first time."
    return "The model is about to learn for the first time."


def round_running(labels: int, epoch: int, epochs: int, share: float | None) -> str:
    """While the first round trains; ``share`` of its labels that are right, None before its first epoch."""
    if share is None:
        return f"The model begins to learn from {counted(labels, 'label')}."
    return f"Pass {epoch:,} of {epochs:,} through {counted(labels, 'label')}: it gets {share:.0%} of them right."


def round_done(labels: int, seconds: str, accuracy: Interval | None, n_classes: int, *, honest: bool) -> str:
    """After the first round; ``accuracy`` on images that it never saw, with its interval where that is ``honest``."""
    took = f"From {counted(labels, 'label')}, in {seconds}."
    if accuracy is None:
        return f"{took} How often it is right is measured with the next labels."
    between = f" (between {accuracy.low:.0%} and {accuracy.high:.0%})" if honest else " (a rough estimate)"
    right = f"Of images that it never saw it gets {accuracy.value:.0%} right{between}"
    return f"{took} {right}; guessing gets {1 / n_classes:.0%}."


def unsure(names: Sequence[ClassStyle], p: Sequence[float], td: Sequence[float] | None) -> str:
    """Between which two classes an image lies, in the end and while the model learnt; the likelier one first."""
    if len(names) < 2:
        return "There is one class, so there is nothing to be unsure of."
    one, other = called(names[0]), called(names[1])
    final = f"in the end the model gives {one} {p[0]:.0%} and {other} {p[1]:.0%}"
    if td is None:
        return f"Is it {one} or {other}? {final[:1].upper() + final[1:]}."
    way = f"while it learns, it is expected to give them {td[0]:.0%} and {td[1]:.0%}"
    return f"Is it {one} or {other}? {final[:1].upper() + final[1:]}; {way}."


def asked_next(n: int, left: int, explanation: str) -> str:
    """Which images come next, and by what."""
    if not n:
        return "No image waits for a label."
    return f"{n:,} of {counted(left)} without a label. {explanation}"


class Doubt(NamedTuple):
    """What the curve of a label shows, and those of the others."""

    label: ClassStyle
    other: ClassStyle  # the likeliest other class
    labels: int  # that were judged
    p_label: float
    p_other: float
    learnt: float  # the epoch at which the label came first; 0: never, NaN: not known
    usual: float  # of half of the labels at this epoch or before
    out_of_fold: bool  # p is of models that did not train on it


def suspect(doubt: Doubt) -> str:
    """What speaks against the label that looks most doubtful of all."""
    label, other = called(doubt.label), called(doubt.other)
    if doubt.learnt == 0:
        how = f"the model never put {label} first"
    elif doubt.learnt > doubt.usual:
        how = f"{label} came first only at epoch {doubt.learnt:.0f}, half of all labels by epoch {doubt.usual:.0f}"
    elif doubt.out_of_fold:
        how = f"models that never trained on it give {other} {doubt.p_other:.0%} and {label} {doubt.p_label:.0%}"
    else:
        how = f"{other} got {doubt.p_other:.0%} on the way, and {label} {doubt.p_label:.0%}"
    return f"Of {counted(doubt.labels, 'label')} this one, {label}, is the most doubtful: {how}."


def truth(known: ClassStyle | None, label: ClassStyle) -> str:
    """Where the true class is known, whether the label was a mistake."""
    if known is None:
        return ""
    if known.id == label.id:
        return f"The class known from the import is {called(known)}, too: the label is right, and the image is hard."
    return f"The class known from the import is {called(known)}: the label is a mistake."


def race(titles: tuple[str, str], labels: int, accuracies: tuple[float, float], tested: int, *, is_over: bool) -> str:
    """How two arms stand with as many labels, where neither is ahead beyond chance; titles are Markdown."""
    said = "No lead beyond chance" + ("" if is_over else " yet")
    each = counted(labels, "label")
    return (
        f"{said}: with {each} each, {titles[0]} is right on {accuracies[0]:.0%} and {titles[1]} on {accuracies[1]:.0%} "
        f"of {counted(tested)} that neither saw."
    )


def finish(labels: int, n: int, accuracy: Interval | None, *, honest: bool) -> str:
    """What all labels have come to."""
    share = f"That is {labels / n:.0%} of the collection" if n else "There are no images"
    if accuracy is None:
        return f"{share}."
    between = f", between {accuracy.low:.0%} and {accuracy.high:.0%}" if honest else ", a rough estimate"
    return f"{share}. On images that it never saw, the model is right {accuracy.value:.0%} of the time{between}."
