"""A work that tells how many threads torch has where a pool is scored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from tidal_core.engine.executors import Memory, Watch
from tidal_core.engine.scoring import PoolScoring
from tidal_core.records import Int64


@dataclass(frozen=True)
class ThreadsOfScoring:
    """As ``PoolScoring``; its result is how many threads torch has after a block."""

    scoring: PoolScoring
    threads: int = 1
    ahead: int = 0
    folders: tuple[Path, ...] = ()

    def memory(self, n_images: int) -> Memory:
        return self.scoring.memory(n_images)

    def open(self) -> Callable[[Int64, Watch], int]:
        score = self.scoring.open()

        def threads_after(rows: Int64, watch: Watch) -> int:
            score(rows, watch)
            return torch.get_num_threads()

        return threads_after
