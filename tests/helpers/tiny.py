"""A project of small coloured squares: real files, real pixels, classes that a network learns in a second."""

from pathlib import Path

import numpy as np

from tidal_core.config import PixelSpec, ProjectSettings
from tidal_core.images.pixels import PixelStore
from tidal_core.projects import Project, create_project
from tidal_core.records import Answer, AnswerKind, ImageRecord, ImageStatus, Split

COLOURS = np.array([[220, 40, 40], [40, 200, 60], [60, 60, 230]], dtype=np.uint8)


def tiny_project(
    n: int = 60, *, name: str = "tiny", test: int = 15, settings: ProjectSettings | None = None, side: int = 8
) -> Project:
    """A project of ``n`` pool and ``test`` test images of ``side`` pixels, three colours in turn, some noise."""
    settings = settings or ProjectSettings(title=name, training_size=side, labels_per_round=6, audit_share=0.0)
    project = create_project(name, settings, classes=("red", "green", "blue"))
    rng = np.random.default_rng(0)
    known = np.arange(n + test) % 3
    noise = rng.integers(-30, 30, (n + test, side, side, 3))
    pixels = np.clip(COLOURS[known][:, None, None, :] + noise, 0, 255).astype(np.uint8)
    with PixelStore(project.pixels).writer(PixelSpec(side)) as cache:
        cache.write(0, pixels)
    order = rng.permutation(n)
    project.store.images.add(
        [
            ImageRecord(
                id=i + 1,
                uri=str(Path(f"/photos/{i}.png")),
                name=f"{i}.png",
                sha256=f"{i:064x}",
                width=side,
                height=side,
                bytes=3 * side**2,
                split=Split.POOL if i < n else Split.TEST,
                known_class=int(known[i]) + 1,
                status=ImageStatus.READY,
                pixel_row=i,
                audit_order=int(order[i]) if i < n else None,
            )
            for i in range(n + test)
        ]
    )
    return project


def label_next(project: Project, n: int) -> list[int]:
    """Label the first n images of the queue by their known class; returns their ids."""
    items = project.store.queue.items()[:n]
    known = {image.id: image.known_class for image in project.store.images.many(item.image_id for item in items)}
    number = project.store.answers.count()
    project.store.answers.record(
        [
            Answer(
                f"event-{number + i}",
                AnswerKind.LABEL,
                item.image_id,
                class_id=known[item.image_id],
                purpose=item.purpose,
                round_id=item.round_id,
            )
            for i, item in enumerate(items)
        ]
    )
    return [item.image_id for item in items]
