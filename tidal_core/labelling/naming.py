"""What of an image's name people see while they label: a folder, or a file's name, may give the answer away.

"blind", the default, shows as much as tells nothing: folders are left out where the project has known classes (they
may come from the folders) or where a folder is called like a class, and the file's name where it holds a class's
name. It is decided for the whole project: a name that is left out for some images only would tell something, too.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from tidal_core.config import ShownNames
from tidal_core.store import Store
from tidal_core.store.images import NamesInUse

_SHORTEST = 3  # letters of a name that is looked for inside another; of writing other than Latin one is enough


@dataclass(frozen=True)
class NameRule:
    """How much of a name is shown: "path", "file" (its last part) or "nothing"."""

    shows: ShownNames

    def of(self, name: str) -> str:
        """What is shown of an image's name; "" for nothing."""
        if self.shows == "nothing":
            return ""
        return PurePosixPath(name).name if self.shows == "file" else name


def name_rule(wanted: ShownNames, store: Store, class_names: Sequence[str]) -> NameRule:
    """The rule of a project with these classes, those that are out of use among them."""
    return NameRule(wanted) if wanted != "blind" else blind_rule(store.images.names_in_use(), class_names)


def blind_rule(names: NamesInUse, class_names: Sequence[str]) -> NameRule:
    """What can be shown of these names without telling one of these classes."""
    classes = [_squeezed(name) for name in class_names]
    if _any_tells(names.stems, [_without_digits(name) for name in classes]):
        return NameRule("nothing")
    folders = {_squeezed(part) for folder in names.folders for part in PurePosixPath(folder).parts}
    alike = any(_alike(folder, name) for folder in folders for name in classes)
    return NameRule("file" if names.known_classes or alike else "path")


def _any_tells(stems: Iterable[str], classes: Sequence[str]) -> bool:
    searched = [name for name in classes if name and _is_long(name)]
    return any(name in stem for stem in map(_without_digits, map(_squeezed, stems)) for name in searched)


def _alike(folder: str, name: str) -> bool:
    """ "sunflowers" and "sunflower", "n02099601-golden_retriever" and "Golden retriever"."""
    if not folder or not name:
        return False
    shorter, longer = sorted((folder, name), key=len)
    return shorter == longer or (_is_long(shorter) and shorter in longer)


def _is_long(name: str) -> bool:
    return len(name) >= (_SHORTEST if name.isascii() else 1)


def _squeezed(name: str) -> str:
    """Letters and digits alone, small."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", name).casefold()))


def _without_digits(name: str) -> str:
    return "".join(character for character in name if not character.isdigit())
