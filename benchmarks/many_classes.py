"""How long a round takes with a thousand classes and ten labels of each, on frozen features.

    python -m benchmarks.many_classes [--classes 1000] [--labels 10000] [--pool 5000] [--quick]

``seconds``: of one round, from its claim to the new ranking by the default strategy, after one that loads what a round
needs; the features are made up, so that nothing else is timed.
"""

from __future__ import annotations

import argparse

from benchmarks.engine import say
from benchmarks.frozen_round import round_seconds
from tidal_core.config import FROZEN_STRATEGY


def main() -> None:
    """Measure and print one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, default=1_000)
    parser.add_argument("--labels", type=int, default=10_000)
    parser.add_argument("--pool", type=int, default=5_000)
    parser.add_argument("--quick", action="store_true", help="50 classes with two labels of each")
    options = parser.parse_args()
    if options.quick:
        options.classes, options.labels, options.pool = 50, 100, 20
    (seconds,) = round_seconds(options.labels, options.pool, FROZEN_STRATEGY, rounds=1, classes=options.classes)
    say("many_classes", options, seconds=round(seconds, 1))


if __name__ == "__main__":
    main()
