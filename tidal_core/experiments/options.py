"""What an experiment is asked for: options of the command, and the same ones in a TOML file. No torch here.

An option that is None was not given: the file's counts then, and the preset's where the file says nothing either.
"""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path

from tidal_core import json_checks
from tidal_core.config import Augmentation
from tidal_core.engine.published_weights import BUILT_IN, describe
from tidal_core.errors import InputError
from tidal_core.experiments.files import Spec
from tidal_core.experiments.protocol import PART_OF_PUBLISHED, PRESETS, FirstChoice, Protocol, Tail
from tidal_core.experiments.published import published
from tidal_core.projects import slugify

CONFIG_FILE = "config.toml"  # as it was given, beside the results
DEFAULT_CONFIGURATIONS = ("random", "margin", "tidal-margin")
AUGMENTATIONS: tuple[Augmentation, ...] = ("crop", "flip-crop", "none")


@dataclass(frozen=True)
class Options:
    """Keys of the file are the names of the fields."""

    dataset: str | None = None
    name: str | None = None
    strategies: tuple[str, ...] | None = None
    preset: str | None = None
    imbalance: tuple[float, ...] | None = None
    tail: Tail | None = None
    runs: int | None = None
    rounds: int | None = None
    first: int | None = None
    per_round: int | None = None
    subset: int | None = None
    validation: int | None = None
    enlarge_to: int | None = None
    warm: bool | None = None
    stale: bool | None = None
    audit_share: float | None = None
    start: FirstChoice | None = None
    held_out: int | None = None
    candidates: int | None = None
    first_seed: int | None = None
    threads: int | None = None
    backbone: str | None = None
    augment: Augmentation | None = None

    @classmethod
    def read(cls, file: Path) -> Options:
        """The options of a TOML file. Raises InputError for what it cannot have."""
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"{file} cannot be read ({error.strerror or error}); check its path.") from error
        except (tomllib.TOMLDecodeError, UnicodeError) as error:
            raise InputError(f"{file} is not TOML: {error}; write lines such as runs = 5.") from error
        try:
            return json_checks.convert(values, cls, unknown="refuse")
        except InputError as error:
            names = ", ".join(field.name for field in dataclasses.fields(cls))
            raise InputError(f"{file}: {error} Its settings are {names}.") from error

    def over(self, other: Options) -> Options:
        """These options, with those of ``other`` where nothing is said here."""
        given = {key: value for key, value in dataclasses.asdict(self).items() if value is not None}
        return dataclasses.replace(other, **given)

    def protocol(self) -> Protocol:
        """The preset with what was asked for. Raises InputError for what cannot be."""
        preset = self.preset or "human"
        if preset not in PRESETS:
            raise InputError(f"There is no preset {preset!r}; choose one of {', '.join(PRESETS)}.")
        if self.tail not in (None, "exponential", "step"):
            raise InputError(f"There is no imbalance shape {self.tail!r}; choose exponential or step.")
        if self.augment not in (None, *AUGMENTATIONS):
            raise InputError(f"There is no augmentation {self.augment!r}; choose {', '.join(AUGMENTATIONS)}.")
        protocol = PRESETS[preset]
        if preset in PART_OF_PUBLISHED and self.dataset and (self.first is None or self.per_round is None):
            row, part = published(self.dataset, self.imbalance or (1.0,)), PART_OF_PUBLISHED[preset]
            if row is not None:
                protocol = protocol.changed(first=row.first // part, per_round=row.per_round // part, rounds=row.rounds)
        train = dataclasses.replace(
            protocol.train,
            backbone=protocol.train.backbone if self.backbone is None else self.backbone,
            augmentation=protocol.train.augmentation if self.augment is None else self.augment,
            warm_start=protocol.train.warm_start if self.warm is None else self.warm,
        )
        if self.augment not in (None, "none") and protocol.train.body == "frozen":
            raise InputError(
                f"The preset {preset} computes features once, of the images as they are: {self.augment} changes "
                "nothing there; leave out augment, or choose another preset."
            )
        protocol = dataclasses.replace(protocol, train=train)
        check_backbone(protocol)
        return protocol.changed(
            first=self.first,
            per_round=self.per_round,
            rounds=self.rounds,
            subset=self.subset,
            validation=self.validation,
            threads=self.threads,
            enlarge_to=self.enlarge_to,
            tail=self.tail,
            stale=self.stale,
            audit_share=self.audit_share,
            start=self.start,
            held_out=self.held_out,
            candidates=self.candidates,
            first_seed=self.first_seed,
        )

    def folder_name(self) -> str:
        """The name, or one made of data set and preset."""
        return self.name or slugify(f"{self._dataset()} {self.preset or 'human'}")

    def spec(self) -> Spec:
        """What is to be compared. Raises InputError for what cannot be."""
        return Spec(
            self._dataset(),
            self.protocol(),
            self.strategies or DEFAULT_CONFIGURATIONS,
            self.imbalance or (1.0,),
            5 if self.runs is None else self.runs,
        )

    def _dataset(self) -> str:
        if not self.dataset:
            raise InputError("No data set was named; give one, such as digits, or dataset = ... in the file.")
        return self.dataset


def check_backbone(protocol: Protocol) -> None:
    """Raises InputError for a network that is not there, or that has no features to train on."""
    name = protocol.train.backbone
    if not describe(name).weights and protocol.train.body == "frozen" and name in BUILT_IN:
        raise InputError(
            f"The backbone {name} has no pretrained weights, and this preset trains on the features of a pretrained "
            "model; choose another preset or another backbone."
        )
