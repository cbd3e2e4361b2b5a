"""What is left of an adapter when its row and its files are gone: its place in the engine."""

import logging

from app.dependencies import Services
from app.errors import IngrainError

logger = logging.getLogger(__name__)


async def unload(parts: Services, adapter_id: str) -> None:
    """Unload an adapter that is gone for every client: what an engine that is away still holds is no error."""
    try:
        await parts.engines.unload(adapter_id)
    except IngrainError as error:
        logger.warning("The engine did not unload %s: %s", adapter_id, error.detail)
