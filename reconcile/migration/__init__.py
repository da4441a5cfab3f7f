"""A bucket's way from one storage to another."""
