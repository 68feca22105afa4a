"""Where images come from: one importer per file."""
