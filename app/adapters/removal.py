"""What is left of an adapter when its row is gone: its place in the engine, its files, and all that its job made."""

import logging

from starlette.concurrency import run_in_threadpool

from app.adapters import artefacts
from app.dependencies import Services
from app.errors import IngrainError

logger = logging.getLogger(__name__)


async def clear(parts: Services, adapter_id: str, job_id: str) -> None:
    """Unload the adapter from the engine and delete its files.

    It is gone for every client already: what an engine that is away still holds costs room, and is no error.
    """
    try:
        await parts.engines.unload(adapter_id)
    except IngrainError as error:
        logger.warning("The engine did not unload %s: %s", adapter_id, error.detail)
    await run_in_threadpool(artefacts.delete, parts.store, adapter_id, job_id)
