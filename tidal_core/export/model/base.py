"""What every model format does: write the weights, and say how they are used without the studio."""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib.util import find_spec
from pathlib import Path

from tidal_core.errors import InputError


class ModelFormat(ABC):
    """One format. A new one is a file beside this one and an entry in ``FORMATS``."""

    name: str
    title: str  # for people
    file: str  # of the weights
    library: str  # what the model card calls it
    runs_with: str  # packages that predict.py needs, for people
    predict: str  # the text of predict.py
    batch: str  # Python lines for the model card: many images at once
    needs: tuple[str, ...] = ()  # packages for writing that the studio does not bring
    install: str = ""  # how to get them
    traces: bool = False  # writing changes settings of the whole process, so it gets one of its own

    @property
    def missing(self) -> tuple[str, ...]:
        """Packages for writing that are not installed."""
        return tuple(package for package in self.needs if find_spec(package) is None)

    def check(self) -> None:
        """Raises InputError with the remedy when this format cannot be written here."""
        if self.missing:
            raise InputError(
                f"writing {self.name} needs {' and '.join(self.missing)}, which is not installed; install with: "
                f"{self.install}, or choose another format."
            )

    @abstractmethod
    def write(self, weights: Path, size: int, folder: Path) -> None:
        """Write the model of a round's file ``weights`` for squares of ``size`` pixels.

        Raises InputError for weights that this format cannot hold.
        """


def predict_script(needs: str, imports: str, load: str, call: str) -> str:
    """The text of predict.py: the same ten lines around ``load`` (a model) and ``call`` (probabilities of ``pixels``).

    ``pixels`` are uint8 (1, S, S, 3); ``call`` gives the model's answer (1, C).
    """
    return f'''"""File, class and probability of images: python predict.py IMAGE... (needs {needs})."""

import json
import sys
from pathlib import Path

{imports}

here = Path(__file__).parent
classes = [entry["name"] for entry in json.loads((here / "classes.json").read_text(encoding="utf-8"))]
model = {load}
for path in sys.argv[1:]:
    try:
        pixels = square(path)[None]  # (1, S, S, 3) uint8
    except Exception as error:  # not an image, or a damaged one: the others go on
        print(path, f"not read: {{error}}", sep="\\t", file=sys.stderr)
        continue
    p = {call}  # (C,)
    print(path, classes[int(p.argmax())], f"{{p.max():.6f}}", sep="\\t")
'''
