"""Log of a repair: what was changed, and what was assumed."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairLog:
    """What a repair did, one line each."""

    changes: list[str] = field(default_factory=list)
    """What is written otherwise, and means the same."""
    assumptions: list[str] = field(default_factory=list)
    """What the item did not say, or not in a field."""
