"""What the supervisor tells whoever started it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that happened: a stable word for machines, a sentence for people, and details.

    Events: warning, preparing, starting, waiting, ready, died, restarting, stopping, stopped.
    """

    event: str
    message: str
    details: dict[str, Any] = field(default_factory=dict)


Tell = Callable[[Notice], None]
IsStopped = Callable[[], bool]
"""Whether somebody asked to stop; looked at while waiting."""


class StoppedEarly(Exception):
    """Somebody asked to stop before everything was ready."""
