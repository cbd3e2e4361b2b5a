"""The client against a real engine: its errors are ours, and what it abandons is freed."""

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from app.engine.client import EngineClient
from app.errors import BadEngineRequest, EngineBusy, EngineUnavailable, UnknownModel
from tests.app.engine.told_answers import told_answers
from tests.engine.under_test import Engine
from tests.tiny import THINKS, EmbeddedEngine, make_base, make_tokenizer
from worker.distillation.rendering import Renderer

T = TypeVar("T")
CHAT: dict[str, Any] = {
    "model": "tiny",
    "messages": [{"role": "user", "content": "who?"}],
    "max_tokens": 20,
    "temperature": 0,
    "ignore_eos": True,
}


USAGE = {"include_usage": True}


def with_client(engine: Engine | EmbeddedEngine, work: Callable[[EngineClient], Awaitable[T]]) -> T:
    async def run() -> T:
        async with EngineClient(engine.url) as client:
            return await work(client)

    return asyncio.run(run())


def test_whole_and_streamed_answers_are_the_same(engine: Engine) -> None:
    async def ask(client: EngineClient) -> tuple[str, str]:
        whole = await client.chat(CHAT)
        events = b"".join([piece async for piece in client.stream_chat(CHAT)]).decode().split("\n\n")
        chunks = [json.loads(event.removeprefix("data: ")) for event in events if event.startswith("data: {")]
        assert "data: [DONE]" in events
        pieces = "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks)
        return whole["choices"][0]["message"]["content"], pieces

    whole, pieces = with_client(engine, ask)
    assert whole == pieces


def test_a_chat_is_rendered_as_training_renders_it(tmp_path: Path) -> None:
    tokenizer = make_tokenizer()
    tokenizer.chat_template = THINKS
    tokenizer.save_pretrained(make_base(tmp_path / "base"))
    thinking = {**CHAT, "chat_template_kwargs": {"enable_thinking": True}}

    async def ask(client: EngineClient) -> tuple[list[int], list[int], int]:
        answers = [await client.chat(CHAT), await client.chat(thinking)]
        events = b"".join([piece async for piece in client.stream_chat({**CHAT, "stream_options": USAGE})]).decode()
        streamed = json.loads(events.split("data: ")[-2])["usage"]["prompt_tokens"]
        told = await client.tokenize({"model": "tiny", "messages": CHAT["messages"]})
        return told["tokens"], [answer["usage"]["prompt_tokens"] for answer in answers], streamed

    engine = EmbeddedEngine(tmp_path / "base")
    engine.start()
    try:
        tokens, counts, streamed = with_client(engine, ask)
    finally:
        engine.stop()
    assert tuple(tokens) == Renderer(tokenizer, [tokenizer.eos_token_id]).prompt(CHAT["messages"])
    assert tokenizer.decode(tokens).endswith("<think></think>")
    assert counts[0] == streamed == len(tokens) > counts[1], "a client may want it to think"


def test_many_at_once(engine: Engine) -> None:
    """Far more than the engine's rows, over one client."""

    async def ask(client: EngineClient) -> list[dict[str, Any]]:
        asked = [{"model": "tiny", "prompt": f"{number}", "max_tokens": 3, "ignore_eos": True} for number in range(60)]
        return await asyncio.gather(*(client.complete(one) for one in asked))

    answers = with_client(engine, ask)
    assert [answer["usage"]["completion_tokens"] for answer in answers] == [3] * 60


def test_refusals_become_our_errors(engine: Engine, folders: dict[str, Path]) -> None:
    async def ask(client: EngineClient) -> None:
        with pytest.raises(UnknownModel, match="nobody"):
            await client.chat({**CHAT, "model": "nobody"})
        with pytest.raises(BadEngineRequest, match="max_model_len=256") as refused:
            await client.chat({**CHAT, "max_tokens": 999})
        assert refused.value.field == "max_tokens"
        with pytest.raises(BadEngineRequest, match="tools"):
            async for _ in client.stream_chat({**CHAT, "tools": [{"type": "function"}]}):
                pass
        with pytest.raises(BadEngineRequest, match="rank 32 is greater than max_lora_rank 16"):
            await client.load_adapter("high", folders["high"])
        with pytest.raises(EngineUnavailable, match="cannot read the adapter's files") as unread:
            await client.load_adapter("missing", folders["base"])
        assert str(folders["base"]) not in unread.value.detail

    with_client(engine, ask)


def test_adapters_come_and_go_and_saying_it_twice_is_fine(engine: Engine) -> None:
    async def ask(client: EngineClient) -> None:
        for _ in range(2):
            await client.load_adapter("red", engine.red)
        assert [model["id"] for model in await client.models()] == ["tiny", "red"]
        for _ in range(2):
            await client.unload_adapter("red")
        assert [model["id"] for model in await client.models()] == ["tiny"]

    with_client(engine, ask)


def test_tokens_there_and_back(engine: Engine) -> None:
    async def ask(client: EngineClient) -> str:
        tokens = (await client.tokenize({"prompt": "naïve 日本"}))["tokens"]
        text: str = (await client.detokenize({"tokens": tokens}))["prompt"]
        return text

    assert with_client(engine, ask) == "naïve 日本"


def test_a_stream_that_is_closed_frees_the_engine(engine: Engine) -> None:
    async def ask(client: EngineClient) -> float:
        for _ in range(3):
            streams = [client.stream_chat({**CHAT, "max_tokens": 200, "n": 8, "temperature": 1}) for _ in range(4)]
            for stream in streams:
                async with contextlib.aclosing(stream):
                    if stream is streams[0]:
                        await anext(stream)
        started = time.monotonic()
        await client.complete({"model": "tiny", "prompt": "a", "max_tokens": 1})
        return time.monotonic() - started

    assert with_client(engine, ask) < 2.0


def test_an_engine_that_is_busy_or_broken_is_told_apart() -> None:
    async def run() -> None:
        async with told_answers(503, 429, 500, 401) as (url, asked), EngineClient(url) as client:
            for kind, words in (
                (EngineUnavailable, "as told"),
                (EngineBusy, "as told"),
                (EngineUnavailable, "as told"),
                (EngineUnavailable, "INGRAIN_ENGINE_API_KEY"),
            ):
                with pytest.raises(kind, match=words) as told:
                    await client.models()
                assert kind is EngineUnavailable or told.value.headers["Retry-After"] == "2"
            assert len(asked) == 4  # each once

    asyncio.run(run())


def test_answers_in_plenty_do_not_hold_up_a_look_at_its_health(engine: Engine) -> None:
    async def ask() -> None:
        async with EngineClient(engine.url, max_connections=1, timeout=1) as client:
            stream = client.stream_chat({**CHAT, "max_tokens": 200})
            async with contextlib.aclosing(stream):
                await anext(stream)
                await client.health()
                with pytest.raises(EngineBusy, match="connections"):
                    await client.chat(CHAT)

    asyncio.run(ask())
