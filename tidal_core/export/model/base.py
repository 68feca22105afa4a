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
    """The text of predict.py: the same lines around ``load`` (a model) and ``call`` (probabilities of ``pixels``).

    ``pixels`` are uint8 (B, S, S, 3); ``call`` gives an array (B, C).
    """
    script = _SCRIPT.replace("NEEDS", needs).replace("IMPORTS", imports)
    return script.replace("LOAD", load).replace("CALL", call).lstrip()


_SCRIPT = '''
"""File, class and probability of images, separated by tabs: python predict.py PHOTO... or FOLDER... or "photos/*.jpg"

Needs NEEDS, and pillow-heif for HEIC photos. Folders are searched with those below them, for files that end or begin
like images. What cannot be read is named on standard error, with the reason; the exit code is 1 if nothing could be
read.
"""

import warnings

warnings.simplefilter("ignore")  # of libraries: about their own insides

import glob
import json
import os
import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from preprocessing import ImageUnreadable, is_image_file, is_left_out, square

IMPORTS

BATCH = 32  # images that the model sees at once
HERE = Path(__file__).parent


def images_of(given):
    """The files behind one argument: itself, those of a folder, or those that a pattern matches."""
    if os.path.isdir(given):
        for folder, folders, names in os.walk(given):
            folders[:] = sorted(name for name in folders if not is_left_out(name))
            for name in sorted(names):
                if not is_left_out(name) and is_image_file(os.path.join(folder, name)):
                    yield os.path.join(folder, name)
    elif glob.has_magic(given) and not os.path.exists(given):
        for path in sorted(glob.glob(given, recursive=True)):
            yield from images_of(path)
    else:
        yield given


def read(path):
    """The square of an image, and why there is none."""
    if not os.path.lexists(path):
        return None, "there is no such file"
    try:
        return square(path), None
    except ImageUnreadable as error:  # the others go on
        return None, error.reason


def main():
    if len(sys.argv) < 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    classes = [entry["name"] for entry in json.loads((HERE / "classes.json").read_text(encoding="utf-8"))]
    model = LOAD

    def classify(paths, squares):
        pixels = np.stack(squares)  # (B, S, S, 3) uint8
        for path, p in zip(paths, CALL):  # (C,)
            print(path, classes[int(p.argmax())], f"{p.max():.6f}", sep="\\t")

    asked, done, paths, squares = 0, 0, [], []
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as readers:
        waiting = deque()

        def take():
            """The oldest image that is being read, to the next batch."""
            nonlocal done
            path, reading = waiting.popleft()
            pixels, reason = reading.result()
            if reason is not None:
                print(path, f"not read: {reason}", sep="\\t", file=sys.stderr)
                return
            done += 1
            paths.append(path)
            squares.append(pixels)
            if len(paths) == BATCH:
                classify(paths, squares)
                paths.clear()
                squares.clear()

        for given in sys.argv[1:]:
            before = asked
            for path in images_of(given):
                asked += 1
                waiting.append((path, readers.submit(read, path)))
                if len(waiting) >= 2 * BATCH:
                    take()
            if asked == before:
                reason = "there is no image in this folder" if os.path.isdir(given) else "nothing matches this"
                print(given, reason, sep="\\t", file=sys.stderr)
        while waiting:
            take()
    if paths:
        classify(paths, squares)
    return 0 if done else 1


if __name__ == "__main__":
    sys.exit(main())
'''
