"""Settings as frozen dataclasses: what a round trains with, what a project is set to.

No torch here: pages show and change these without waiting for its import. Each is stored as JSON beside what it
governed, so that any round can be explained and repeated.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Literal, Self

from tidal_core import json_checks
from tidal_core.errors import InputError, SettingsTooNew

Precision = Literal["float32", "bfloat16"]
Optimizer = Literal["sgd", "adam", "adamw"]
Schedule = Literal["constant", "step", "cosine", "one-cycle"]
Augmentation = Literal["none", "crop", "flip-crop"]
Body = Literal["trained", "frozen"]
TDWindow = Literal["all", "second-half"]
ClassBalance = Literal["none", "weights"]
CropFill = Literal["edge", "black"]
Fit = Literal["crop", "letterbox", "stretch"]
SuggestionMode = Literal["after", "always", "never"]
ShownNames = Literal["blind", "path", "file", "nothing"]
Consensus = Literal["majority", "crowdlab"]


class JsonConfig:
    """To and from JSON for frozen dataclasses; unknown keys are refused, missing ones take their default."""

    def to_json(self) -> str:
        """This configuration as one line of JSON with sorted keys, equal for equal configurations."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)  # type: ignore[call-overload]

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The configuration that ``to_json`` wrote, of this version or an earlier one.

        Raises InputError for a key that this version does not know, and for a value of another type.
        """
        try:
            return json_checks.decode(text, cls, unknown="refuse")
        except InputError as error:
            raise InputError(f"The stored {cls.__name__} cannot be used: {error}") from error

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The configuration with these values; lists become tuples. Raises InputError as ``from_json`` does."""
        return json_checks.convert(values, cls, unknown="refuse")


@dataclass(frozen=True)
class Seeds:
    """One seed for each source of chance, so that one can be varied while the others stand still."""

    weights: int = 0
    order: int = 1
    augmentation: int = 2
    selection: int = 3

    @classmethod
    def of(cls, project_seed: int, round_id: int) -> Seeds:
        """Seeds for one round: different in every round and for every purpose, the same each time."""
        base = (project_seed * 1_000_003 + round_id) * 16
        return cls(weights=base, order=base + 1, augmentation=base + 2, selection=base + 3)


@dataclass(frozen=True)
class TrainConfig(JsonConfig):
    """How one round trains. The presets are below. A field that is added later has a default that trains as before."""

    backbone: str = "small"
    body: Body = "trained"  # "frozen": only a head trains, on features that the pretrained body gave once
    companions: tuple[str, ...] = ("td",)
    epochs: int = 30  # at least; see min_steps. 40 take a third longer for half a point with 300 labels
    min_steps: int = 160  # with 20 labels an epoch is one step: epochs are added until this many are made
    max_steps: int = 0  # with more than this, epochs are left out until half of them are left; 0: none is
    batch_size: int = 32
    optimizer: Optimizer = "adamw"
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    momentum: float = 0.9  # SGD only
    schedule: Schedule = "cosine"
    warmup_fraction: float = 0.1  # of all steps; cosine only
    milestones: tuple[int, ...] = ()  # epochs after which the rate drops; step only
    gamma: float = 0.1  # factor of each drop; step only
    td_weight: float = 1.0  # lambda of the paper
    td_window: TDWindow = "second-half"  # p-bar over all epochs (the paper) or the second half (better with few labels)
    augmentation: Augmentation = "crop"  # "flip-crop" turns a b into a d: not for digits and letters
    crop_padding: int = 4  # pixels at 32 pixels of image size, in proportion for others
    crop_fill: CropFill = "edge"  # what a shift moves in: the repeated edge, whatever the background, or black (paper)
    precision: Precision = "float32"
    channels_last: bool = True  # half the time of a 16-channel convolution on a CPU, and the layout of CUDA's fast ones
    compile: bool = False
    warm_start: bool = True  # weights carry over from the round before, optimisers never do
    full_curve_classes: int = 100  # up to this many classes every probability of a curve is kept
    sparse_top_k: int = 5  # above it: the label, the prediction and this many of the largest
    pretrained: bool = False  # a body that trains starts from its published weights, and pixels are normalised for them
    head_epochs: int = 0  # of ``epochs`` the first, with the body still; where epochs are added, more in proportion
    class_balance: ClassBalance = "none"  # "weights": all classes count the same in the classifier's loss
    layer_decay: float = 1.0  # each stage of the body learns at this part of the next one's rate, from the head on


QUICK = TrainConfig(max_steps=4_800)
"""Seconds per round on two CPU cores with a few hundred labels; figures in EXPERIMENTS.md."""

PAPER = TrainConfig(
    backbone="resnet18",
    epochs=200,
    min_steps=0,
    batch_size=128,
    optimizer="sgd",
    learning_rate=0.1,
    weight_decay=5e-4,
    schedule="step",
    milestones=(160,),
    td_window="all",
    augmentation="flip-crop",
    crop_fill="black",
)
"""The published protocol (TiDAL, ICCV 2023): ResNet-18, 200 epochs, SGD 0.1, x0.1 after epoch 160."""

PAPER_CPU = dataclasses.replace(PAPER, backbone="resnet18-thin", epochs=40, milestones=(32,), batch_size=32)
"""PAPER at a size for a CPU: a quarter of the channels and of a batch, a fifth of the epochs."""

FROZEN = TrainConfig(
    backbone="efficientnet-lite0",
    body="frozen",
    epochs=40,
    min_steps=80,
    max_steps=160,  # with 1,000 labels and more 20 epochs are as accurate as 40 (EXPERIMENTS.md)
    batch_size=128,
    learning_rate=5e-3,
    td_window="all",  # the head is nearly at its end after half the epochs: the second half would say what the end says
    augmentation="none",
    warm_start=False,
)
"""A head on frozen features of an ImageNet model: seconds per round, and the most accurate with few labels."""

FROZEN_STRATEGY = "exact-herding"
"""What asks beside FROZEN: images that stand for many others of unsettled dynamics (docs/results/low_budget.md)."""

WHY_FROZEN_STRATEGY = (
    "Exact dynamics herding chooses what to ask, because with one to seven labels a class its model was 5 to 8 points "
    "more accurate than with random choice on four collections, and no published way was better beyond chance."
)

FINE_TUNE = TrainConfig(
    backbone="efficientnet-lite0",
    pretrained=True,
    epochs=40,
    head_epochs=10,
    layer_decay=0.5,
    learning_rate=1e-3,
    warm_start=False,
)
"""An ImageNet model that trains whole: the head alone first, then all of it, slower the nearer to the pixels.

Every round starts from the published weights: what a round with fewer labels has bent stays behind.
"""

PRESETS: dict[str, TrainConfig] = {"frozen": FROZEN, "quick": QUICK, "fine-tune": FINE_TUNE, "paper": PAPER}


PRETRAINED_PRESETS = ("frozen", "fine-tune")
"""Trainings that begin with a network that knows photos; which one: ``ProjectSettings.backbone``."""

PRETRAINED_FROM = 48  # pixels of the shortest side: smaller images hold too little for a network that knows photos


@dataclass(frozen=True)
class PixelSpec(JsonConfig):
    """What the squares of a project's pixel cache are."""

    size: int  # pixels of a side
    fit: Fit = "crop"
    grayscale: bool = False  # three equal channels

    def rows_in(self, gigabytes: float) -> int:
        """How many squares a cache of that size holds, at least one."""
        return max(1, int(gigabytes * 1e9 / (self.size * self.size * 3)))


SETTINGS_VERSION = 3
"""Raised with each field or value of ``ProjectSettings`` that an earlier version of the studio could not read."""


@dataclass(frozen=True)
class ProjectSettings(JsonConfig):
    """What a person can set for a project; kept in its file, with the version of these settings."""

    title: str = ""
    annotator: str = "me"
    training_size: int = 32  # pixels: side of the square images the model sees
    fit: Fit = "crop"
    grayscale: bool = False
    pixel_cache_gb: float = 20.0  # of the disk; images beyond it are decoded anew whenever they are looked at
    labels_per_round: int = 20
    rounds_enabled: bool = True  # off: labels are kept, nothing trains
    strategy: str = "tidal-entropy"
    preset: str = "quick"
    backbone: str = "efficientnet-lite0"  # of the trainings in PRETRAINED_PRESETS
    quick_network: str = "small"  # of the training "quick"
    augmentation: Augmentation = "crop"
    class_balance: ClassBalance = "none"
    precision: Precision = "float32"  # this and the next: what a speed trial proposed (engine/speed_trial.py)
    channels_last: bool = True
    find_fastest: bool = False  # a new project: before its first round a trial sets these two (rounds/fastest.py)
    audit_share: float = 0.1  # of the asked images; 0 where a test split with known labels is there
    double_share: float = 0.0  # of the images that people answer: asked of ``people_per_image`` of them
    people_per_image: int = 2
    consensus: Consensus = "majority"  # what an image trains with where people disagree
    people_shown: bool = False  # whether everybody sees how much, how fast and how well each person labels
    suggestions: SuggestionMode = "after"
    shown_names: ShownNames = "blind"  # of an image that is to be labelled; see labelling/naming.py
    curve_rounds: int = 5  # whole curves are kept for this many of the last rounds
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.labels_per_round <= 100_000:
            raise InputError(f"labels per round is {self.labels_per_round}; choose a number from 1 to 100,000.")
        if not 1 <= self.curve_rounds <= 1_000:
            raise InputError(f"whole curves are kept for {self.curve_rounds} rounds; choose a number from 1 to 1,000.")
        if not 0 <= self.audit_share <= 0.5:
            raise InputError(f"the audit share is {self.audit_share:g}; choose a share from 0 to 0.5.")
        if not 0 <= self.double_share <= 1:
            raise InputError(f"the share asked of several people is {self.double_share:g}; choose a share from 0 to 1.")
        if not 2 <= self.people_per_image <= 20:
            raise InputError(f"people per image is {self.people_per_image}; choose a number from 2 to 20.")
        if self.consensus not in ("majority", "crowdlab"):
            raise InputError(f"there is no consensus {self.consensus!r}; choose majority or crowdlab.")
        if not 8 <= self.training_size <= 512:
            raise InputError(f"the training size is {self.training_size} pixels; choose from 8 to 512.")
        if self.fit not in ("crop", "letterbox", "stretch"):
            raise InputError(f"images cannot be made square by {self.fit!r}; choose crop, letterbox or stretch.")
        if not 0 < self.pixel_cache_gb <= 100_000:
            raise InputError(
                f"the pixel cache limit is {self.pixel_cache_gb:g} GB; choose a number above 0, at most 100,000."
            )
        if self.preset not in PRESETS:
            raise InputError(f"there is no preset {self.preset!r}; choose one of {', '.join(PRESETS)}.")
        if self.class_balance not in ("none", "weights"):
            raise InputError(f"classes cannot be balanced by {self.class_balance!r}; choose none or weights.")
        if self.shown_names not in ("blind", "path", "file", "nothing"):
            raise InputError(f"there is no {self.shown_names!r} of names; choose blind, path, file or nothing.")
        if self.precision not in ("float32", "bfloat16"):
            raise InputError(f"there is no precision {self.precision!r}; choose float32 or bfloat16.")

    def to_json(self) -> str:
        """As ``JsonConfig``, with the version."""
        return json.dumps({"version": SETTINGS_VERSION, **dataclasses.asdict(self)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """As ``JsonConfig``; raises SettingsTooNew for settings that a newer version of the studio has kept."""
        try:
            values = json_checks.decode(text, dict[str, Any])
        except InputError as error:
            raise InputError(f"The stored {cls.__name__} cannot be used: {error}") from error
        version = values.pop("version", 1)
        newer = sorted(values.keys() - {field.name for field in dataclasses.fields(cls)})
        if (isinstance(version, int) and version > SETTINGS_VERSION) or newer:
            what = f"their version is {str(version)[:20]}, this studio knows {SETTINGS_VERSION}"
            what = f"{what}; unknown: {', '.join(newer)[:80]}" if newer else what
            raise SettingsTooNew(
                f"The project's settings were written by a newer version of TiDAL Studio ({what}). Update the studio "
                "to open it."
            )
        try:
            return cls.from_dict(values)
        except InputError as error:
            raise InputError(f"The stored {cls.__name__} cannot be used: {error}") from error

    @classmethod
    def salvaged(cls, text: str, before: PixelSpec | None) -> tuple[Self, tuple[str, ...]]:
        """What can be used of settings that ``from_json`` refuses, and the names of those at their default again.

        ``before``: what the project's squares are, so that they need not be made again.
        """
        kept: dict[str, Any] = {}
        if before is not None:
            kept = {"training_size": before.size, "fit": before.fit, "grayscale": before.grayscale}
        try:
            values = json_checks.decode(text, dict[str, Any])
        except InputError:
            values = {}
        names = [field.name for field in dataclasses.fields(cls)]
        lost = []
        for name in names:
            try:
                cls.from_dict({**kept, name: values[name]})
            except (KeyError, InputError):
                lost.append(name)
            else:
                kept[name] = values[name]
        return cls.from_dict(kept), tuple(name for name in lost if name not in kept)

    @property
    def pixels(self) -> PixelSpec:
        """What the pixel cache is to hold."""
        return PixelSpec(self.training_size, self.fit, self.grayscale)

    def train_config(self) -> TrainConfig:
        """What the next round trains with."""
        config = dataclasses.replace(PRESETS[self.preset], precision=self.precision, channels_last=self.channels_last)
        if self.preset in PRETRAINED_PRESETS:
            config = dataclasses.replace(config, backbone=self.backbone)
        if self.preset == "quick":
            config = dataclasses.replace(config, backbone=self.quick_network)
        if self.preset == "paper":
            return config
        config = dataclasses.replace(config, class_balance=self.class_balance)
        if config.body == "frozen":  # features are computed once, of the image as it is
            return config
        return dataclasses.replace(config, augmentation=self.augmentation)


@dataclass(frozen=True)
class RoundConfig(JsonConfig):
    """Everything that decides how a round comes out, beside its labels and images."""

    train: TrainConfig
    seeds: Seeds
    strategy: str
    training_size: int
    fit: Fit | None = None  # None: by a version that did not note it
    grayscale: bool | None = None
    features: str | None = None  # the folder of the features that it trains on; None where the body trains
    queue_length: int = 5_000  # images ranked for the queue
    threads: int = 1  # torch's; on a CPU one core stays with the web server
    consensus: Consensus | None = None  # what its labels are where people disagree; None: by an older version
    crowdlab_round: int | None = None  # the round whose models CROWDLAB weighed beside the people; None: it chose none
    crowdlab_images: int = 0  # labels that CROWDLAB chose
    versions: tuple[str, ...] = ()  # "torch 2.15.0", ...: for the record
