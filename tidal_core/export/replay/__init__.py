"""The replay of a project's rounds as a file: a page that plays without the studio, an animation, or a film.

``collect`` reads the numbers, ``page`` writes the page, ``film`` draws frames. The player of the page, plain JavaScript
and CSS without a build step, lies in ``player/``; the studio's own page Replay mounts the same files.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from tidal_core.errors import InputError
from tidal_core.export.replay import film
from tidal_core.export.replay.collect import MOST_IMAGES, replay_info
from tidal_core.export.replay.page import page, pictures_of
from tidal_core.files import replaced
from tidal_core.projects import Project
from tidal_core.records import Progress


class ReplayFormat(NamedTuple):
    """What a replay can be written as."""

    suffix: str  # with its dot
    title: str
    mime: str
    for_whom: str


FORMATS = (
    ReplayFormat(".html", "Page, HTML", "text/html", "Plays in any browser without the studio, offline, like here."),
    ReplayFormat(".webp", "Animation, WebP", "image/webp", "For web pages and documents: small, and sharp."),
    ReplayFormat(".gif", "Animation, GIF", "image/gif", "For programs that know no WebP: 256 colours."),
    ReplayFormat(".mp4", "Film, MP4", "video/mp4", "For slides and video programs."),
)
INSTALL_FILM = "python -m pip install imageio-ffmpeg"


def has_mp4() -> bool:
    """Whether the package that writes MP4 is installed."""
    return find_spec("imageio_ffmpeg") is not None


def checked(target: Path, *, overwrite: bool = False) -> tuple[Path, ReplayFormat]:
    """Where a replay is written, and as what by the ending. Raises InputError."""
    target = Path(target).expanduser().absolute()
    kind = next((each for each in FORMATS if each.suffix == target.suffix.lower()), None)
    if kind is None:
        endings = ", ".join(each.suffix for each in FORMATS)
        raise InputError(f"{target.name!r} has no ending of a replay; choose a name that ends with one of {endings}.")
    if target.exists() and not overwrite:
        raise InputError(f"{target} already exists; choose another name (--to), or replace it with --overwrite.")
    if kind.suffix == ".mp4" and not has_mp4():
        raise InputError(
            f"An MP4 needs the package imageio-ffmpeg, which is not installed; run: {INSTALL_FILM}. Or choose a name "
            "that ends with .webp."
        )
    return target, kind


def write_replay(
    project: Project,
    target: Path,
    *,
    images: int = MOST_IMAGES,
    epochs_per_second: float = 20.0,
    dark: bool = False,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
) -> Path:
    """Write a replay to ``target``, whole or not at all, as its ending says.

    ``images`` are shown at most; ``epochs_per_second`` and ``dark`` are of animations and films. ``progress`` is told
    of frames. Raises InputError for a file that exists, another ending, or a project without a finished round.
    """
    target, kind = checked(target, overwrite=overwrite)
    info = replay_info(project, images=images)
    with replaced(target) as beside:
        if kind.suffix == ".html":
            beside.write_text(page(project, info), encoding="utf-8")
            return target
        queues = [info.begun_with, *(each.queue for each in info.rounds)]
        shown = {asked.image for queue in queues for asked in queue[: film.TILES]}
        frames = film.FilmFrames(info, pictures_of(project, sorted(shown)), dark=dark)
        plan = film.plan(info, epochs_per_second=epochs_per_second)
        if kind.suffix == ".mp4":
            film.write_mp4(beside, frames, plan, progress)
        else:
            film.write_animation(beside, frames, plan, kind.suffix[1:], progress)
    return target
