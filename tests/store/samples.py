"""Small records for store tests."""

from tidal_core.records import Answer, AnswerKind, ImageRecord, ImageStatus, Purpose, Split


def image(image_id: int, *, known: int | None = None, split: Split = Split.POOL) -> ImageRecord:
    return ImageRecord(
        id=image_id,
        uri=f"/photos/{image_id}.jpg",
        name=f"{image_id}.jpg",
        sha256=f"{image_id:064x}",
        width=8,
        height=8,
        bytes=100,
        split=split,
        known_class=known,
        status=ImageStatus.READY,
        pixel_row=image_id - 1,
        audit_order=None,
        phash=2**63 + image_id,
    )


def label(event: str, image_id: int, class_id: int = 1, purpose: Purpose | None = None) -> Answer:
    return Answer(event_id=event, kind=AnswerKind.LABEL, image_id=image_id, class_id=class_id, purpose=purpose)


def undo(event: str, of: str, image_id: int) -> Answer:
    return Answer(event_id=event, kind=AnswerKind.UNDO, image_id=image_id, undoes=of)
