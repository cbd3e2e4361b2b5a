"""Adapters on a real engine with four slots: loaded once, evicted by use, loaded again when the engine forgot."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from app.engine.client import EngineClient
from app.engine.placement import Placement
from app.errors import BadEngineRequest, EngineBusy, EngineUnavailable
from tests.engine.conftest import Engine

CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "who?"}], "max_tokens": 3, "temperature": 0}


def _names(engine: Engine) -> set[str]:
    return {model["id"] for model in engine.models() if model["parent"]}


def test_many_tasks_load_an_adapter_once_and_the_oldest_makes_room(engine: Engine) -> None:
    async def run() -> None:
        async with EngineClient(engine.url) as client:
            placement = Placement(client, slots=2)
            await asyncio.gather(*(placement.ensure_loaded("one", engine.red) for _ in range(8)))
            await placement.ensure_loaded("two", engine.blue)
            await placement.ensure_loaded("one", engine.red)
            assert _names(engine) == {"one", "two"}
            await placement.ensure_loaded("three", engine.red)
            assert _names(engine) == {"one", "three"}
            await placement.unload("one")
            assert _names(engine) == {"three"}

    asyncio.run(run())


def test_what_the_engine_forgot_is_loaded_again(engine: Engine) -> None:
    async def run() -> None:
        async with EngineClient(engine.url) as client:
            placement = Placement(client, slots=2)
            first = await placement.chat(CHAT, "red", engine.red)
            engine.unload("red")
            assert (await placement.chat(CHAT, "red", engine.red))["choices"] == first["choices"]
            engine.unload("red")
            assert b"".join([piece async for piece in placement.stream_chat(CHAT, "red", engine.red)])
            assert (await placement.chat({**CHAT, "model": "tiny"}, None, None))["model"] == "tiny"

    asyncio.run(run())


def test_an_adapter_that_answers_is_not_evicted(engine: Engine) -> None:
    async def run() -> None:
        async with EngineClient(engine.url) as client:
            placement = Placement(client, slots=1)
            long = {**CHAT, "max_tokens": 200, "ignore_eos": True}
            stream = placement.stream_chat(long, "red", engine.red)
            await anext(stream)
            other = asyncio.ensure_future(placement.chat(CHAT, "blue", engine.blue))
            async for _ in stream:
                pass
            assert (await other)["model"] == "blue"
            assert _names(engine) == {"blue"}
            with placement._using("blue"), pytest.raises(EngineBusy, match="INGRAIN_MAX_LORAS"):
                await placement.ensure_loaded("red", engine.red)

    asyncio.run(run())


def test_a_full_engine_that_others_filled_makes_room(engine: Engine) -> None:
    for number in range(4):
        engine.load(f"theirs{number}", engine.red)

    async def run() -> None:
        async with EngineClient(engine.url) as client:
            await Placement(client, slots=16).ensure_loaded("mine", engine.blue)

    asyncio.run(run())
    assert "mine" in _names(engine)
    assert len(_names(engine)) == 4


def test_an_adapter_that_cannot_be_loaded(engine: Engine, folders: dict[str, Path]) -> None:
    async def run() -> None:
        async with EngineClient(engine.url) as client:
            placement = Placement(client, slots=2)
            with pytest.raises(BadEngineRequest, match="max_lora_rank"):
                await placement.ensure_loaded("high", folders["high"])
            with pytest.raises(EngineUnavailable, match="cannot read the adapter's files"):
                await placement.chat(CHAT, "none", folders["base"])

    asyncio.run(run())
