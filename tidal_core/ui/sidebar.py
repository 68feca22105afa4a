"""What every page shows at its side: the project, who answers, and how the round is doing."""

from __future__ import annotations

import streamlit as st

from tidal_core.access.door import SIGN_OUT
from tidal_core.access.people import Person
from tidal_core.projects import Project
from tidal_core.records import FeatureProgress, RoundProgress, RoundState
from tidal_core.rounds.due import round_due
from tidal_core.store.settings import DAMAGE
from tidal_core.text import literal, seconds_in_words
from tidal_core.ui import address
from tidal_core.ui.fetching import ask_to_fetch
from tidal_core.ui.remembered import LONGEST_NAME, TYPED_NAME_KEY, clean_name, remember_name, typed_name
from tidal_core.ui.runtime import (
    ANNOTATOR_KEY,
    GO_TO_KEY,
    PROJECT_KEY,
    current_project,
    current_slug,
    get_studio,
    known_slugs,
    leave_project,
    open_or_say_why,
    person,
    unknown_slug,
)

STATE_WORDS = {
    RoundState.WAITING: "about to start",
    RoundState.TRAINING: "training",
    RoundState.SCORING: "looking at all images",
    RoundState.RANKING: "choosing the next images",
    RoundState.DONE: "done",
    RoundState.FAILED: "failed",
    RoundState.CANCELLED: "cancelled",
}


def sidebar(url_path: str) -> None:
    """Draw the sidebar of one view of the page at ``url_path``, and keep its address."""
    address.listen(url_path)
    page = address.unknown_page()
    if page:
        st.warning(
            f"There is no page {literal(repr(page[:60]))} here. This is the page Label; the others are at the side.",
            icon=":material/wrong_location:",
        )
    unknown = unknown_slug()
    if unknown is not None:
        st.warning(
            f"There is no project {literal(repr(unknown[:60]))} here: it has another name, or was deleted. This is "
            f"{literal(current_slug())}; choose another one at the side.",
            icon=":material/folder_off:",
        )
    with st.sidebar:
        slugs = known_slugs()
        st.session_state[PROJECT_KEY] = st.session_state.pop(GO_TO_KEY, None) or current_slug()
        st.selectbox("Project", slugs, key=PROJECT_KEY, on_change=leave_project)
        project = open_or_say_why()
        if isinstance(project, Project):  # else the page says why, where there is room
            _person_and_round(project)
        address.remember(url_path, current_slug())


def _person_and_round(project: Project) -> None:
    """What is to be known of a project that is open: who answers in it, and how its round is doing."""
    damage = project.store.settings.get(DAMAGE)
    if damage is not None:
        st.warning(literal(damage), icon=":material/warning:")
    ask_to_fetch(project)
    who = person()
    if who.signed_in:
        _signed_in(who)
        round_status()
        return
    # A name that was typed stays the person's in every project; one that a project proposes stays with it.
    proposed = typed_name() or project.settings.annotator
    key = f"who-{project.slug}"
    name = st.text_input("Your name", proposed, max_chars=LONGEST_NAME, key=key, on_change=_keep_name, args=(key,))
    st.session_state[ANNOTATOR_KEY] = clean_name(name) or "me"
    round_status()
    remember_name(key)


def _signed_in(who: Person) -> None:
    """Who answers here, and the way out."""
    st.caption(f"Signed in as **{literal(who.name)}**, {who.role.value}.")
    # A link of Markdown would open another tab.
    st.html(f'<a href="{SIGN_OUT}" target="_self" style="color: inherit">Sign out</a>')


def _keep_name(key: str) -> None:
    st.session_state[TYPED_NAME_KEY] = st.session_state[key]


@st.fragment(run_every=3.0)
def round_status() -> None:
    """The round in a line or two; asked again every three seconds."""
    project = current_project()
    worker = get_studio().worker
    active = project.store.rounds.active()
    if active is not None:
        st.caption(f"Round {active.id} is {STATE_WORDS[active.state]}")
        share, text = progress_of(worker.progress(project.slug))
        st.progress(share, text=text)
        return
    looking = worker.feature_progress(project.slug)
    if looking is not None:
        share, text = features_in_words(looking)
        st.progress(min(share, 1.0), text=text)
    latest = project.store.rounds.latest()
    if latest is not None and latest.state is RoundState.FAILED:
        st.error(f"Round {latest.id} failed: {literal(latest.error or '')}", icon=":material/error:")
    elif latest is not None:
        st.caption(f"Round {latest.id} is {STATE_WORDS[latest.state]}")
    st.caption(literal(round_due(project).sentence))


def features_in_words(progress: FeatureProgress) -> tuple[float, str]:
    """Share done from 0 to 1 and a line for people, while the pretrained model looks at images."""
    if progress.download is not None:
        done, size = progress.download
        of = f" of {size / 1e6:,.0f}" if size else ""
        return done / size if size else 0.0, f"Downloading the pretrained model, {done / 1e6:,.0f}{of} MB"
    share = progress.done / max(progress.total, 1)
    text = f"The pretrained model has looked at {progress.done:,} of {progress.total:,} images"
    if progress.seconds_left is None:
        return share, text
    left = seconds_in_words(max(progress.seconds_left, 0))
    return share, f"{text}, {progress.images_per_second:,.0f} a second, about {left} left"


def progress_of(progress: RoundProgress | None) -> tuple[float, str]:
    """Share done from 0 to 1 and a line for people."""
    if progress is None:
        return 0.0, "Loading the model"
    if progress.training is not None:
        t = progress.training
        done = (t.epoch - 1 + t.batch / max(t.batches, 1)) / max(t.epochs, 1)
        return min(done, 1.0), f"Epoch {t.epoch} of {t.epochs}, about {seconds_in_words(max(t.seconds_left, 0))} left"
    if progress.features is not None:
        return features_in_words(progress.features)
    if progress.to_score:
        return min(
            progress.scored / progress.to_score, 1.0
        ), f"{progress.scored:,} of {progress.to_score:,} images looked at"
    return 0.0, ""
