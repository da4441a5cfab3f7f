"""What can go wrong between us and a server, whatever was asked."""


class Broken(Exception):
    """There is no whole answer: refused, cut off, reset, or what came is no HTTP."""


class Silent(Broken, TimeoutError):
    """The server took longer than it may."""
