"""What every section of the settings is."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator


class Section(BaseModel):
    """A section of the file; frozen, and closed to names it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Certified(Section):
    """A section of a listener that speaks TLS where it has a certificate; both paths or none."""

    certificate: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key go together")
        return self
