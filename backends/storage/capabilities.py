"""What several storages can do as one."""

from collections.abc import Sequence

from backends.storage.protocol import Capabilities


def common(of: Sequence[Capabilities]) -> Capabilities:
    """What all of them can do."""
    return Capabilities(
        keeps_replaced=all(one.keeps_replaced for one in of),
        conditional=all(one.conditional for one in of),
        lists_facts=all(one.lists_facts for one in of),
        etag_is_locator=any(one.etag_is_locator for one in of),
        catalogued=any(one.catalogued for one in of),
        least_part=max(one.least_part for one in of),
    )
