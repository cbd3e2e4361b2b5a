"""A real engine that sleeps: what the client says of it, and the watch that keeps requests away."""

import asyncio
import time
from typing import Any

import httpx
import pytest

from app.engine.client import EngineClient
from app.engine.sleep import SleepWatch
from app.errors import ConfigurationError, EngineAsleep, EngineUnavailable
from tests.engine.dialects import on_embedded
from tests.engine.under_test import Engine
from tests.tiny import free_port

CHAT: dict[str, Any] = {"model": "tiny", "messages": [{"role": "user", "content": "who?"}], "max_tokens": 5}


def test_a_sleeping_engine_is_known_before_a_request_goes_there(engine: Engine) -> None:
    async def ask() -> None:
        async with EngineClient(engine.url) as client:
            await SleepWatch(client).check()
            await client.sleep(10)
            assert await client.is_sleeping()
            watch = SleepWatch(client)
            with pytest.raises(EngineAsleep, match="wakes by itself") as caught:
                await watch.check()
            assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "30"})
            await client.wake_up()
            assert not await client.is_sleeping()
            with pytest.raises(EngineAsleep):
                await watch.check()
            await asyncio.sleep(1.05)
            await watch.check()
            assert (await client.chat(CHAT))["choices"]

    asyncio.run(ask())


def test_many_requests_ask_once(engine: Engine) -> None:
    async def ask() -> None:
        asked = []

        async def note(request: httpx.Request) -> None:
            asked.append(request.url.path)

        async with EngineClient(engine.url) as client:
            client._http.event_hooks["request"].append(note)
            watch = SleepWatch(client)
            await asyncio.gather(*(watch.check() for _ in range(50)))
        assert asked == ["/is_sleeping"]

    asyncio.run(ask())


@on_embedded("vLLM keeps the request until it wakes")
def test_the_engine_refuses_by_itself_and_is_not_asked_again(engine: Engine) -> None:
    async def ask() -> None:
        async with EngineClient(engine.url) as client:
            await client.sleep(10)
            began = time.monotonic()
            with pytest.raises(EngineAsleep) as caught:
                await client.chat(CHAT)
            assert time.monotonic() - began < 1
            assert caught.value.headers == {"Retry-After": "30"}
            await client.wake_up()

    asyncio.run(ask())


@on_embedded("vLLM ends a broken-off answer in good order, with the finish_reason abort")
def test_answers_that_do_not_end_in_time_are_broken_off(engine: Engine) -> None:
    async def ask() -> None:
        async with EngineClient(engine.url) as client:
            long = asyncio.ensure_future(client.chat({**CHAT, "max_tokens": 230, "ignore_eos": True, "n": 8}))
            await asyncio.sleep(0.2)
            assert not long.done()
            await client.sleep(0.05)
            with pytest.raises(EngineAsleep):
                await long
            await client.wake_up()

    asyncio.run(ask())


@on_embedded("vLLM ends a broken-off answer in good order, with the finish_reason abort")
def test_who_does_not_wait_for_answers_to_end_leaves_an_engine_that_sleeps(engine: Engine) -> None:
    async def ask() -> None:
        async with EngineClient(engine.url) as client:
            long = asyncio.ensure_future(client.chat({**CHAT, "max_tokens": 230, "ignore_eos": True, "n": 8}))
            await asyncio.sleep(0.2)
            falling = asyncio.ensure_future(client.sleep(60))
            await asyncio.sleep(0.05)
            assert not long.done()
            falling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await falling
            assert await client.is_sleeping()
            with pytest.raises(EngineAsleep):
                await long
            await client.wake_up()

    asyncio.run(ask())


def test_an_engine_that_cannot_sleep_says_how_it_could_and_counts_as_awake(api_on_sqlite: httpx.Client) -> None:
    async def ask() -> None:
        async with EngineClient(str(api_on_sqlite.base_url)) as client:
            for call in (client.sleep(1), client.wake_up(), client.is_sleeping()):
                with pytest.raises(ConfigurationError, match="--enable-sleep-mode and VLLM_SERVER_DEV_MODE=1"):
                    await call
            await SleepWatch(client).check()

    asyncio.run(ask())


def test_nobody_there_is_unavailable() -> None:
    async def ask() -> None:
        async with EngineClient(f"http://127.0.0.1:{free_port()}") as client:
            with pytest.raises(EngineUnavailable, match="does not answer"):
                await SleepWatch(client).check()

    asyncio.run(ask())
