"""COCO's JSON with a category per image instead of boxes, as classification tools read it.

``file_name`` is the image's path as it lies; ``split``, ``annotator`` and ``labelled_by`` are additions that other
tools pass over.
"""

from __future__ import annotations

import json
from pathlib import Path

from tidal_core.export.tables.base import ExportOptions, ExportReport, What, note_on_model
from tidal_core.export.tables.trees import class_names, labelled_images
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
        value = {
            "info": {"description": project.title},
            "categories": [{"id": number, "name": name} for name, number in category_ids.items()],
            "images": [
                {
                    "id": image.id,
                    "file_name": image.uri,
                    "width": image.width,
                    "height": image.height,
                    "split": image.folder,
                }
                for image in images
            ],
            "annotations": [
                {
                    "id": number,
                    "image_id": image.id,
                    "category_id": category_ids[image.label],
                    "annotator": image.annotator,
                    "labelled_by": image.labelled_by,
                }
                for number, image in enumerate(images, start=1)
            ],
        }
        with replaced(target) as beside:
            beside.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
        return ExportReport(target, len(images), note=note_on_model(project, options))
