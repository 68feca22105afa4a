"""What the labelling component and programs ask of a project, beside Streamlit's own routes.

Streamlit checks nothing on routes of an app (no XSRF token, no Origin, no Host), so every endpoint here demands

- the token of this process, in the header ``X-Tidal-Token`` or, where a beacon cannot set one, in the body;
- ``application/json`` for a POST, at most 1 MB of it or what its row says (413 beyond, without reading on);
- an Origin that is this server, if the browser names one.

``endpoints`` sees to that, and reads what was sent. Images are named by opaque ids; paths come from the store.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from tidal_core.access.people import Role, clean_name
from tidal_core.errors import ImageUnreadable, NotFound
from tidal_core.images.pixels import PixelStore
from tidal_core.images.previews import Packed, pack, preview, thumbnail
from tidal_core.labelling import desk, explaining
from tidal_core.labelling.about_class import about_class
from tidal_core.labelling.naming import NameRule
from tidal_core.labelling.sheets import SHEET_AT_MOST
from tidal_core.projects import Project
from tidal_core.records import ImageRecord, Purpose
from tidal_core.rounds import again
from tidal_core.server import wire
from tidal_core.server.endpoints import Call, Endpoint
from tidal_core.server.octets import Octets, with_head

FOR_EVER = "private, max-age=31536000, immutable"
ITEMS_AT_MOST = 200
AHEAD, AHEAD_OF_AUTOPILOT = 24, 1
"""Images that a tab has in hand beside the one on its screen: those that are asked first are the autopilot's while
it flies, or it would answer what is asked behind them."""


def _desk(call: Call) -> desk.Desk:
    return desk.desk_of(call.project)


def _open(call: Call) -> Response:
    items = _next_items(call, call.body)
    classes = call.project.store.classes.all()
    return JSONResponse(
        {
            "classes": wire.write_classes(classes),
            "status": _state(call, call.body.annotator),
            "items": items,
        }
    )


def _queue(call: Call) -> Response:
    return JSONResponse({"items": _next_items(call, call.body)})


def _next_items(call: Call, body: wire.QueueBody) -> list[dict[str, Any]]:
    most = AHEAD_OF_AUTOPILOT if call.studio.autopilot_flies(call.project.slug) else ITEMS_AT_MOST
    who = call.person.answers_as(body.annotator)
    items = _desk(call).next(body.tab, min(body.n, most), body.held or (), fresh=body.fresh, annotator=who)
    names = _desk(call).names()
    return [wire.write_item(item, names) for item in items]


def _answers(call: Call) -> Response:
    body: wire.AnswersBody = call.body
    answers = wire.answers_of(body, call.person)
    foreign = {
        sent.id: why for sent in body.answers if (why := _of_another(call, sent) or _takes_from_another(call, sent))
    }
    outcomes = _desk(call).record([answer for answer in answers if answer.event_id not in foreign], body.tab)
    if any(outcome.new for outcome in outcomes):
        call.studio.worker.wake()
    if body.release is not None:
        _desk(call).release(body.release)
    results = [{"id": outcome.event_id, "seq": outcome.seq, "refused": outcome.refused} for outcome in outcomes]
    return JSONResponse({"results": results + [{"id": id, "seq": None, "refused": why} for id, why in foreign.items()]})


def _of_another(call: Call, sent: wire.SentAnswer) -> str:
    """Why an answer is not taken: a browser kept it for somebody else who was signed in there. "" where it is."""
    person = call.person
    if not person.signed_in or sent.annotator is None or clean_name(sent.annotator) == person.name:
        return ""
    who = clean_name(sent.annotator)
    return (
        f"{who} gave this answer, and {person.name} is signed in now. Sign in as {who} and send it again, or drop it."
    )


def _takes_from_another(call: Call, sent: wire.SentAnswer) -> str:
    """Why an undo is not taken: an annotator takes back own answers only. "" where it is, and for all else."""
    if sent.undoes is None or call.person.role.may(Role.OWNER):
        return ""
    given = call.project.store.answers.of_image(sent.image)
    author = next((stored.answer.annotator for stored in given if stored.answer.event_id == sent.undoes), None)
    if author in (None, call.person.name):
        return ""
    return f"{author} gave this answer: only {author} and the project's owners can take it back."


def _status(call: Call) -> Response:
    body: wire.StatusBody = call.body
    lost = _desk(call).renew(body.tab, body.held or ()) if body.tab is not None else set()
    return JSONResponse({**_state(call, body.annotator), "lost": sorted(lost)})


def _state(call: Call, annotator: str | None) -> dict[str, Any]:
    settings = call.project.settings
    active = call.project.store.rounds.active()
    progress = call.studio.worker.progress(call.project.slug)
    return {
        **wire.write_counts(_desk(call).counts()),
        "labels_per_round": settings.labels_per_round,
        "rounds_enabled": settings.rounds_enabled,
        "settings": {"suggestions": settings.suggestions},
        "ranking": _desk(call).ranking(),
        "ahead": AHEAD_OF_AUTOPILOT if call.studio.autopilot_flies(call.project.slug) else AHEAD,
        "round": wire.write_round(active, progress),
        "waiting": _desk(call).waiting(call.person.answers_as(annotator)),
    }


def _history(call: Call) -> Response:
    body: wire.HistoryBody = call.body
    entries = _desk(call).history(
        call.person.answers_as(body.annotator), body.before, min(body.limit, desk.HISTORY_AT_MOST)
    )
    names = _desk(call).names()
    return JSONResponse(
        {
            "entries": [
                {
                    "seq": seq,
                    "item": wire.write_item(asked, names),
                    "event": {
                        "id": answer.event_id,
                        "kind": answer.kind.value,
                        "class": answer.class_id,
                        "reason": answer.reason,
                        "mode": answer.mode.value,
                        "purpose": asked.purpose.value,
                    },
                }
                for seq, answer, asked in entries
            ]
        }
    )


def _release(call: Call) -> Response:
    body: wire.TabBody = call.body
    _desk(call).release(body.tab)
    return JSONResponse({})


def _classes(call: Call) -> Response:
    classes = call.project.store.classes.all()
    return JSONResponse({"classes": wire.write_classes(classes), "version": desk.classes_version(classes)})


def _add_class(call: Call) -> Response:
    """A class that somebody misses while labelling; one of that name that is there already is as good."""
    body: wire.NewClassBody = call.body
    (added,) = call.project.store.classes.add([body.name], author=call.person.answers_as(body.annotator))
    classes = call.project.store.classes.all()
    return JSONResponse(
        {"class": added.id, "classes": wire.write_classes(classes), "version": desk.classes_version(classes)}
    )


def _about_class(call: Call) -> Response:
    """What a class is; thumbnails of its images come by ``thumbs``."""
    about = about_class(call.project, int(call.query.id))
    names, hidden = _desk(call).names(), again.hidden_from(call.project, call.annotator)
    return JSONResponse(
        {
            "name": about.record.name,
            "description": about.record.description,
            "how": about.how,
            "items": [_shown_beside(image, names) for image in about.images if image.id not in hidden],
        }
    )


def _image(call: Call) -> Response:
    query: wire.ImageQuery = call.query
    image = call.project.store.images.get(call.image_id)
    if query.v != wire.version_of(image.sha256):
        raise NotFound(f"There is no image {image.id} of this content in this project; reload the page.")
    try:
        body, kind, kept = picture(call.project, image, int(query.size))
    except ImageUnreadable as error:  # its message is shown before the answer
        raise ImageUnreadable(_desk(call).names().of(image.name) or "this image", error.reason, error.remedy) from error
    call.studio.worker.expect_rounds()  # the first page is on its way
    return Response(body, media_type=kind, headers={"Cache-Control": FOR_EVER if kept else "no-store"})


def picture(project: Project, image: ImageRecord, size: int) -> tuple[bytes, str, bool]:
    """Bytes, content type, and whether it is the picture itself and not what is left of it in the pixel cache."""
    try:
        return *preview(image, size, project.previews), True
    except ImageUnreadable:
        if not project.pixels.exists():
            raise
        return PixelStore(project.pixels).png(image.pixel_row), "image/png", False


def _why(call: Call) -> Response:
    why = explaining.reasons(call.project, call.image_id)
    return JSONResponse(
        {
            "reason": why.sentence,
            "facts": why.facts,
            "classes": [{"class": share.class_id, "p": share.p, "td": share.td} for share in why.classes],
            "age": _age(call, why.round_id),
            "rivals": why.rivals,
            "unsettled": why.unsettled,
            "represents": why.represents,
        }
    )


def _stands_for(call: Call) -> Response:
    """What an image stands for, apart from ``why``: it takes longer, and its thumbnails come by ``thumbs``."""
    near = explaining.neighbourhood(call.project, call.image_id)
    if near is None:
        return JSONResponse({"sentence": "", "unsettled": "", "items": []})
    names = _desk(call).names()
    items = [_shown_beside(image, names) for image in near.images]
    return JSONResponse({"sentence": near.sentence, "unsettled": near.unsettled, "items": items})


def _shown_beside(image: ImageRecord, names: NameRule) -> dict[str, Any]:
    """An image that the panel shows beside the one that is asked."""
    return {
        "image": image.id,
        "version": wire.version_of(image.sha256),
        "name": names.of(image.name),
        "width": image.width,
        "height": image.height,
    }


def _age(call: Call, round_id: int | None) -> str:
    said = f"Ranked by round {round_id}" if round_id else "Chosen before the first round"
    active = wire.write_round(call.project.store.rounds.active(), call.studio.worker.progress(call.project.slug))
    if active is None:
        return f"{said}."
    if active["epoch"] is None:
        return f"{said}; round {active['id']} is {active['state']}."
    return (
        f"{said}; round {active['id']} at epoch {active['epoch']} of {active['epochs']}, "
        f"{active['seconds_left']:.0f} s left."
    )


def _neighbours(call: Call) -> Response:
    groups = explaining.neighbours(call.project, call.image_id)
    names = _desk(call).names()
    return JSONResponse(
        {
            "groups": [
                {
                    "class": class_id,
                    "items": [_shown_beside(image, names) for image in images],
                }
                for class_id, images in groups
            ]
        }
    )


def _thumbs(call: Call) -> Response:
    """Thumbnails of many images in one answer, see ``images.previews.pack``; unreadable ones are left out."""
    body: wire.ThumbsBody = call.body
    images = call.project.store.images.many((body.images or [])[:ITEMS_AT_MOST])
    return Octets(pack(_packed(call.project, images)))


def _packed(project: Project, images: list[ImageRecord]) -> list[Packed]:
    packed = []
    for image in images:
        try:
            body, kind = thumbnail(image, project.previews)
        except ImageUnreadable:
            continue
        packed.append(Packed(image.id, kind, body))
    return packed


def _sweep(call: Call) -> Response:
    """One sheet: 4 bytes, big-endian, the length of a JSON head; the head; then the pack of its thumbnails."""
    body: wire.SweepBody = call.body
    sheet = _desk(call).sheet(body.tab, min(body.n, SHEET_AT_MOST), body.after, body.without or ())
    names = _desk(call).names()
    head = {
        "class": sheet.class_id,
        "reason": sheet.reason,
        "items": [
            {
                **wire.write_item(desk.Asked(image, Purpose.QUERY, sheet.round_id, None), names),
                "class": sheet.class_id,
                "p": round(p, 4),
            }
            for image, p in sheet.images
        ],
    }
    return with_head(head, pack(_packed(call.project, [image for image, _ in sheet.images])))


ENDPOINTS = (
    Endpoint("POST", "open", _open, wire.QueueBody, role=Role.ANNOTATOR),
    Endpoint("POST", "queue", _queue, wire.QueueBody, role=Role.ANNOTATOR),
    Endpoint("POST", "answers", _answers, wire.AnswersBody, role=Role.ANNOTATOR),
    Endpoint("POST", "status", _status, wire.StatusBody, role=Role.ANNOTATOR),
    Endpoint("POST", "history", _history, wire.HistoryBody, role=Role.ANNOTATOR),
    Endpoint("POST", "release", _release, wire.TabBody, role=Role.ANNOTATOR),
    Endpoint("POST", "sweep", _sweep, wire.SweepBody, role=Role.ANNOTATOR),
    Endpoint("POST", "thumbs", _thumbs, wire.ThumbsBody, role=Role.ANNOTATOR),
    Endpoint("GET", "classes", _classes, role=Role.ANNOTATOR),
    Endpoint("POST", "classes/add", _add_class, wire.NewClassBody, role=Role.OWNER),
    Endpoint("GET", "about-class", _about_class, query=wire.ClassQuery, role=Role.ANNOTATOR),
    Endpoint("GET", "image/{image}", _image, query=wire.ImageQuery, role=Role.ANNOTATOR),
    Endpoint("GET", "why/{image}", _why, role=Role.ANNOTATOR),
    Endpoint("GET", "stands-for/{image}", _stands_for, role=Role.ANNOTATOR),
    Endpoint("GET", "neighbours/{image}", _neighbours, role=Role.ANNOTATOR),
)
