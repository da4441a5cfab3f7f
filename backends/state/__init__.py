"""Facts: the StateStore protocol and its implementations."""
