"""How chat templates are filled, wherever they are: in training, by the engine that is asked, for a chat."""

from collections.abc import Mapping
from typing import Any, Final

TEMPLATE_ARGUMENTS: Final[Mapping[str, Any]] = {"enable_thinking": False}
"""What they are rendered with, unless a client says otherwise: an adapter is taught to answer at once. A template of a
model that does not think knows no such argument, and leaves it."""
