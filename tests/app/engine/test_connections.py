"""Many connections in small pools, against a real server: all are used at once, and what ends or fails makes room."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from app.engine.connections import POOL_SIZE, Connections

MOST = 2 * POOL_SIZE + 3


class Server:
    """A server that answers each request once `let_go` is set, and counts.

    Attributes:
        accepted: connections; open: those that are open now.
        under_way: requests that are not answered; most: of them at once.
        body: of an answer that promises four bytes.
    """

    def __init__(self) -> None:
        self.let_go = asyncio.Event()
        self.accepted = self.open = self.under_way = self.most = 0
        self.url = ""
        self.body = b"done"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self.open += 1
        while True:
            try:
                await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            await self.let_go.wait()
            self.under_way -= 1
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + self.body)
            if len(self.body) < 4:
                break
        self.open -= 1
        writer.close()


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    own = Server()
    server = await asyncio.start_server(own.answer, "127.0.0.1", 0)
    own.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield own
    own.let_go.set()
    server.close()


def use(work: Callable[[httpx.AsyncClient, Connections, Server], Awaitable[None]]) -> None:
    async def run() -> None:
        connections = Connections(MOST)
        async with serving() as server, httpx.AsyncClient(transport=connections, timeout=20) as client:
            await work(client, connections, server)

    asyncio.run(run())


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(2000):
        if holds():
            return
        await asyncio.sleep(0.01)
    pytest.fail("It did not come to that in 20 s.")


def test_as_many_as_there_may_be_are_under_way_at_once_and_no_more() -> None:
    async def ask(client: httpx.AsyncClient, connections: Connections, server: Server) -> None:
        asked = [asyncio.create_task(client.get(server.url)) for _ in range(MOST + 10)]
        await until(lambda: server.under_way == MOST)
        assert connections.under_way == MOST
        server.let_go.set()
        answers = await asyncio.gather(*asked)
        assert [answer.text for answer in answers] == ["done"] * (MOST + 10)
        assert (server.most, server.accepted) == (MOST, MOST)
        assert connections.under_way == 0

    use(ask)


def test_a_connection_is_used_again() -> None:
    async def ask(client: httpx.AsyncClient, connections: Connections, server: Server) -> None:
        server.let_go.set()
        for number in range(5):
            await client.get(server.url)
            assert (server.accepted, connections.under_way) == (1, 0), number

    use(ask)


def test_what_is_given_up_makes_room() -> None:
    async def ask(client: httpx.AsyncClient, connections: Connections, server: Server) -> None:
        given_up = asyncio.create_task(client.get(server.url))
        await until(lambda: server.under_way == 1)
        assert connections.under_way == 1
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        assert connections.under_way == 0
        server.let_go.set()
        async with client.stream("GET", server.url) as response:
            assert connections.under_way == 1
            assert response.status_code == 200  # its body is not read
        assert connections.under_way == 0

    use(ask)


def test_what_fails_makes_room_and_raises_what_httpx_raises() -> None:
    async def ask(client: httpx.AsyncClient, connections: Connections, _: Server) -> None:
        with pytest.raises(httpx.ConnectError):
            await client.get("http://127.0.0.1:1")
        assert connections.under_way == 0

    use(ask)


def test_who_waits_takes_the_first_connection_that_is_free_in_any_pool() -> None:
    async def ask(client: httpx.AsyncClient, connections: Connections, server: Server) -> None:
        asked = [asyncio.create_task(client.get(server.url)) for _ in range(MOST)]
        await until(lambda: server.under_way == MOST)
        waiting = [asyncio.create_task(client.get(server.url)) for _ in range(2 * POOL_SIZE)]
        await asyncio.sleep(0.05)
        for given_up in asked[-POOL_SIZE:]:
            given_up.cancel()
        await until(lambda: server.accepted == MOST + POOL_SIZE)
        assert connections.under_way == MOST
        server.let_go.set()
        answers = await asyncio.gather(*asked[:-POOL_SIZE], *waiting)
        assert {answer.text for answer in answers} == {"done"}

    use(ask)


def test_a_body_that_breaks_makes_room() -> None:
    async def ask(client: httpx.AsyncClient, connections: Connections, server: Server) -> None:
        server.body = b"do"  # of the four bytes that it promises
        server.let_go.set()
        for _ in range(MOST + 1):
            request = client.build_request("GET", server.url)
            response = await client.send(request, stream=True)
            with pytest.raises(httpx.RemoteProtocolError):
                await response.aread()
        assert connections.under_way == 0

    use(ask)


def test_what_a_burst_has_opened_is_closed_when_it_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.engine.connections.KEEP_SECONDS", 0.1)

    async def ask(client: httpx.AsyncClient, _: Connections, server: Server) -> None:
        asked = [asyncio.create_task(client.get(server.url)) for _ in range(MOST)]
        await until(lambda: server.under_way == MOST)
        server.let_go.set()
        await asyncio.gather(*asked)
        assert server.open == MOST
        await asyncio.sleep(0.2)
        await client.get(server.url)
        await until(lambda: server.open <= POOL_SIZE)
        await client.get(server.url)  # the pools that were emptied can be used again
        asked = [asyncio.create_task(client.get(server.url)) for _ in range(MOST)]
        assert [(await each).text for each in asked] == ["done"] * MOST

    use(ask)


def test_none_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="one at least"):
        Connections(0)


def test_who_finds_all_connections_busy_for_long_is_told() -> None:
    async def ask(client: httpx.AsyncClient, connections: Connections, server: Server) -> None:
        asked = [asyncio.create_task(client.get(server.url)) for _ in range(MOST)]
        await until(lambda: server.under_way == MOST)
        with pytest.raises(httpx.PoolTimeout):
            await client.get(server.url, timeout=httpx.Timeout(20, pool=0.1))
        assert connections.under_way == MOST
        server.let_go.set()
        await asyncio.gather(*asked)

    use(ask)
