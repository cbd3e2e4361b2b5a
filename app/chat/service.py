"""The way of a chat: what its model means, the engine's answer, and the answer under the name that was asked for."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request

from app.catalogue.service import Target, resolve
from app.chat.retrieval import with_passages
from app.chat.schemas import ChatRequest
from app.dependencies import Services
from app.engine.slots import AdapterFiles
from app.errors import EngineUnavailable, IngrainError
from app.problems import openai_error

Result = TypeVar("Result")


async def answer(services: Services, chat: ChatRequest, target: Target) -> dict[str, Any]:
    """The whole answer, in OpenAI's shape."""
    payload, members = await _prepare(services, chat, target)
    completion = await services.engines.chat(payload, await _adapter(services, target))
    _check_whole(completion)
    return {**completion, **members}


async def stream(services: Services, chat: ChatRequest, target: Target) -> AsyncIterator[bytes]:
    """The answer as OpenAI's server-sent events. The first is there when this returns, so that errors have a status."""
    payload, members = await _prepare(services, chat, target)
    pieces = services.engines.stream_chat(payload, await _adapter(services, target))
    events = _completed(pieces, members, target.called)
    try:
        first = await anext(events)
    except StopAsyncIteration:
        raise EngineUnavailable("The engine ended its answer before it began. Try again.") from None
    return _from_first(first, events)


async def find_target(services: Services, name: str) -> Target:
    """What `name` means."""

    def look_up() -> Target:
        with services.unit_of_work(reads_only=True) as session:
            return resolve(session, services.settings, name)

    return await run_in_threadpool(look_up)


async def _prepare(services: Services, chat: ChatRequest, target: Target) -> tuple[dict[str, Any], dict[str, Any]]:
    """The request as the engine gets it, and the members that its answer gets from us."""
    payload, members = chat.for_engine(target.engine_name), {"model": target.called}
    if not chat.passages_wanted:
        return payload, members
    payload["messages"], found, room = await with_passages(services, chat, target, payload["messages"])
    if room is not None and chat.answer_limit:
        payload["max_tokens"] = min(chat.answer_limit, room)  # an engine may refuse more than it has room for
    return payload, {**members, "retrieval": found.model_dump(mode="json")}


async def _adapter(services: Services, target: Target) -> AdapterFiles | None:
    """The adapter with its files where the engine can read them; None for the base model."""
    if target.adapter_id is None:
        return None
    path, cache = f"adapters/{target.adapter_id}", services.settings.artefact_cache
    return AdapterFiles(target.adapter_id, await run_in_threadpool(services.store.local_folder, path, cache))


async def while_connected(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of `work`, which is cancelled when the client goes: nobody waits for those tokens any more.

    Raises:
        ClientDisconnect: the client is gone.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        for each in (task, gone):
            each.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _from_first(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncIterator[bytes]:
    """Once the status is out, an error can only be an event: OpenAI's clients raise it."""
    async with aclosing(rest) as events:
        yield first
        try:
            async for event in events:
                yield event
        except IngrainError as error:
            yield b"data: " + json.dumps({"error": openai_error(error)}).encode() + b"\n\n"


async def _completed(chunks: AsyncGenerator[bytes], first_members: dict[str, Any], model: str) -> AsyncGenerator[bytes]:
    """The events of a stream, whole, with the `model` as the client called it; the first with all of our members."""
    members = first_members
    waiting = b""
    async with aclosing(chunks) as source:
        async for chunk in source:
            *events, waiting = (waiting + chunk).replace(b"\r\n", b"\n").split(b"\n\n")
            for event in events:
                yield _complete(event, members) + b"\n\n"
                members = {"model": model}


def _check_whole(answer: dict[str, Any]) -> None:
    """Refuse what vLLM ends as if in good order because it has to drop it, before it sleeps for example."""
    if any(choice.get("finish_reason") == "abort" for choice in answer.get("choices", ())):
        raise EngineUnavailable("The engine broke off its answer. Try again.", headers={"Retry-After": "5"})


def _complete(event: bytes, members: dict[str, Any]) -> bytes:
    data = event.removeprefix(b"data:").strip()
    if not data.startswith(b"{"):
        return event
    content = json.loads(data)
    _check_whole(content)
    if "model" in content:
        content |= members
    return b"data: " + json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
