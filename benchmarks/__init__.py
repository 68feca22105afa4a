"""One module per figure of merit: ``python -m benchmarks.NAME`` prints one JSON line last; ``--quick`` ends in 10 s."""
