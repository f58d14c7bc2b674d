"""What a stored result is of, and where it was made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_quantcheck.core.fingerprint import digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_quantcheck.core.fingerprint import Plain

_ENVIRONMENT_DIGITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """Names one result: equal keys, equal results."""

    identity: Mapping[str, Plain]
    """Everything that was asked for."""
    environment: Mapping[str, str]
    """What may change a result though nothing else was asked for: device, versions."""

    @property
    def stem(self) -> str:
        """What results of one identity have in common, wherever they were made."""
        return digest(dict(self.identity))

    @property
    def name(self) -> str:
        """The result's own name, fit for a file."""
        return f"{self.stem}-{digest(dict(self.environment))[:_ENVIRONMENT_DIGITS]}"

    def plain(self) -> Plain:
        """Return what is written beside the result."""
        return {"identity": dict(self.identity), "environment": dict(self.environment)}
