"""Hugging Face's imagefolder: ``load_dataset("imagefolder", data_dir=...)`` reads it, and the Hub shows it.

``train/metadata.jsonl`` (and ``test/``) has a line per image: file_name, label, annotator, labelled_by. JSON lines
rather than CSV: a label that a spreadsheet would run needs no quote there.
"""

from __future__ import annotations

import json
from pathlib import Path

from tidal_core.export.tables.base import ExportOptions, ExportReport, What, note_on_model
from tidal_core.export.tables.trees import contents, file_name, labelled_images, put_image
from tidal_core.files import replaced
from tidal_core.projects import Project
from tidal_core.records import ImportProblem


class HuggingFaceExporter:
    """A folder in the imagefolder layout."""

    name = "huggingface"
    title = "Hugging Face imagefolder"
    for_whom = "For training with Hugging Face datasets: copies of the images, and their labels."
    suffix = ""
    whats: tuple[What, ...] = ("labels",)
    from_store = False

    def write(self, project: Project, target: Path, options: ExportOptions) -> ExportReport:
        """Copy, or link, every labelled image and describe it."""
        problems: list[ImportProblem] = []
        lines: dict[str, list[str]] = {}
        with replaced(target) as beside:
            beside.mkdir()
            for image, data in contents(project, labelled_images(project, options), problems):
                name = file_name(image, data)
                put_image(image, data, beside / image.folder / name, options.link)
                row = {
                    "file_name": name,
                    "label": image.label,
                    "annotator": image.annotator,
                    "labelled_by": image.labelled_by,
                }
                lines.setdefault(image.folder, []).append(json.dumps(row, ensure_ascii=False))
            for folder, rows in lines.items():
                (beside / folder / "metadata.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
        return ExportReport(target, sum(map(len, lines.values())), tuple(problems), note_on_model(project, options))
