"""COCO's JSON with a category per image: its box is the whole image, so that readers of boxes open it, too.

``file_name`` is the image's path as it lies; ``split``, ``annotator`` and ``labelled_by`` are additions that other
tools pass over. Categories are all classes of the project in its order, also those without an image.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tidal_core.export.tables.addresses import addressed
from tidal_core.export.tables.base import ExportOptions, ExportReport, What, note_on_model
from tidal_core.export.tables.trees import LabelledImage, class_names, labelled_images
from tidal_core.files import replaced
from tidal_core.projects import Project


class CocoExporter:
    """One JSON file."""

    name = "coco"
    title = "COCO-style JSON, one category per image"
    for_whom = "For tools that read COCO: one JSON file, one category per image."
    suffix = ".coco.json"
    whats: tuple[What, ...] = ("labels",)
    from_store = True

    def write(self, project: Project, target: Path, options: ExportOptions) -> ExportReport:
        """Describe every labelled image."""
        images = labelled_images(project, options)
        names = class_names(project, images)
        category_ids = {name: number for number, name in enumerate(names, start=1)}
        rows = [{"image_id": im.id, "path": im.uri, "name": im.name, "sha256": im.sha256} for im in images]
        with addressed(project, target, options, rows) as addresses:
            value = {
                "info": {"description": project.title},
                "licenses": [],
                "categories": [{"id": number, "name": name} for name, number in category_ids.items()],
                "images": [
                    {
                        "id": image.id,
                        "file_name": addresses.of(image.id, image.uri),
                        "width": image.width,
                        "height": image.height,
                        "split": image.folder,
                    }
                    for image in images
                ],
                "annotations": [
                    _annotation(number, image, category_ids[image.label])
                    for number, image in enumerate(images, start=1)
                ],
            }
            with replaced(target) as beside:
                beside.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
        notes = (addresses.note, note_on_model(project, options))
        return ExportReport(target, len(images), tuple(addresses.problems), " ".join(filter(None, notes)))


def _annotation(number: int, image: LabelledImage, category_id: int) -> dict[str, Any]:
    width, height = image.width, image.height
    return {
        "id": number,
        "image_id": image.id,
        "category_id": category_id,
        "bbox": [0, 0, width, height],
        "area": width * height,
        "iscrowd": 0,
        "segmentation": [[0, 0, width, 0, width, height, 0, height]],
        "annotator": image.annotator,
        "labelled_by": image.labelled_by,
    }
