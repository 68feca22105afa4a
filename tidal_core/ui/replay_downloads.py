"""The replay as a file, made when asked for: a page that plays offline, an animation, or a film."""

from __future__ import annotations

import functools

import streamlit as st

from tidal_core.errors import TidalError
from tidal_core.export.replay import FORMATS, INSTALL_FILM, ReplayFormat, film, has_mp4, write_replay
from tidal_core.export.replay.collect import replay_info
from tidal_core.export.replay.page import estimated_bytes, pictured
from tidal_core.files import scratch
from tidal_core.projects import Project
from tidal_core.text import seconds_in_words
from tidal_core.ui import charts, looking
from tidal_core.ui.owners import owners

SPEEDS = (5, 10, 20)
USUAL_SPEED = 20


@st.cache_data(max_entries=20, show_spinner=False)
def _size(_project: Project, key: str, labels: str) -> tuple[int, int, int]:
    """Bytes of the page, pictures in it, and the most images of a round."""
    info = replay_info(_project)
    return estimated_bytes(_project, info), len(pictured(info)), len(info.image_ids)


@st.cache_data(max_entries=20, show_spinner=False)
def _lasts(_project: Project, key: str, speed: float) -> tuple[int, float]:
    """Frames and seconds of a film."""
    plan = film.plan(replay_info(_project), epochs_per_second=speed)
    return len(plan.moments), plan.seconds


@st.fragment
def replay_downloads(project: Project) -> None:
    """A button for each format, with what the file will be."""
    st.header("Take it along")
    key = looking.key_of(project, looking.done_rounds(project)[-1])
    size, pictures, images = _size(project, key, looking.labels_version(project))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        speed = st.segmented_control(
            "Speed of animations",
            SPEEDS,
            default=USUAL_SPEED,
            required=True,
            format_func=lambda each: f"{each} epochs a second",
            key=f"replay-speed-{project.slug}",
        )
    frames, seconds = _lasts(project, key, float(speed or USUAL_SPEED))
    st.caption(
        f"The page is about {size / 1e6:.1f} MB: {images:,} images as points and curves, small pictures of "
        f"{pictures:,} of them. Animations have {frames:,} frames and last {seconds_in_words(seconds)}; making one "
        "takes about a tenth of a second for each frame. Whoever gets the file sees these pictures and the names of "
        "the classes."
    )
    theme = charts.page_theme().name
    with st.container(horizontal=True):
        for kind in FORMATS:
            missing = f"Needs imageio-ffmpeg: {INSTALL_FILM}" if kind.suffix == ".mp4" and not has_mp4() else ""
            owners.download_button(
                kind.title,
                data=functools.partial(_made, project, kind, float(speed or USUAL_SPEED), theme == "dark"),
                file_name=f"{project.slug}-replay{kind.suffix}",
                mime=kind.mime,
                disabled=bool(missing),
                help=missing or kind.for_whom,
                icon=":material/download:",
                key=f"replay-{kind.suffix[1:]}-{project.slug}",
            )
        owners.download_button(
            "Numbers as CSV",
            data=lambda: charts.as_csv(replay_info(project)),
            file_name=f"{project.slug}-replay.csv",
            mime="text/csv",
            help="A row for each epoch: labels, mean confidence and variability, accuracy up to there.",
            icon=":material/table:",
            key=f"replay-csv-{project.slug}",
        )


def _made(project: Project, kind: ReplayFormat, speed: float, dark: bool) -> bytes:
    """The file; the browser only learns that it failed, so the reason goes to the log on the Training page."""
    try:
        with scratch("replay") as folder:
            target = folder / f"replay{kind.suffix}"
            return write_replay(project, target, epochs_per_second=speed, dark=dark).read_bytes()
    except TidalError as error:
        project.store.log.add(f"The replay could not be made: {error}", level="error")
        raise
