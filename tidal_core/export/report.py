"""A project as one HTML file for people: what the collection is, who labelled it, how good the model is and why.

It opens without a network and loads nothing: styles are in it, figures are SVG, images are small and embedded, and its
content policy forbids the rest. Every text of the project is escaped by the template's engine. It names classes and
annotators, and shows images; it does not say where these lie on the disk.
"""

from __future__ import annotations

import base64
import importlib.resources
import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

import tidal_core
from tidal_core import strategies
from tidal_core.config import RoundConfig
from tidal_core.errors import ImageUnreadable, InputError
from tidal_core.files import replaced
from tidal_core.images.pixels import PixelStore
from tidal_core.images.previews import thumbnail
from tidal_core.method.dynamics import wilson
from tidal_core.projects import Project
from tidal_core.records import ImageRecord, RoundRecord, RoundState, Split
from tidal_core.store.columns import utc_now
from tidal_core.text import config_in_words, plain_colour

PARTS = {
    "test": "test images, whose class is known and that no round trains on",
    "audit": "audit images, picked at random, labelled by people and never trained on",
    "known": "images whose class the import named and that the round had not trained on",
    "folds": "labelled images, each predicted by a model that trained on the others only: they were chosen, not picked "
    "at random, so this is an estimate",
}
"""What a round can be judged by, the best first."""
CHOSEN = ("folds",)  # of these an interval would speak of chance alone, which is the least of its errors

PURPOSES = {
    "query": "chosen by the strategy",
    "audit": "picked at random to measure accuracy",
    "seed": "chosen to begin with",
    "chosen": "sent to the queue by a person",
}
PAIRS, EXAMPLES = 6, 4  # confused pairs shown, and images of each
MOST_CLASSES = 25  # in the table of confusions
WIDTH, HEIGHT = 620, 220  # of a figure
_DASH = 12  # half its length
PLOT = (50, 12, 560, 170)  # left, top, width, height of its inner part


@dataclass(frozen=True)
class Line:
    """One line of a figure, with its band where it has one; SVG points."""

    name: str
    colour: str
    points: str
    band: str = ""


@dataclass(frozen=True)
class Figure:
    """A figure of lines; ticks are (place, text)."""

    title: str
    lines: tuple[Line, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    x_title: str


def write_report(project: Project, target: Path, *, overwrite: bool = False) -> Path:
    """Write the report to ``target``, whole or not at all. Raises InputError for a file that exists or is no .html."""
    target = Path(target).expanduser().absolute()
    if target.suffix.lower() not in {".html", ".htm"}:
        raise InputError(f"{target.name!r} does not end like a page; choose a name that ends with .html.")
    if target.exists() and not overwrite:
        raise InputError(f"{target} already exists; choose another name (--out), or replace it with --overwrite.")
    with replaced(target) as beside:
        beside.write_text(report(project), encoding="utf-8")
    return target


def report(project: Project) -> str:
    """The whole page."""
    source = importlib.resources.files("tidal_core.export").joinpath("report.html").read_text(encoding="utf-8")
    # autoescape is the point: names of classes and people come from outside
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(source)
    return template.render(_facts(project))


def _facts(project: Project) -> dict[str, Any]:
    store = project.store
    done = [record for record in store.rounds.all() if record.state is RoundState.DONE]
    tally = store.answers.tally()
    people, model = store.answers.counts_by_class(), store.model_answers.counts_by_class()
    classes: list[dict[str, Any]] = [
        {
            "name": record.name,
            "colour": plain_colour(record.colour),
            "people": people.get(record.id, 0),
            "model": model.get(record.id, 0),
        }
        for record in store.classes.all()
    ]
    return {
        "title": project.title,
        "made": utc_now(),
        "version": tidal_core.__version__,
        "tally": tally,
        "test_images": store.images.count(Split.TEST),
        "by_model": sum(model.values()),
        "acts": store.model_answers.acts(),
        "classes": classes,
        "largest_class": max((each["people"] + each["model"] for each in classes), default=0) or 1,
        **_work(project),
        **_accuracy(project, done),
        "how": _how(done[-1]) if done else [],
        "curves": _training(project, done[-1]) if done else None,
        "round": done[-1] if done else None,
        "named": store.classes.names_told(done[-1]) if done else "",
        "versions": {
            "TiDAL Studio": tidal_core.__version__,
            "Python": platform.python_version(),
            **{name: version(name) for name in ("torch", "duckdb", "numpy", "streamlit")},
        },
        "width": WIDTH,
        "height": HEIGHT,
        "plot": PLOT,
    }


def _work(project: Project) -> dict[str, Any]:
    """Labels by person and by day, and what the images were asked for."""
    table = project.store.exports.labels()
    rows = table.select(["annotator", "time", "mode", "milliseconds", "image_id"]).to_pylist()
    by_person: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_person.setdefault(row["annotator"], []).append(row)
    people = [
        {
            "name": name,
            "labels": len(of_person),
            "first": min(row["time"] for row in of_person),
            "last": max(row["time"] for row in of_person),
            "seconds": _median([row["milliseconds"] / 1000 for row in of_person if row["milliseconds"]]),
        }
        for name, of_person in sorted(by_person.items(), key=lambda item: -len(item[1]))
    ]
    days = sorted(Counter(row["time"].date() for row in rows).items())
    purposes = project.store.answers.purposes(row["image_id"] for row in rows)
    asked = Counter("audit" if "audit" in purposes[row["image_id"]] else str(purposes[row["image_id"]][-1])
                    for row in rows if row["image_id"] in purposes)  # fmt: skip
    reasons = [(PURPOSES.get(name, name), n) for name, n in asked.most_common()]
    others = len(rows) - sum(asked.values())
    return {
        "people": people,
        "days": days,
        "busiest": max((n for _, n in days), default=1),
        "asked": [*reasons, *([("labelled by an import, or chosen by a person", others)] if others else [])],
    }


def _accuracy(project: Project, done: Sequence[RoundRecord]) -> dict[str, Any]:
    """Accuracy by round with its interval, and the confusions of the newest, by the best part that there is."""
    empty: dict[str, Any] = {
        "rounds": [],
        "is_honest": False,
        "measured_on": "",
        "figure": None,
        "confusion": None,
        "pairs": [],
    }
    if not done:
        return empty
    predictions = project.store.predictions
    by_part = {part: predictions.accuracies(part) for part in PARTS}
    part = next((part for part, of_part in by_part.items() if of_part.get(done[-1].id, (0, 0))[1]), None)
    if part is None:
        return empty
    rounds = []
    for record in done:
        right, n = by_part[part].get(record.id, (0, 0))
        if n:
            rounds.append({"id": record.id, "labels": record.labels, "n": n, "accuracy": wilson(right, n)})
    then, now = project.store.classes.then_and_now(done[-1])
    names = {class_id: record.name for class_id, record in (now | then).items()}
    truth, predicted, n_images = predictions.confusion(done[-1].id, part)
    cells = {(int(t), int(p)): int(n) for t, p, n in zip(truth, predicted, n_images, strict=True)}
    confused = sorted(((n, pair) for pair, n in cells.items() if pair[0] != pair[1]), reverse=True)[:PAIRS]
    pairs = [
        {
            "label": names[pair[0]],
            "predicted": names[pair[1]],
            "n": n,
            "images": _pictures(project, predictions.cell(done[-1].id, part, *pair, limit=EXAMPLES)),
        }
        for n, pair in confused
    ]
    order = [class_id for class_id in done[-1].class_ids if any(class_id in pair for pair in cells)]
    of_class = Counter({class_id: sum(n for pair, n in cells.items() if class_id in pair) for class_id in order})
    shown = [class_id for class_id in order if class_id in dict(of_class.most_common(MOST_CLASSES))]
    confusion = {
        "names": [names[class_id] for class_id in shown],
        "rows": [[cells.get((t, p), 0) for p in shown] for t in shown],
        "left_out": len(order) - len(shown),
    }
    return {
        "rounds": rounds,
        "measured_on": PARTS[part],
        "figure": _accuracy_figure(rounds, part not in CHOSEN),
        "is_honest": part not in CHOSEN,
        "confusion": confusion,
        "pairs": pairs,
    }


def _pictures(project: Project, image_ids: Sequence[int]) -> list[str]:
    """Images as data URIs; those of which nothing is left are left out."""
    pictures = [_picture(project, image) for image in project.store.images.many(image_ids)]
    return [picture for picture in pictures if picture]


def _picture(project: Project, image: ImageRecord) -> str:
    try:
        body, kind = thumbnail(image, project.previews)
    except ImageUnreadable:
        try:
            body, kind = PixelStore(project.pixels).png(image.pixel_row, 96), "image/png"
        except (OSError, ValueError, IndexError):
            return ""
    return f"data:{kind};base64,{base64.b64encode(body).decode()}"


def _how(record: RoundRecord) -> list[str]:
    """What the newest round did, a sentence per line."""
    strategy = strategies.of_round(record.strategy)
    return config_in_words(RoundConfig.from_json(record.config), record.labels, strategy.in_words)


def _accuracy_figure(rounds: Sequence[dict[str, Any]], is_honest: bool) -> Figure:
    labels = [each["labels"] for each in rounds]
    at = _scale(labels)
    upper = [(at(each["labels"]), _height(each["accuracy"].high)) for each in rounds]
    lower = [(at(each["labels"]), _height(each["accuracy"].low)) for each in rounds]
    middle = [(at(each["labels"]), _height(each["accuracy"].value)) for each in rounds]
    line = Line(
        "accuracy, with its 95 % interval" if is_honest else "accuracy, estimated",
        "#0b6e8f",
        _points(_seen(middle)),
        _points([*_seen(upper), *_seen(lower)[::-1]]) if is_honest else "",
    )
    ticks = tuple((at(n), f"{n:,}") for n in (labels if len(labels) <= 8 else [labels[0], labels[-1]]))
    return Figure("Accuracy by number of labels", (line,), ticks, _percents(), "labels")


def _training(project: Project, record: RoundRecord) -> Figure | None:
    """Accuracy on the labelled images, and loss as a share of its largest, by epoch."""
    epochs = [stored.record for stored in project.store.epochs.of(record.id)]
    if len(epochs) < 2:
        return None
    at = _scale([epoch.epoch for epoch in epochs])
    largest = max(epoch.class_loss for epoch in epochs) or 1.0
    lines = (
        Line(
            "accuracy on the labelled images",
            "#0b6e8f",
            _points(_seen([(at(epoch.epoch), _height(epoch.train_accuracy)) for epoch in epochs])),
        ),
        Line(
            "loss, of its largest value",
            "#a34a00",
            _points(_seen([(at(epoch.epoch), _height(epoch.class_loss / largest)) for epoch in epochs])),
        ),
    )
    ticks = tuple((at(epoch), f"{epoch}") for epoch in (epochs[0].epoch, epochs[-1].epoch))
    return Figure(f"How round {record.id} learnt", lines, ticks, _percents(), "epoch")


def _scale(values: Sequence[int]) -> Any:
    """From a value to its place from left to right."""
    left, _, width, _ = PLOT
    low, span = min(values), max(values) - min(values)
    return lambda value: round(left + width * ((value - low) / span if span else 0.5), 1)


def _height(share: float) -> float:
    _, top, _, height = PLOT
    return round(top + height * (1 - min(max(share, 0.0), 1.0)), 1)


def _percents() -> tuple[tuple[float, str], ...]:
    return tuple((_height(share), f"{share:.0%}") for share in (0.0, 0.5, 1.0))


def _seen(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The places of a line; a single one as a short dash, because a line of one point is not drawn."""
    if len(places) != 1:
        return list(places)
    ((x, y),) = places
    return [(x - _DASH, y), (x + _DASH, y)]


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in places)


def _median(values: list[float]) -> float | None:
    return sorted(values)[len(values) // 2] if values else None
