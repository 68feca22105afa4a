"""A Ray cluster of two nodes on this machine, with tokens, in a process of its own that ends them with itself.

``python -m tests.helpers.ray_nodes`` prints its address; a line of input ends the second node with all that runs there.
It ends when its input does, also when whoever started it was killed.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
TRIES = 5  # on a machine with ten jobs for each core
# One for all clusters of a process: it reads its token once, and would show a later cluster that of the first.
TOKEN = secrets.token_hex(32)
STORE_BYTES = 100_000_000  # of objects on each node: the least that Ray takes is 75 MiB


class Nodes:
    """The running cluster."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self._process, self.address = process, address

    def lose_one(self) -> None:
        """End the second node; returns when it is gone."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("lose\n")
        self._process.stdin.flush()
        self._process.stdout.readline()


@contextmanager
def two_nodes() -> Iterator[tuple[Nodes, dict[str, str]]]:
    """The cluster, and the variables of a process that may connect to it."""
    folder = tempfile.mkdtemp(prefix="tidal-ray-", dir="/tmp")  # short: the paths of sockets must be
    token = Path(folder) / "token"
    token.write_text(TOKEN, encoding="utf-8")
    variables = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_TMPDIR": folder,
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.helpers.ray_nodes"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env={**os.environ, **variables, "OMP_NUM_THREADS": "3"},  # so that it shows who sets torch's threads
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        assert address, "the nodes did not start"
        yield Nodes(process, address), variables
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Serve until the input ends."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": STORE_BYTES, "include_dashboard": False}
    for attempt in range(1, TRIES + 1):
        try:
            cluster = Cluster(initialize_head=True, head_node_args=node)
            second = cluster.add_node(**node)
            break
        except Exception:  # the plain class, where a node is not up in the 30 s that Ray gives it
            if attempt == TRIES:
                raise
    print(cluster.address, flush=True)
    for _ in sys.stdin:
        cluster.remove_node(second, allow_graceful=False)
        print("lost", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()
