"""Whether an engine sleeps, known before a request goes there: vLLM would keep the request until somebody wakes it."""

import asyncio
import time
from typing import Final

from app.engine.client import EngineClient
from app.errors import ConfigurationError, EngineAsleep

_FRESH_SECONDS: Final = 0.25
_RETRY_AFTER_SECONDS: Final = 30


class SleepWatch:
    """Asks one engine at most four times a second. Safe for concurrent tasks of one event loop."""

    def __init__(self, client: EngineClient) -> None:
        self._client = client
        self._asking = asyncio.Lock()
        self._fresh_until = 0.0
        self._sleeps = False

    async def check(self) -> None:
        """Return when the engine is awake, as also one is that cannot sleep.

        Raises:
            EngineAsleep: it sleeps.
            EngineUnavailable: it does not answer.
        """
        async with self._asking:
            if time.monotonic() >= self._fresh_until:
                self._sleeps = await self._look()
                self._fresh_until = time.monotonic() + _FRESH_SECONDS
        if self._sleeps:
            raise EngineAsleep(
                "The engine sleeps, because a worker trains with its memory (INGRAIN_VLLM_SLEEP). Ask again later; it "
                "wakes by itself.",
                headers={"Retry-After": str(_RETRY_AFTER_SECONDS)},
            )

    async def _look(self) -> bool:
        try:
            return await self._client.is_sleeping()
        except ConfigurationError:
            return False
