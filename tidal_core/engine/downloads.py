"""Files of weights: on this machine where torch and the Hugging Face hub keep them, or fetched once.

``$TORCH_HOME`` and ``$HF_HOME`` say where that is. A file that was downloaded has its place only once it is whole, and
where its name ends with a part of its SHA-256, as torchvision's do, once that is its own.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import torch

from tidal_core.errors import InputError
from tidal_core.files import atomic

DownloadProgress = Callable[[int, int | None], None]
"""Called with the bytes that have come and how many there will be, None where that is not known."""

BLOCK = 1 << 20  # bytes between two reports
PATIENCE = 20.0  # seconds without an answer before a server counts as out of reach


def torch_file(name: str) -> Path:
    """Where torch keeps the file of weights ``name``, whether it is there or not."""
    return Path(torch.hub.get_dir()) / "checkpoints" / name


def download(url: str, path: Path, progress: DownloadProgress | None = None) -> None:
    """Fetch ``url`` to ``path``. Raises OSError where it cannot be had, and InputError where it is another file."""
    marked = re.search(r"-([0-9a-f]{8,})\.", path.name)
    digest, done = hashlib.sha256(), 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with urlopen(Request(url, headers={"User-Agent": "tidal-studio"}), timeout=PATIENCE) as answer:
        length = answer.headers.get("Content-Length")
        total = int(length) if length else None
        with atomic(path) as beside, beside.open("wb") as file:
            while block := answer.read(BLOCK):
                file.write(block)
                digest.update(block)
                done += len(block)
                if progress is not None:
                    progress(done, total)
            if total is not None and done < total:
                raise ConnectionError(f"only {done:,} of {total:,} bytes came")
            if marked and not digest.hexdigest().startswith(marked[1]):
                raise InputError(
                    f"the file {path.name} from {url} is not the published one (SHA-256 {digest.hexdigest()[:12]}...); "
                    "try again, or fetch it by another way."
                )


def hub_file(repository: str, name: str, *, fetch: bool, progress: DownloadProgress | None = None) -> Path:
    """A file of a repository of the Hugging Face hub ("owner/name" or "owner/name@revision").

    From this machine if it is there, else fetched if ``fetch``. Raises OSError where it is not to be had. Needs the
    package huggingface-hub, which timm brings.
    """
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    owner_and_name, _, revision = repository.partition("@")
    cached = try_to_load_from_cache(owner_and_name, name, revision=revision or None)
    if isinstance(cached, str):
        return Path(cached)
    if not fetch:
        raise FileNotFoundError(f"{name} of {repository} is not on this machine")
    bar = _bar(progress or (lambda done, total: None))
    return Path(hf_hub_download(owner_and_name, name, revision=revision or None, tqdm_class=bar, etag_timeout=PATIENCE))


def _bar(progress: DownloadProgress) -> Any:
    """A progress bar as the hub's client wants it, which reports and draws nothing."""
    from huggingface_hub.utils.tqdm import tqdm

    class Reporting(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "file": io.StringIO()})  # type: ignore[no-untyped-call]
            self.done, self.all = int(options.get("initial", 0)), options.get("total")

        def update(self, n: float | None = 1) -> bool | None:
            self.done += int(n or 0)
            progress(self.done, int(self.all) if self.all else None)
            return False

    return Reporting
