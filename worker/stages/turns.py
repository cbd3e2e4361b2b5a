"""How many requests of a stage are under way at once, and which of those that wait comes next."""

import asyncio
import contextlib
import heapq
import itertools
from collections.abc import AsyncGenerator
from typing import Final


class Turns:
    """Room for `most` requests at once.

    Of those that wait, one of the group that came first is next: what a group asks late goes before what later groups
    ask early, while the engine still has the group's passage in its prefix cache.
    """

    def __init__(self, most: int) -> None:
        self._free = most
        self._places: Final[dict[str, int]] = {}
        self._arrivals = itertools.count()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []

    @contextlib.asynccontextmanager
    async def turn(self, group: str) -> AsyncGenerator[None]:
        """Wait for a turn, which ends with the block."""
        await self._wait(self._places.setdefault(group, len(self._places)))
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, place: int) -> None:
        if self._free:
            self._free -= 1
            return
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (place, next(self._arrivals), called))
        try:
            await called
        except asyncio.CancelledError:
            if not called.cancelled():  # the turn had come in the same moment
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            *_, called = heapq.heappop(self._waiting)
            if not called.done():
                called.set_result(None)
                return
        self._free += 1
