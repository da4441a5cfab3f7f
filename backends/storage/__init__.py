"""Bytes: the ObjectStore protocol, its drivers and the layers around them."""
