"""How what is deleted goes: from the store before its rows do, from the engine when they are gone."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from app.dependencies import Services
from app.errors import IngrainError, NotReady

logger = logging.getLogger(__name__)


@contextmanager
def clearing(what: str) -> Iterator[None]:
    """Inside, the store is cleared of `what`, before its rows are gone for good.

    Raises:
        NotReady: the store failed; the same request can be sent again.
    """
    try:
        yield
    except OSError as error:
        raise NotReady(
            f"{what} is not wholly deleted: the store failed ({error}). Mend the store, then send the same DELETE "
            "again; it deletes what is left."
        ) from error


async def unload(parts: Services, adapter_id: str) -> None:
    """Unload an adapter that is gone for every client: what an engine that is away still holds is no error."""
    try:
        await parts.engines.unload(adapter_id)
    except IngrainError as error:
        logger.warning("The engine did not unload %s: %s", adapter_id, error.detail)
