"""Adapters on a real engine with four slots: loaded once, evicted by use, in turn, and again when the engine forgot."""

import asyncio
import contextlib
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from app.engine.client import EngineClient, Payload
from app.engine.replica import Replica
from app.engine.slots import AdapterFiles, Slots
from app.errors import BadEngineRequest, EngineBusy, EngineUnavailable, NotFound, UnknownModel
from tests.engine.under_test import Engine

CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "who?"}], "max_tokens": 3, "temperature": 0}
LONG: dict[str, Any] = {**CHAT, "max_tokens": 200, "ignore_eos": True}


def _names(engine: Engine) -> set[str]:
    return {model["id"] for model in engine.models() if model["parent"]}


@contextlib.asynccontextmanager
async def _replica(engine: Engine, slots: int, patience: float = 30.0) -> Any:
    async with EngineClient(engine.url) as client:
        replica = Replica(client, Slots(client, slots, patience))
        try:
            yield replica
        finally:
            await replica.slots.close()


async def _use(replica: Replica, name: str, folder: Path) -> None:
    async with replica.slots.hold(AdapterFiles(name, folder)):
        pass


def test_many_tasks_load_an_adapter_once_and_the_oldest_makes_room(engine: Engine) -> None:
    async def run() -> None:
        async with _replica(engine, slots=2) as replica:
            await asyncio.gather(*(_use(replica, "one", engine.red) for _ in range(8)))
            await _use(replica, "two", engine.blue)
            await _use(replica, "one", engine.red)
            assert _names(engine) == {"one", "two"}
            await _use(replica, "three", engine.red)
            assert _names(engine) == {"one", "three"}
            await replica.slots.unload("one")
            assert _names(engine) == {"three"}

    asyncio.run(run())


def test_what_the_engine_forgot_is_loaded_again(engine: Engine) -> None:
    red = AdapterFiles("red", engine.red)

    async def run() -> None:
        async with _replica(engine, slots=2) as replica:
            first = await replica.chat(CHAT, red)
            engine.unload("red")
            assert (await replica.chat(CHAT, red))["choices"] == first["choices"]
            engine.unload("red")
            assert b"".join([piece async for piece in replica.stream_chat(CHAT, red)])
            assert (await replica.chat({**CHAT, "model": "tiny"}, None))["model"] == "tiny"
            with pytest.raises(UnknownModel):
                await replica.chat({**CHAT, "model": "nobody"}, None)
            assert replica.running == 0

    asyncio.run(run())


def test_an_adapter_that_answers_is_not_evicted(engine: Engine) -> None:
    red, blue = AdapterFiles("red", engine.red), AdapterFiles("blue", engine.blue)

    async def run() -> None:
        async with _replica(engine, slots=1) as replica:
            stream = replica.stream_chat(LONG, red)
            await anext(stream)
            other = asyncio.ensure_future(replica.chat(CHAT, blue))
            async for _ in stream:
                pass
            assert (await other)["model"] == "blue"
            assert _names(engine) == {"blue"}
        async with _replica(engine, slots=1, patience=0.5) as hasty, hasty.slots.hold(blue):
            with pytest.raises(EngineBusy, match="INGRAIN_MAX_LORAS"):
                await hasty.chat(CHAT, red)

    asyncio.run(run())


def test_more_adapters_than_slots_take_turns_without_thrashing(engine: Engine) -> None:
    """Five adapters are asked for again and again on two slots: each gets its share, and few loads are needed."""
    answered: Counter[str] = Counter()
    names = [f"many{number}" for number in range(5)]
    loads, began = 0, time.monotonic()

    class Counting(EngineClient):
        async def load_adapter(self, name: str, path: Path | str) -> None:
            nonlocal loads
            loads += 1
            await super().load_adapter(name, path)

    async def ask_on(replica: Replica, files: AdapterFiles, until: float) -> None:
        while time.monotonic() < until or min(answered[name] for name in names) < 3:
            await replica.chat(CHAT, files)
            answered[files.id] += 1

    async def run() -> None:
        async with Counting(engine.url) as client:
            replica = Replica(client, Slots(client, 2, 30.0))
            until = time.monotonic() + 6
            adapters = [AdapterFiles(name, engine.red) for name in names]
            await asyncio.gather(*(ask_on(replica, files, until) for files in adapters))
            await replica.slots.close()

    asyncio.run(run())
    assert all(answered[name] >= 3 for name in names)
    assert sum(answered.values()) > 3 * loads
    assert loads <= 2 + 2 * (time.monotonic() - began) / 0.5  # no turn is shorter


def test_those_that_wait_are_served_in_the_order_they_came(engine: Engine) -> None:
    order: list[str] = []

    async def ask(replica: Replica, name: str) -> None:
        async with replica.slots.hold(AdapterFiles(name, engine.blue)):
            order.append(name)

    async def run() -> None:
        async with _replica(engine, slots=1) as replica:
            blocker = replica.slots.hold(AdapterFiles("first", engine.red))
            await blocker.__aenter__()
            tasks = {}
            for name in ("b", "a", "d", "c"):
                tasks[name] = asyncio.create_task(ask(replica, name))
                await asyncio.sleep(0.01)
            tasks.pop("d").cancel()  # one gives up
            await asyncio.sleep(0.2)
            assert order == []
            await blocker.__aexit__(None, None, None)
            await asyncio.gather(*tasks.values())

    asyncio.run(run())
    assert order == ["b", "a", "c"]


def test_a_full_engine_that_others_filled_makes_room(engine: Engine) -> None:
    for number in range(4):
        engine.load(f"theirs{number}", engine.red)

    async def run() -> None:
        async with _replica(engine, slots=4) as replica:
            await _use(replica, "mine", engine.blue)

    asyncio.run(run())
    assert "mine" in _names(engine)
    assert len(_names(engine)) == 4


def test_an_adapter_that_cannot_be_loaded(engine: Engine, folders: dict[str, Path]) -> None:
    async def run() -> None:
        async with _replica(engine, slots=2) as replica:
            with pytest.raises(BadEngineRequest, match="max_lora_rank"):
                await replica.chat(CHAT, AdapterFiles("high", folders["high"]))
            with pytest.raises(EngineUnavailable, match="cannot read the adapter's files"):
                await replica.chat(CHAT, AdapterFiles("none", folders["base"]))
            assert (await replica.chat(CHAT, AdapterFiles("red", engine.red)))["model"] == "red"

    asyncio.run(run())


def test_a_request_that_learns_late_that_the_engine_forgot_costs_nobody_the_new_slot(engine: Engine) -> None:
    red, seconds = AdapterFiles("red", engine.red), []

    async def learn_late(replica: Replica) -> None:
        async with replica.slots.hold(red):
            engine.unload("red")
            await replica.chat(CHAT, red)  # loads it again
            seconds.append(replica.slots._holders["red"])
            raise UnknownModel("late")

    async def run() -> None:
        async with _replica(engine, slots=1) as replica:
            with pytest.raises(UnknownModel, match="late"):
                await learn_late(replica)
            assert [replica.slots._holders["red"]] == seconds

    asyncio.run(run())


def test_an_adapter_that_others_unload_again_and_again_is_loaded_again_and_again(engine: Engine) -> None:
    red = AdapterFiles("red", engine.red)

    class Robbed(EngineClient):
        times = 4

        async def chat(self, payload: Payload) -> dict[str, Any]:
            if self.times:
                self.times -= 1
                engine.unload("red")
            return await super().chat(payload)

    async def run() -> None:
        async with Robbed(engine.url) as client:
            replica = Replica(client, Slots(client, 2, 30.0))
            assert (await replica.chat(CHAT, red))["model"] == "red"
            client.times = 1_000
            hasty = Replica(client, Slots(client, 2, 0.5))
            with pytest.raises(EngineBusy, match="loses the adapter red"):
                await hasty.chat(CHAT, red)

    asyncio.run(run())


def test_those_that_wait_for_an_adapter_that_is_deleted_are_told(engine: Engine) -> None:
    blue = AdapterFiles("blue", engine.blue)

    async def run() -> None:
        async with _replica(engine, slots=1) as replica, replica.slots.hold(AdapterFiles("red", engine.red)):
            waiting = asyncio.create_task(replica.chat(CHAT, blue))
            await asyncio.sleep(0.1)
            await replica.slots.unload("blue")
            with pytest.raises(NotFound, match="was deleted"):
                await waiting

    asyncio.run(run())
