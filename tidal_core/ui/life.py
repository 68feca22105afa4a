"""The life of one image: its picture, its curves in a round, its way through the rounds, and its label to change."""

from __future__ import annotations

import html
import math
import uuid
from typing import Any, NamedTuple

import numpy as np
import streamlit as st

from tidal_core import strategies
from tidal_core.config import RoundConfig
from tidal_core.estimator_facts import ESTIMATORS
from tidal_core.figures import life as figures
from tidal_core.figures.palettes import ClassStyle
from tidal_core.figures.words import dynamics as words
from tidal_core.labelling.desk import desk_of
from tidal_core.labelling.explaining import SENT
from tidal_core.method.dynamics import EXPLANATIONS
from tidal_core.method.stopping import dense
from tidal_core.projects import Project
from tidal_core.records import Answer, AnswerKind, AnswerMode, Float64, ImageRecord, Purpose, RoundRecord, Split
from tidal_core.rounds import again, audit
from tidal_core.store.scores import ImageScore
from tidal_core.store.views import ImageInRound
from tidal_core.text import literal
from tidal_core.ui import charts
from tidal_core.ui.class_about import example_button
from tidal_core.ui.first_figure import first_figure_stands
from tidal_core.ui.looking import class_styles, say_names, styles_of
from tidal_core.ui.runtime import annotator, get_studio
from tidal_core.ui.thumbnails import picture, show_picture

LIFE = "Probabilities during training"
LIFE_HELP = (
    "At each epoch (one pass over all labels) the model gave this image a probability for each class. The filled area "
    "is the mean probability of its label over the epochs: its training dynamics (p-bar)."
)
EXACT_LIFE_HELP = (
    "Nobody has labelled this image. In this round only the head of the model trained, on features that do not change, "
    "so its probabilities at each epoch are known for every image. The filled area is of the class predicted now."
)
EXACT_AREAS_HELP = (
    "Solid: the mean probability of each class over the epochs, computed for this image. Pale: what the TD module, a "
    "small network that learns to predict training dynamics, says from the image alone. "
    "How close the two are over all images is shown on the Progress page."
)
AREAS = "Observed and predicted dynamics"
AREAS_HELP = (
    "Solid: the mean probability of each class over the epochs, as observed. Pale: what the TD module, a small network "
    "that learns to predict training dynamics, says from the image alone. "
    "This prediction is used to choose among images that nobody has labelled yet."
)
ROUNDS = "Round by round"
ROUNDS_HELP = (
    "The probability of its label in each round (if unlabelled: of the class predicted now): in the training dynamics "
    "that the TD module predicts, in the final prediction, and in the training dynamics observed once the model "
    "trained on the image."
)


class Life(NamedTuple):
    """What is known of one image."""

    image: ImageRecord
    label: int | None  # class id that stands
    trained: list[ImageInRound]
    scores: list[ImageScore]
    records: dict[int, RoundRecord]
    styles: dict[int, ClassStyle]


def life_of(project: Project, image: ImageRecord) -> Life:
    """Everything the store has of an image."""
    store = project.store
    answer = store.answers.current(image.id)
    return Life(
        image,
        answer.answer.class_id if answer else None,
        store.views.rounds_of_image(image.id),
        store.scores.of_image(image.id),
        {record.id: record for record in store.rounds.all()},
        class_styles(project),
    )


def show(project: Project, image: ImageRecord) -> None:
    """The whole life; for a place that is not polled."""
    life, stands = life_of(project, image), True
    hidden = again.hidden_from(project, annotator())
    side, main = st.columns([1, 3], gap="large")
    with side:
        _portrait(project, life._replace(label=None) if image.id in hidden else life)
        if image.id not in hidden:
            _relabel(project, life)
            if life.label is not None:
                example_button(project, image.id, life.label)
        else:
            st.info("Others have answered this image. What they said is shown after your own answer, on Label.")
    if image.id in hidden:
        return
    with main:
        kept_rounds = set(project.store.curves.rounds_kept())
        kept = [
            in_round.round_id
            for in_round in life.trained
            if in_round.round_id in kept_rounds or _runs(life, in_round.round_id)
        ]
        if kept:
            round_id = next((number for number in reversed(kept) if not _runs(life, number)), kept[-1])
            if len(kept) > 1:
                chosen = st.segmented_control(
                    "Round",
                    kept,
                    default=round_id,
                    required=True,
                    format_func=lambda number: f"{number}, running" if _runs(life, number) else str(number),
                    key=f"life-round-{project.slug}-{image.id}",
                )
                round_id = int(chosen or round_id)
            if _runs(life, round_id):
                _growing(project, image, round_id)
            else:
                stands = _curves(project, life, round_id)
        elif exact := project.store.scores.rounds_with_exact_curve(image.id):
            stands = _curves(project, life, exact[-1])
        elif life.trained:
            st.info("The curves of these rounds were deleted to save space; the statistics below are kept.")
        elif life.label is not None:
            st.info("Labelled. Its curves appear once a round has trained on it.")
        else:
            st.info(
                "Not labelled yet. With this training, curves are recorded only for images that a round trains on; "
                "with the pretrained model (Project page, Settings) every image has one."
            )
        _statistics(life)
    if stands:
        _over_rounds(project, life)


def last_info(project: Project, image: ImageRecord) -> tuple[RoundRecord, figures.LifeInfo] | None:
    """The last finished round that kept a curve of an image, and its numbers; None where there is none."""
    life = life_of(project, image)
    for number in sorted(life.records, reverse=True):
        info = None if _runs(life, number) else _life_info(project, life, number)
        if info is not None:
            return life.records[number], info
    return None


def last_curve(project: Project, image: ImageRecord) -> None:
    """Its probabilities in the last finished round that kept a curve of it; nothing where there is none."""
    last = last_info(project, image)
    if last is None:
        return
    record, life_info = last
    theme = charts.page_theme()
    help_text = LIFE_HELP if life_info.role == "label" else EXACT_LIFE_HELP
    charts.chart(
        LIFE,
        help_text,
        "life",
        lambda: (life_info, figures.life_figure(life_info, theme)),
        words.life_told(life_info),
    )
    say_names(project, record)


def _portrait(project: Project, life: Life) -> None:
    show_picture(picture(project, life.image, 512), alt=f"Image {life.image.id}")
    st.markdown(f"**Image {life.image.id}**")
    if shown_name := desk_of(project).names().of(life.image.name):  # it can be labelled here
        st.caption(literal(shown_name))
    if life.label is not None:
        style = life.styles[life.label]
        st.html(
            f'<span style="display:inline-block;width:.8em;height:.8em;border-radius:50%;background:{style.colour}">'
            f"</span> labelled <b>{html.escape(style.name)}</b>"
        )
    elif accepted := project.store.model_answers.of_image(life.image.id):
        st.caption(
            f"The model's class {literal(life.styles[accepted].name)} was accepted for it (page Finish); no label."
        )
    if life.scores:
        last = life.scores[-1]
        predicted = class_styles(project, life.records[last.round_id])[last.predicted].name
        now = life.styles[project.store.classes.standing([last.predicted])[0]].name
        since = "" if now == predicted else f", which is {literal(now)} now"
        st.caption(f"Predicted class: {literal(predicted)} (round {last.round_id}){since}.")
    reason = asked_because(project, life)
    if reason:
        st.caption(literal(reason))


def asked_because(project: Project, life: Life) -> str:
    """Why the image was asked, in one sentence; "" when nobody knows."""
    answers = [stored.answer for stored in project.store.answers.of_image(life.image.id) if stored.answer.purpose]
    if not answers:
        return ""
    first = answers[0]
    if Purpose.AUDIT in {answer.purpose for answer in answers}:
        return audit.WHY_ASKED
    if first.purpose is Purpose.CHOSEN:
        return SENT
    if first.purpose is Purpose.SEED:
        return "Chosen before the first round, as a start for the model."
    record = life.records.get(first.round_id or 0)
    score = next((score for score in life.scores if score.round_id == first.round_id), None)
    if record is None or score is None:
        return f"Chosen after round {first.round_id}."
    strategy = strategies.of_round(record.strategy)
    asked, estimator = f"Chosen after round {record.id} by {strategy.title}", strategy.estimator
    place = f"number {score.rank:,} of {project.store.scores.pool_size(record.id):,} images" if score.rank else ""
    if estimator is None or estimator.name not in score.estimators:
        return asked + (f": {place}." if place else ".")
    value, high = score.estimators[estimator.name], estimator.query_end == "highest"
    below = project.store.scores.percentile(record.id, estimator.name, value)
    compared = f"{'higher' if high else 'lower'} than {below if high else 1 - below:.0%} of the unlabelled images"
    return f"{asked}: {place + ', ' if place else ''}{estimator.words} {value:.2f}, {compared}."


def _relabel(project: Project, life: Life) -> None:
    """Give the image a label here, or another one; skipped images, too. Test images keep their known class."""
    classes = [record.id for record in project.store.classes.all()]
    if life.image.split is Split.TEST or not set(classes) - {life.label}:
        return
    before = project.store.answers.current(life.image.id)
    if before is not None and before.answer.kind is AnswerKind.SKIP:
        st.caption(f"Skipped: {literal(before.answer.reason or 'no reason')}.")
    # What is chosen is instead of the label on screen: a press after another tab has changed that does nothing.
    key = f"relabel-{project.slug}-{life.image.id}-{before.seq if before else 0}"
    words = "Label this image" if life.label is None else "Change the label"
    with st.popover(words, icon=":material/edit:", width="stretch"):
        chosen = st.selectbox(
            "Label",
            classes,
            index=classes.index(life.label) if life.label in classes else None,
            format_func=lambda class_id: life.styles[class_id].name,
            key=key,
        )
        if st.button("Save", key=f"{key}-save", type="primary", disabled=chosen in (None, life.label)):
            # An image that a person picked is no part of a random sample: never Purpose.AUDIT unless it was already.
            answer = Answer(
                uuid.uuid4().hex,
                AnswerKind.LABEL,
                life.image.id,
                class_id=chosen,
                annotator=annotator(),
                mode=AnswerMode.REVIEW,
                purpose=before.answer.purpose if before else Purpose.QUERY,
                round_id=before.answer.round_id if before else None,
            )
            refused = project.store.answers.record([answer])[0].refused
            if refused:
                st.error(literal(refused))
            else:
                get_studio().worker.wake()
                st.toast(f"Image {life.image.id} is now {literal(life.styles[int(chosen or 0)].name)}.")
                st.rerun()


def _runs(life: Life, round_id: int) -> bool:
    return life.records[round_id].state.is_active


@st.fragment(run_every=2.0)
def _growing(project: Project, image: ImageRecord, round_id: int) -> None:
    """The curves of a round that still trains: they grow epoch by epoch. No buttons here."""
    life_info = _life_info(project, life_of(project, image), round_id)
    charts.heading(LIFE, LIFE_HELP, "life-live")
    if life_info is None:
        st.info("The round has just started: the curves appear with its first epoch.")
        return
    charts.say(words.life_told(life_info, running=True))
    theme = charts.page_theme()
    version = (project.slug, image.id, round_id, len(life_info.epoch))
    charts.draw_live(lambda: figures.life_figure(life_info, theme), LIFE, "live-life", version)
    say_names(project, project.store.rounds.get(round_id))
    st.caption(f"Round {round_id} is running: epoch {life_info.epoch[-1]} so far.")


def _life_info(project: Project, life: Life, round_id: int) -> figures.LifeInfo | None:
    """The numbers of one image in one round; None before its first epoch."""
    curve = project.store.curves.of_image(round_id, life.image.id)
    record = life.records.get(round_id)
    trained = next((in_round for in_round in life.trained if in_round.round_id == round_id), None)
    if record is None:
        return None
    if trained is None or curve is None:
        return _exact_info(project, life, record)
    order = list(record.class_ids)
    rows = curve.p if curve.class_ids is None else dense(list(curve.p), list(curve.class_ids), order)
    score = next((score for score in life.scores if score.round_id == round_id), None)
    predicted, top = None, None
    if score is not None and score.td is not None:
        predicted = dense([score.td], [score.class_ids], order)[0]
        top = order.index(score.predicted)
    window = RoundConfig.from_json(record.config).train.td_window
    return figures.life_info(
        curve.epochs,
        rows,
        styles_of(project, record),
        order.index(trained.class_id),
        predicted=predicted,
        predicted_top=top,
        second_half=window == "second-half" and len(curve.epochs) > 1,
    )


def _exact_info(project: Project, life: Life, record: RoundRecord) -> figures.LifeInfo | None:
    """The numbers of an image that the round did not train on; None where its curve is not kept."""
    curve = project.store.scores.exact_curve(record.id, life.image.id)
    score = next((score for score in life.scores if score.round_id == record.id), None)
    if curve is None or score is None:
        return None
    order = list(record.class_ids)
    rows = curve.p if curve.class_ids is None else dense(list(curve.p), list(curve.class_ids), order)
    shown = life.label if life.label in order else score.predicted
    second_half = RoundConfig.from_json(record.config).train.td_window == "second-half"
    return figures.life_info(
        curve.epochs,
        rows,
        styles_of(project, record),
        order.index(shown),
        predicted=None if score.td is None else dense([score.td], [score.class_ids], order)[0],
        predicted_top=order.index(score.predicted),
        second_half=second_half,
        role="label" if shown == life.label else "prediction",
        window_of_p_bar=curve.epochs > curve.epochs[-1] // 2 if second_half else None,
    )


def _curves(project: Project, life: Life, round_id: int) -> bool:
    """The curves of one round. Whether the first figure stands; until then no other is to be sent."""
    life_info = _life_info(project, life, round_id)
    if life_info is None:
        st.info("This round kept no curve of this image.")
        return True
    theme = charts.page_theme()
    exact = life_info.role != "label"
    charts.chart(
        LIFE,
        EXACT_LIFE_HELP if exact else LIFE_HELP,
        "life",
        lambda: (life_info, figures.life_figure(life_info, theme)),
        words.life_told(life_info),
    )
    if not first_figure_stands("life", f"image {life.image.id}"):
        return False
    charts.chart(
        AREAS,
        EXACT_AREAS_HELP if exact else AREAS_HELP,
        "areas",
        lambda: (life_info, figures.areas_figure(life_info, theme)),
        words.areas_told(life_info),
    )
    say_names(project, life.records[round_id])
    _areas_in_numbers(life_info, f"{project.slug}-{life.image.id}-{round_id}")
    return True


@st.fragment
def _areas_in_numbers(life_info: figures.LifeInfo, key: str) -> None:
    """H-bar, M-bar, and EL2N at an epoch that is chosen: the papers that use it look early in training."""
    epochs = life_info.epoch.tolist()
    with st.container(horizontal=True, vertical_alignment="top"):
        values = [
            (ESTIMATORS["td_entropy"], _number(life_info.h_bar), _said(life_info.h_bar_predicted)),
            (ESTIMATORS["td_margin"], _number(life_info.m_bar), _said(life_info.m_bar_predicted)),
        ]
        for estimator, figure, beside in values:
            st.metric(
                estimator.title, figure, beside, delta_color="off", delta_arrow="off", help=estimator.help, width=210
            )
        with st.container(width=240, gap="small"):
            explanation, chosen = EXPLANATIONS["el2n"], epochs[-1]
            column = st.empty()
            if len(epochs) > 1:
                chosen = st.select_slider("At epoch", epochs, value=epochs[-1], key=f"life-el2n-{key}")
            value = f"{life_info.errors[epochs.index(chosen)]:.2f}"
            column.metric(explanation.title, value, help=explanation.help)


def _said(value: float) -> str | None:
    return None if math.isnan(value) else f"predicted {value:.2f}"


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2f}"


def _statistics(life: Life) -> None:
    finished = [in_round for in_round in life.trained if in_round.statistics]
    if not finished:
        return
    last = finished[-1]
    values = last.statistics
    never = not values.get("first_learnt")
    shown: list[tuple[str, Any]] = [
        ("confidence", f"{values['confidence']:.2f}"),
        ("variability", f"{values['variability']:.2f}"),
        ("correctness", f"{values['correctness']:.0%}"),
        ("first_learnt", "never" if never else f"epoch {values['first_learnt']:.0f}"),
        ("forgetting", "never learnt" if never else f"{values['forgetting']:.0f}"),
        ("aum", f"{values['margin_area']:.2f}"),
    ]
    with st.container(horizontal=True):
        for name, text in shown:
            st.metric(EXPLANATIONS[name].title, text, help=EXPLANATIONS[name].help, width=140)
    st.caption(f"Statistics of its curve in round {last.round_id}.")


def _over_rounds(project: Project, life: Life) -> None:
    if len(life.scores) < 2:
        return
    target = life.label if life.label is not None else life.scores[-1].predicted
    trained = {in_round.round_id: in_round for in_round in life.trained if in_round.td_bar is not None}
    module, snapshot, observed = [], [], []
    for score in life.scores:
        order = list(life.records[score.round_id].class_ids)
        if target not in order:
            order.append(target)
        place = order.index(target)
        snapshot.append(_at(score.p, score.class_ids, order, place))
        module.append(_at(score.td, score.class_ids, order, place))
        after = trained.get(score.round_id)
        observed.append(math.nan if after is None else _at(after.td_bar, after.td_classes, order, place))
    rounds = [score.round_id for score in life.scores]
    before = [round_id for round_id in rounds if round_id not in {in_round.round_id for in_round in life.trained}]
    labelled_after = max(before) if before and life.trained else None
    info = figures.rounds_of_image_info(rounds, module, snapshot, observed, labelled_after)
    theme = charts.page_theme()
    charts.chart(
        ROUNDS,
        ROUNDS_HELP,
        "way",
        lambda: (info, figures.rounds_of_image_figure(info, theme)),
        words.rounds_of_image_told(info),
    )


def _at(values: Any, class_ids: Any, order: list[int], place: int) -> float:
    if values is None:
        return math.nan
    row: Float64 = dense([np.asarray(values)], [class_ids], order)[0]
    return float(row[place])
