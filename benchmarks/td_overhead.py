"""What training dynamics cost: ``python -m benchmarks.td_overhead --backbone small --precision float32``.

``overhead_pct``: how much longer an epoch takes with tracking, TD module, its loss and recorded curves than the same
loop without any of them; the median over interleaved pairs of epochs.
"""

from __future__ import annotations

import statistics
from pathlib import Path

from benchmarks.engine import arguments, clock, configuration, folder, interleaved, made_up_images, median_ratio, say
from benchmarks.engine import start as start_training


def main() -> None:
    """Run it and print the figures."""
    options = arguments(__doc__ or "", precision="float32")
    batches = 1 if options.quick or options.backbone == "resnet18" else 8
    pairs = options.pairs or (2 if options.quick else 10 if options.backbone == "resnet18" else 40)
    config = configuration(options.backbone, precision=options.precision)
    n = config.batch_size * batches if not options.quick else 16
    with folder() as scratch:
        images = made_up_images(Path(scratch), n)
        with_td = start_training(config, images, curves=True, threads=options.threads)
        plain = configuration(options.backbone, precision=options.precision, companions=())
        without = start_training(plain, images, curves=False, threads=options.threads)
        times = interleaved(lambda: next(with_td), lambda: next(without), pairs, clock(options.threads))
    ratio, low, high = median_ratio(*times)
    say(
        "td_overhead",
        options,
        overhead_pct=round(100 * (ratio - 1), 2),
        quartiles_pct=[round(100 * (low - 1), 2), round(100 * (high - 1), 2)],
        images_per_second=[round(n / statistics.median(t), 1) for t in times],
        images=n,
        pairs=pairs,
    )


if __name__ == "__main__":
    main()
