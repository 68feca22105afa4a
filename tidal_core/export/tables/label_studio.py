"""Label Studio's JSON: labels open there as annotations, the model's newest answers as predictions.

A labelling set-up that fits: ``<Image name="image" value="$image"/>`` and
``<Choices name="choice" toName="image">``. Local files are served by Label Studio when it runs with
``LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true`` and ``LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT=/``.

Known classes of test images that nobody labelled are annotations, too, marked as ground truth. Classes of the model
that somebody accepted are predictions where they are asked for.
"""

from __future__ import annotations

import json
import urllib.parse
from pathlib import Path
from typing import Any

from tidal_core.export.tables.addresses import Addresses, addressed
from tidal_core.export.tables.base import ExportOptions, ExportReport, What, note_on_model, only_chosen
from tidal_core.files import replaced
from tidal_core.images.sources import uri_path
from tidal_core.projects import Project

_ABOUT_ACCEPTED = "Such classes are predictions there, because Label Studio takes annotations for a person's."


class LabelStudioExporter:
    """One JSON file of tasks: every image, labelled or not, so that labelling can go on there."""

    name = "labelstudio"
    title = "Label Studio JSON, with predictions"
    for_whom = "For labelling on in Label Studio: tasks with labels, as JSON."
    suffix = ".labelstudio.json"
    whats: tuple[What, ...] = ("labels",)
    from_store = True

    def write(self, project: Project, target: Path, options: ExportOptions) -> ExportReport:
        """Describe every image with its label and what the newest round predicts."""
        predicted: dict[int, tuple[str, float]] = {}
        round_id = options.round_id or project.store.scores.latest_round()
        if round_id is not None:
            table = project.store.exports.predictions(round_id).select(["image_id", "predicted", "predicted_p"])
            predicted = {row["image_id"]: (row["predicted"], row["predicted_p"]) for row in table.to_pylist()}
        rows = only_chosen(project, options, project.store.exports.images(with_model=options.with_model)).to_pylist()
        with addressed(project, target, options, rows) as addresses:
            tasks = [_task(row, _url(row, addresses, target), predicted.get(row["image_id"]), round_id) for row in rows]
            with replaced(target) as beside:
                beside.write_text(json.dumps(tasks, ensure_ascii=False), encoding="utf-8")
        labelled = sum(bool(task["annotations"]) for task in tasks)
        has_accepted = any(row["labelled_by"] == "model" for row in rows)
        notes = (addresses.note, note_on_model(project, options), _ABOUT_ACCEPTED if has_accepted else "")
        return ExportReport(target, labelled, tuple(addresses.problems), " ".join(filter(None, notes)))


def _url(row: dict[str, Any], addresses: Addresses, target: Path) -> str:
    """Where Label Studio asks for an image: its own address for a local file, else the image's."""
    uri = str(row["path"])
    name = addresses.of(row["image_id"], uri)
    path = uri_path(uri) if name == uri else target.with_name(name.partition("/")[0]) / name.partition("/")[2]
    return uri if path is None else "/data/local-files/?d=" + urllib.parse.quote(str(path).lstrip("/"))


def _task(
    row: dict[str, Any], image_url: str, predicted: tuple[str, float] | None, round_id: int | None
) -> dict[str, Any]:
    is_test = row["split"] == "test"
    data = {"image": image_url, "split": "test" if is_test else "train", "annotator": row["annotator"] or ""}
    data["labelled_by"] = row["labelled_by"]
    task: dict[str, Any] = {"id": row["image_id"], "data": data, "annotations": [], "predictions": []}
    if row["labelled_by"] == "model":  # accepted for many images at once: no person's annotation
        task["predictions"] = [{"model_version": "accepted", "result": [_choice(row["label"])]}]
    elif row["label"] is not None:
        task["annotations"] = [{"result": [_choice(row["label"])], "was_cancelled": False}]
    elif is_test and row["known_label"] is not None:
        task["annotations"] = [{"result": [_choice(row["known_label"])], "was_cancelled": False, "ground_truth": True}]
    if predicted is not None:
        name, p = predicted
        task["predictions"] += [{"model_version": f"round {round_id}", "score": p, "result": [_choice(name)]}]
    return task


def _choice(name: str) -> dict[str, Any]:
    return {"from_name": "choice", "to_name": "image", "type": "choices", "value": {"choices": [name]}}
