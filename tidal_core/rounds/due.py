"""When a round starts, from what labels and settings, and how it ends if it fails. No torch here.

    WAITING -> TRAINING -> SCORING -> RANKING -> DONE, or FAILED (message kept and shown), or CANCELLED

A round starts after n new labels or when a person says so; labels that arrive meanwhile belong to the next one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from statistics import median

from tidal_core import strategies
from tidal_core.config import PRETRAINED_PRESETS, ProjectSettings, RoundConfig, Seeds, TrainConfig
from tidal_core.engine.published_weights import describe, feature_key
from tidal_core.errors import InputError, TidalError
from tidal_core.images.pixels import cached_spec, round_uses
from tidal_core.projects import Project
from tidal_core.records import ClassRecord, RoundRecord, RoundState
from tidal_core.rounds import audit, crowd
from tidal_core.rounds.features import in_use
from tidal_core.store.answers import Census

RECORDED_VERSIONS = ("torch", "torchvision", "numpy", "duckdb")


@dataclass(frozen=True)
class Due:
    """How far a project is from its next round."""

    ready: bool  # enough new labels for a round by itself
    startable: bool  # a person may start one now
    new_labels: int  # since the last round took its labels
    missing: int  # more labels until one starts by itself
    left: int  # images that nobody has labelled or skipped
    why_not: str = ""  # for people, when no round can start at all, however many labels there are
    hindrance: str = ""  # for people, why none can start yet

    @property
    def sentence(self) -> str:
        """One line for people."""
        if self.why_not:
            return self.why_not
        if self.ready:
            return "The next round starts now."
        if self.missing and self.left:
            return f"{self.missing} more label{'s' if self.missing != 1 else ''} until the next round."
        if not self.left:
            way_on = " “Train now” on the Training page starts a round." if self.startable and self.new_labels else ""
            return f"Every image is labelled or skipped.{way_on}"
        return self.hindrance or "Rounds do not start by themselves (Project page, Settings: Train while I label)."


def round_due(project: Project, counted: Census | None = None) -> Due:
    """Whether a round should start, and what is missing; ``counted``: ``count_for_round``, if it is known already."""
    store, settings = project.store, project.settings
    counted = counted or count_for_round(project)
    classes = store.classes.all()
    new, left = counted.new, counted.tally.left
    missing = max(0, settings.labels_per_round - new)
    if len(classes) < 2:
        return Due(
            False,
            False,
            new,
            missing,
            left,
            "Add at least two classes on the Project page: the model needs two to tell apart.",
        )
    if not counted.trainable:
        return Due(False, False, new, missing, left, hindrance="Label some images first.")
    hindrance = _only_one_class(counted.trainable, classes)
    if not hindrance and store.rounds.active() is not None:
        hindrance = "A round is running; the next one starts after it."
    ready = settings.rounds_enabled and not missing and not hindrance
    return Due(ready, not hindrance, new, missing, left, hindrance=hindrance)


def count_for_round(project: Project) -> Census:
    """How images and labels stand; new are labels that no round has claimed."""
    return project.store.answers.census(project.store.rounds.last_claimed_seq())


def _only_one_class(trainable: Iterable[int], classes: list[ClassRecord]) -> str:
    """Why nothing can be learnt of labels of these classes, for people; "" when they are two or more."""
    with_labels = set(trainable)
    labelled = [record.name for record in classes if record.id in with_labels]
    if len(labelled) > 1:
        return ""
    return (
        f"All labels so far are of one class, {' '.join(labelled)!r}. Label at least one image of another class: the "
        "model needs two to tell apart."
    )


def claim_round(project: Project, *, started_by: str) -> RoundRecord:
    """Take the labels of now for a new round in state WAITING, with everything that decides how it comes out.

    Raises RoundStateError when a round is under way and TidalError when there is nothing to train on.
    """
    with round_uses(project.folder):  # its squares are those that it notes
        return _claim(project, started_by)


def _claim(project: Project, started_by: str) -> RoundRecord:
    store, settings = project.store, project.settings
    labels, classes = audit.training_set(project)
    if len(classes) < 2 or not len(labels.image_ids):
        raise TidalError(
            f"The project {project.title!r} has no labels, or no two classes, to train on; label some images first."
        )
    if one_class := _only_one_class(labels.class_ids.tolist(), classes):
        raise TidalError(one_class)
    latest = store.rounds.latest()
    round_id = latest.id + 1 if latest else 1
    train = settings.train_config()
    needed = strategies.get(settings.strategy).companions
    train = dataclasses.replace(train, companions=(*train.companions, *sorted(needed - set(train.companions))))
    pixels = cached_spec(project)  # what the round will see; the settings may ask for others already
    features = in_use(project)
    if features is not None:
        train = dataclasses.replace(train, backbone=features.key.backbone)
    config = RoundConfig(
        train=train,
        seeds=Seeds.of(settings.seed, round_id),
        strategy=settings.strategy,
        training_size=pixels.size,
        fit=pixels.fit,
        grayscale=pixels.grayscale,
        features=None if features is None else features.key.name,
        consensus=settings.consensus,
        **crowd.chosen_for(project, labels.image_ids),
        versions=tuple(f"{name} {version(name)}" for name in RECORDED_VERSIONS),
    )
    record = store.rounds.create(
        config=config.to_json(),
        strategy=settings.strategy,
        class_ids=[c.id for c in classes],
        last_seq=labels.last_seq,
        started_by=started_by,
        image_ids=labels.image_ids,
        image_class_ids=labels.class_ids,
    )
    store.log.add(f"Round {record.id} started with {len(labels.image_ids)} labels.", round_id=record.id)
    return record


def check_training(settings: ProjectSettings) -> None:
    """Raises InputError for a training that cannot be: an unknown model, a strategy that asks for what it lacks."""
    if settings.preset in PRETRAINED_PRESETS:
        feature_key(settings.backbone, settings.pixels)
    elif settings.preset == "quick":
        describe(settings.quick_network)
    if settings.preset != "frozen" and "exact_log_p" in strategies.of_round(settings.strategy).needs:
        raise InputError(
            f"{settings.strategy} needs the training dynamics of every image, which only the pretrained model has; "
            "choose another training on the Project page (Pretrained), or another strategy."
        )


def usual_seconds(project: Project, last: int = 5) -> float | None:
    """How long a round takes: the median of the last finished ones that trained as the next will; None without one."""
    now = project.settings.train_config()
    took = [
        (record.finished_at - record.started_at).total_seconds()
        for record in project.store.rounds.all()
        if record.state is RoundState.DONE and record.started_at is not None and record.finished_at is not None
        if _trains_as(RoundConfig.from_json(record.config).train, now)
    ]
    return median(took[-last:]) if took else None


def _trains_as(config: TrainConfig, other: TrainConfig) -> bool:
    return (config.backbone, config.body, config.epochs) == (other.backbone, other.body, other.epochs)


def end_round(project: Project, round_id: int, after: RoundState, error: str | None = None) -> None:
    """End an active round as FAILED or CANCELLED, from whatever state it is in; an ended one stays as it is."""
    record = project.store.rounds.get(round_id)
    if record.state.is_active:
        project.store.rounds.move(round_id, record.state, after, error=error)
        level = "error" if after is RoundState.FAILED else "info"
        message = f"Round {round_id} {after}" + (f": {error}" if error else ".")
        project.store.log.add(message, level=level, round_id=round_id)
