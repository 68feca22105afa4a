"""The end of the process: what a person finds in the terminal after Ctrl-C."""

import subprocess
import sys

LEFT_BEHIND = """
import threading
from tidal_core.server.ending import end_quietly
from tidal_core.store.database import duckdb

def serve():
    cursor = duckdb.connect().cursor()
    held.set()
    threading.Event().wait()

held = threading.Event()
threading.Thread(target=serve, daemon=True).start()
held.wait()
{quietly}
print("The studio has stopped.", file=__import__("sys").stderr)
raise SystemExit(3)
"""


def _end(quietly: str) -> tuple[int, list[str]]:
    program = LEFT_BEHIND.replace("{quietly}", quietly)
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    return ended.returncode, ended.stderr.splitlines()


def test_a_thread_that_still_holds_the_file_leaves_no_lines_after_the_last_one() -> None:
    assert len(_end("")[1]) > 1  # what DuckDB's binding says of it: without this, there is nothing to keep quiet

    assert _end("end_quietly()") == (3, ["The studio has stopped."])
