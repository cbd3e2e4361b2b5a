"""Many connections to one server, in small pools.

httpx keeps a client's connections in one list, and goes over it again and again for every request that begins or ends:
with 256 connections a request costs 15 times the processor's time that it costs here, and 50 a second are the most that
one core can send (`benchmarks/connections.py`). See https://github.com/encode/httpx/issues/3215.
"""

import functools
import ssl
from collections.abc import AsyncIterator
from typing import Final

import httpx

POOL_SIZE: Final = 8


class Connections(httpx.AsyncBaseTransport):
    """An httpx transport over HTTP/1.1 that spreads requests over pools of at most `POOL_SIZE` connections.

    Each request goes to the pool with the fewest under way, and waits there where none is free: httpx's pool timeout
    then tells that all connections are busy.

    Args:
        most: connections in all.
    """

    def __init__(self, most: int) -> None:
        sizes = [min(POOL_SIZE, most - begun) for begun in range(0, most, POOL_SIZE)]
        self._pools: Final = [_Pool(size) for size in sizes]

    @property
    def under_way(self) -> int:
        """Requests whose answers have not ended, those that wait for a connection among them."""
        return sum(pool.under_way for pool in self._pools)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request by the pool with the most room. What it raises is httpx's own."""
        pool = min(self._pools, key=lambda pool: pool.under_way / pool.size)
        pool.under_way += 1
        try:
            response = await pool.transport.handle_async_request(request)
        except BaseException:
            pool.under_way -= 1
            raise
        return httpx.Response(
            response.status_code,
            headers=response.headers.raw,
            stream=_Body(response, pool),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        for pool in self._pools:
            await pool.transport.aclose()


class _Pool:
    """A few connections, and how many requests they have."""

    def __init__(self, size: int) -> None:
        limits = httpx.Limits(max_connections=size, max_keepalive_connections=size)
        self.size: Final = size
        self.transport: Final = httpx.AsyncHTTPTransport(verify=_trusted(), limits=limits)
        self.under_way = 0


class _Body(httpx.AsyncByteStream):
    """A response's body, whose end gives its pool room."""

    def __init__(self, response: httpx.Response, pool: _Pool) -> None:
        self._response = response
        self._pool: _Pool | None = pool

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._response.aiter_raw():
            yield piece

    async def aclose(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.under_way -= 1
            await self._response.aclose()


@functools.cache
def _trusted() -> ssl.SSLContext:
    """The certificates that are trusted: to read them takes longer than to open all pools."""
    return httpx.create_ssl_context(trust_env=False)
