"""A round's configuration and times in words that a person reads; names from outside as text that stays text."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any, TextIO

from tidal_core.config import RoundConfig, TrainConfig

_AUGMENTATION = {
    "none": "images are used as they are",
    "crop": "images are shifted slightly each time",
    "flip-crop": "images are shifted slightly, and mirrored half of the time",
}
_SCHEDULE = {
    "constant": "which stays the same",
    "step": "which drops at set epochs",
    "cosine": "which rises at first and then falls to zero",
    "one-cycle": "which rises and falls once",
}
_BACKBONE = {
    "small": "a small convolutional network",
    "resnet18": "a ResNet-18",
    "efficientnet-lite0": "an EfficientNet-Lite0",
}
_OPTIMIZER = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}


def backbone_in_words(name: str) -> str:
    """A network with its article; one of another library by its name."""
    return _BACKBONE.get(name, name)


def _least_times(train: TrainConfig, labels: int) -> int:
    """How often a round goes through its labels at least: half of the epochs where there are many."""
    steps = train.epochs * math.ceil(labels / train.batch_size)
    return math.ceil(train.epochs / 2) if 0 < train.max_steps < steps else train.epochs


def config_in_words(config: RoundConfig, labels: int, chooses_by: str) -> list[str]:
    """What a round does, a sentence per line; ``chooses_by`` is its strategy's ``in_words``."""
    train, network = config.train, backbone_in_words(config.train.backbone)
    learner = f"a classifier on the frozen features of {network}," if train.body == "frozen" else network
    start = "published weights, which know photos" if train.pretrained else "new weights"
    lines = [
        f"Trains {learner} on {labels:,} labelled images of {config.training_size} by {config.training_size} pixels; "
        f"{_AUGMENTATION[train.augmentation]}.",
        f"Goes through them at least {_least_times(train, labels)} times, {train.batch_size} at a time, in at least "
        f"{train.min_steps:,} steps."
        if train.min_steps
        else f"Goes through them {train.epochs} times, {train.batch_size} at a time.",
        f"Learns with {_OPTIMIZER[train.optimizer]} at a rate of {train.learning_rate:g}, {_SCHEDULE[train.schedule]}.",
        "Starts from the weights of the last round." if train.warm_start else f"Starts from {start}.",
    ]
    if train.head_epochs:
        lines.append(f"The first {train.head_epochs} of {train.epochs} times only the layer that classifies learns.")
    if "td" in train.companions:
        window = "the second half of the epochs" if train.td_window == "second-half" else "all epochs"
        lines.append(
            f"Trains the dynamics module along with it (weight {train.td_weight:g}) to predict each image's mean "
            f"probabilities over {window}."
        )
    lines.append(f"Then chooses the next images by {chooses_by}.")
    if config.versions:
        lines.append(f"Software: {', '.join(config.versions)}.")
    return lines


def seconds_in_words(seconds: float | None) -> str:
    """A duration as people say it."""
    if seconds is None:
        return "–"
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def took(started: datetime | None, finished: datetime | None) -> float | None:
    """Seconds between two time stamps, None while one is missing."""
    return None if started is None or finished is None else (finished - started).total_seconds()


_MARKS = re.compile(r"[\\`*_\[\]<>$|~&]|:(?=\S)")
_FIRST = re.compile(r"[#+=-]|\d{1,9}(?=[.)])")  # a heading, a list, a line below a heading
# Emoji, icons, arrows and addresses are looked for after Markdown was read, when no backslash protects them any more.
_LATER = re.compile(
    r"(?<!\S)(?:<->|->|<-|--|>=|<=|~=)(?!\S)|:(?=[\w+\-/]+:)"
    r"|:(?=//)|(?<=\bwww)\.|(?<=[\w.+-])@(?=\w)|(?<=\bmailto):|(?<=\bxmpp):",  # addresses become links by themselves
    re.IGNORECASE,
)
_JOINER = "\u2060"  # has no width and lets no line break


def literal(text: str) -> str:
    """A name or message from outside, as Markdown that shows it as it is, on one line: in pages, tables, model cards.

    Links, images, HTML, code, formulas, tables, Streamlit's ``:red[...]``, ``:material/...:`` and ``:smile:`` come out
    as their letters. An address that stands there by itself becomes no link either.
    """
    line = " ".join(text.split())
    line = _LATER.sub(lambda match: match[0][0] + _JOINER + match[0][1:], line)
    line = _MARKS.sub(lambda match: "\\" + match[0], line)
    first = _FIRST.match(line)
    if first is None:
        return line
    return f"{first[0]}\\{line[first.end() :]}" if first[0].isdigit() else f"\\{line}"


_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_NO_COLOUR = "#8a959d"


def plain_colour(text: str) -> str:
    """A class's colour for a style or a figure; grey for what is none: a style can load pictures from elsewhere."""
    return text if _COLOUR.fullmatch(text) else _NO_COLOUR


# Spreadsheets run cells that begin like this as formulas, some also in full width; a leading quote makes them text.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")


def spreadsheet_safe(text: str) -> str:
    """A text that no spreadsheet takes for a formula: ``=x`` becomes ``'=x``. ``from_spreadsheet`` takes it back."""
    return "'" + text if _FORMULA.match(text) else text


def spreadsheet_row(cells: Iterable[Any]) -> list[Any]:
    """Cells of a table that leaves the studio: texts as ``spreadsheet_safe``, all else as it is."""
    return [spreadsheet_safe(cell) if isinstance(cell, str) else cell for cell in cells]


class SpreadsheetRows:
    """Writes CSV rows of ``spreadsheet_row`` cells, each ended by a line feed.

    The csv module puts quotes around the characters that end *its* rows only: after a carriage return that has none, a
    spreadsheet begins a new row, and with it a new cell.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._writer = csv.writer(self, lineterminator="\r\n")

    def write(self, line: str) -> None:
        """One row as the csv module has made it."""
        self._file.write(line.removesuffix("\r\n") + "\n")

    def writerow(self, cells: Iterable[Any]) -> None:
        """One row."""
        self._writer.writerow(spreadsheet_row(cells))

    def writerows(self, rows: Iterable[Iterable[Any]]) -> None:
        """Many rows."""
        self._writer.writerows(map(spreadsheet_row, rows))


def from_spreadsheet(text: str) -> str:
    """What ``spreadsheet_safe`` was given."""
    return text[1:] if text[:1] == "'" and _FORMULA.match(text) else text
