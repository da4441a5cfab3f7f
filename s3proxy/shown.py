"""The settings in force, as an operator may see them: without secrets."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

HIDDEN: Final = "***"


def shown(section: BaseModel) -> dict[str, Any]:
    """Every setting of the section, in JSON's terms; a secret that is set is ***."""
    fields = type(section).model_fields
    return {
        name: _shown(value) if fields[name].repr else HIDDEN if value else ""
        for name, value in section
    }


def _shown(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return shown(value)
    if isinstance(value, Mapping):
        return {name: _shown(inner) for name, inner in value.items()}
    if isinstance(value, tuple):
        return [_shown(inner) for inner in value]
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)
