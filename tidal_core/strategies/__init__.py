"""Query strategies: one file each, choosing on arrays."""
