"""A bucket and one of a plain storage, made alike."""
