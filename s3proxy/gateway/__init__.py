"""The rules of a gateway: no HTTP, no XML."""
