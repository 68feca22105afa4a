"""The sentences of the page Dynamics: one image's curves, its rounds, the data map, the curves of groups."""

from __future__ import annotations

import numpy as np

from tidal_core.figures.groups import BandsInfo, MapInfo
from tidal_core.figures.life import OTHERS, LifeInfo, RoundsOfImageInfo
from tidal_core.figures.words.common import Told, called, capital, counted, differ, points, times


def life_told(info: LifeInfo, *, running: bool = False) -> Told:
    """Of ``life_figure``: did the model change its mind, and where did it end; ``running``: it trains on."""
    name, of_label = called(info.classes[0]), info.role == "label"
    what = f"its label, {name}," if of_label else f"{name}, the class predicted now,"
    return Told(
        f"Look at the filled curve: the probability that the model gave {what} after each epoch.",
        capital(_course(info, running=running)),
    )


def _course(info: LifeInfo, *, running: bool) -> str:
    name, last = called(info.classes[0]), called(info.last)
    p, n_epochs = info.curves[-1, 0], len(info.epoch)
    if n_epochs == 1:
        return f"after its first epoch the model gave {name} {p:.0%}."
    ends = "is now at" if running else "ended at"
    so_far = " so far" if running else ""
    if info.role != "label":
        if not info.changes:
            return f"the model put {name} first at each of {n_epochs:,} epochs{so_far} and {ends} {p:.0%}."
        return (
            f"the model changed its mind {times(info.changes)} in {n_epochs:,} epochs{so_far}; {name} {ends} {p:.0%}."
        )
    lost = len(info.forgotten_at)
    if not info.first_learnt:
        return (
            f"the model never put {name} first in {n_epochs:,} epochs{so_far}; in the end it favours {last}: the image "
            "is hard, or its label is wrong."
            if not running
            else f"the model has not put {name} first in {n_epochs:,} epochs so far; now it favours {last}."
        )
    learnt = (
        f"the model put {name} first from its first epoch on"
        if info.first_learnt == info.epoch[0] and not lost
        else f"the model learnt {name} at epoch {info.first_learnt}"
    )
    if not lost:
        since = (
            "" if info.first_learnt == info.epoch[0] else " and has not lost it since" if running else " and kept it"
        )
        return f"{learnt}{since}; it {ends} {p:.0%}."
    where = "has it right now" if running else "had it right in the end"
    end = where if info.last.id == info.classes[0].id else f"{'favours' if running else 'ended on'} {last}"
    return f"{learnt}, changed its mind and lost it {times(lost)}, and {end} ({p:.0%} for {name})."


def areas_told(info: LifeInfo) -> Told:
    """Of ``areas_figure``: what was observed of the first class, and what the module foresaw."""
    name, seen = called(info.classes[0]), float(info.observed[0])
    if info.predicted is not None:
        foreseen = float(info.predicted[0])
        off = foreseen - seen
        how = "nearly the same" if round(100 * off) == 0 else f"{points(off)} too {'much' if off > 0 else 'little'}"
        return Told(
            f"Look at each pair of bars: solid is the mean probability over {info.window}, pale what the TD module, a "
            "small network that looks at the image alone, foresaw.",
            f"For {name} it foresaw {foreseen:.0%}, and {seen:.0%} was observed: {how}.",
        )
    look = f"Look at the longest bar: the class that the model believed in most over {info.window}."
    others = [
        (value, style) for value, style in zip(info.observed[1:], info.classes[1:], strict=True) if style is not OTHERS
    ]
    if not others:
        return Told(look, f"{name} had {seen:.0%}.")
    best, rival = max(others, key=lambda other: other[0])
    against = f"against {best:.0%} for {called(rival)}"
    led = "it led" if seen > best else "another class led" if best > seen else "none of the two led"
    return Told(look, f"{name} had {seen:.0%} {against}: {led} over the whole training.")


def rounds_of_image_told(info: RoundsOfImageInfo) -> Told:
    """Of ``rounds_of_image_figure``: from the first round that looked at the image to the last."""
    look = (
        "Look at the line of the final prediction, from left to right: how probable its label (without one: the class "
        "predicted now) was at the end of each round."
    )
    known = np.flatnonzero(np.isfinite(info.final))
    if not len(known):
        return Told(look, "No round has looked at this image yet.")
    first, last = known[0], known[-1]
    here = f"Round {info.round[first]} gave it {info.final[first]:.0%}"
    if first != last:
        here += f", round {info.round[last]} {info.final[last]:.0%}"
    if info.labelled_after is not None:
        here += f"; it was labelled after round {info.labelled_after}"
    return Told(look, f"{here}.")


def map_told(info: MapInfo) -> Told:
    """Of ``map_figure``: about how many images the model changed its mind, and how many it never learnt."""
    look = (
        "Look at the right, where the model wavered, and at the bottom, where it did not believe the class: images at "
        "the top left were easy."
    )
    known = np.isfinite(info.correctness)
    n = int(known.sum())
    if not n:
        return Told(look, "No image has a curve yet.")
    right = info.correctness[known]
    if info.forgetting is not None:
        wavered, how = int((info.forgetting[known] > 0).sum()), "right at one epoch, wrong at a later one"
    else:
        wavered, how = int(((right > 0) & (right < 1)).sum()), "right at some epochs, wrong at others"
    never = int((right == 0).sum())
    mind = f"changed its mind about {wavered if wavered else 'none'} of {counted(n)}" + (f" ({how})" if wavered else "")
    learnt = f"never got {never:,} right: look at these first" if never else "got each right at least once"
    return Told(look, f"The model {mind} and {learnt}.")


def bands_told(info: BandsInfo) -> Told:
    """Of ``bands_figure``: which group ends highest and which lowest, if that is more than chance."""
    look = "Look at how early each line rises and where it ends: a group whose line stays low is hard to learn."
    ends = info.quantiles[:, -1] if info.quantiles.shape[1] else np.full((len(info.groups), 3), np.nan)  # (G, 3)
    groups = np.flatnonzero(np.isfinite(ends).all(axis=1))
    if not len(groups):
        return Told(look, "No group has a curve yet.")
    order = groups[np.argsort(-ends[groups, 1], kind="stable")]
    best, worst = int(order[0]), int(order[-1])

    def half(place: int, words: str = "half of") -> str:
        return f"{words} {counted(int(info.images[place]))} of {called(info.groups[place])}"

    if best == worst:
        return Told(look, f"In the end {half(best)} had {ends[best, 1]:.0%} or more.")
    n = int(info.images[best]), int(info.images[worst])
    pairs = len(groups) * (len(groups) - 1) // 2
    chance = (
        "more than chance explains"
        if differ(_three(ends[best]), _three(ends[worst]), n, pairs)
        else "a difference that may be chance"
    )
    return Told(
        look,
        f"In the end {half(best)} had {ends[best, 1]:.0%} or more, {half(worst)} only {ends[worst, 1]:.0%}: {chance}."
        if round(100 * ends[best, 1]) > round(100 * ends[worst, 1])
        else f"All groups ended alike: in each half of the images had about {ends[best, 1]:.0%} or more.",
    )


def _three(quartiles: np.ndarray) -> tuple[float, float, float]:
    low, middle, high = (float(value) for value in quartiles)
    return low, middle, high
