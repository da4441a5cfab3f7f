"""Which storage a locator or a token is of, where the bytes of one bucket lie in several.

Those of the bucket's home are bare, as its driver gave them. In front of others stands the name of
their storage, so that each row and each upload says by itself where its bytes are.
"""

from typing import Final, NamedTuple

MARK: Final = ">"


class Address(NamedTuple):
    """A storage, and a locator or token as its driver knows it."""

    storage: str
    name: str


class Place(NamedTuple):
    """Where the bytes of a bucket lie, by names of storages.

    Bare locators are of its `home`. New bytes go to `active`. `others` may hold bytes, too.
    A bucket that is `gone` lay there, and what is left of it does.
    """

    home: str
    active: str
    others: tuple[str, ...] = ()
    gone: bool = False

    @property
    def storages(self) -> tuple[str, ...]:
        """All of them, the active one first."""
        return tuple(dict.fromkeys((self.active, *self.others)))


def written(address: Address, home: str) -> str:
    """The address as rows and uploads of a bucket with that home have it."""
    if address.storage == home:
        return address.name
    return f"{MARK}{address.storage}{MARK}{address.name}"


def parsed(text: str, home: str) -> Address:
    """What `written` wrote."""
    if not text.startswith(MARK):
        return Address(home, text)
    storage, _, name = text.removeprefix(MARK).partition(MARK)
    return Address(storage, name)
