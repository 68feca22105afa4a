"""Reading, checking, caching and previewing images."""
