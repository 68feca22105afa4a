"""How much memory something takes, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

from tests.helpers.serving import ROOT

_MEASURED = """
import resource, sys
sys.path.insert(0, {root!r})
{before}
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
{code}
unit = 1 << (20 if sys.platform == "darwin" else 10)
print("megabytes", (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) // unit)
"""


def megabytes(before: str, code: str) -> tuple[int, str]:
    """By how much the most memory that a process ever had grows in ``code``, and what it printed.

    ``before`` makes the imports and the input, whose memory counts as there already.
    """
    ended = subprocess.run(
        [sys.executable, "-c", _MEASURED.format(root=str(ROOT), before=before, code=code)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    printed, _, number = ended.stdout.rpartition("megabytes ")
    return int(number), printed
