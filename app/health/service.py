"""Whether each part that the service needs answers."""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.concurrency import run_in_threadpool

from app.dependencies import Services
from app.errors import IngrainError
from app.health import queries
from app.queue import ping_broker

logger = logging.getLogger(__name__)
_PATIENCE_SECONDS: Final = 3.0

Check = Callable[[], Awaitable[object]]


async def check_all(services: Services) -> dict[str, str]:
    """What is wrong with each part: `{"database": "ok", "broker": "…", "store": …, "engine": …}`."""
    checks: dict[str, Check] = {
        "database": lambda: run_in_threadpool(_database, services),
        "broker": lambda: run_in_threadpool(ping_broker, services.settings.resolved_redis_url, _PATIENCE_SECONDS),
        "store": lambda: run_in_threadpool(_store, services),
        "engine": services.engines.health,
    }
    results = await asyncio.gather(*(_attempt(name, check) for name, check in checks.items()))
    return dict(zip(checks, results, strict=True))


async def _attempt(name: str, check: Check) -> str:
    """Why does not matter here, only that: whatever the part raises, it is not ready."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await check()
    except TimeoutError:
        return f"no answer within {_PATIENCE_SECONDS:g} s"
    except Exception as error:
        logger.warning("%s is not ready: %r", name, error)
        return error.detail if isinstance(error, IngrainError) else f"{type(error).__name__}; the log has more"
    return "ok"


def _database(services: Services) -> None:
    with services.unit_of_work(reads_only=True) as session:
        queries.touch(session)


def _store(services: Services) -> None:
    path = f"health/{uuid.uuid4().hex}"
    services.store.write_bytes(path, b"ok")
    try:
        services.store.read_bytes(path)
    finally:
        services.store.delete(path)
