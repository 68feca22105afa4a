"""Backbones that other packages register, as strategies are: by an entry point whose object is a ``Backbone`` class.

    [project.entry-points."tidal_studio.backbones"]
    my-net = "my_package.module:MyNet"

The name of the entry point is the backbone's, so that pages can list it without importing it. The class is called with
the number of classes, and states its ``stage_channels`` and its ``class_rows``, weight and bias of the linear layer
that reads the last stage. With pretrained weights to freeze it is a ``Pretrained``. One that cannot be used is left out
and named by ``problems``: a broken extra must not keep people from labelling.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import ClassVar

from tidal_core.engine.backbones.base import Backbone
from tidal_core.engine.preprocessing import Preprocessing
from tidal_core.engine.published_weights import GROUP, name_problem, registered_points
from tidal_core.errors import InputError


class Pretrained(Backbone):
    """A backbone that brings pretrained weights of its own."""

    preprocessing: ClassVar[Preprocessing]

    def load_pretrained(self) -> None:
        """Put the pretrained weights in place, all but those of the classes; InputError where they are missing."""
        raise NotImplementedError  # a subclass without it is refused in words (engine.pretrained)


@cache
def registered_backbone(name: str) -> type[Backbone]:
    """The class that is registered as ``name``. Raises InputError where it cannot be used, with the reason."""
    kind, problem = _load(registered_points()[name])
    if kind is None:
        raise InputError(problem)
    return kind


def problems() -> tuple[str, ...]:
    """A sentence for each registered backbone that cannot be used. Imports all of them."""
    return tuple(problem for point in sorted(entry_points(group=GROUP)) if (problem := _load(point)[1]))


def reload() -> None:
    """Look for registered backbones again, after a package was installed."""
    registered_points.cache_clear()
    registered_backbone.cache_clear()


def _load(point: EntryPoint) -> tuple[type[Backbone] | None, str]:
    """The class, or why it cannot be used."""
    named = f"The backbone {point.name} ({point.value})"
    if problem := name_problem(point.name):
        return None, f"{named} {problem}."
    try:
        kind = point.load()
    except Exception as error:  # whatever a foreign module raises while it is imported
        return None, f"{named} could not be loaded: {error}"
    if problem := _problem(kind):
        return None, f"{named} {problem}."
    return kind, ""


def _problem(kind: object) -> str:
    """Why it cannot be used, as the end of a sentence; empty when it can."""
    if not isinstance(kind, type) or not issubclass(kind, Backbone):
        return "is not a subclass of tidal_core.engine.backbones.Backbone; derive it from that class"
    missing = [name for name in ("stage_channels", "class_rows") if not getattr(kind, name, None)]
    if missing:
        return f"lacks its {' and '.join(missing)}; state them in its class"
    if len(kind.class_rows) != 2:
        return f"states {len(kind.class_rows)} class_rows; state weight and bias of its last linear layer"
    if kind.forward is Backbone.forward:
        return "lacks its forward; return the logits and the features of its stages"
    if issubclass(kind, Pretrained):
        if not isinstance(getattr(kind, "preprocessing", None), Preprocessing):
            return "lacks its preprocessing; state how images are prepared for its weights"
        if kind.load_pretrained is Pretrained.load_pretrained:
            return "lacks its load_pretrained; put its weights in place there"
    return ""
