"""How what is deleted goes: from the store before its rows do, from the engine when they are gone."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from app.adapters import artefacts, queries
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


def sweep_copies(parts: Services) -> None:
    """Delete the local copies of adapters that were deleted elsewhere, or while a chat fetched them."""
    cache = parts.settings.artefact_cache
    copies = artefacts.copies(cache)
    if not copies:
        return
    try:
        with parts.unit_of_work(reads_only=True) as session:
            kept = queries.existing(session, copies)
        for adapter_id in set(copies) - kept:
            artefacts.delete_copy(cache, adapter_id)
    except (OSError, SQLAlchemyError) as error:
        logger.warning("Copies of deleted adapters may be left in %s: %s", cache, error)
