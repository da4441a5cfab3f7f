"""A state and its own storages: compared, mended, taken in."""
