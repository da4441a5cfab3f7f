"""What makes a call conditional on what is at the key."""

from typing import Any

from azure.core import MatchConditions


def only_if(locator: str) -> dict[str, Any]:
    """Only while the locator names what is there; "" asks nothing."""
    if not locator:
        return {}
    return {"etag": f'"{locator}"', "match_condition": MatchConditions.IfNotModified}


def to_replace(locator: str | None) -> dict[str, Any]:
    """As ObjectStore's `replacing`."""
    return (
        {"match_condition": MatchConditions.IfMissing} if locator == "" else only_if(locator or "")
    )
