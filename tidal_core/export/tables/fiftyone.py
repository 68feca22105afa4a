"""FiftyOne's image classification tree: ``data/`` with the images and ``labels.json`` with their classes.

``.tidal-labelled-by.csv`` says of each file whose class it has. With test images there is one such tree in ``train/``
and one in ``test/``. FiftyOne opens each by ``fo.Dataset.from_dir(dataset_dir=...,
dataset_type=fo.types.FiftyOneImageClassificationDataset)``.
"""

from __future__ import annotations

import json
from pathlib import Path

from tidal_core.export.tables.base import ExportOptions, ExportReport, What, note_on_model
from tidal_core.export.tables.trees import (
    Contents,
    LabelledImage,
    class_names,
    labelled_images,
    put_image,
    who_labelled,
)
from tidal_core.files import replaced
from tidal_core.images.importers.folder import LABELLED_BY_FILE
from tidal_core.projects import Project
from tidal_core.records import Split


class FiftyOneExporter:
    """A folder that FiftyOne reads."""

    name = "fiftyone"
    title = "FiftyOne image classification"
    for_whom = "For looking at the images in FiftyOne: copies of them, and their labels."
    suffix = ""
    whats: tuple[What, ...] = ("labels",)
    from_store = False

    def write(self, project: Project, target: Path, options: ExportOptions) -> ExportReport:
        """Copy, or link, every labelled image; labels are positions in the list of classes."""
        images = labelled_images(project, options)
        names = class_names(project, images)
        position = {name: index for index, name in enumerate(names)}
        split = any(image.split is Split.TEST for image in images)
        contents = Contents(project, images)
        labels: dict[str, dict[str, int]] = {}
        written: dict[str, LabelledImage] = {}
        with replaced(target) as beside:
            beside.mkdir()
            for content in contents:
                image, name, folder = content.image, content.name, content.image.folder if split else "."
                put_image(content, beside / folder / "data" / name, options.link)
                written[f"{folder}/data/{name}".removeprefix("./")] = image
                labels.setdefault(folder, {})[Path(name).stem] = position[image.label]
            (beside / LABELLED_BY_FILE).write_text(who_labelled(written), encoding="utf-8")
            for folder, labels_of_folder in (labels or {".": {}}).items():
                (beside / folder / "data").mkdir(parents=True, exist_ok=True)
                text = json.dumps({"classes": names, "labels": labels_of_folder}, ensure_ascii=False)
                (beside / folder / "labels.json").write_text(text, encoding="utf-8")
        note = note_on_model(project, options, hidden=True)
        return ExportReport(target, sum(map(len, labels.values())), tuple(contents.problems), note)
