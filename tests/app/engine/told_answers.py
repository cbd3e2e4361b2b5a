"""A small server that answers with the statuses it is told to: what an engine cannot be made to say at will."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus


@asynccontextmanager
async def told_answers(*statuses: int) -> AsyncIterator[tuple[str, list[int]]]:
    """Its URL, and the statuses that it has answered with so far. The last one is repeated."""
    given: list[int] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        status = statuses[min(len(given), len(statuses) - 1)]
        given.append(status)
        body = b'{"data": [], "error": {"message": "as told"}}'
        first = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Length: {len(body)}\r\nConnection: close"
        writer.write(first.encode() + b"\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", given
