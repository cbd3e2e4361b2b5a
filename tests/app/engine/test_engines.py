"""Several real replicas as one: each adapter has its home, a full one overflows, and a dead one is not missed."""

import asyncio
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.engine.engines import Engines
from app.engine.slots import AdapterFiles
from app.errors import BadEngineRequest, EngineAsleep, EngineBusy, EngineUnavailable
from tests.app.engine.told_answers import told_answers
from tests.engine.dialects import DIALECT
from tests.tiny import EngineServer, free_port, make_adapter, make_base

CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "who?"}], "max_tokens": 5, "temperature": 0}
BASE: dict[str, Any] = {**CHAT, "model": "tiny"}
ARGUMENTS = ("--max-model-len", "256", "--max-loras", "16", "--max-lora-rank", "8")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("engines") / "base")


@pytest.fixture(scope="module")
def red(base: Path) -> AdapterFiles:
    return AdapterFiles("red", make_adapter(base, base.parent / "red"))


@pytest.fixture(scope="module")
def servers(base: Path) -> Iterator[list[EngineServer]]:
    both: list[EngineServer] = [DIALECT.server(base, ARGUMENTS) for _ in range(2)]
    yield both
    for server in both:
        if _runs(server):
            server.stop()


@pytest.fixture
def pair(servers: list[EngineServer]) -> list[EngineServer]:
    """Two replicas that run, without adapters."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda server: server.start(), [server for server in servers if not _runs(server)]))
    for server in servers:
        for model in httpx.get(f"{server.url}/v1/models").json()["data"]:
            if model["parent"]:
                httpx.post(f"{server.url}/v1/unload_lora_adapter", json={"lora_name": model["id"]}).raise_for_status()
    return servers


def _runs(server: EngineServer) -> bool:
    return server.process is not None and server.process.poll() is None


def _home(engines: Engines, files: AdapterFiles) -> int:
    """The number of the replica that has the adapter; there is one."""
    (home,) = [number for number, one in enumerate(engines.replicas) if files.id in one.slots._holders]
    return home


def test_an_adapter_is_loaded_at_its_home_alone_and_homes_differ(pair: list[EngineServer], red: AdapterFiles) -> None:
    async def run() -> None:
        async with Engines([server.url for server in pair]) as engines:
            adapters = [AdapterFiles(f"red{number}", red.folder) for number in range(16)]
            answers = await asyncio.gather(*(engines.chat(CHAT, files) for files in adapters for _ in range(3)))
            assert len({answer["choices"][0]["message"]["content"] for answer in answers}) == 1
            homes = [_home(engines, files) for files in adapters]
            assert set(homes) == {0, 1}
        async with Engines([server.url for server in reversed(pair)]) as again:  # the order of the URLs changes nothing
            await asyncio.gather(*(again.chat(CHAT, files) for files in adapters))
            assert [1 - _home(again, files) for files in adapters] == homes

    asyncio.run(run())


def test_a_saturated_home_sends_on_to_the_next(pair: list[EngineServer], red: AdapterFiles) -> None:
    async def run() -> None:
        async with Engines([server.url for server in pair], concurrency=2) as engines:
            await asyncio.gather(*(engines.chat(CHAT, red) for _ in range(3)))
            assert all("red" in one.slots._holders for one in engines.replicas)
            await engines.unload("red")
            for one in engines.replicas:
                assert [model["id"] for model in await one.client.models()] == ["tiny"]

    asyncio.run(run())


def test_the_death_of_a_replica_fails_no_request(pair: list[EngineServer], red: AdapterFiles) -> None:
    """Requests go on while one of two is killed, those that it was answering included: they are asked again."""

    async def run() -> None:
        async with Engines([server.url for server in pair]) as engines:
            expected = (await engines.chat(CHAT, red))["choices"][0]["message"]
            home = _home(engines, red)
            long = {**CHAT, "max_tokens": 150, "ignore_eos": True}
            under_way = [asyncio.create_task(engines.chat(long, red)) for _ in range(4)]
            await asyncio.sleep(0.1)
            assert engines.replicas[home].running == 4
            await asyncio.to_thread(pair[home].stop, signal.SIGKILL)
            answers = await asyncio.gather(*(engines.chat(CHAT, red) for _ in range(6)))
            assert all(answer["choices"][0]["message"] == expected for answer in answers)
            assert all(answer["usage"]["completion_tokens"] == 150 for answer in await asyncio.gather(*under_way))
            pieces = [piece async for piece in engines.stream_chat(CHAT, red)]
            assert b"".join(pieces).endswith(b"data: [DONE]\n\n")
            assert (await engines.tokenize({"model": "tiny", "prompt": "who?"}))["max_model_len"] == 256
            await engines.health()  # one is enough
            await asyncio.to_thread(pair[home].start)
            await asyncio.sleep(2.1)  # it is left alone for at most two seconds
            assert (await engines.chat(CHAT, red))["choices"][0]["message"] == expected
            assert [model["id"] for model in await engines.replicas[home].client.models()] == ["tiny", "red"]

    asyncio.run(run())


def test_a_stream_that_broke_off_is_not_begun_again(pair: list[EngineServer], red: AdapterFiles) -> None:
    async def run() -> None:
        async with Engines([server.url for server in pair]) as engines:
            stream = engines.stream_chat({**CHAT, "max_tokens": 230, "ignore_eos": True}, red)
            await anext(stream)
            await asyncio.to_thread(pair[_home(engines, red)].stop, signal.SIGKILL)
            with pytest.raises(EngineUnavailable, match="broke off"):
                async for _ in stream:
                    pass
            assert all(one.running == 0 for one in engines.replicas)

    asyncio.run(run())


def test_requests_wait_for_the_only_replica_to_come_back_and_not_for_ever(base: Path, red: AdapterFiles) -> None:
    server = DIALECT.server(base, ARGUMENTS)

    async def run() -> None:
        async with Engines([server.url], patience=0.3) as hasty:
            with pytest.raises(EngineUnavailable, match="does not answer"):
                await hasty.chat(BASE)
            with pytest.raises(EngineUnavailable, match="does not answer"):
                await hasty.health()
        async with Engines([server.url], patience=240) as engines:
            asked = [asyncio.create_task(engines.chat(BASE)), asyncio.create_task(engines.chat(CHAT, red))]
            await asyncio.to_thread(server.start)
            assert [answer["model"] for answer in await asyncio.gather(*asked)] == ["tiny", "red"]
            with pytest.raises(BadEngineRequest, match="256"):  # a refusal is no failure
                await engines.chat({**BASE, "max_tokens": 999})

    try:
        asyncio.run(run())
    finally:
        server.stop()


def test_a_sleeping_engine_is_told_at_once(pair: list[EngineServer]) -> None:
    async def run() -> None:
        async with Engines([server.url for server in pair], may_sleep=True) as engines:
            for one in engines.replicas:
                await one.client.sleep(5)
            try:
                began = time.monotonic()
                with pytest.raises(EngineAsleep) as told:
                    await engines.chat(BASE)
                with pytest.raises(EngineAsleep):
                    await anext(engines.stream_chat(BASE))
                assert time.monotonic() - began < 2
                assert told.value.headers["Retry-After"]
            finally:
                for one in engines.replicas:
                    await one.client.wake_up()
            await asyncio.sleep(1.1)
            assert (await engines.chat(BASE))["choices"]

    asyncio.run(run())


def test_an_adapter_that_cannot_be_read_is_told_at_once(pair: list[EngineServer], base: Path) -> None:
    async def run() -> None:
        async with Engines([server.url for server in pair]) as engines:
            began = time.monotonic()
            with pytest.raises(EngineUnavailable, match="cannot read the adapter's files"):
                await engines.chat(CHAT, AdapterFiles("none", base))
            assert time.monotonic() - began < 5
            assert all(one.rests_until == 0 for one in engines.replicas)

    asyncio.run(run())


def test_a_busy_engine_is_asked_again_and_a_broken_one_once_more() -> None:
    async def run() -> None:
        async with told_answers(503, 429, 200) as (url, given), Engines([url]) as engines:
            assert await engines.models() == []
            assert given == [503, 429, 200]
        async with told_answers(500) as (url, given), Engines([url]) as engines:
            with pytest.raises(EngineUnavailable, match="as told"):
                await engines.models()
            assert given == [500, 500]
        async with told_answers(429) as (url, given), Engines([url], busy_patience=0.1) as engines:
            with pytest.raises(EngineBusy, match="as told"):
                await engines.models()

    asyncio.run(run())


def test_the_idler_replica_answers_and_those_of_one_key_meet_at_one(pair: list[EngineServer]) -> None:
    async def run() -> None:
        async with Engines([pair[0].url, pair[1].url, f"http://127.0.0.1:{free_port()}"]) as engines:
            long = {**BASE, "max_tokens": 100, "ignore_eos": True}
            tasks = [asyncio.create_task(engines.chat(long)) for _ in range(4)]
            await asyncio.sleep(0.1)
            assert [one.running for one in engines.replicas[:2]] == [2, 2]
            await asyncio.gather(*tasks)
            long = {"model": "tiny", "prompt": "a", "max_tokens": 100, "ignore_eos": True}
            tasks = [asyncio.create_task(engines.complete(long, key="a passage")) for _ in range(4)]
            await asyncio.sleep(0.1)
            assert sorted(one.running for one in engines.replicas) == [0, 0, 4]
            await asyncio.gather(*tasks)

    asyncio.run(run())
