"""Label Studio's JSON: labels open there as annotations, the model's newest answers as predictions.

A labelling set-up that fits: ``<Image name="image" value="$image"/>`` and
``<Choices name="choice" toName="image">``. Local files are served by Label Studio when it runs with
``LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true`` and ``LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT=/``.
"""

from __future__ import annotations

import json
import urllib.parse
from pathlib import Path
from typing import Any

from tidal_core.export.tables.base import ExportOptions, ExportReport, What, note_on_model, only_chosen
from tidal_core.files import replaced
from tidal_core.images.sources import uri_path
from tidal_core.projects import Project


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
        rows = only_chosen(project, options, project.store.exports.images()).to_pylist()
        if not options.with_model:
            nobody = {"label": None, "annotator": None, "labelled_by": "none"}
            rows = [row | nobody if row["labelled_by"] == "model" else row for row in rows]
        tasks = [_task(row, predicted.get(row["image_id"]), round_id) for row in rows]
        with replaced(target) as beside:
            beside.write_text(json.dumps(tasks, ensure_ascii=False), encoding="utf-8")
        labelled = sum(bool(task["annotations"]) for task in tasks)
        return ExportReport(target, labelled, note=note_on_model(project, options))


def _task(row: dict[str, Any], predicted: tuple[str, float] | None, round_id: int | None) -> dict[str, Any]:
    path = uri_path(row["path"])
    image_url = row["path"] if path is None else "/data/local-files/?d=" + urllib.parse.quote(str(path).lstrip("/"))
    data = {"image": image_url, "split": "test" if row["split"] == "test" else "train", "annotator": row["annotator"]}
    data["labelled_by"] = row["labelled_by"]
    task: dict[str, Any] = {"id": row["image_id"], "data": data, "annotations": [], "predictions": []}
    if row["labelled_by"] == "model":  # accepted for many images at once: no person's annotation
        task["predictions"] = [{"model_version": "accepted", "result": [_choice(row["label"])]}]
    elif row["label"] is not None:
        task["annotations"] = [{"result": [_choice(row["label"])], "was_cancelled": False}]
    if predicted is not None:
        name, p = predicted
        task["predictions"] += [{"model_version": f"round {round_id}", "score": p, "result": [_choice(name)]}]
    return task


def _choice(name: str) -> dict[str, Any]:
    return {"from_name": "choice", "to_name": "image", "type": "choices", "value": {"choices": [name]}}
