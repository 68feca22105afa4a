"""Where the work goes: one exporter per file."""
