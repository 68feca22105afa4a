"""The model card: README.md of an exported folder, with the front matter that model hubs read."""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError, version

import tidal_core
from tidal_core import strategies
from tidal_core.export.model.base import ModelFormat
from tidal_core.export.model.facts import BodyFacts, ClassFacts, ModelFacts
from tidal_core.store.metrics import Metric
from tidal_core.text import backbone_in_words, config_in_words, literal

_MEASURED_ON = {
    "test": "test images whose class is known and that no round trains on",
    "audit": "audit images: picked at random among those without a label, labelled by hand, never trained on; skipped "
    "images are not counted",
}
_FITS = {
    "crop": "the shortest side becomes {size} pixels, the longer side is cut evenly at both ends",
    "letterbox": "the longest side becomes {size} pixels, the rest is black",
    "stretch": "both sides become {size} pixels, nothing is cut off",
}


def model_card(facts: ModelFacts, model_format: ModelFormat, n_bytes: int) -> str:
    """The text of README.md. ``n_bytes``: of the file with the weights."""
    sections = [
        _front_matter(facts, model_format),
        f"# {literal(facts.title)}\n\n"
        f"Says which of {len(facts.classes)} classes an image belongs to. The model of round {facts.round_id}"
        f"{_date(facts)}, trained with TiDAL Studio on {facts.labels:,} labelled images of {facts.images:,}.",
        _use(model_format, n_bytes),
        _accuracy(facts),
        "## Labels per class\n\n" + _class_table(facts),
        *([] if facts.body is None else [_body(facts.body)]),
        _training(facts),
        _limits(facts),
    ]
    return "\n\n".join(sections) + "\n"


def _front_matter(facts: ModelFacts, model_format: ModelFormat) -> str:
    """YAML; strings are written as JSON, which is YAML too. No licence: only who owns the images can give one."""
    lines = [
        f"library_name: {model_format.library}",
        "pipeline_tag: image-classification",
        "tags:",
        "- image-classification",
        "- active-learning",
        "- tidal-studio",
        "metrics:",
        "- accuracy",
    ]
    if facts.accuracy is not None:
        name = json.dumps(facts.title, ensure_ascii=False)
        lines += [
            "model-index:",
            f"- name: {name}",
            "  results:",
            "  - task:",
            "      type: image-classification",
            "    dataset:",
            f"      name: {name}",
            f"      type: {facts.accuracy.split}",
            "    metrics:",
            "    - type: accuracy",
            f"      value: {facts.accuracy.value:.4f}",
        ]
    return "\n".join(("---", *lines, "---"))


def _use(model_format: ModelFormat, n_bytes: int) -> str:
    return f"""## Use

```sh
python -m pip install {model_format.runs_with.replace(",", "").replace(" and ", " ")}
python predict.py photo.jpg folder/ "more/*.png"   # file, class, probability; separated by tabs
```

`{model_format.file}` ({n_bytes / 1e6:,.1f} MB) is the whole model. It takes any number of images at once: `pixels`,
uint8 (images, size, size, 3), as `square` in `preprocessing.py` makes them of files (HEIC photos need pillow-heif,
too). It gives probabilities, float32 (images, classes), in the order of `classes.json`; normalisation and softmax are
inside. In Python, with `model` as in `predict.py`:

```python
pixels = numpy.stack([square(path) for path in paths])
probabilities = {model_format.batch}
```"""


def _accuracy(facts: ModelFacts) -> str:
    accuracy = facts.accuracy
    if accuracy is None:
        return "## Accuracy\n\nNot measured: there were no test images and no audit images at the end of this round."
    text = f"## Accuracy\n\n{_share(accuracy)} of {accuracy.n:,} {_MEASURED_ON.get(accuracy.split, accuracy.split)}."
    if facts.balanced is not None:
        text += f" Balanced over the classes: {_share(facts.balanced)}."
    return text + " In brackets: 95 % intervals, Wilson's for shares."


def _class_table(facts: ModelFacts) -> str:
    rows = ["| class | labels | recognised | of images tested |", "|---|---:|---:|---:|"]
    for class_facts in facts.classes:
        recall = class_facts.recall
        rows.append(
            f"| {_class_name(class_facts)} | {class_facts.labels:,} | {_share(recall) if recall else '–'} | "
            f"{recall.n if recall else 0:,} |"
        )
    return "\n".join(rows)


def _class_name(class_facts: ClassFacts) -> str:
    since = f" (since then merged into {literal(class_facts.merged_into)})" if class_facts.merged_into else ""
    before = f" (called {literal(class_facts.trained_as)} when it was trained)" if class_facts.trained_as else ""
    return literal(class_facts.name) + before + since


def _body(body: BodyFacts) -> str:
    pretrained = f"pretrained on {literal(body.trained_on)}" if body.trained_on else "pretrained"
    network = f"{literal(backbone_in_words(body.name))}, {pretrained}"
    lines = [
        f"Its body is {network}, and frozen: its weights are as they were published. Trained here is a head on its "
        "features alone, a direction for each class that images are compared with (a cosine classifier)."
        if body.frozen
        else f"It began as {network}; all of it was trained further on the images here.",
        f"Licence of the pretrained weights: {literal(body.licence)}."
        if body.licence
        else "Licence of the pretrained weights: as their publisher says.",
    ]
    if body.frozen and body.precision == "bfloat16":
        lines.append(
            "The studio computed the features with 16 bits (bfloat16), and this model computes with 32: probabilities "
            "differ slightly from the studio's (by 0.02 at most in a test with 80 photos of flowers)."
        )
    return "## The pretrained network\n\n" + "\n".join(f"- {line}" for line in lines)


def _training(facts: ModelFacts) -> str:
    size, strategy = facts.pixels.size, strategies.of_round(facts.strategy)
    packages = [f"{name} {_version(name)}" for name in ("torch", "pillow", "onnx", "onnxscript", "safetensors")]
    lines = [
        *(literal(line) for line in config_in_words(facts.config, facts.labels, strategy.in_words)),
        f"How an image becomes a square: {_FITS[facts.pixels.fit].format(size=size)}"
        + ("; colours become grey." if facts.pixels.grayscale else "."),
        f"Written by TiDAL Studio {tidal_core.__version__} with Python {platform.python_version()}, "
        + ", ".join(package for package in packages if not package.endswith(" "))
        + ".",
    ]
    return "## Training\n\n" + "\n".join(f"- {line}" for line in lines)


def _limits(facts: ModelFacts) -> str:
    rare = [literal(class_facts.name) for class_facts in facts.classes if class_facts.labels < 10]
    lines = [
        f"It knows these {len(facts.classes)} classes only: every image gets one of them, whatever it shows.",
        "The accuracy holds for images like those of the project; test it again for other cameras, places and times.",
        "Probabilities were not calibrated: 0.9 does not mean that nine answers in ten are right.",
        f"It sees every image at {facts.pixels.size} by {facts.pixels.size} pixels: smaller details are lost.",
    ]
    if rare:
        lines.append(f"Classes with fewer than ten labels: {', '.join(rare)}.")
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in lines)


def _share(metric: Metric) -> str:
    between = f" ({metric.low:.1%} to {metric.high:.1%})" if metric.low is not None and metric.high is not None else ""
    return f"{metric.value:.1%}{between}"


def _date(facts: ModelFacts) -> str:
    return f" of {facts.finished_at:%Y-%m-%d}" if facts.finished_at is not None else ""


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
