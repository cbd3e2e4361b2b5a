"""Many connections to one server, in small pools.

httpx keeps a client's connections in one list, and goes over it again and again for every request that begins or ends:
with 256 under way, a request costs many times the processor's time that it costs here (`benchmarks/connections.py`).
See https://github.com/encode/httpx/issues/3215.
"""

import asyncio
import functools
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Final

import httpx

POOL_SIZE: Final = 8
KEEP_SECONDS: Final = 3.0
"""How long an idle connection is kept: less than the 5 s after which uvicorn, with vLLM and our own engine, closes it,
as a request that is sent in that moment breaks."""


class Connections(httpx.AsyncBaseTransport):
    """An httpx transport over HTTP/1.1 that spreads requests over pools of at most `POOL_SIZE` connections.

    A request goes to the first pool that has room, so that few at once use few connections. Where none has, it waits
    for its turn, first come first served; httpx's pool timeout tells that it waited in vain.

    Args:
        most: connections in all, at least one.
    """

    def __init__(self, most: int) -> None:
        if most < 1:
            raise ValueError(f"{most} connections: there has to be one at least.")
        self._room: Final = asyncio.Semaphore(most)
        self._pools: Final = [_Pool(min(POOL_SIZE, most - begun)) for begun in range(0, most, POOL_SIZE)]

    @property
    def under_way(self) -> int:
        """Requests that have a connection."""
        return sum(pool.under_way for pool in self._pools)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request when there is room. What it raises is httpx's own."""
        try:
            async with asyncio.timeout(request.extensions.get("timeout", {}).get("pool")):
                await self._room.acquire()
        except TimeoutError:
            raise httpx.PoolTimeout("All connections are busy.", request=request) from None
        pool = next(pool for pool in self._pools if pool.under_way < pool.size)
        pool.under_way += 1
        turn = _Turn(pool, self._room)
        try:
            await self._empty_unused()
            response = await pool.transport.handle_async_request(request)
        except BaseException:
            turn.end()
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - as an asynchronous transport has it
        response.stream = _Body(response.stream, turn)
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        async with AsyncExitStack() as closing:
            for pool in self._pools:
                closing.push_async_callback(pool.transport.aclose)

    async def _empty_unused(self) -> None:
        """Close what a burst has left open. httpx looks at a pool's idle connections only when that pool is used."""
        before = time.monotonic() - KEEP_SECONDS
        for pool in self._pools:
            if pool.unused_since is not None and not pool.under_way and pool.unused_since < before:
                pool.unused_since = None
                await pool.transport.aclose()


class _Pool:
    """A few connections, how many requests they have, and since when there is none (None: nothing is open)."""

    def __init__(self, size: int) -> None:
        limits = httpx.Limits(max_connections=size, max_keepalive_connections=size, keepalive_expiry=KEEP_SECONDS)
        self.size: Final = size
        self.transport: Final = httpx.AsyncHTTPTransport(verify=_trusted(), limits=limits)
        self.under_way = 0
        self.unused_since: float | None = None


class _Turn:
    """A request's place in a pool, which it gives back once."""

    def __init__(self, pool: _Pool, room: asyncio.Semaphore) -> None:
        self._pool = pool
        self._room = room
        self._has_ended = False

    def end(self) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        self._pool.under_way -= 1
        self._pool.unused_since = time.monotonic()
        self._room.release()


class _Body(httpx.AsyncByteStream):
    """A response's body, with whose end, or failure, its turn ends."""

    def __init__(self, stream: httpx.AsyncByteStream, turn: _Turn) -> None:
        self._stream = stream
        self._turn = turn

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._stream:
                yield piece
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            self._turn.end()


@functools.cache
def _trusted() -> ssl.SSLContext:
    """The certificates that are trusted: to read them takes longer than to open all pools."""
    return httpx.create_ssl_context(trust_env=False)
