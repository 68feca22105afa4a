"""A project of real image files of every kind, with a finished round, as a person's own project is."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from PIL import Image

from tests.helpers.frozen import compute_all
from tests.helpers.tiny import label_next
from tests.images.photos import encoded, picture
from tidal_core.config import ProjectSettings
from tidal_core.images.ingest import ingest
from tidal_core.projects import Project, create_project
from tidal_core.rounds.due import claim_round
from tidal_core.rounds.queue_plan import fill_queue
from tidal_core.rounds.run import RoundRun

SIZE = 24


def photos(folder: Path) -> Path:
    """Thirty red or blue photos and one of each kind that is read in a way of its own."""
    rng = np.random.default_rng(0)
    for i in range(30):
        colour = np.array([200, 60, 50] if i % 2 else [50, 70, 200])
        pixels = np.clip(colour + rng.integers(-40, 40, (30 + i, 44, 3)), 0, 255).astype(np.uint8)
        _write(folder / ("red" if i % 2 else "blue") / f"{i}.png", encoded(pixels))
    odd = folder / "red"
    smooth = Image.fromarray(picture(60, 37, seed=3))
    turned = Image.Exif()
    turned[0x0112] = 6
    _write(odd / "turned.jpg", encoded(smooth, "JPEG", exif=turned, quality=90))
    _write(odd / "turned.tif", encoded(smooth, "TIFF", exif=turned))
    _write(odd / "large.jpg", encoded(Image.fromarray(picture(900, 620, seed=4)), "JPEG"))
    _write(odd / "grey.png", encoded(smooth.convert("L")))
    _write(odd / "palette.png", encoded(smooth.convert("P", palette=Image.Palette.ADAPTIVE)))
    see_through = smooth.convert("RGBA")
    see_through.putalpha(Image.linear_gradient("L").resize(smooth.size))
    _write(odd / "alpha.png", encoded(see_through))
    _write(odd / "grey-alpha.png", encoded(see_through.convert("LA")))
    _write(odd / "print.jpg", encoded(smooth.convert("CMYK"), "JPEG"))
    deep = (np.asarray(smooth.convert("L")).astype(np.uint16) * 257)[::-1].copy()
    _write(odd / "deep.png", encoded(Image.fromarray(deep)))
    _write(odd / "drawing.gif", encoded(smooth.convert("P"), "GIF", transparency=7))
    _write(odd / "tiny.bmp", encoded(Image.fromarray(picture(5, 9, seed=8)), "BMP"))
    return folder


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def photo_project(folder: Path, **settings: object) -> Project:
    """The photos as a project with known classes, no round yet."""
    base = ProjectSettings(title="Red | blue", training_size=SIZE, labels_per_round=12, audit_share=0.0)
    project = create_project("photos", dataclasses.replace(base, **settings))  # type: ignore[arg-type]
    ingest(project, str(photos(folder)), labels="known")
    fill_queue(project)
    return project


def finish_real_round(project: Project, labels: int = 12) -> int:
    """Compute wanted features, label images and train, score and rank as the worker does; the round's id."""
    compute_all(project)
    label_next(project, labels)
    record = claim_round(project, started_by="person")
    RoundRun(project, record, report=lambda _: None, should_stop=lambda: False).run()
    return record.id


def studio_says(project: Project, round_id: int) -> dict[str, np.ndarray]:
    """Path of each image and the probabilities (C,) that the studio stored for it."""
    table = project.store.exports.predictions(round_id).to_pylist()
    return {row["path"]: np.array(row["p"]) for row in table}
