"""The process that decodes one large image; ``apart`` starts it and has the frame that it reads and writes."""

from __future__ import annotations

import dataclasses
import json
import math
import sys

from tidal_core.errors import ImageUnreadable
from tidal_core.images.reading import open_here

SENT_PIXELS = 6_000_000  # about what is sent back: much more than anybody asks for, so that the blocks do not show


def main() -> None:
    """One image from the standard input to the standard output."""
    request = json.loads(sys.stdin.buffer.readline())
    _limit(request["memory"])
    try:
        at_least = request["at_least"]
        image, facts = open_here(sys.stdin.buffer.read(), request["name"], at_least=at_least)
        blocks = min(math.ceil(math.sqrt(image.width * image.height / SENT_PIXELS)), min(image.size) // at_least)
        image = image.reduce(blocks) if blocks > 1 else image
        answer = {"size": image.size, "facts": dataclasses.asdict(facts)}
        body = image.tobytes()
    except ImageUnreadable as error:
        answer, body = {"reason": error.reason, "remedy": error.remedy}, b""
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n" + body)


def _limit(memory: int) -> None:
    """No more address space than this; where the system has no such limit, the process is all the protection."""
    try:
        import resource  # not on Windows
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


if __name__ == "__main__":
    main()
