"""Where a computation runs: ``local``, in this process or processes of this machine, or ``ray_cluster``, on many.

What is computed is a ``Work``: a value that names its inputs by their paths or addresses and opens as a function. Both
places open the same work and call the same function with the same tasks, so the same bytes come out on equal machines.
What comes back are arrays; whoever asked for them writes them down. No torch at the top: commands import it.
Add here: another place as a class with ``run``, and its name in ``choosing``.
"""

from tidal_core.engine.executors.base import Executor, Memory, Watch, Work
from tidal_core.engine.executors.local import LOCAL, LocalExecutor

__all__ = ["LOCAL", "Executor", "LocalExecutor", "Memory", "Watch", "Work"]
