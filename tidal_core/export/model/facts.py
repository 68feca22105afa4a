"""What is known of a round's model: which rounds can go out, and everything that its card tells."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

from safetensors import SafetensorError, safe_open

from tidal_core.config import PixelSpec, Precision, RoundConfig
from tidal_core.engine.preprocessing import Preprocessing
from tidal_core.engine.published_weights import EMBEDDED, describe, feature_key
from tidal_core.errors import InputError, reason_of
from tidal_core.images.pixels import cached_spec
from tidal_core.images.squares import REDUCING_GAP
from tidal_core.projects import Project
from tidal_core.records import ClassRecord, RoundRecord, RoundState, Split
from tidal_core.store.metrics import Metric


@dataclass(frozen=True)
class ClassFacts:
    """One class of the model."""

    id: int
    name: str  # as it is called now
    position: int  # in the model's output
    labels: int  # images of it that the round trained on
    recall: Metric | None  # None where it was not measured
    merged_into: str | None  # the class that it counts as since the round
    trained_as: str | None  # its name when the round began, where that was another one


@dataclass(frozen=True)
class BodyFacts:
    """The pretrained network that a model is built on."""

    name: str  # of the backbone
    frozen: bool  # whether its weights are as published, or where training began
    trained_on: str  # empty where that is not known
    licence: str  # of its weights; empty where that is not known
    preprocessing: Preprocessing
    precision: Precision  # that the studio computes its features with, where it is frozen


@dataclass(frozen=True)
class ModelFacts:
    """One round's model."""

    title: str  # the project's
    round_id: int
    finished_at: datetime | None  # naive UTC
    strategy: str
    config: RoundConfig
    pixels: PixelSpec  # the squares that the model sees
    weights: Path  # the round's own file
    body: BodyFacts | None  # None where all weights are the project's own
    mean: tuple[float, ...]  # of the channels, pixels as 0..1
    std: tuple[float, ...]
    classes: tuple[ClassFacts, ...]  # in the order of the model's output
    labels: int  # images that the round trained on
    images: int  # to label, in the project now
    accuracy: Metric | None  # None where nothing was measured
    balanced: Metric | None

    def preprocessing(self) -> dict[str, Any]:
        """How an image file becomes the model's input, for ``preprocessing.json``."""
        size = self.pixels.size
        return {
            **dataclasses.asdict(self.pixels),
            "resampling": "bilinear",
            "reducing_gap": REDUCING_GAP,
            "orientation": "as EXIF says",
            "mode": "RGB; transparency over white, the first frame, 16 bits brought to 8; colour profiles not applied",
            "input": {"name": "pixels", "dtype": "uint8", "shape": ["images", size, size, 3]},
            "output": {"name": "probabilities", "dtype": "float32", "shape": ["images", len(self.classes)]},
            "resizing": self._resizing(),
            "normalisation": "inside the model: (pixels / 255 - mean) / std",
            "mean": self.mean,
            "std": self.std,
        }

    def _resizing(self) -> str:
        if self.body is None or not self.body.frozen or not self.body.preprocessing.resizes:
            return "none: the network takes the squares at their size"
        side, interpolation = self.body.preprocessing.side, self.body.preprocessing.interpolation
        return f"inside the model: to {side} by {side} pixels, {interpolation} with antialiasing"


def weights_of(project: Project, record: RoundRecord) -> Path | None:
    """The file with a finished round's weights; None where it has none or they are not kept any more."""
    if record.state is not RoundState.DONE or record.checkpoint is None:
        return None
    path = project.checkpoints / record.checkpoint
    return path if path.exists() else None


def kept_rounds(project: Project) -> list[RoundRecord]:
    """Finished rounds whose weights are kept, oldest first."""
    return [record for record in project.store.rounds.all() if weights_of(project, record) is not None]


def chosen_round(project: Project, round_id: int | None = None) -> tuple[RoundRecord, Path]:
    """The round asked for, or the newest whose weights are kept, and its weights.

    Raises InputError when there is none, with the rounds that could be had.
    """
    kept = kept_rounds(project)
    if round_id is None and kept:
        round_id = kept[-1].id
    record = next((candidate for candidate in project.store.rounds.all() if candidate.id == round_id), None)
    path = weights_of(project, record) if record is not None else None
    if record is not None and path is not None:
        return record, path
    numbers = ", ".join(str(kept_record.id) for kept_record in kept)
    choices = f"choose one of: {numbers}" if kept else "no round has one: press Train now on the Training page"
    if round_id is None:
        raise InputError(
            f"the project {project.title!r} has no finished round yet; label more images, or press Train now on the "
            "Training page."
        )
    if record is None:
        raise InputError(f"there is no round {round_id} with a model in {project.title!r}; {choices}.")
    if record.state is not RoundState.DONE:
        raise InputError(f"round {round_id} is {record.state.value} and has no finished model; {choices}.")
    raise InputError(
        f"the model of round {round_id} was deleted (a project keeps those of its last "
        f"{project.settings.curve_rounds} rounds); {choices}."
    )


def model_facts(project: Project, round_id: int | None = None) -> ModelFacts:
    """Everything known of a round's model (default: the newest kept). Raises InputError as ``chosen_round``."""
    record, weights = chosen_round(project, round_id)
    store = project.store
    metrics = {(metric.name, metric.class_id): metric for metric in store.metrics.of_round(record.id)}
    _, trained = store.rounds.images(record.id)
    labels = Counter(trained.tolist())
    then, class_records = store.classes.then_and_now(record)
    classes = []
    for position, class_id in enumerate(record.class_ids):
        target_id = class_records[class_id].merged_into
        classes.append(
            ClassFacts(
                class_id,
                class_records[class_id].name,
                position,
                labels[class_id],
                metrics.get(("recall", class_id)),
                class_records[target_id].name if target_id is not None else None,
                _former_name(then.get(class_id), class_records[class_id]),
            )
        )
    config = RoundConfig.from_json(record.config)
    pixels = _pixels(project, config)
    body = _body(record.id, config, pixels)
    mean, std = _normalisation(weights)
    if body is not None and body.frozen:  # the file has the mean and deviation of its features
        mean, std = body.preprocessing.mean, body.preprocessing.std
    return ModelFacts(
        title=project.title,
        round_id=record.id,
        finished_at=record.finished_at,
        strategy=record.strategy,
        config=config,
        pixels=pixels,
        weights=weights,
        body=body,
        mean=mean,
        std=std,
        classes=tuple(classes),
        labels=record.labels,
        images=store.images.count(Split.POOL),
        accuracy=metrics.get(("accuracy", None)),
        balanced=metrics.get(("balanced_accuracy", None)),
    )


def _former_name(then: ClassRecord | None, now: ClassRecord) -> str | None:
    return None if then is None or then.name == now.name else then.name


def _pixels(project: Project, config: RoundConfig) -> PixelSpec:
    """The squares that the round saw; what an old round did not note is as the project's pixel cache is now."""
    now = cached_spec(project)
    grayscale = now.grayscale if config.grayscale is None else config.grayscale
    return PixelSpec(config.training_size, config.fit or now.fit, grayscale)


def _body(round_id: int, config: RoundConfig, pixels: PixelSpec) -> BodyFacts | None:
    """The pretrained network; None where there was none. Raises InputError where it is not the round's any more."""
    train = config.train
    if train.body != "frozen" and not train.pretrained:
        return None
    from tidal_core.engine.pretrained import preprocessing_of  # torch comes in here

    precision = train.precision
    if config.features is not None:
        # Features of earlier settings serve until new ones are complete: the precision of the settings may be another.
        precisions: tuple[Precision, ...] = get_args(Precision)
        keys = {feature_key(train.backbone, pixels, kind).name: kind for kind in precisions}
        if config.features not in keys:
            raise InputError(
                f"round {round_id} was trained on features of other weights of {train.backbone} than those that are "
                "installed now; press “Train now” on the Training page to train on these."
            )
        precision = keys[config.features]
    licence = EMBEDDED[train.backbone].licence if train.backbone in EMBEDDED else ""
    return BodyFacts(
        train.backbone,
        train.body == "frozen",
        describe(train.backbone).trained_on,
        licence,
        preprocessing_of(train.backbone),
        precision,
    )


def _normalisation(weights: Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    try:
        with safe_open(weights, framework="np") as file:
            return tuple(file.get_tensor("mean").tolist()), tuple(file.get_tensor("std").tolist())
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"{weights.name} cannot be read as weights ({reason_of(error)}); choose another round."
        ) from error
