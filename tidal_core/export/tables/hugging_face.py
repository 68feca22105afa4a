"""Hugging Face's imagefolder: ``load_dataset(FOLDER)`` reads it with the numbers of the classes, and the Hub shows it.

``train/metadata.jsonl`` (and ``test/``) has a line per image: file_name, label, annotator, labelled_by. JSON lines
rather than CSV: a label that a spreadsheet would run needs no quote there. No value is null: a column that is null in
one split and text in another has two types, and ``load_dataset`` refuses that. ``README.md`` has the classes in the
project's order, so that a number is the same class in every split; ``load_dataset("imagefolder", data_dir=FOLDER)``
reads the names instead.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from tidal_core.export.tables.base import ExportOptions, ExportReport, What, note_on_model
from tidal_core.export.tables.trees import Contents, class_names, labelled_images, put_image
from tidal_core.files import replaced
from tidal_core.projects import Project

_READ = frozenset(  # endings that the library lists as images
    {".apng", ".bmp", ".dib", ".gif", ".ico", ".j2k", ".jp2", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm"}
    | {".tga", ".tif", ".tiff", ".webp"}
)
_README = "README.md"
_LIKE_A_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[T ].*)?")
_ABOUT_TIMES = (
    "Class names that look like dates end with a blank in metadata.jsonl: a split in which all do would be read as "
    "times."
)


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
        images = labelled_images(project, options)
        contents = Contents(project, images, _READ)
        lines: dict[str, list[dict[str, str]]] = {}
        with replaced(target) as beside:
            beside.mkdir()
            for content in contents:
                image = content.image
                put_image(content, beside / image.folder / content.name, options.link)
                row = {
                    "file_name": content.name,
                    "label": image.label,
                    "annotator": image.annotator or "",
                    "labelled_by": image.labelled_by,
                }
                lines.setdefault(image.folder, []).append(row)
            with_times = any(all(_LIKE_A_TIME.fullmatch(row["label"]) for row in rows) for rows in lines.values())
            for folder, rows in lines.items():
                text = "".join(
                    json.dumps(_as_text(row) if with_times else row, ensure_ascii=False) + "\n" for row in rows
                )
                (beside / folder / "metadata.jsonl").write_text(text, encoding="utf-8")
            card = _card(project.title, class_names(project, images), sorted(lines, reverse=True))
            (beside / _README).write_text(card, encoding="utf-8")
        rows_written = sum(map(len, lines.values()))
        notes = (
            contents.note("load_dataset"),
            _ABOUT_TIMES if with_times else "",
            note_on_model(project, options),
        )
        return ExportReport(target, rows_written, tuple(contents.problems), " ".join(filter(None, notes)))


def _as_text(row: dict[str, str]) -> dict[str, str]:
    """A row whose label no reader takes for a time; readers and this studio's import leave blanks at the end out."""
    return {**row, "label": row["label"] + " "} if _LIKE_A_TIME.fullmatch(row["label"]) else row


def _card(title: str, names: list[str], folders: list[str]) -> str:
    """The data set's card, whose first part is what ``load_dataset`` reads: files of each split, types of columns."""
    columns = [
        {"name": "image", "dtype": "image"},
        {
            "name": "label",
            "dtype": {"class_label": {"names": {str(number): name for number, name in enumerate(names)}}},
        },
        {"name": "annotator", "dtype": "string"},
        {"name": "labelled_by", "dtype": "string"},
    ]
    files = [{"split": folder, "path": f"{folder}/*"} for folder in folders]
    facts = {"configs": [{"config_name": "default", "data_files": files, "features": columns}]}
    front = yaml.safe_dump(facts, allow_unicode=True, sort_keys=False)
    return f"---\n{front}---\n\n{json.dumps(title, ensure_ascii=False)}: labelled images, exported by TiDAL Studio.\n"
