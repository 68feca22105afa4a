"""What pages that show the whole collection ask: which images there are, how many of each kind, one act on many.

The header X-Tidal-Annotator (percent-encoded) says who looks: what others answered is not told of images that this
person is still to answer.

Guarded as ``api``; a condition (``store.where``) or order that cannot be read is answered 400, ``{"error": sentence}``.

    POST /api/p/{slug}/bulk                one act on many images: all of it or nothing, committed when this answers
        {"act": "label" | "model" | "skip" | "flag" | "unlabel" | "queue" | "exclude" | "include" | "undo",
         "ids": [1, 2, ...], or "where": "predicted=rose and margin<0.2", or "list" and "runs": images of a list, see
                                           below                              (one of them; none for an undo)
         "class": 3,                       of a label
         "reason": "...", "note": "...",   of a skip; of a flag
         "annotator": "Ann",               "me" unless told; whoever is signed in goes before
         "undo": "bulk-label-...",         the act that an undo takes back; an undo cannot be undone
         "seen": 1234,                     "seq" of the collection that the page shows: images answered later are left
         "key": "8 to 24 letters, digits"} the same key for what is sent again: it is done once
        -> {"act": "bulk-label-...", "changed": 9, "left": 1, "why": "1 image left as before: ..."}
        At most 200,000 ids and 3 MB. "changed" and "left" count images, "why" is "" where none was left; of an act that
        was sent again, "left" is 0. "model" gives each image its own predicted class, "queue" asks in the order given,
        "exclude" takes images out of the project (neither asked, trained on, measured nor exported) and "include" back.

    GET /api/p/{slug}/collection?where=&sort=id&descending=1&from=0&rows=512&image=7    octets: a page of a list
        Which images, sorted: the rows "from" on, so many of them (at most 5,000), all without "rows".
        4 bytes, big-endian: the length of the head; the head, JSON padded with blanks to whole words of 4 bytes:
        {"n": images in the list, "from": 0, "rows": R, "list": its name, "at": place of "image" in it or null,
         "version": "...", "seq": 1234}; then 4 R little-endian int32: ids, labels, predicted (class ids, 0 for none;
        the model's word on images that only measure it is 0 until they are labelled), and marks
        (``store.collection.MARKS``). With "list" instead of a condition: more rows of that list, the same images in
        the same order whatever was answered since, with the labels and marks of now. 410 for a list that is no longer
        remembered (``store.listings``), or that somebody else was shown: ask by condition again.

    GET /api/p/{slug}/collection/alike/{image}?where=           the same, by how much they look like an image

    POST /api/p/{slug}/collection/follow    {"list": "...", "runs": [5, 3, ...], "to": "..."} -> {"runs": [...]}
        Images of one list by their places in it, and their places in another one. Runs are how many images are passed
        over, how many taken, passed over, taken, and so on from the first one.

    GET /api/p/{slug}/collection/map                            octets: where images lie on a plane by how they look
        As above, the head {"n": N, "kind": "principal" | "neighbours", "missing": images without a place, "share": of
        the map by neighbours that is done, or null, "version": "...", "seq": 1234}; then N little-endian int32, ids,
        and 3 N float32: x and y from -1 to 1, and the probability of the predicted class (NaN without one). Whoever
        asks has the map by neighbours computed in the background.

    GET /api/p/{slug}/collection/counts?where=                  JSON: how many of them are in each state
        {"n": N, "version": "...", "states": {"labelled": 5, ...}, "labels": {"3": 4, "0": 1}, "predicted": {...},
         "annotators": {"Ann": 5}}: by class id, "0" for none; images without an answer have no annotator.

    GET /api/p/{slug}/collection/version                        JSON: {"version": "...", "seq": 1234}
        Whether what the page shows is stale: "version" changes with any answer, act, finished round, import or class,
        and with nothing else that is written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from starlette.responses import JSONResponse, Response

from tidal_core.access.people import Role
from tidal_core.errors import InputError
from tidal_core.labelling import bulk
from tidal_core.labelling.desk import classes_version
from tidal_core.records import ClassRecord, Int64
from tidal_core.rounds import again, maps, similar
from tidal_core.server import wire
from tidal_core.server.endpoints import Call, Endpoint
from tidal_core.server.octets import with_head
from tidal_core.store.acts import Act, ActKind
from tidal_core.store.collection import Moment
from tidal_core.store.listings import Listing, followed, taken
from tidal_core.store.where import Where, parse

BULK_BYTES_AT_MOST = 3_000_000  # 200,000 ids of ten digits, and a note

ROLES = {
    ActKind.LABEL: Role.ANNOTATOR,
    ActKind.MODEL: Role.ANNOTATOR,  # a person confirms each
    ActKind.SKIP: Role.ANNOTATOR,
    ActKind.FLAG: Role.ANNOTATOR,
    ActKind.UNLABEL: Role.OWNER,
    ActKind.QUEUE: Role.OWNER,
    ActKind.EXCLUDE: Role.OWNER,
    ActKind.INCLUDE: Role.OWNER,
    ActKind.UNDO: Role.ANNOTATOR,  # of one's own acts
}
"""What each act takes, where people sign in."""
IN_WORDS = {
    ActKind.UNLABEL: "take the labels of many images away",
    ActKind.QUEUE: "change which images are asked next",
    ActKind.EXCLUDE: "take images out of the project",
    ActKind.INCLUDE: "take images back into the project",
}
"""Of the acts that take an owner."""


def _now(call: Call) -> Moment:
    """The collection as whoever asks may see it: without what others said of images that are theirs to answer still."""
    return call.project.store.collection.now(hidden=again.hidden_from(call.project, call.annotator))


def _bulk(call: Call) -> Response:
    body: wire.BulkBody = call.body
    act = wire.act_of(body, call.person)
    _check_role(call, act)
    result = bulk.perform(call.project, act, image_ids=named_images(call), where=body.where)
    if result.changed:
        call.studio.worker.wake()
    return JSONResponse({"act": result.act_id, "changed": result.changed, "left": result.left, "why": result.why})


def named_images(call: Call) -> Int64 | list[int] | None:
    """The images that a body names by ids, or by their places in a list; None where it names none so.

    Raises InputError where they are named in two ways or by half of one, ListGone.
    """
    body: wire.BulkBody | wire.TableBody = call.body
    if body.listing is None and body.runs is None:
        return body.ids
    if body.ids is not None or getattr(body, "where", None) is not None:
        raise InputError("Name the images of the act once: by ids, by where, or by list with runs.")
    if body.listing is None or body.runs is None:
        raise InputError("Name the images by ids, or by list and runs together.")
    return taken(_listing(call, body.listing).image_ids, body.runs)


def _listing(call: Call, name: str) -> Listing:
    return call.project.store.collection.listings.get(call.annotator, name)


def _check_role(call: Call, act: Act) -> None:
    """Raises NotAllowed for an act that takes an owner, and for the undo of somebody else's act by an annotator."""
    if act.kind is not ActKind.UNDO:
        call.person.require(ROLES[act.kind], IN_WORDS.get(act.kind, "do this"))
    elif not call.person.role.may(Role.OWNER) and call.project.store.acts.author(act.undoes or "") != call.person.name:
        call.person.require(Role.OWNER, "take back what another person did")


def _collection(call: Call) -> Response:
    query: wire.CollectionQuery = call.query
    return _page(call, lambda moment, where: moment.ids(where, sort=query.sort, descending=query.descending == "1"))


def _alike(call: Call) -> Response:
    def choose(moment: Moment, where: Where) -> Int64:
        ids = moment.ids(where)
        return ids[similar.order_by_likeness(call.project, call.image_id, ids)]

    return _page(call, choose)


def _page(call: Call, choose: Callable[[Moment, Where], Int64]) -> Response:
    """Rows of a list that was shown before, or of the one that ``choose`` makes now."""
    query: wire.CollectionQuery = call.query
    store, moment = call.project.store, _now(call)
    classes = store.classes.all()
    if query.listing:
        listing = _listing(call, query.listing)
    else:
        listing = store.collection.listings.keep(call.annotator, choose(moment, parse(query.where, classes)))
    start = int(query.start or 0)
    end = start + min(int(query.rows), wire.ROWS_AT_MOST) if query.rows else None
    shown = moment.shown(listing.image_ids[start:end].astype(np.int64))
    head = {
        "list": listing.name,
        "n": len(listing.image_ids),
        "from": start,
        "rows": len(shown.image_ids),
        "at": _place_of(int(query.image), listing) if query.image else None,
        **_stamp(moment, classes),
    }
    return with_head(head, shown.octets())


def _place_of(image_id: int, listing: Listing) -> int | None:
    found = np.flatnonzero(listing.image_ids == image_id)
    return int(found[0]) if len(found) else None


def _follow(call: Call) -> Response:
    body: wire.FollowBody = call.body
    old, new = (_listing(call, name).image_ids for name in (body.listing, body.to))
    return JSONResponse({"runs": followed(old, body.runs, new)})


def _map(call: Call) -> Response:
    project, worker = call.project, call.studio.worker
    classes, moment = project.store.classes.all(), _now(call)
    drawn = maps.map_of(project)
    if drawn.kind == "principal":
        worker.expect_map(project.slug)
    head = {
        "n": len(drawn.image_ids),
        "kind": drawn.kind,
        "missing": drawn.missing,
        "share": worker.map_share(project.slug),
        **_stamp(moment, classes),
    }
    columns = (*drawn.points.T, moment.numbers("p", drawn.image_ids))
    return with_head(head, drawn.image_ids.astype("<i4").tobytes() + np.stack(columns).astype("<f4").tobytes())


def _counts(call: Call) -> Response:
    classes, moment = call.project.store.classes.all(), _now(call)
    counts = moment.counts(parse(call.query.where, classes))
    return JSONResponse(
        {
            "n": sum(counts["label"].values()),
            **_stamp(moment, classes),
            "states": counts["states"],
            "labels": {str(class_id or 0): n for class_id, n in counts["label"].items()},
            "predicted": {str(class_id or 0): n for class_id, n in counts["predicted"].items()},
            "annotators": {name: n for name, n in counts["annotator"].items() if name is not None},
        }
    )


def _version(call: Call) -> Response:
    store = call.project.store
    return JSONResponse(_stamp(_now(call), store.classes.all()))


def _stamp(moment: Moment, classes: list[ClassRecord]) -> dict[str, Any]:
    return {"version": f"{moment.version}-{classes_version(classes)}", "seq": moment.seq}


ENDPOINTS = (
    Endpoint("POST", "bulk", _bulk, wire.BulkBody, body_at_most=BULK_BYTES_AT_MOST, role=Role.ANNOTATOR),
    Endpoint("GET", "collection", _collection, query=wire.CollectionQuery, role=Role.ANNOTATOR),
    Endpoint("GET", "collection/alike/{image}", _alike, query=wire.CollectionQuery, role=Role.ANNOTATOR),
    Endpoint(
        "POST", "collection/follow", _follow, wire.FollowBody, body_at_most=BULK_BYTES_AT_MOST, role=Role.ANNOTATOR
    ),
    Endpoint("GET", "collection/map", _map, role=Role.ANNOTATOR),
    Endpoint("GET", "collection/counts", _counts, query=wire.CollectionQuery, role=Role.ANNOTATOR),
    Endpoint("GET", "collection/version", _version, role=Role.ANNOTATOR),
)
